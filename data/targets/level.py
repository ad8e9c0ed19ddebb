"""The series as it is."""

from collections.abc import Sequence
from typing import ClassVar

from data.contracts import KINDS, FloatArray, Kind, Panel


class Level:
    """Forecast the values of the source themselves.

    Parameters
    ----------
    over : int
        Steps whose mean is one target [steps]; 1: each step is a target of its own.

    Raises
    ------
    ValueError
        If it is no step at all.
    """

    kinds: ClassVar[Sequence[Kind]] = KINDS
    adds: ClassVar[bool] = False
    leaves: ClassVar[Sequence[str]] = ()
    unscored: ClassVar[Sequence[str]] = ()
    curved = False

    def __init__(self, over: int = 1) -> None:
        self.over = at_least_one(over)

    def transform(self, panel: Panel) -> Panel:
        """Return the panel as it is."""
        return panel

    def unit_of(self, given: Panel) -> str | None:
        """Return None: nothing is restored."""
        return None

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Return the values as they are."""
        return values

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Return None: a level is no volatility."""
        return None


def at_least_one(over: int) -> int:
    """Return a number of steps, or refuse it."""
    if over < 1:
        raise ValueError(f"target.over={over} must be at least 1 step.")
    return over
