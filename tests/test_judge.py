"""What is said of a Forecasts table: groups, verdicts, what leaks, what is undefined."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from data.contracts import REMAINING, SERIES
from evaluation.inference.by_cell import FEWEST, against_reference
from evaluation.judge import REFERENCE_WINS, Evaluation, judge
from evaluation.rows import CLOCK, PERSISTENCE, THIRDS, enriched
from evaluation.scores import aggregate, scores_of
from tests.tables import cell_facts, cells, lived, one_step, row, series_facts, several, trainings, two_steps


def walk(n: int, seed: int = 1) -> np.ndarray:
    return 100 + np.cumsum(np.random.default_rng(seed).standard_normal(n))


def of_cells(lives: dict[str, int], table: pd.DataFrame, leaking: dict[str, str] | None = None) -> Evaluation:
    return judge(table, cell_facts(lives), leaking or {})


# --- series ---------------------------------------------------------------------------------------


def test_what_leaks_is_marked_and_said() -> None:
    series = walk(60)
    found = judge(one_step(series, {"seer": series[1:]}), series_facts(), {"seer": "decomposition: it looks ahead."})
    assert dict(zip(found.scores["model"], found.scores["leaks"], strict=True)) == {PERSISTENCE: False, "seer": True}
    assert found.notes[0] == (
        "seer USES THE FUTURE: decomposition: it looks ahead, so its numbers cannot be had in practice."
    )


def test_steps_are_a_group_where_there_are_several() -> None:
    series = walk(60)
    assert judge(one_step(series, {}), series_facts(), {}).groups == {}
    groups = judge(two_steps(series, 1.0), series_facts(), {}).groups
    assert list(groups) == ["step"]
    assert list(groups["step"]["step"]) == [1, 2, 1, 2]


def test_every_column_that_was_promised_is_there() -> None:
    series = walk(60)
    forecasts = one_step(series, {"m": series[:-1] + 0.1})
    found = judge(forecasts, series_facts(), {})
    named = {score.name for score in scores_of(SERIES)}
    tests = {"difference", "p_reference", "p_corrected", "verdict", "p_mcs", "in_mcs", "p_direction"}
    ends = {f"{name}_{end}" for name in ("mae", "rmse", "mase", "skill") for end in ("low", "high")}
    assert set(found.scores) == {"model", "n", "n_seeds", "leaks"} | named | tests | ends
    assert found.pairwise is not None
    lives, table = several(7)
    found = of_cells(lives, table)
    named = {score.name for score in scores_of(REMAINING)}
    tests = {"difference", "difference_low", "difference_high", "p_reference", "p_corrected", "verdict"}
    assert set(found.scores) == {"model", "n", "n_cells", "n_seeds", "leaks"} | named | tests
    assert found.pairwise is None
    assert set(found.groups) == {"unique_id", "third"}


def test_every_seed_is_scored_by_itself_beside_the_one_reference() -> None:
    series = walk(60)
    forecasts = one_step(series, {"m": series[:-1] + 0.1})
    found = judge(forecasts, series_facts(), {}, by_seed=trainings(forecasts, 3, PERSISTENCE))
    seeds = found.groups["seed"]
    assert list(seeds["model"]) == ["m"] * 3
    assert list(seeds["seed"]) == [0, 1, 2]
    alone = judge(forecasts.assign(y_hat=lambda t: t["y_hat"] + 2 * (t["model"] == "m")), series_facts(), {})
    pd.testing.assert_series_equal(
        seeds.iloc[2][["mae", "skill", "direction"]],
        row(alone.scores, "m")[["mae", "skill", "direction"]],
        check_names=False,
    )
    assert found.scores.set_index("model")["n_seeds"].to_dict() == {PERSISTENCE: 1, "m": 3}
    assert "seed" not in judge(forecasts, series_facts(), {}, by_seed=trainings(forecasts, 1, PERSISTENCE)).groups


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [2, 40])
def test_a_constant_truth_ends_no_run(n: int) -> None:
    series = np.full(n, 5.0)
    forecasts = one_step(series, {"m": np.full(n - 1, 6.0)})
    found = judge(forecasts, series_facts({}), {})
    assert found.scores[["r2", "mase", "skill"]].isna().all(axis=None)
    assert list(found.scores["mae"]) == [0.0, 1.0]
    assert "R² is undefined: the truth does not vary." in found.notes
    assert "skill is undefined: the reference makes no error." in found.notes
    assert "MASE is undefined: it needs two different training values of every series, and s has none." in found.notes


def test_at_most_ten_series_without_a_naive_error_are_named() -> None:
    names = [f"s{k:02d}" for k in range(14)]
    table = pd.concat([one_step(walk(30, k), {}, name) for k, name in enumerate(names)], ignore_index=True)
    found = judge(table, series_facts({"s13": 1.0}), {})
    (said,) = [note for note in found.notes if note.startswith("MASE")]
    assert said.endswith("and s00, s01, s02, s03, s04, s05, s06, s07, s08, s09 and 3 more have none.")
    assert found.scores[["mase", "mase_low", "mase_high"]].isna().all(axis=None)


def test_other_numbers_that_are_undefined_or_misleading_are_said() -> None:
    zero = one_step(np.array([1.0, 0.0, 2.0]), {})
    assert "MAPE is undefined: the truth is 0 in 1 rows." in judge(zero, series_facts(), {}).notes
    series = walk(30)
    broken = one_step(series, {"broken": np.r_[np.nan, np.inf, series[2:-1]]})
    notes = judge(broken, series_facts(), {}).notes
    assert notes == ["broken is not scored: 2 of its forecasts are not finite, the first for 2024-01-02."]
    assert "overlapping" in judge(two_steps(series, 1.0), series_facts(), {}).notes[0]
    assert judge(one_step(series, {}), series_facts(), {}).notes == []
    partial = one_step(series, {"m": series[:-1] + 1}).iloc[:-4]
    (said,) = judge(partial, series_facts(), {}).notes
    assert said.startswith("m forecasts 25 of 29 rows, and is scored on these alone")


def test_coverage_is_by_year_of_dates_and_by_third_of_life() -> None:
    bounds = {"lo_80": lambda t: t["y_hat"] - 1, "hi_80": lambda t: t["y_hat"] + 1}
    dated = judge(one_step(walk(400), {}).assign(**bounds), series_facts(), {}).coverage
    assert dated is not None
    assert dated["part"].tolist() == ["all", "2024", "2025"]
    counted = judge(two_steps(walk(40), 1.0).assign(**bounds), series_facts(), {}).coverage
    assert counted is not None
    assert set(counted["part"]) == {"all"}
    lives, table = several(3)
    records = table.assign(ds=1000 * table["ds"], **bounds)
    found = of_cells(lives, records).coverage
    assert found is not None
    assert found["part"].unique().tolist() == ["all", *THIRDS]
    (by_third,) = (own for name, own in of_cells(lives, records).groups.items() if name == "third")
    ours, theirs = (t[t["model"] == "net"].set_index(key)["n"] for t, key in ((found, "part"), (by_third, "third")))
    assert ours[list(THIRDS)].tolist() == theirs[list(THIRDS)].tolist()


def test_superior_ability_names_the_model_that_is_best_by_the_loss_it_tests() -> None:
    """One model gains little on every day, another much more but erratically: the second has the smaller error."""
    rng = np.random.default_rng(0)
    series = walk(400)
    steady, wild = series[:-1] + 0.3 * np.diff(series), series[1:] + np.where(rng.random(399) < 0.02, 10.0, 0.0)
    found = judge(one_step(series, {"steady": steady, "wild": wild}), series_facts(), {})
    errors = found.scores.set_index("model")["mae"]
    assert errors["wild"] < errors["steady"]
    assert found.tests[-1].startswith("wild, the best by its mean error, is better than persistence even given that 2")


def test_superior_ability_is_not_given_to_a_model_whose_own_test_says_no() -> None:
    """One day makes the smaller error; what is better every day, by little, is the other model."""
    series = walk(400)
    lucky, steady = series[:-1].copy(), series[:-1] + 0.02 * np.diff(series)
    lucky[200] += 0.9 * 50 * np.sign(np.diff(series)[200])
    series[201:] += 50 * np.sign(np.diff(series)[200])
    steady[201:] = series[201:-1] + 0.02 * np.diff(series)[201:]
    lucky[201:] = series[201:-1]
    found = judge(one_step(series, {"steady": steady, "lucky": lucky}), series_facts(), {})
    table = found.scores.set_index("model")
    assert table.loc["lucky", "mae"] < table.loc["steady", "mae"]
    assert table.loc[["steady", "lucky"], "verdict"].tolist() == ["better", "same"]
    assert found.tests[-1].startswith("Some model, which need not be the one of the smallest error, is better")


# --- cells ----------------------------------------------------------------------------------------


def test_a_better_model_is_called_better_and_a_worse_one_worse() -> None:
    lives, table = several(8)
    assert row(of_cells(lives, table).scores, "net")["verdict"] == "better"
    lives, table = several(8, model=9.0)
    worse = row(of_cells(lives, table).scores, "net")
    assert worse["verdict"] == "worse"
    assert worse["difference_low"] < worse["difference"] < worse["difference_high"]
    assert worse["difference"] == pytest.approx(4.0, abs=1.0)


def test_p_is_wilcoxons_over_cells_and_holm_corrects_it() -> None:
    lives, table = several(9, model=4.9)
    other = table[table["model"] == "net"].assign(model="other", y_hat=lambda rows: rows["y"] + 6.0)
    result = of_cells(lives, pd.concat([table, other], ignore_index=True)).scores
    by_cell = of_cells(lives, table).groups["unique_id"].pivot_table(index="unique_id", columns="model", values="mae")
    p = wilcoxon(by_cell["net"] - by_cell[CLOCK]).pvalue
    assert row(result, "net")["p_reference"] == pytest.approx(p)
    ps = sorted(result["p_reference"].dropna())
    assert sorted(result["p_corrected"].dropna()) == pytest.approx([2 * ps[0], max(2 * ps[0], ps[1])])
    assert np.isnan(row(result, CLOCK)["p_reference"])
    assert row(result, CLOCK)["verdict"] == "reference"


def test_better_on_most_cells_but_not_in_the_mean_is_no_better() -> None:
    lives = cells(12)
    wild = {c: (100.0 if k == 0 else 2.0) for k, c in enumerate(lives)}
    result = row(of_cells(lives, lived(lives, {"net": wild, CLOCK: dict.fromkeys(lives, 5.0)})).scores, "net")
    assert result["p_corrected"] < 0.05
    assert result["difference"] > 0
    assert result["verdict"] == "same"


def test_few_cells_are_not_tested_and_it_is_said() -> None:
    lives, table = several(FEWEST - 1)
    found = of_cells(lives, table)
    net = row(found.scores, "net")
    assert net["verdict"] == "untested"
    assert np.isnan(net["p_corrected"])
    assert any("5 cells are too few cells to test, 6 are needed" in note for note in found.notes)
    lives, table = several(FEWEST)
    assert row(of_cells(lives, table).scores, "net")["verdict"] == "better"


def test_equal_forecasts_are_no_better_without_a_warning() -> None:
    lives, table = several(7)
    twin = table[table["model"] == CLOCK].assign(model="twin")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = row(of_cells(lives, pd.concat([table, twin], ignore_index=True)).scores, "twin")
    assert (result["p_reference"], result["difference_low"], result["difference_high"]) == (1.0, 0.0, 0.0)
    assert result["verdict"] == "same"


def test_the_same_seed_gives_the_same_interval() -> None:
    lives, table = several(8)
    rows = enriched(table, cell_facts(lives))
    first, again = (against_reference(rows, CLOCK, seed=1) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(against_reference(rows, CLOCK, seed=2))


def test_a_forecast_that_is_not_finite_leaves_a_model_without_scores_and_is_told() -> None:
    lives, table = several(7)
    table.loc[(table["model"] == "net") & (table["ds"] == 3), "y_hat"] = np.nan
    found = of_cells(lives, table)
    net = row(found.scores, "net")
    assert net[["mae", "rmse", "r2", "mape", "accuracy_15", "alpha_lambda", "eol_mae", "difference"]].isna().all()
    assert net["verdict"] == "untested"
    assert np.isfinite(row(found.scores, CLOCK)["mae"])
    assert "net is not scored: 7 of its forecasts are not finite, the first for c00 at 3." in found.notes


def test_a_model_that_forecasts_some_cells_only_is_scored_and_tested_on_these_and_it_is_told() -> None:
    lives, table = several(8)
    partial = table[~((table["model"] == "net") & table["unique_id"].isin(["c06", "c07"]))]
    found = of_cells(lives, partial)
    net = row(found.scores, "net")
    assert net["n_cells"] == 6
    alone = table[~table["unique_id"].isin(["c06", "c07"])]
    assert net["difference"] == row(of_cells(lives, alone).scores, "net")["difference"]
    assert any(note.startswith("net forecasts 375 of 508 rows, in 6 of 8 cells, and is") for note in found.notes)


def test_cells_have_their_life_and_the_end_that_was_forecast() -> None:
    lives = {"a": 10, "b": 30}
    by_cell = of_cells(lives, lived(lives, {CLOCK: {"a": 2.0, "b": -3.0}})).groups["unique_id"]
    assert by_cell["life"].tolist() == [10, 30]
    assert by_cell["eol"].tolist() == [12.0, 27.0]


def test_a_third_that_is_not_forecast_has_no_row_and_whole_cells_have_no_thirds() -> None:
    late = lived({"a": 30}, {CLOCK: {"a": 1.0}}).query("ds > 25")
    thirds = of_cells({"a": 30}, late).groups["third"]
    assert list(thirds["third"]) == ["late"]
    assert "eol_mae" not in thirds
    assert thirds["mae"].tolist() == [1.0]


def test_why_the_clock_wins_is_told_where_it_does() -> None:
    lives, table = several(7, model=9.0)
    (told,) = of_cells(lives, table).tests
    assert told.startswith(REFERENCE_WINS)
    assert "the 7 cells live 60 to 66 cycles, a standard deviation of 3.4 % of their mean" in told
    assert "the age alone tells the remaining life" in told
    spread = {cell: life + (500 if cell == "c00" else 0) for cell, life in lives.items()}
    (told,) = of_cells(spread, table[table["unique_id"] != "c00"]).tests
    assert "still the inputs tell less than the age" in told
    lives, table = several(7)
    assert of_cells(lives, table).tests == []


def test_a_leaking_model_takes_nothing_from_the_clock() -> None:
    lives, table = several(7)
    worse = table[table["model"] == "net"].assign(model="honest", y_hat=lambda rows: rows["y"] + 20.0)
    both = pd.concat([table, worse], ignore_index=True)
    found = of_cells(lives, both, {"net": "rows of one cell are on both sides of the split."})
    assert found.scores.set_index("model")["leaks"].to_dict() == {"net": True, CLOCK: False, "honest": False}
    assert found.tests[0].startswith(REFERENCE_WINS)


def test_a_leak_of_every_row_is_one_sentence() -> None:
    lives, table = several(7)
    notes = of_cells(lives, table, dict.fromkeys(["net", CLOCK], "split: one cell is on both sides")).notes
    assert [note for note in notes if "USES THE FUTURE" in note] == [
        "Every row USES THE FUTURE: split: one cell is on both sides, so its numbers cannot be had in practice."
    ]


def test_groups_hold_the_numbers_of_aggregate() -> None:
    lives, table = several(4)
    rows = enriched(table, cell_facts(lives))
    expected = aggregate(rows, scores_of(REMAINING), ["model", "unique_id"])
    pd.testing.assert_frame_equal(of_cells(lives, table).groups["unique_id"][expected.columns], expected)
