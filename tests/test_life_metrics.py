"""The numbers of remaining-life tables, against numbers worked out by hand, and what their tests may say."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from data.contracts import Outcome
from evaluation.life_metrics import (
    CLOCK,
    CLOCK_WINS,
    FEWEST,
    STAGES,
    against_clock,
    alpha_lambda,
    cell_scores,
    checked,
    judge,
    scores,
    seed_scores,
    stage_scores,
)
from evaluation.metrics import ForecastsError
from tests.conftest import data_file

Error = dict[str, dict[str, np.ndarray | float]]


def lived(lives: dict[str, int], errors: Error, every: int = 1) -> pd.DataFrame:
    """Forecasts of every cycle of some cells: the truth plus an error for each model and cell."""
    parts = []
    for model, by_cell in errors.items():
        for cell, error in by_cell.items():
            ds = np.arange(1, lives[cell] + 1, every)
            y = (lives[cell] - ds).astype(np.float64)
            parts.append(
                pd.DataFrame(
                    {"unique_id": cell, "ds": ds, "origin": ds, "step": 0, "model": model, "y": y, "y_hat": y + error}
                )
            )
    return pd.concat(parts, ignore_index=True)


def cells(n: int, life: int = 60) -> dict[str, int]:
    return {f"c{k:02d}": life + k for k in range(n)}


def several(n: int, seed: int = 0, model: float = 2.0, clock: float = 5.0) -> tuple[dict[str, int], pd.DataFrame]:
    """Cells whose errors are of a known size, a model's and the clock's."""
    lives, rng = cells(n), np.random.default_rng(seed)
    errors: Error = {
        "net": {c: model * rng.uniform(0.8, 1.2, lives[c]) for c in lives},
        CLOCK: {c: clock * rng.uniform(0.8, 1.2) for c in lives},
    }
    return lives, lived(lives, errors)


def row(table: pd.DataFrame, model: str) -> pd.Series:
    return table.set_index("model").loc[model]


def test_errors_are_those_worked_out_by_hand() -> None:
    table = lived({"a": 5}, {"net": {"a": np.array([1.0, -2.0, 0.3, 0.0, 0.0])}, CLOCK: {"a": 1.0}})
    net = row(scores(table, {"a": 5}, scale=4), "net")  # y: 4, 3, 2, 1, 0
    assert net["mae"] == pytest.approx(3.3 / 5)
    assert net["rmse"] == pytest.approx(np.sqrt(5.09 / 5))
    assert net["r2"] == pytest.approx(1 - 5.09 / 10)
    assert net["mape"] == pytest.approx(100 * (1 / 4 + 2 / 3 + 0.15) / 4)  # the row without life left is left out
    assert net["accuracy_15"] == pytest.approx(3 / 5)  # .3 of 2 is within 15 %, 0 of 0 too
    assert net["bias"] == pytest.approx(-0.7 / 5)
    assert (net["mae_scaled"], net["rmse_scaled"]) == pytest.approx((net["mae"] / 4, net["rmse"] / 4))
    assert (net["n"], net["n_cells"]) == (5, 1)


def test_rows_of_all_cells_are_pooled() -> None:
    lives = {"a": 10, "b": 30}
    table = scores(lived(lives, {CLOCK: {"a": 1.0, "b": 3.0}}), lives, scale=29)
    assert row(table, CLOCK)["mae"] == pytest.approx((10 * 1 + 30 * 3) / 40)
    by_cell = cell_scores(lived(lives, {CLOCK: {"a": 1.0, "b": 3.0}}), lives)
    assert list(by_cell["mae"]) == pytest.approx([1.0, 3.0])
    assert list(by_cell["life"]) == [10, 30]


def test_thirds_of_life_are_those_of_the_true_life_of_each_cell() -> None:
    lives = {"a": 30, "b": 300}
    error = {cell: np.where(3 * np.arange(1, n + 1) >= 2 * n, 9.0, 1.0) for cell, n in lives.items()}
    table = stage_scores(lived(lives, {CLOCK: error}), lives)
    assert list(table["stage"]) == STAGES
    assert list(table["mae"]) == pytest.approx([1.0, 1.0, 9.0])
    assert list(table["n"]) == [9 + 99, 10 + 100, 11 + 101]


def test_a_stage_that_is_not_forecast_has_no_row() -> None:
    lives = {"a": 30}
    late = lived(lives, {CLOCK: {"a": 1.0}}).query("ds > 25")
    assert list(stage_scores(late, lives)["stage"]) == ["late"]


@pytest.mark.parametrize(
    ("error", "end", "seen"),
    [
        (0.0, 10.0, True),
        (-3.0, 7.0, True),  # 0 is forecast at cycle 7
        (-2.7, 7.3, True),  # .3 is forecast at cycle 7: less than half a cycle
        (2.0, 12.0, False),  # the last forecast, at cycle 10, still promises 2
        (np.array([0, 0, -9, 0, 0, 0, 0, 0, 0, 0.0]), 3.0, True),  # one false alarm counts in full
    ],
)
def test_end_of_life_is_when_a_model_first_says_that_nothing_is_left(error: float, end: float, seen: bool) -> None:
    table = row(cell_scores(lived({"a": 10}, {"net": {"a": error}, CLOCK: {"a": 0.0}}), {"a": 10}), "net")
    assert table["eol"] == pytest.approx(end)
    assert table["eol_error"] == pytest.approx(end - 10)
    assert table["eol_seen"] == seen


def test_early_and_late_ends_do_not_cancel_in_the_error_but_do_in_the_bias() -> None:
    lives = {"a": 10, "b": 10}
    table = scores(lived(lives, {CLOCK: {"a": 2.0, "b": -4.0}}), lives, scale=9)
    assert row(table, CLOCK)["eol_mae"] == pytest.approx(3.0)
    assert row(table, CLOCK)["eol_bias"] == pytest.approx(-1.0)


def test_alpha_lambda_asks_each_cell_at_a_fraction_of_its_life() -> None:
    lives = {"a": 100, "b": 200}
    errors = {"a": 15.0, "b": 15.0}  # at half of life 30 % and 15 % of what is left
    table = lived(lives, {CLOCK: errors})
    shares = alpha_lambda(table, lives, (0.25, 0.5, 0.75)).set_index("lambda")["share"]
    assert list(shares) == [1.0, 0.5, 0.0]  # 20 % and 10 %; 30 % and 15 %; 60 % and 30 %
    assert row(scores(table, lives, 199), CLOCK)["alpha_lambda"] == 0.5


def test_of_two_forecasts_that_are_equally_near_the_earlier_is_asked_whatever_the_order() -> None:
    error = np.where(np.arange(1, 62) == 31, 30.0, 0.0)  # half of 61 cycles lies between 30 and 31
    table = lived({"a": 61}, {CLOCK: {"a": error}})
    for rows in (table, table.iloc[::-1]):
        assert list(alpha_lambda(rows, {"a": 61}, (0.5,))["share"]) == [1.0]


def test_a_cell_without_a_forecast_at_that_age_does_not_count() -> None:
    lives = {"a": 100, "b": 200}
    table = lived(lives, {CLOCK: {"a": 0.0, "b": 0.0}}).query("unique_id == 'a' or ds > 150")
    asked = alpha_lambda(table, lives, (0.5, 0.9)).set_index("lambda")
    assert list(asked["n_cells"]) == [1, 2]
    nobody = alpha_lambda(table.query("unique_id == 'b'"), lives, (0.5,))
    assert np.isnan(nobody["share"].iloc[0])


def test_age_is_counted_in_cycles_where_rows_are_records() -> None:
    table = lived({"a": 10}, {CLOCK: {"a": 1.0}})
    records = pd.concat([table.assign(ds=2 * table["ds"]), table.assign(ds=2 * table["ds"] + 1)], ignore_index=True)
    ours = cell_scores(records, {"a": 10}).drop(columns="n")
    pd.testing.assert_frame_equal(ours, cell_scores(table, {"a": 10}).drop(columns="n"))


def test_a_better_model_is_called_better_and_a_worse_one_worse() -> None:
    lives, table = several(8)
    assert row(against_clock(table, lives), "net")["verdict"] == "better"
    lives, table = several(8, model=9.0)
    worse = row(against_clock(table, lives), "net")
    assert worse["verdict"] == "worse"
    assert worse["difference_low"] < worse["difference"] < worse["difference_high"]
    assert worse["difference"] == pytest.approx(4.0, abs=1.0)


def test_p_is_wilcoxons_over_cells_and_holm_corrects_it() -> None:
    lives, table = several(9, model=4.9)
    other = table[table["model"] == "net"].assign(model="other", y_hat=lambda rows: rows["y"] + 6.0)
    result = against_clock(pd.concat([table, other], ignore_index=True), lives)
    by_cell = cell_scores(table, lives).pivot_table(index="unique_id", columns="model", values="mae")
    p = wilcoxon(by_cell["net"] - by_cell[CLOCK]).pvalue
    assert row(result, "net")["p_clock"] == pytest.approx(p)
    ps = sorted(result["p_clock"].dropna())
    assert sorted(result["p_corrected"].dropna()) == pytest.approx([2 * ps[0], max(2 * ps[0], ps[1])])
    assert np.isnan(row(result, CLOCK)["p_clock"])
    assert row(result, CLOCK)["verdict"] == "reference"


def test_better_on_most_cells_but_not_in_the_mean_is_no_better() -> None:
    lives = cells(12)
    wild = {c: (100.0 if k == 0 else 2.0) for k, c in enumerate(lives)}
    result = row(against_clock(lived(lives, {"net": wild, CLOCK: dict.fromkeys(lives, 5.0)}), lives), "net")
    assert result["p_corrected"] < 0.05
    assert result["difference"] > 0
    assert result["verdict"] == "same"


def test_few_cells_are_not_tested_and_it_is_said() -> None:
    lives, table = several(FEWEST - 1)
    judgement = judge(table, lives, 60, {})
    net = row(judgement.scores, "net")
    assert net["verdict"] == "untested"
    assert np.isnan(net["p_corrected"])
    assert any("5 cells are too few cells to test, 6 are needed" in note for note in judgement.notes)
    lives, table = several(FEWEST)
    assert row(judge(table, lives, 60, {}).scores, "net")["verdict"] == "better"


def test_equal_forecasts_are_no_better_without_a_warning() -> None:
    lives, table = several(7)
    twin = table[table["model"] == CLOCK].assign(model="twin")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = row(against_clock(pd.concat([table, twin], ignore_index=True), lives), "twin")
    assert (result["p_clock"], result["difference_low"], result["difference_high"]) == (1.0, 0.0, 0.0)
    assert result["verdict"] == "same"


def test_the_same_seed_gives_the_same_interval() -> None:
    lives, table = several(8)
    first, again = (against_clock(table, lives, seed=1) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(against_clock(table, lives, seed=2))


@settings(max_examples=12, deadline=None)
@given(shift=st.floats(-20, 20), n=st.integers(2, 5), order=st.integers(0, 1000))
def test_scores_depend_neither_on_the_order_of_rows_nor_of_cells(shift: float, n: int, order: int) -> None:
    lives, table = several(n, model=shift)
    places = np.random.default_rng(order).permutation(len(table))
    shuffled = scores(table.iloc[places], lives, 60).set_index("model").loc[["net", CLOCK]].reset_index()
    pd.testing.assert_frame_equal(shuffled, scores(table, lives, 60))


def test_a_forecast_that_is_not_finite_leaves_a_model_without_scores_and_is_told() -> None:
    lives, table = several(7)
    table.loc[(table["model"] == "net") & (table["ds"] == 3), "y_hat"] = np.nan
    judgement = judge(table, lives, 60, {})
    net = row(judgement.scores, "net")
    assert net[["mae", "rmse", "r2", "mape", "accuracy_15", "alpha_lambda", "eol_mae", "difference"]].isna().all()
    assert net["verdict"] == "untested"
    assert np.isfinite(row(judgement.scores, CLOCK)["mae"])
    assert "net is not scored: 7 of its forecasts are not finite, the first for c00 at 3." in judgement.notes


def test_a_model_that_forecasts_some_cells_only_is_scored_and_tested_on_these_and_it_is_told() -> None:
    lives, table = several(8)
    partial = table[~((table["model"] == "net") & table["unique_id"].isin(["c06", "c07"]))]
    judgement = judge(partial, lives, 60, {})
    net = row(judgement.scores, "net")
    assert net["n_cells"] == 6
    alone = table[~table["unique_id"].isin(["c06", "c07"])]
    assert net["difference"] == row(against_clock(alone, lives), "net")["difference"]
    assert any(note.startswith("net forecasts 375 of 508 rows, in 6 of 8 cells") for note in judgement.notes)


def test_why_the_clock_wins_is_told_where_it_does() -> None:
    lives, table = several(7, model=9.0)
    (told,) = [note for note in judge(table, lives, 60, {}).notes if note.startswith(CLOCK_WINS)]
    assert "the 7 cells live 60 to 66 cycles, a standard deviation of 3.4 % of their mean" in told
    assert "the age alone tells the remaining life" in told
    spread = {cell: life + (500 if cell == "c00" else 0) for cell, life in lives.items()}
    far = table[table["unique_id"] != "c00"]
    (told,) = [note for note in judge(far, spread, 60, {}).notes if note.startswith(CLOCK_WINS)]
    assert "still the inputs tell less than the age" in told
    lives, table = several(7)
    assert not any(note.startswith(CLOCK_WINS) for note in judge(table, lives, 60, {}).notes)


def test_a_leaking_model_is_marked_and_takes_nothing_from_the_clock() -> None:
    lives, table = several(7)
    worse = table[table["model"] == "net"].assign(model="honest", y_hat=lambda rows: rows["y"] + 20.0)
    both = pd.concat([table, worse], ignore_index=True)
    judgement = judge(both, lives, 60, {"net": "rows of one cell are on both sides of the split."})
    assert dict(zip(judgement.scores["model"], judgement.scores["leaks"], strict=True)) == {
        "net": True,
        CLOCK: False,
        "honest": False,
    }
    assert judgement.notes[0] == (
        "net USES THE FUTURE: rows of one cell are on both sides of the split, so its numbers cannot be had in "
        "practice."
    )
    assert any(note.startswith(CLOCK_WINS) for note in judgement.notes)


def outcomes(lives: dict[str, int], table: pd.DataFrame, seeds: int) -> list[Outcome]:
    """What seeds that differ by a constant made of a table; the clock has one."""
    parts = []
    for model, own in table.groupby("model", sort=False):
        for seed in range(1 if model == CLOCK else seeds):
            parts.append(
                Outcome(
                    model=str(model),
                    fold="all",
                    forecasts=own.assign(y_hat=own["y_hat"] + seed),
                    calibration=own.iloc[:0],
                    seed=seed,
                    validation_mae=float(10 + seed),
                    losses=[],
                    seconds=0.0,
                )
            )
    return parts


def test_every_seed_is_scored_by_itself() -> None:
    lives, table = several(3, model=2.0)
    by_seed = seed_scores(outcomes(lives, table, 3), lives, 60)
    assert list(by_seed["model"]) == ["net"] * 3
    assert list(by_seed["seed"]) == [0, 1, 2]
    first = row(scores(table, lives, 60), "net")["mae"]
    assert list(by_seed["mae"]) == pytest.approx([first, first + 1, first + 2])
    assert seed_scores(outcomes(lives, table, 1), lives, 60).empty


def spoilt(**columns: object) -> pd.DataFrame:
    return lived({"a": 5}, {"net": {"a": 1.0}, CLOCK: {"a": 1.0}}).assign(**columns)


@pytest.mark.parametrize(
    ("table", "lives", "words"),
    [
        (spoilt().drop(columns="y_hat"), {"a": 5}, "lack the column y_hat"),
        (spoilt().iloc[:0], {"a": 5}, "no forecasts to judge"),
        (pd.concat([spoilt(), spoilt()]), {"a": 5}, "a at 1 is forecast twice by net"),
        (spoilt(y=np.nan), {"a": 5}, "The truth of a at 1 is not known"),
        (spoilt(y=lambda t: t["y"] + (t["model"] == CLOCK)), {"a": 6}, "two truths"),
        (spoilt(), {"b": 5}, "The life of a is not known"),
        (spoilt(), {"a": np.nan}, "The life of a is not known"),
        (spoilt(), {"a": 3}, "no remaining life of a cell that lives 3"),
        (spoilt(y=lambda t: t["y"] - 1), {"a": 5}, "-1 cycles, is no remaining life"),
        (spoilt(model="net").iloc[:5], {"a": 5}, "Clock is not among the forecasts .net."),
        (spoilt().iloc[:-1], {"a": 5}, "Clock has no finite forecast for a at 5, so net"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(table: pd.DataFrame, lives: dict[str, float], words: str) -> None:
    with pytest.raises(ForecastsError, match=words):
        checked(table, lives)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ForecastsError, match="must be above 0"):
        scores(spoilt(), {"a": 5}, 0)


def test_the_clock_of_hnei_errs_as_little_as_a_line_through_the_cycle_number() -> None:
    frame = pd.read_csv(data_file("hnei/hnei_14cells_features_with_cell_id.csv"))
    life = frame.groupby("cell").apply(lambda rows: (rows["Cycle_Index"] + rows["RUL"]).max())
    others = (life.sum() - life) / (len(life) - 1)
    y_hat = (frame["cell"].map(others) - frame["Cycle_Index"]).clip(lower=0)
    table = pd.DataFrame(
        {
            "unique_id": frame["cell"],
            "ds": frame["Cycle_Index"],
            "origin": frame["Cycle_Index"],
            "step": 0,
            "model": CLOCK,
            "y": frame["RUL"],
            "y_hat": y_hat,
        }
    )
    clock = row(scores(table, life.to_dict(), scale=1133), CLOCK)
    assert clock["mae_scaled"] == pytest.approx(0.0043, abs=5e-5)
    assert clock["rmse_scaled"] == pytest.approx(0.0068, abs=1e-4)
    assert clock["r2"] == pytest.approx(0.9994, abs=5e-5)
