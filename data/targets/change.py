"""Changes from step to step."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from data.contracts import SERIES, FloatArray, Kind, Panel
from data.targets._moves import moves, of_values
from data.targets.level import at_least_one


class Change:
    """Forecast the change from one value to the next, in the unit of the source.

    Parameters
    ----------
    over : int
        Steps whose mean change is one target [steps]; 1: each step is a target of its own.

    Raises
    ------
    ValueError
        If it is no step at all.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)
    adds: ClassVar[bool] = True
    leaves: ClassVar[Sequence[str]] = ()
    unscored: ClassVar[Sequence[str]] = ("mape",)
    curved = False

    def __init__(self, over: int = 1) -> None:
        self.over = at_least_one(over)

    def transform(self, panel: Panel) -> Panel:
        """Return the changes of every series, the first row of which has none."""
        y = panel.frame["y"].to_numpy(dtype=np.float64)
        return of_values(panel, moves(panel, y), f"change in {panel.unit}")

    def unit_of(self, given: Panel) -> str | None:
        """Return the unit of the source: a level is restored."""
        return given.unit

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Return the value that a change since the last level known leads to."""
        return level + values

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Return None: a change is no volatility."""
        return None
