"""Volatility of a day from its return: squared or absolute, as it is or its logarithm."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from data.contracts import SERIES, FloatArray, Kind, Panel
from data.targets._moves import RETURN, log_returns, of_values, refuse_where
from data.targets.level import at_least_one

MEASURES = {"absolute": 1, "squared": 2}


class Realized:
    """Forecast absolute or squared logarithmic returns, or their logarithms: volatility from closes alone.

    A day tells little of its own volatility this way: a range tells about five times as much (Parkinson, 1980).

    Parameters
    ----------
    measure : str
        ``absolute`` [% a day] or ``squared`` [(% a day)^2].
    log : bool
        Whether the logarithm is forecast.
    over : int
        Days whose mean is one target [steps]; 1: each day is a target of its own.
    offset : float
        Added to the absolute return before its logarithm is taken, for a day may stand still [% a day].

    Raises
    ------
    ValueError
        If the measure is not known, or a number is out of its range.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)
    adds: ClassVar[bool] = False
    leaves: ClassVar[Sequence[str]] = (RETURN,)
    unscored: ClassVar[Sequence[str]] = ("mape", "direction")

    def __init__(self, measure: str = "absolute", log: bool = True, over: int = 1, offset: float = 0.1) -> None:
        if measure not in MEASURES:
            raise ValueError(f"target.measure={measure} is not known; it is one of {', '.join(MEASURES)}.")
        if offset < 0:
            raise ValueError(f"target.offset={offset} must not be below 0 [% a day].")
        self.measure, self.log, self.over, self.offset = measure, log, at_least_one(over), offset

    @property
    def curved(self) -> bool:
        """Whether it is anything but the absolute return itself."""
        return self.log or self.measure == "squared"

    @property
    def _offset(self) -> float:
        """What is added [% a day]: nothing where no logarithm is taken."""
        return self.offset if self.log else 0.0

    def transform(self, panel: Panel) -> Panel:
        """Return the volatility of every day but the first, and the returns beside it."""
        moves = log_returns(panel, "realized")
        volatility = np.abs(moves) + self._offset
        y, unit = (volatility, "% a day") if self.measure == "absolute" else (volatility**2, "(% a day)²")
        if self.log:
            said = "A day stands still, and its return has no logarithm"
            refuse_where(panel, volatility == 0, said, "Set target.offset, such as 0.1 [% a day].")
            y, unit = np.log(y), f"log of {unit}"
        return of_values(panel, y, unit, {RETURN: moves})

    def unit_of(self, given: Panel) -> str | None:
        """Return the unit of a volatility."""
        return "% a day"

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Return the volatility [% a day]."""
        linear = np.exp(values) if self.log else np.maximum(values, 0.0)
        return np.maximum(linear ** (1 / MEASURES[self.measure]) - self._offset, 0.0)

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Return the square of the volatility, its offset included [(% a day)^2]."""
        linear = np.exp(values) if self.log else np.maximum(values, 0.0)
        found: FloatArray = linear ** (2 / MEASURES[self.measure])
        return found
