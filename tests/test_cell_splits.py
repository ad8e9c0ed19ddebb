"""No cell is on two sides, or the split says what it leaks."""

import numpy as np
import pandas as pd
import pytest
from hydra.utils import get_object
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from data.cells.splits import LeakyRandom, LeaveCellsOut, RowsInOrder, WithinCell
from data.contracts import TEST, TRAIN, VALIDATION, Panel
from data.panel import DataError, validated
from runtime.build import build
from tests.conftest import ROOT, choices


def panel_of_cells(*lengths: int) -> Panel:
    parts = [
        pd.DataFrame({"unique_id": f"cell {k:02d}", "ds": np.arange(1, n + 1), "y": np.arange(n)[::-1].astype(float)})
        for k, n in enumerate(lengths)
    ]
    return validated(pd.concat(parts), "cells", "cycles")


def config(name: str):
    return OmegaConf.load(ROOT / "conf" / "split" / f"{name}.yaml")


def sides(panel: Panel, role: np.ndarray) -> list[set[str]]:
    """Return the cells with a row of each role: train, validation, test."""
    ids = panel.frame["unique_id"].to_numpy()
    return [set(ids[role == side]) for side in (TRAIN, VALIDATION, TEST)]


PANEL = panel_of_cells(30, 20, 25, 40)
lengths = st.lists(st.integers(2, 12), min_size=3, max_size=9)


@pytest.mark.parametrize(
    "name", [n for n in choices("split") if config(n)["_target_"].startswith("data.cells.splits.")]
)
def test_every_split_of_cells_gives_each_row_a_role_and_says_what_it_leaks(name: str) -> None:
    split, panel = build(config(name)), panel_of_cells(30, 20, 25, 40, 22, 31)
    assert split.causal == (split.leak is None)
    folds = split.folds(panel, 1)
    assert len({fold.name for fold in folds}) == len(folds)
    for fold in folds:
        assert fold.role.dtype == np.int8
        assert fold.role.shape == (len(panel.frame),)
        assert set(np.unique(fold.role)) <= {TRAIN, VALIDATION, TEST}
        assert (fold.role == TRAIN).any()
        assert (fold.role == TEST).any()
    again = split.folds(panel, 1)
    assert all(np.array_equal(a.role, b.role) for a, b in zip(folds, again, strict=True))


@pytest.mark.parametrize("name", choices("split"))
def test_rows_are_drawn_at_random_only_under_a_name_that_says_so(name: str) -> None:
    assert (get_object(config(name)["_target_"]) is LeakyRandom) == (name == "leaky_random")


@given(lengths=lengths, folds=st.none() | st.integers(2, 9), validation=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_no_cell_is_on_two_sides_and_each_is_tested_once(lengths, folds, validation, seed) -> None:
    panel = panel_of_cells(*lengths)
    split = LeaveCellsOut(folds=folds, validation=validation, seed=seed)
    n_folds = folds or len(lengths)
    if n_folds > len(lengths):
        with pytest.raises(DataError, match=r"split\.(folds|validation)"):
            split.folds(panel, 1)
        return
    made = split.folds(panel, 1)
    tested: list[str] = []
    for fold in made:
        train, held, test = sides(panel, fold.role)
        assert train
        assert test
        others = len(lengths) - len(test)
        assert len(held) == min(validation, others // 2)
        assert not train & held
        assert not held & test
        assert not train & test
        tested += sorted(test)
    assert sorted(tested) == sorted(panel.frame["unique_id"].unique())
    assert len(made) == n_folds


def test_named_cells_are_tested_in_one_fold() -> None:
    (fold,) = LeaveCellsOut(cells=["cell 02", "cell 00"]).folds(PANEL, 1)
    assert sides(PANEL, fold.role)[2] == {"cell 00", "cell 02"}
    assert fold.name == "without cell 00, cell 02"


def test_every_cell_takes_its_turn_in_choosing_the_weights() -> None:
    folds = LeaveCellsOut(validation=1).folds(PANEL, 1)
    chosen = [sides(PANEL, fold.role)[1] for fold in folds]
    assert set().union(*chosen) == set(PANEL.frame["unique_id"])


def test_cells_that_are_not_there_or_not_enough_are_told() -> None:
    with pytest.raises(DataError, match=r"split\.cells=.*which has cell 00, cell 01"):
        LeaveCellsOut(cells=["z"]).folds(PANEL, 1)
    with pytest.raises(DataError, match=r"4 cells: with 4 tested none is left to learn from"):
        LeaveCellsOut(cells=[f"cell {k:02d}" for k in range(4)]).folds(PANEL, 1)
    with pytest.raises(DataError, match=r"split\.folds=5 is more than the 4 cells"):
        LeaveCellsOut(folds=5).folds(PANEL, 1)


@given(lengths=lengths, validation=st.floats(0, 0.4), test=st.floats(0.05, 0.5))
@settings(max_examples=40, deadline=None)
def test_within_a_cell_test_follows_validation_follows_train(lengths, validation, test) -> None:
    panel = panel_of_cells(*lengths)
    (fold,) = WithinCell(validation, test).folds(panel, 1)
    for start, rows in panel.series():
        role = fold.role[start : start + rows.size]
        rank = np.select([role == TRAIN, role == VALIDATION], [0, 1], 2)
        assert (np.diff(rank) >= 0).all()
        assert (role == TEST).sum() == round(test * rows.size)


def test_rows_in_order_test_the_last_rows_of_the_table() -> None:
    (fold,) = RowsInOrder(0.0, 0.2).folds(PANEL, 1)
    assert (fold.role[:92] == TRAIN).all()
    assert (fold.role[92:] == TEST).all()
    train, _, test = sides(PANEL, fold.role)
    assert train & test == {"cell 03"}


def test_random_rows_depend_on_the_seed_alone() -> None:
    one, same, other = (LeakyRandom(0.1, 0.2, seed).folds(PANEL, 1)[0].role for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert [(one == role).sum() for role in (TRAIN, VALIDATION, TEST)] == [80, 12, 23]


@pytest.mark.parametrize(
    "make",
    [
        lambda: WithinCell(0.6, 0.5),
        lambda: RowsInOrder(0.0, 0.0),
        lambda: LeakyRandom(-0.1, 0.2),
        lambda: LeaveCellsOut(folds=1),
        lambda: LeaveCellsOut(cells=["a"], folds=2),
        lambda: LeaveCellsOut(validation=-1),
    ],
)
def test_impossible_settings_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"split\."):
        make()


def test_four_cells_are_enough_as_the_files_stand() -> None:
    """Half of the cells that are not tested are learnt from, however many are to be held out."""
    folds = build(config("leave_cells_out")).folds(PANEL, 1)
    assert [tuple(len(side) for side in sides(PANEL, fold.role)) for fold in folds] == [(2, 1, 1)] * 4
