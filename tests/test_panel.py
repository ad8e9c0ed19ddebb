"""A panel keeps its promises, or says everything that is wrong."""

import numpy as np
import pandas as pd
import pytest

from data.panel import DataError, fingerprint, validated
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
