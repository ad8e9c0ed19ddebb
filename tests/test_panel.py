"""A panel keeps its promises, or says everything that is wrong."""

import time

import numpy as np
import pandas as pd
import pytest

from data.panel import DataError, fingerprint, long_enough, validated
from data.remarks import remarked
from data.sources.sp500 import SP500
from tests.conftest import panel_of


def frame(y: list[object], days: list[str] | None = None) -> pd.DataFrame:
    ds = pd.to_datetime(days) if days else pd.bdate_range("2024-01-01", periods=len(y))
    return pd.DataFrame({"unique_id": "a", "ds": ds, "y": y})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (frame([1.0, None, 3.0]), "missing (NaN) at 2024-01-02"),
        (frame([1.0, np.inf, 3.0]), "infinite at 2024-01-02"),
        (frame([1.0, "n/a", 3.0]), "not a number at 2024-01-02, such as 'n/a'"),
        (
            frame([1.0, 2.0, 3.0], ["2024-01-01", "2024-01-02", "2024-01-02"]),
            "more than one value at 2024-01-02",
        ),
        (frame([5.0, 5.0, 5.0]), "constant (5)"),
        (frame([]), "no rows"),
        (frame([1.0, 2.0]).drop(columns="y"), "lacks the column y"),
        (
            frame([1.0, 2.0, 3.0]).assign(ds=[pd.NaT, *pd.bdate_range("2024-01-01", periods=2)]),
            "1 rows without a date",
        ),
    ],
)
def test_a_fault_is_named_with_its_date(table: pd.DataFrame, said: str) -> None:
    with pytest.raises(DataError) as error:
        validated(table, "prices.csv", "points")
    assert said in str(error.value)
    assert "prices.csv" in str(error.value)


def test_all_faults_come_in_one_message() -> None:
    table = frame([1.0, None, 3.0, np.inf], ["2024-01-01", "2024-01-03", "2024-01-03", "2024-01-04"])
    with pytest.raises(DataError, match=r"(?s)missing.*infinite.*more than one value"):
        validated(table, "prices.csv", "points")


def test_series_come_in_order_with_their_first_row() -> None:
    panel = panel_of(np.arange(3.0), np.arange(10.0, 14.0))
    assert [(start, list(y)) for start, y in panel.series()] == [(0, [0, 1, 2]), (3, [10, 11, 12, 13])]


def test_the_fingerprint_sees_every_value_and_date() -> None:
    panel = panel_of(np.arange(5.0))
    other_value, other_date = panel.frame.copy(), panel.frame.copy()
    other_value.loc[2, "y"] += 1e-9
    other_date["ds"] += pd.Timedelta(days=7)
    prints = {fingerprint(validated(f, "test", "points")) for f in (panel.frame, other_value, other_date)}
    assert len(prints) == 3
    assert fingerprint(panel_of(np.arange(5.0))) in prints


# Series that cannot be used, beside others that can


def several(**series: list[object]) -> pd.DataFrame:
    return pd.concat([frame(y).assign(unique_id=name) for name, y in series.items()], ignore_index=True)


SOUND = [1.0, 3.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([1.0, None, 3.0], "missing (NaN) at 2024-01-02"),
        ([1.0, "x", 3.0], "not a number at 2024-01-02, such as 'x'"),
        ([2.0, 2.0, 2.0], "constant (2)"),
        ([1.0], "fewer than 2 rows"),
        ([1e200, 2e200, 1e200], "overflow"),
        ([1e-300, 2e-300, 1e-300], "underflow"),
    ],
)
def test_a_series_that_cannot_be_used_is_left_out_by_name(bad: list[object], said: str) -> None:
    panel = validated(several(a=SOUND, b=bad, c=SOUND), "many.csv", "points")
    assert panel.frame["unique_id"].unique().tolist() == ["a", "c"]
    assert len(panel.frame) == 8
    assert said in panel.notes[0]
    assert panel.notes[0].startswith("1 series is left out (b): ")


def test_where_no_series_can_be_used_each_is_told_and_at_most_ten_are_named() -> None:
    table = several(**{f"s{k:02d}": [1.0, 1.0, 1.0] for k in range(40)})
    with pytest.raises(DataError, match=r"s00, .*, s09 and 30 more: constant"):
        validated(table, "many.csv", "points")


def test_rows_are_put_in_order_and_repeats_count_once() -> None:
    table = frame(SOUND)
    backwards = validated(table[::-1], "a", "points")
    assert backwards.frame["y"].tolist() == SOUND
    assert backwards.notes == ("The rows stood newest first and were sorted.",)
    mixed = validated(table.loc[[2, 0, 1, 3, 0]], "a", "points")
    assert mixed.frame["y"].tolist() == SOUND
    assert mixed.notes == (
        "1 rows stand in the table twice and count once.",
        "The rows did not stand in the order of time and were sorted.",
    )


def test_series_that_are_too_short_for_a_forecast_are_left_out_by_name() -> None:
    panel = validated(several(long=SOUND * 3, short=SOUND), "many.csv", "points")
    kept = long_enough(panel, 8, "lookback + horizon = 7 + 1")
    assert kept.frame["unique_id"].unique().tolist() == ["long"]
    assert kept.notes == ("1 series with fewer than 8 rows (lookback + horizon = 7 + 1) are left out: short.",)
    assert long_enough(panel, 4, "") is panel
    with pytest.raises(DataError, match=r"longest series of many\.csv has 12 rows, but 20 are needed"):
        long_enough(panel, 20, "lookback")


def test_a_thousand_series_are_checked_in_a_blink() -> None:
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=500)
    table = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{k}" for k in range(1000)], 500),
            "ds": np.tile(days, 1000),
            "y": rng.normal(size=500_000),
        }
    )
    began = time.perf_counter()
    panel = remarked(validated(table, "many", "points"))
    assert time.perf_counter() - began < 5
    assert panel.notes == ()


# Remarks


def test_a_series_that_ends_early_is_left_out_by_name_and_the_others_stay() -> None:
    days = pd.bdate_range("2024-01-01", periods=200)
    y = np.random.default_rng(0).normal(size=200)
    table = pd.concat(
        [pd.DataFrame({"unique_id": n, "ds": days[:k], "y": y[:k]}) for n, k in (("a", 200), ("b", 100), ("c", 195))]
    )
    panel = remarked(validated(table, "many", "points"))
    assert panel.frame["unique_id"].unique().tolist() == ["a", "c"]
    assert (
        "1 series end before the others, whose last date is 2024-10-04, and are left out: b (2024-05-17)"
        in panel.notes[0]
    )


def test_holes_and_jumps_are_told() -> None:
    days = pd.bdate_range("2020-01-01", periods=300)
    y = 100 + np.cumsum(np.random.default_rng(0).normal(size=300))
    y[200] = 1e6
    table = pd.DataFrame({"unique_id": "a", "ds": days, "y": y}).drop(index=range(50, 90))
    panel = remarked(validated(table, "a", "points"))
    assert "40 dates are missing" in panel.notes[0]
    assert "2 values lie more than 1000 usual moves from the one before: 1e+06 at 2020-10-07" in panel.notes[1]
    both = remarked(validated(pd.concat([table.drop(index=[120, 121]), table.assign(unique_id="b")]), "two", "points"))
    assert any("missing in 1: a 2" in note for note in both.notes)


def test_an_honest_series_gets_no_remark() -> None:
    assert SP500().load().notes == ()
