"""The numbers of a table, against numbers worked out by hand and known from elsewhere."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.contracts import KINDS
from evaluation import scores as module
from evaluation.rows import (
    CLOCK,
    PERSISTENCE,
    THIRDS,
    Facts,
    ForecastsError,
    enriched,
    naive_error,
    thirds,
)
from evaluation.scores import (
    LOWEST,
    SCORES,
    Means,
    Score,
    absolute_error,
    aggregate,
    in_cone,
    scores_of,
)
from tests.conftest import data_file
from tests.tables import cell_facts, lived, one_step, row, series_facts, several, two_steps

SERIES = np.array([100.0, 102.0, 101.0, 105.0, 105.0])
GUESSES = np.array([101.0, 103.0, 104.0, 104.0])  # errors 1, 2, 1, 1; persistence 2, 1, 4, 0


def scored(forecasts: pd.DataFrame, facts: Facts, *by: str) -> pd.DataFrame:
    return aggregate(enriched(forecasts, facts), scores_of(facts.question.kind), ["model", *by])


# --- the definition -------------------------------------------------------------------------------


def test_every_score_has_what_a_table_and_a_page_need() -> None:
    for kind in KINDS:
        names = [score.name for score in scores_of(kind)]
        assert len(set(names)) == len(names)
    for score in SCORES:
        assert score.title
        assert score.hint or not score.column
        assert score.kinds
        assert set(score.kinds) <= set(KINDS)
        assert not score.bounded or isinstance(score.over, Means), f"{score.name} has no bootstrap interval"


def test_a_new_metric_is_one_entry_that_appears_in_every_grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    median = Score("medae", "MedAE", LOWEST, absolute_error, over=np.median, unit="y", hint="median")
    monkeypatch.setattr(module, "SCORES", (*SCORES, median))
    forecasts = one_step(SERIES, {"m": GUESSES})
    assert row(scored(forecasts, series_facts()), "m")["medae"] == 1.0
    lives, table = several(3)
    for by in ((), ("unique_id",), ("third",)):
        assert scored(table, cell_facts(lives), *by)["medae"].notna().all()


# --- forecasts of series --------------------------------------------------------------------------


def test_errors_of_series_are_those_worked_out_by_hand() -> None:
    table = scored(one_step(SERIES, {"m": GUESSES}), series_facts(2.0))
    naive, ours = row(table, PERSISTENCE), row(table, "m")
    assert naive["mae"] == pytest.approx(7 / 4)
    assert naive["rmse"] == pytest.approx(np.sqrt(21 / 4))
    assert naive["mape"] == pytest.approx(100 * (2 / 102 + 1 / 101 + 4 / 105) / 4)
    assert naive["r2"] == pytest.approx(1 - 21 / 12.75)
    assert ours["mae"] == pytest.approx(5 / 4)
    assert ours["rmse"] == pytest.approx(np.sqrt(7 / 4))
    assert ours["mase"] == pytest.approx(5 / 8)
    assert ours["r2"] == pytest.approx(1 - 7 / 12.75)
    assert ours["n"] == 4


def test_skill_is_measured_against_persistence_and_is_zero_for_it() -> None:
    table = scored(one_step(SERIES, {"m": GUESSES}), series_facts())
    assert row(table, "m")["skill"] == pytest.approx(1 - 5 / 7)
    assert row(table, PERSISTENCE)["skill"] == 0


def test_direction_counts_signs_of_moves_and_leaves_out_where_nothing_moves() -> None:
    ours = row(scored(one_step(SERIES, {"m": GUESSES}), series_facts()), "m")
    assert ours["direction_n"] == 3  # the fourth value does not move
    assert ours["direction"] == pytest.approx(2 / 3)
    assert (ours["direction_low"], ours["direction_high"]) == pytest.approx((0.0943, 0.9916), abs=5e-5)


def test_persistence_forecasts_no_direction() -> None:
    naive = row(scored(one_step(SERIES, {}), series_facts()), PERSISTENCE)
    assert np.isnan(naive["direction"])
    assert np.isnan(naive["direction_low"])
    assert np.isnan(naive["direction_high"])


@pytest.mark.parametrize(("hits", "low", "high"), [(50, 0.3983, 0.6017), (0, 0.0, 0.0362), (100, 0.9638, 1.0)])
def test_the_interval_of_a_share_of_a_hundred_is_the_known_one(hits: int, low: float, high: float) -> None:
    series = np.arange(101.0)  # rises by 1 each step
    guess = series[:-1] + np.where(np.arange(100) < hits, 1.0, -1.0)
    ours = row(scored(one_step(series, {"m": guess}), series_facts()), "m")
    assert (ours["direction_low"], ours["direction_high"]) == pytest.approx((low, high), abs=5e-5)


def test_steps_are_scored_apart_and_direction_counts_from_the_origin() -> None:
    table = scored(two_steps(np.array([1.0, 2.0, 0.0, 3.0]), 5.0), series_facts(), "step")
    constant = table[table["model"] == "constant"].set_index("step")
    assert list(constant["mae"]) == pytest.approx([(3 + 5) / 2, (5 + 2) / 2])
    assert list(constant["direction"]) == pytest.approx([1 / 2, 1 / 2])
    assert list(constant["n"]) == [2, 2]


def test_r2_of_several_series_is_against_each_ones_own_mean() -> None:
    low, high = np.array([1.0, 2.0, 1.0, 2.0]), np.array([1001.0, 1002.0, 1001.0, 1002.0])
    both = pd.concat([one_step(low, {}, "low"), one_step(high, {}, "high")], ignore_index=True)
    facts = series_facts({"low": 1.0, "high": 1.0})
    alone = row(scored(one_step(low, {}, "low"), facts), PERSISTENCE)["r2"]
    assert row(scored(both, facts), PERSISTENCE)["r2"] == pytest.approx(alone)


@pytest.mark.parametrize("levels", [(0.1,), (1e6 / 3,), (1e-300,), (0.1, 7.7), (-1 / 3, 0.1, 1e6 / 3)])
@pytest.mark.parametrize("n", [3, 6])
def test_r2_of_constant_truths_is_undefined_whatever_their_levels(levels: tuple[float, ...], n: int) -> None:
    parts = [one_step(np.full(n + 1, x), {"m": np.full(n, x + 1)}, str(x)) for x in levels]
    assert scored(pd.concat(parts, ignore_index=True), series_facts())["r2"].isna().all()


def test_mase_scales_each_series_by_its_own_changes() -> None:
    both = pd.concat([one_step(SERIES, {}, "a"), one_step(10 * SERIES, {}, "b")], ignore_index=True)
    assert row(scored(both, series_facts({"a": 1.75, "b": 17.5})), PERSISTENCE)["mase"] == pytest.approx(1)


def test_naive_error_is_the_mean_absolute_change_and_crosses_no_series() -> None:
    train = pd.DataFrame({"unique_id": list("aaabb"), "y": [1.0, 3.0, 2.0, 100.0, 104.0]})
    assert naive_error(train) == {"a": 1.5, "b": 4.0}


@pytest.mark.parametrize("known", [{}, {"a": 0.0}, {"a": np.nan}, {"a": np.inf}])
def test_without_a_naive_error_mase_is_undefined_of_that_series_alone(known: dict[str, float]) -> None:
    both = pd.concat([one_step(SERIES, {}, "a"), one_step(SERIES, {}, "b")], ignore_index=True)
    facts = series_facts({**known, "b": 1.75})
    assert np.isnan(row(scored(both, facts), PERSISTENCE)["mase"])
    assert scored(both, facts, "unique_id").set_index("unique_id")["mase"].isna().to_dict() == {"a": True, "b": False}


def test_mape_of_series_does_not_exist_where_a_truth_is_zero() -> None:
    exact = one_step(np.array([1.0, 0.0, 2.0]), {"exact": np.array([0.0, 2.0])})
    assert scored(exact, series_facts())["mape"].isna().all()


def test_a_model_that_diverged_is_not_scored_and_hides_no_other() -> None:
    forecasts = one_step(SERIES, {"broken": np.array([1.0, np.inf, np.nan, 1.0]), "m": GUESSES})
    table = scored(forecasts, series_facts())
    assert row(table, "broken")[["mae", "r2", "skill", "direction"]].isna().all()
    assert row(table, "m")["mae"] == pytest.approx(1.25)


def test_huge_and_tiny_values_are_no_error() -> None:
    for size in (1e200, 1e-300):
        table = scored(one_step(size * SERIES, {"m": size * GUESSES}), series_facts(size))
        assert row(table, "m")["mase"] == pytest.approx(1.25)
        assert row(table, "m")["direction"] == pytest.approx(2 / 3)


def test_the_crps_is_that_of_the_intervals_and_leaves_out_rows_without_one() -> None:
    forecasts = one_step(SERIES, {"m": GUESSES})
    assert scored(forecasts, series_facts())["crps"].isna().all()
    bounds = forecasts.assign(lo_80=forecasts["y_hat"] - 1, hi_80=forecasts["y_hat"] + 1)
    bounds.loc[5, "lo_80"] = np.nan
    loss = 0.5 + 0.1 * 2  # errors of 1 lie on one bound
    assert row(scored(bounds, series_facts()), "m")["crps"] == pytest.approx(2 * loss / 3)


@pytest.mark.parametrize(
    ("code", "mae", "rmse", "mape", "r2"),
    [("csi300", "35.76", "48.03", "0.823", "0.9940"), ("csi500", "52.78", "70.43", "0.862", "0.9854")],
)
def test_persistence_on_the_papers_test_days(code: str, mae: str, rmse: str, mape: str, r2: str) -> None:
    file = pd.read_csv(data_file(f"index/{code}_close.csv"), parse_dates=["date"])
    closes = file.loc[file["date"] <= "2024-07-01", "close"].to_numpy()
    naive = row(scored(one_step(closes[-948:], {}), series_facts()), PERSISTENCE)
    assert naive["n"] == 947
    shown = (f"{naive['mae']:.2f}", f"{naive['rmse']:.2f}", f"{naive['mape']:.3f}", f"{naive['r2']:.4f}")
    assert shown == (mae, rmse, mape, r2)


# --- remaining useful life ------------------------------------------------------------------------


def test_errors_of_lives_are_those_worked_out_by_hand() -> None:
    table = lived({"a": 5}, {"net": {"a": np.array([1.0, -2.0, 0.3, 0.0, 0.0])}, CLOCK: {"a": 1.0}})
    net = row(scored(table, cell_facts({"a": 5})), "net")  # y: 4, 3, 2, 1, 0
    assert net["mae"] == pytest.approx(3.3 / 5)
    assert net["rmse"] == pytest.approx(np.sqrt(5.09 / 5))
    assert net["r2"] == pytest.approx(1 - 5.09 / 10)
    assert net["mape"] == pytest.approx(100 * (1 / 4 + 2 / 3 + 0.15) / 4)  # the row without life left is left out
    assert net["accuracy_15"] == pytest.approx(3 / 5)  # .3 of 2 is within 15 %, 0 of 0 too
    assert net["bias"] == pytest.approx(-0.7 / 5)
    assert (net["mae_scaled"], net["rmse_scaled"]) == pytest.approx((net["mae"] / 4, net["rmse"] / 4))
    assert net["n"] == 5


def test_errors_are_scaled_by_the_longest_remaining_life_of_all_cells_tested_or_not() -> None:
    table = lived({"a": 5}, {CLOCK: {"a": 1.0}})
    assert row(scored(table, cell_facts({"a": 5, "untested": 101})), CLOCK)["mae_scaled"] == pytest.approx(1 / 100)
    assert scored(lived({"a": 1}, {CLOCK: {"a": 1.0}}), cell_facts({"a": 1}))["mae_scaled"].isna().all()


def test_rows_of_all_cells_are_pooled() -> None:
    lives = {"a": 10, "b": 30}
    table = lived(lives, {CLOCK: {"a": 1.0, "b": 3.0}})
    assert row(scored(table, cell_facts(lives)), CLOCK)["mae"] == pytest.approx((10 * 1 + 30 * 3) / 40)
    assert list(scored(table, cell_facts(lives), "unique_id")["mae"]) == pytest.approx([1.0, 3.0])


def test_thirds_of_life_are_those_of_the_true_life_of_each_cell() -> None:
    lives = {"a": 30, "b": 300}
    error = {cell: np.where(3 * np.arange(1, n + 1) >= 2 * n, 9.0, 1.0) for cell, n in lives.items()}
    table = scored(lived(lives, {CLOCK: error}), cell_facts(lives), "third")
    assert list(table["third"]) == [0, 1, 2]
    assert list(table["mae"]) == pytest.approx([1.0, 1.0, 9.0])
    assert list(table["n"]) == [9 + 99, 10 + 100, 11 + 101]


def test_thirds_do_not_depend_on_what_ds_counts() -> None:
    remaining = np.arange(89.0, -1, -1)
    cycles = pd.DataFrame({"unique_id": "a", "ds": 90 - remaining, "y": remaining})
    for rows in (cycles, cycles.assign(ds=1000 * cycles["ds"])):
        found = thirds(rows, {"a": 90.0})
        assert found.tolist() == [THIRDS[0]] * 29 + [THIRDS[1]] * 30 + [THIRDS[2]] * 31


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
    forecasts = lived({"a": 10}, {"net": {"a": error}, CLOCK: {"a": 0.0}})
    table = row(scored(forecasts, cell_facts({"a": 10}), "unique_id"), "net")
    assert table["eol_bias"] == pytest.approx(end - 10)
    assert table["eol_mae"] == pytest.approx(abs(end - 10))
    assert table["eol_seen"] == seen


def test_early_and_late_ends_do_not_cancel_in_the_error_but_do_in_the_bias() -> None:
    lives = {"a": 10, "b": 10}
    table = scored(lived(lives, {CLOCK: {"a": 2.0, "b": -4.0}}), cell_facts(lives))
    assert row(table, CLOCK)["eol_mae"] == pytest.approx(3.0)
    assert row(table, CLOCK)["eol_bias"] == pytest.approx(-1.0)


def share_in_cone(table: pd.DataFrame, lives: dict[str, int], fraction: float) -> float:
    found = in_cone(enriched(table, cell_facts(lives)), fraction)
    return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan


def test_alpha_lambda_asks_each_cell_at_a_fraction_of_its_life() -> None:
    lives = {"a": 100, "b": 200}  # at half of life 15 cycles are 30 % and 15 % of what is left
    table = lived(lives, {CLOCK: {"a": 15.0, "b": 15.0}})
    assert [share_in_cone(table, lives, at) for at in (0.25, 0.5, 0.75)] == [1.0, 0.5, 0.0]
    assert row(scored(table, cell_facts(lives)), CLOCK)["alpha_lambda"] == 0.5


def test_of_two_forecasts_that_are_equally_near_the_earlier_is_asked_whatever_the_order() -> None:
    error = np.where(np.arange(1, 62) == 31, 30.0, 0.0)  # half of 61 cycles lies between 30 and 31
    table = lived({"a": 61}, {CLOCK: {"a": error}})
    for rows in (table, table.iloc[::-1]):
        assert share_in_cone(rows, {"a": 61}, 0.5) == 1.0


def test_a_cell_without_a_forecast_at_that_age_does_not_count() -> None:
    lives = {"a": 100, "b": 200}
    table = lived(lives, {CLOCK: {"a": 0.0, "b": 50.0}}).query("unique_id == 'a' or ds > 150")
    assert share_in_cone(table, lives, 0.5) == 1.0
    assert share_in_cone(table, lives, 0.9) == 0.5
    assert np.isnan(share_in_cone(table.query("unique_id == 'b'"), lives, 0.5))


def test_age_is_counted_in_cycles_where_rows_are_records() -> None:
    table = lived({"a": 10}, {CLOCK: {"a": 1.0}})
    records = pd.concat([table.assign(ds=2 * table["ds"] + k, origin=2 * table["ds"] + k) for k in (0, 1)])
    ours, theirs = (scored(rows, cell_facts({"a": 10}), "unique_id").drop(columns="n") for rows in (records, table))
    pd.testing.assert_frame_equal(ours, theirs)


@settings(max_examples=12, deadline=None)
@given(shift=st.floats(-20, 20), n=st.integers(2, 5), order=st.integers(0, 1000))
def test_scores_depend_neither_on_the_order_of_rows_nor_of_cells(shift: float, n: int, order: int) -> None:
    lives, table = several(n, model=shift)
    places = np.random.default_rng(order).permutation(len(table))
    facts = cell_facts(lives)
    shuffled = scored(table.iloc[places], facts).set_index("model").loc[["net", CLOCK]].reset_index()
    pd.testing.assert_frame_equal(shuffled, scored(table, facts))


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
    clock = row(scored(table, cell_facts(life.to_dict())), CLOCK)
    assert clock["mae_scaled"] == pytest.approx(0.0043, abs=5e-5)
    assert clock["rmse_scaled"] == pytest.approx(0.0068, abs=1e-4)
    assert clock["r2"] == pytest.approx(0.9994, abs=5e-5)


# --- what is no Forecasts table -------------------------------------------------------------------


def without_persistence(forecasts: pd.DataFrame) -> pd.DataFrame:
    return forecasts[forecasts["model"] != PERSISTENCE]


def with_unknown_truth(forecasts: pd.DataFrame) -> pd.DataFrame:
    return forecasts.assign(y=[np.nan, *forecasts["y"][1:]])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_persistence, r"Persistence is not among the forecasts \(m\)"),
        (lambda table: table.drop(index=0), "Persistence has no finite forecast for s at 2024-01-02"),
        (lambda table: pd.concat([table, table.tail(1)]), "s at 2024-01-05 is forecast twice by m"),
        (lambda table: table.drop(columns="origin"), "lack the column origin"),
        (lambda table: table.iloc[:0], "no forecasts"),
        (with_unknown_truth, "truth of s at 2024-01-02 is not known"),
        (lambda table: table.assign(y=table["y"] + (table["model"] == "m")), "s at 2024-01-02 has two truths"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused_with_the_reason(spoil, message: str) -> None:
    with pytest.raises(ForecastsError, match=message):
        enriched(spoil(one_step(SERIES, {"m": GUESSES})), series_facts())


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
def test_a_table_of_lives_that_cannot_be_judged_is_refused(
    table: pd.DataFrame, lives: dict[str, float], words: str
) -> None:
    with pytest.raises(ForecastsError, match=words):
        enriched(table, cell_facts(lives))


def test_a_message_names_ten_cells_at_most() -> None:
    lives = {f"c{k:02d}": 5 for k in range(14)}
    table = lived(lives, {CLOCK: dict.fromkeys(lives, 0.0)})
    with pytest.raises(ForecastsError, match=r"The life of c00, .*, c09 and 4 more is not known"):
        enriched(table, cell_facts({}))
