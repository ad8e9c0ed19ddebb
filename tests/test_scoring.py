"""Scores of intervals, against the package scoringrules and numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from evaluation.intervals.bounds import bounded_levels
from evaluation.intervals.scores import coverage, interval_scores, pinball, years
from evaluation.rows import ForecastsError, thirds


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y, y_hat = rng.standard_normal(n), rng.standard_normal(n)
    ds = pd.date_range("2020-12-01", periods=n)
    return pd.DataFrame(
        {
            "unique_id": "s",
            "ds": ds,
            "origin": ds - pd.Timedelta(days=1),
            "step": 1,
            "model": "m",
            "y": y,
            "y_hat": y_hat,
            "lo_80": y_hat - 1,
            "hi_80": y_hat + 1.5,
            "lo_95": y_hat - 2,
            "hi_95": y_hat + 2.5,
        }
    )


def by_hand() -> pd.DataFrame:
    rows = table(4)
    return rows.assign(y=[0.0, 3.0, 5.0, 9.0], y_hat=4.0, lo_80=3.0, hi_80=5.0).drop(columns=["lo_95", "hi_95"])


def test_scores_are_those_worked_out_by_hand() -> None:
    (row,) = interval_scores(by_hand()).to_dict("records")
    assert row["coverage"] == 0.5  # a truth on a bound is inside
    assert row["width"] == 2.0
    assert row["winkler"] == pytest.approx(2 + (10 * 3 + 10 * 4) / 4)
    assert row["pinball"] == pytest.approx(row["winkler"] * 0.1 / 2)
    assert (row["n"], row["missing"]) == (4, 0)


@pytest.mark.parametrize("level", [80, 95])
def test_winkler_score_is_that_of_scoringrules(level: int) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    rows = table()
    expected = scoringrules.interval_score(rows["y"], rows[f"lo_{level}"], rows[f"hi_{level}"], 1 - level / 100)
    found = interval_scores(rows).set_index("level").loc[level, "winkler"]
    assert found == pytest.approx(np.mean(expected), abs=1e-9)


def test_crps_is_that_of_scoringrules_from_quantiles_and_as_weighted_interval_score() -> None:
    scoringrules = pytest.importorskip("scoringrules")
    rows = table()
    quantiles = rows[["lo_95", "lo_80", "y_hat", "hi_80", "hi_95"]].to_numpy()
    of_quantiles = scoringrules.crps_quantile(rows["y"].to_numpy(), quantiles, np.array([0.025, 0.1, 0.5, 0.9, 0.975]))
    weighted = scoringrules.weighted_interval_score(
        rows["y"].to_numpy(),
        rows["y_hat"].to_numpy(),
        rows[["lo_80", "lo_95"]].to_numpy(),
        rows[["hi_80", "hi_95"]].to_numpy(),
        np.array([0.2, 0.05]),
    )
    found = interval_scores(rows)["crps"]
    np.testing.assert_allclose(found, np.mean(of_quantiles), atol=1e-9)
    np.testing.assert_allclose(found, np.mean(weighted), atol=1e-9)


@pytest.mark.parametrize("share", [0.025, 0.5, 0.9])
def test_quantile_loss_is_that_of_scoringrules_and_least_at_the_quantile(share: float) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    y = np.random.default_rng(1).standard_normal(2001)
    expected = scoringrules.quantile_score(y, np.full(y.size, 0.3), share)
    np.testing.assert_allclose(pinball(y, np.full(y.size, 0.3), share), expected, atol=1e-12)
    grid = np.linspace(-3, 3, 601)
    losses = [pinball(y, np.full(y.size, value), share).mean() for value in grid]
    assert grid[np.argmin(losses)] == pytest.approx(np.quantile(y, share), abs=0.05)


def test_rows_without_an_interval_count_as_missing_only() -> None:
    rows = table()
    holes = rows.assign(lo_80=rows["lo_80"].where(rows.index >= 50))
    found = interval_scores(holes).set_index("level")
    assert found.loc[80, ["n", "missing"]].tolist() == [150, 50]
    assert found.loc[95, ["n", "missing"]].tolist() == [200, 0]
    later = interval_scores(rows.iloc[50:]).set_index("level")
    assert found.loc[80, "coverage"] == later.loc[80, "coverage"]
    assert found.loc[80, "crps"] == pytest.approx(later.loc[80, "crps"])
    empty = interval_scores(rows.assign(lo_80=np.nan, hi_80=np.nan)).set_index("level")
    assert empty.loc[80, "n"] == 0
    assert empty.loc[80, ["coverage", "width", "winkler", "pinball"]].isna().all()


def test_years_and_thirds_of_life_divide_the_rows() -> None:
    rows = table()
    by_year = interval_scores(rows, years(rows))
    assert by_year["part"].unique().tolist() == ["2020", "2021"]
    assert by_year.loc[by_year["level"] == 80, "n"].tolist() == [31, 169]
    cycles = np.arange(1, 301)
    cell = table(300).assign(ds=1000 * cycles, origin=1000 * cycles, step=0, y=300.0 - cycles)  # ds counts records
    by_third = interval_scores(cell, thirds(cell, {"s": 300.0}))
    assert by_third["part"].unique().tolist() == ["early", "middle", "late"]
    assert by_third.loc[by_third["level"] == 95, "n"].tolist() == [99, 100, 101]
    assert years(cell) is None


def test_coverage_is_of_all_rows_and_then_of_parts() -> None:
    rows = table()
    found = coverage(rows, years(rows))
    assert found is not None
    pd.testing.assert_frame_equal(found.iloc[:2], interval_scores(rows))
    assert found["part"].unique().tolist() == ["all", "2020", "2021"]
    empty = rows.assign(**dict.fromkeys(["lo_80", "hi_80", "lo_95", "hi_95"], np.nan))
    assert coverage(empty, None) is None
    assert coverage(rows[["model", "y", "y_hat"]], None) is None


def test_a_level_without_any_bound_is_no_part_of_the_crps() -> None:
    rows = table()
    holes = rows.assign(lo_95=np.nan, hi_95=np.nan)
    alone = interval_scores(rows.drop(columns=["lo_95", "hi_95"]))["crps"].iloc[0]
    assert interval_scores(holes)["crps"].tolist() == pytest.approx([alone] * 2)


def test_a_table_without_intervals_is_refused() -> None:
    rows = table()
    assert bounded_levels(rows.drop(columns=["hi_95"])) == [80]
    with pytest.raises(ForecastsError, match="no intervals"):
        interval_scores(rows[["model", "y", "y_hat"]])
