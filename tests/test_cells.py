"""Tables of cycles become panels of remaining life, or all that is wrong with them is said at once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.cells.cells import (
    Ends,
    Quantity,
    capacity_ends,
    checked_cycles,
    chosen_cells,
    labelled,
    last_cycles,
    sound_cycles,
)
from data.panel import DataError

QUANTITIES = {
    "voltage": Quantity("mean voltage [V]", 2.5, 4.5),
    "capacity": Quantity("capacity [Ah]", 0.1, 5),
    "time": Quantity("time of the discharge [s]", 100, 10_000),
}


def cells(*lengths: int) -> pd.DataFrame:
    """Cells a, b, ... of the given numbers of cycles, without faults."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "unique_id": "abcdefgh"[k],
                    "ds": np.arange(1, n + 1),
                    "voltage": 3.7 - 0.001 * np.arange(n),
                    "capacity": 2.0 - 0.01 * np.arange(n),
                    "time": 3600.0 - np.arange(n),
                }
            )
            for k, n in enumerate(lengths)
        ],
        ignore_index=True,
    )


def spoilt(**changes: object) -> pd.DataFrame:
    """Two sound cells of 20 cycles, with one value changed a column, in row 3."""
    table = cells(20, 20).astype(dict.fromkeys(changes, object))
    for column, value in changes.items():
        table.loc[3, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (cells(20).drop(columns="time"), "lacks the column 'time'; it has 'unique_id', 'ds'"),
        (cells(20)[:0], "no rows"),
        (spoilt(voltage="n/a"), "voltage is not a number at cell a cycle 4, such as 'n/a'"),
        (spoilt(ds=4.5), "must be whole and not negative; they are not at cell a cycle 4.5"),
        (spoilt(ds=-4), "must be whole and not negative; they are not at cell a cycle -4"),
        (spoilt(ds=None), "1 rows have no cycle number"),
        (spoilt(ds=3), "not the same, stands for cell a cycle 3"),
        (cells(20).assign(voltage=lambda t: t["voltage"] * 1000), "median 3690.5, where mean voltage [V]"),
        (cells(20).assign(capacity=lambda t: t["capacity"] * 1000), "divide it by 1000"),
        (cells(20).assign(time=lambda t: t["time"] / 3600), "hours"),
        (cells(20).assign(time=lambda t: -t["time"]), "time is negative in 20 of 20 rows"),
        (cells(20).assign(voltage=12.0), "beyond its physical limits 2.5 .. 4.5 in 20 of 20 rows"),
        (cells(20).assign(time=np.nan), "time holds no finite number"),
        (cells(20).assign(voltage=3.7, capacity=2.0, time=3600.0), "Cell a is constant in every column"),
    ],
)
def test_a_fault_that_cannot_be_mended_is_named(table: pd.DataFrame, said: str) -> None:
    with pytest.raises(DataError) as error:
        checked_cycles(table, "cells.csv", QUANTITIES)
    assert said in str(error.value)
    assert "cells.csv" in str(error.value)


def test_all_faults_come_in_one_message() -> None:
    table = spoilt(ds=4.5, time="?").assign(capacity=lambda t: t["capacity"] * 1000)
    with pytest.raises(DataError, match=r"(?s)time is not a number.*must be whole.*mAh"):
        checked_cycles(table, "cells.csv", QUANTITIES)


def test_identical_rows_count_once_and_are_told() -> None:
    table = cells(20, 10)
    frame, notes = checked_cycles(pd.concat([table, table[5:8]]), "cells", QUANTITIES)
    assert len(frame) == 30
    assert "3 rows stood in the table twice" in notes[0]


def test_gaps_are_counted_by_cell() -> None:
    _, notes = checked_cycles(cells(20, 10).drop(index=[4, 5, 25]), "cells", QUANTITIES)
    assert notes == ("Cycles that were not recorded between the first and the last of a cell, bridged: a 2, b 1.",)


def test_cycles_come_sorted_as_numbers_and_further_columns_go() -> None:
    table = cells(20, 10).sample(frac=1, random_state=0).astype(str).assign(operator="x")
    frame, _ = checked_cycles(table, "cells", QUANTITIES)
    pd.testing.assert_frame_equal(frame, cells(20, 10), check_dtype=False)
    assert frame["ds"].dtype == np.int64


# Outliers


def test_an_outlier_takes_the_last_sound_row_of_its_own_cell() -> None:
    table = cells(20, 20)
    table.loc[[4, 5], "time"] = [900_000.0, -1.0]
    table.loc[20, "voltage"] = 0.0  # the first row of cell b
    frame, notes = sound_cycles(table, "cells", QUANTITIES, "replace")
    columns = list(QUANTITIES)
    np.testing.assert_array_equal(frame.loc[[4, 5], columns], table.loc[[3, 3], columns])
    assert frame["ds"].tolist() == [*range(1, 21), *range(2, 21)]
    assert notes == (
        "3 of 40 rows hold a missing value or one beyond its physical limits (a 2, b 1); they take the last sound "
        "values of their cell, but for 1 that come before any, which are left out.",
    )


def test_a_missing_value_takes_the_last_one_known_and_leaves_its_neighbours_alone() -> None:
    table = cells(20, 20)
    table.loc[[4, 5], "time"] = np.nan
    frame, notes = sound_cycles(table, "cells", QUANTITIES, "replace")
    pd.testing.assert_frame_equal(frame.drop(columns="time"), table.drop(columns="time"))
    assert frame.loc[[4, 5], "time"].tolist() == [table.loc[3, "time"]] * 2
    assert "2 of 40 rows hold a missing value" in notes[0]


