"""Which cells, or which cycles of them, are learnt from and which judge.

Only cells that nothing was learnt from say how well the life of a new cell is told.  The other splits are
here to reproduce published numbers, and say what they leak.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from data.contracts import TEST, TRAIN, VALIDATION, Fold, Panel
from data.panel import DataError
from data.splits import check_shares

Roles = NDArray[np.int8]
MOST_NAMED = 8  # cells in the name of a fold


class LeaveCellsOut:
    """Every cell is on one side only, and is judged by models that never saw it.

    The cells are dealt to the folds in an order that ``seed`` decides.  Those that choose the weights
    are the ones that follow the tested ones in that order, around the end, so that each cell takes its turn.

    Parameters
    ----------
    cells : list of str or None
        Cells to test, in one fold; None tests every cell once.
    folds : int or None
        Number of folds, of about as many cells each; None gives every cell a fold of its own.
    validation : int
        How many of the other cells choose the weights and calibrate intervals [cells]; at most half of them, so that
        of few cells most are learnt from.
    seed : int
    """

    causal: ClassVar[bool] = True
    leak: ClassVar[str | None] = None

    def __init__(
        self, cells: list[str] | None = None, folds: int | None = None, validation: int = 1, seed: int = 0
    ) -> None:
        if cells is not None and folds is not None:
            raise ValueError(f"split.cells={cells} is one fold; leave split.folds={folds} at null, or cells.")
        if folds is not None and folds < 2:
            raise ValueError(f"split.folds={folds} must be at least 2, or null for a fold a cell.")
        if validation < 0:
            raise ValueError(f"split.validation={validation} must not be negative [cells].")
        self.cells, self.n_folds, self.validation, self.seed = cells, folds, validation, seed

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold for the named cells, or folds that test every cell once.

        Raises
        ------
        DataError
            If a named cell is not there, or no cell is left to learn from.
        """
        ids = panel.frame["unique_id"].to_numpy()
        there = [str(cell) for cell in dict.fromkeys(ids)]
        order = [there[k] for k in np.random.default_rng(self.seed).permutation(len(there))]
        folds = []
        for tested in self._tested(panel, there, order):
            others = _following(order, tested)
            if not others:
                raise DataError(
                    f"{panel.name} has {len(there)} cells: with {len(tested)} tested none is left to learn from.  Give "
                    f"more cells, or test fewer at once (split.cells, split.folds)."
                )
            role = np.full(ids.size, TRAIN, dtype=np.int8)
            role[np.isin(ids, tested)] = TEST
            role[np.isin(ids, others[: min(self.validation, len(others) // 2)])] = VALIDATION
            folds.append(Fold(role, f"without {_some(sorted(tested))}"))
        return folds

    def _tested(self, panel: Panel, there: list[str], order: list[str]) -> list[list[str]]:
        """Return the cells that each fold tests."""
        if self.cells is not None:
            absent = [cell for cell in self.cells if cell not in there]
            if absent or not self.cells:
                raise DataError(
                    f"split.cells={self.cells} must name cells of {panel.name}, which has {', '.join(there)}."
                )
            return [list(self.cells)]
        if self.n_folds is None:
            return [[cell] for cell in there]
        if self.n_folds > len(there):
            raise DataError(f"split.folds={self.n_folds} is more than the {len(there)} cells of {panel.name}.")
        return [list(part) for part in np.array_split(np.array(order, dtype=object), self.n_folds)]


class WithinCell:
    """Of every cell, learn from its first cycles and judge by its last.

    Parameters
    ----------
    validation, test : float
        Shares of the rows of each cell, in [0, 1) [fraction]; train gets the rest, the earliest.
    """

    causal: ClassVar[bool] = False
    leak: ClassVar[str | None] = (
        "Rows of every cell are on both sides: the remaining lives learnt from tell when each tested cell ends."
    )

    def __init__(self, validation: float, test: float) -> None:
        check_shares(validation, test)
        self.validation, self.test = validation, test

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold."""
        role = np.concatenate([_in_order(rows.size, self.validation, self.test) for _, rows in panel.series()])
        return [Fold(role, "within each cell")]


class RowsInOrder:
    """Of all rows, cell after cell as they stand in the table, learn from the first and judge by the last.

    So paper 2 reads ("80 % / 20 % in time order"): only the last cells are tested, and the cell that the
    border falls into is on both sides.

    Parameters
    ----------
    validation, test : float
        Shares of the rows of the table, in [0, 1) [fraction]; train gets the rest, the first.
    """

    causal: ClassVar[bool] = False
    leak: ClassVar[str | None] = (
        "Rows of the cells that a border falls into are on both sides: what was learnt tells when they end."
    )

    def __init__(self, validation: float, test: float) -> None:
        check_shares(validation, test)
        self.validation, self.test = validation, test

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold."""
        return [Fold(_in_order(len(panel.frame), self.validation, self.test), "rows in order")]


class LeakyRandom:
    """Draw rows at random: neighbours of every tested row, with nearly its answer, are learnt from.

    It LEAKS, as its name says in every table.  For reproducing published numbers, not for forecasting.

    Parameters
    ----------
    validation, test : float
        Shares of the rows, in [0, 1) [fraction]; train gets the rest.
    seed : int
    """

    causal: ClassVar[bool] = False
    leak: ClassVar[str | None] = (
        "Rows are drawn at random: the cycles just before and after every tested one are learnt from, answers included."
    )

    def __init__(self, validation: float, test: float, seed: int = 0) -> None:
        check_shares(validation, test)
        self.validation, self.test, self.seed = validation, test, seed

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold."""
        role = _in_order(len(panel.frame), self.validation, self.test)
        return [Fold(np.random.default_rng(self.seed).permutation(role), "leaky random rows")]


def _some(cells: list[str]) -> str:
    """Return cells as the name of a fold has them: the first of many."""
    return ", ".join(cells) if len(cells) <= MOST_NAMED else f"{cells[0]} and {len(cells) - 1} more"


def _following(order: list[str], tested: list[str]) -> list[str]:
    """Return the cells that are not tested, from the first tested one on and around."""
    start = order.index(tested[0])
    return [cell for cell in order[start:] + order[:start] if cell not in tested]


def _in_order(n: int, validation: float, test: float) -> Roles:
    """Return the roles of n rows in order: train, validation, test."""
    last = n - round(test * n)
    role = np.full(n, TRAIN, dtype=np.int8)
    role[last - round(validation * n) : last] = VALIDATION
    role[last:] = TEST
    return role
