"""Logarithmic returns from step to step."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from data.contracts import SERIES, FloatArray, Kind, Panel
from data.targets._moves import PERCENT, log_returns, of_values
from data.targets.level import at_least_one


class LogReturn:
    """Forecast the logarithmic return from one value to the next [%].

    Parameters
    ----------
    over : int
        Steps whose mean return is one target [steps]; 1: each step is a target of its own.

    Raises
    ------
    ValueError
        If it is no step at all.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)
    adds: ClassVar[bool] = True
    leaves: ClassVar[Sequence[str]] = ()
    unscored: ClassVar[Sequence[str]] = ("mape",)
    curved = True

    def __init__(self, over: int = 1) -> None:
        self.over = at_least_one(over)

    def transform(self, panel: Panel) -> Panel:
        """Return the returns of every series, the first row of which has none."""
        return of_values(panel, log_returns(panel, "return"), "% a step")

    def unit_of(self, given: Panel) -> str | None:
        """Return the unit of the source: a level is restored."""
        return given.unit

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Return the value that a return since the last level known leads to."""
        found: FloatArray = level * np.exp(values / PERCENT)
        return found

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Return None: a return is no volatility."""
        return None