def test_outliers_can_be_dropped_or_kept() -> None:
    table = spoilt(time=900_000.0).astype({"time": float})
    dropped, told = sound_cycles(table, "cells", QUANTITIES, "drop")
    assert len(dropped) == 39
    assert "1 of 40 rows" in told[0]
    kept, told = sound_cycles(table, "cells", QUANTITIES, "keep")
    assert kept["time"].max() == 900_000
    assert "kept as recorded" in told[0]


def test_a_missing_value_cannot_be_kept() -> None:
    table = spoilt(time=np.nan).astype({"time": float})
    with pytest.raises(DataError, match=r"missing values in 'time'.*source\.outliers=replace or drop"):
        sound_cycles(table, "cells", QUANTITIES, "keep")


@given(
    wrong=st.lists(st.integers(0, 39), max_size=12, unique=True),
    origin=st.integers(0, 39),
    outliers=st.sampled_from(["replace", "drop"]),
)
@settings(max_examples=40, deadline=None)
def test_what_becomes_of_a_row_depends_on_nothing_after_it(wrong: list[int], origin: int, outliers: str) -> None:
    table = cells(40)
    table.loc[wrong, "time"] = -1.0
    whole, _ = sound_cycles(table, "cells", QUANTITIES, outliers)
    known, _ = sound_cycles(table[: origin + 1], "cells", QUANTITIES, outliers)
    pd.testing.assert_frame_equal(whole[whole["ds"] <= origin + 1], known)


# End of life


def test_life_ends_where_the_capacity_is_lost_for_good() -> None:
    table = cells(60)  # 2.0 - 0.01 k Ah: below 1.6 from cycle 42 on
    table.loc[[10, 11], "capacity"] = 1.0  # two weak cycles do not end a life
    table.loc[[45, 46], "capacity"] = 1.9  # nor does a short recovery lengthen it
    assert capacity_ends(table, "capacity", 0.8, 2.0).cycle == {"a": 42}
    own = capacity_ends(table, "capacity", 0.8, None)
    assert own.cycle["a"] == pytest.approx(46, abs=2)  # of its own first ten: 1.955 Ah
    assert "first ten cycles" in own.rule


def test_weak_cycles_before_the_first_whole_one_end_no_life() -> None:
    table = cells(60)
    table.loc[:5, "capacity"] = 1.0  # formed at half of its capacity
    ends = capacity_ends(table, "capacity", 0.8, 2.0)
    assert ends.cycle == {"a": 42}
    assert ends.doubts == ()
    assert capacity_ends(table.assign(capacity=1.0), "capacity", 0.8, 2.0).cycle == {"a": None}


def test_an_end_that_is_followed_by_whole_cycles_is_doubted() -> None:
    table = cells(60)
    table.loc[10:16, "capacity"] = 1.0  # half discharges
    ends = capacity_ends(table, "capacity", 0.8, 2.0)
    assert ends.cycle == {"a": 11}
    assert "a in 24 of 49 cycles after cycle 11" in ends.doubts[0]
    assert any("whole discharges" in note for note in labelled(table, "cells", QUANTITIES, ends).notes)


def test_a_censored_cell_is_left_out_and_told() -> None:
    table = cells(60, 30)
    panel = labelled(table, "cells", QUANTITIES, capacity_ends(table, "capacity", 0.8, 2.0))
    assert panel.frame["unique_id"].unique().tolist() == ["a"]
    assert panel.frame["y"].tolist() == list(range(41, -1, -1))
    assert "1 cells never reach their end of life on record and are left out: b." in panel.notes
    assert "18 rows after the end of life are left out (a 18)." in panel.notes
    assert any("below 80% of the nominal 2 Ah" in note for note in panel.notes)


def test_a_panel_without_any_end_of_life_is_refused() -> None:
    table = cells(30)
    with pytest.raises(DataError, match=r"no cell whose end of life is on record.*source\.eol"):
        labelled(table, "cells", QUANTITIES, capacity_ends(table, "capacity", 0.8, 2.0))


def test_life_counts_recorded_and_missing_cycles_alike() -> None:
    table = cells(20).drop(index=[5, 6, 7])
    panel = labelled(table, "cells", QUANTITIES, last_cycles(table))
    assert (panel.frame["y"] + panel.frame["ds"]).unique().tolist() == [20]


def test_a_cell_of_a_few_cycles_is_left_out_and_told() -> None:
    table = cells(20, 3)
    panel = labelled(table, "cells", QUANTITIES, last_cycles(table), ("Told before.",))
    assert panel.notes[0] == "Told before."
    assert panel.notes[-1] == "1 cells have fewer than 5 rows and are left out: b."
    assert panel.covariates["time"] == "time of the discharge [s]"


def test_life_can_be_counted_by_another_column_than_the_row_number() -> None:
    table = cells(20).assign(cycle=lambda t: (t["ds"] + 1) // 2)
    panel = labelled(table, "records", QUANTITIES, Ends({"a": 10}, "Told."), counter="cycle")
    assert panel.frame["y"].tolist() == [9.0 - k // 2 for k in range(20)]


def test_cells_are_chosen_by_name() -> None:
    table = cells(5, 5, 5)
    assert chosen_cells(table, ["c", "a"], "cells")["unique_id"].unique().tolist() == ["a", "c"]
    with pytest.raises(DataError, match="no cell z; it has a, b, c"):
        chosen_cells(table, ["a", "z"], "cells")
