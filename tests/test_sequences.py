"""A window holds the last cycles of its own cell up to its origin, and the origin's remaining life."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.cells.sequences import select_rows, sequences, short_cells
from data.cells.splits import LeaveCellsOut, WithinCell
from data.contracts import TEST, TRAIN, VALIDATION
from data.panel import DataError
from tests.test_cell_splits import panel_of_cells

PANEL = panel_of_cells(30, 20, 25, 40)


def table_of(panel, n_features: int = 2) -> pd.DataFrame:
    """A table whose values name their row and column."""
    index = pd.MultiIndex.from_frame(panel.frame[["unique_id", "ds"]])
    values = np.arange(len(panel.frame))[:, None] * 10.0 + np.arange(n_features)
    return pd.DataFrame(values, index=index, columns=[f"f{k}" for k in range(n_features)])


def windows_of(panel, lookback: int):
    return sequences(table_of(panel), panel.frame["y"], panel, lookback)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6), lookback=st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_a_window_never_leaves_its_cell_and_ends_at_its_origin(lengths: list[int], lookback: int) -> None:
    panel = panel_of_cells(*[n + 1 for n in lengths])
    if max(lengths) + 1 < lookback:
        with pytest.raises(DataError, match=f"lookback={lookback}"):
            windows_of(panel, lookback)
        return
    windows = windows_of(panel, lookback)
    assert len(windows.origin) == sum(max(n + 1 - lookback + 1, 0) for n in lengths)
    assert windows.past.shape == (len(windows.origin), lookback, 2)
    assert windows.target.shape == (len(windows.origin), 1, 1)
    rows = windows.past[:, :, 0] / 10  # (n, L) row of the panel of each step
    np.testing.assert_array_equal(rows[:, -1], windows.origin)
    np.testing.assert_array_equal(np.diff(rows, axis=1), 1)
    ids = panel.frame["unique_id"].to_numpy()
    assert (ids[rows[:, 0].astype(int)] == ids[windows.origin]).all()
    np.testing.assert_array_equal(windows.y[:, 0], panel.frame["y"].to_numpy()[windows.origin])
    np.testing.assert_array_equal(windows.target[:, 0, 0], windows.y[:, 0])


def test_a_missing_cycle_is_bridged() -> None:
    panel = panel_of_cells(10)
    kept = panel.frame.drop(index=[4, 5]).reset_index(drop=True)
    shorter = type(panel)(kept, panel.name, panel.unit)
    windows = windows_of(shorter, 3)
    assert len(windows.origin) == 6
    assert kept["ds"].iloc[windows.origin[2] - 2 : windows.origin[2] + 1].tolist() == [3, 4, 7]


def test_a_later_row_changes_no_earlier_window() -> None:
    table = table_of(PANEL)
    changed = table.copy()
    changed.iloc[60:] = -1.0
    before, after = (sequences(t, PANEL.frame["y"], PANEL, 15) for t in (table, changed))
    early = before.origin < 60
    np.testing.assert_array_equal(before.past[early], after.past[early])
    assert not np.array_equal(before.past[~early], after.past[~early])


def test_windows_are_chosen_by_the_role_of_their_last_row() -> None:
    (fold,) = WithinCell(0.2, 0.2).folds(PANEL, 1)
    windows = windows_of(PANEL, 5)
    parts = {role: select_rows(windows, fold, role) for role in (TRAIN, VALIDATION, TEST)}
    assert sum(len(part.origin) for part in parts.values()) == len(windows.origin)
    for role, part in parts.items():
        assert (fold.role[part.origin] == role).all()
    thinned = select_rows(windows, fold, TRAIN, every=4)
    np.testing.assert_array_equal(thinned.origin, parts[TRAIN].origin[::4])
    np.testing.assert_array_equal(thinned.past, parts[TRAIN].past[::4])


def test_no_step_of_a_training_window_is_of_a_held_out_cell() -> None:
    windows = windows_of(PANEL, 6)
    for fold in LeaveCellsOut(validation=1).folds(PANEL, 1):
        for role in (TRAIN, VALIDATION, TEST):
            rows = (select_rows(windows, fold, role).past[:, :, 0] / 10).astype(int)
            assert (fold.role[rows] == role).all()


def test_cells_shorter_than_a_window_are_told_and_the_others_used() -> None:
    panel = panel_of_cells(10, 3, 4)
    assert len(windows_of(panel, 5).origin) == 6
    assert short_cells(panel, 5) == (
        "2 cells have fewer recorded cycles than lookback=5 and no window: cell 01 3, cell 02 4.",
    )
    assert short_cells(panel, 3) == ()


def test_no_cell_as_long_as_a_window_is_told() -> None:
    with pytest.raises(DataError, match=r"longest cell of cells has 40 recorded cycles.*lookback=50.*lower lookback"):
        windows_of(PANEL, 50)


def test_a_table_that_lost_rows_is_refused() -> None:
    with pytest.raises(DataError, match="must lose no row"):
        sequences(table_of(PANEL)[:-1], PANEL.frame["y"], PANEL, 5)
    with pytest.raises(ValueError, match="lookback=0"):
        windows_of(PANEL, 0)
    with pytest.raises(ValueError, match="every=0"):
        select_rows(windows_of(PANEL, 5), WithinCell(0.1, 0.2).folds(PANEL, 1)[0], TRAIN, every=0)
