"""Volatility of a day from its range: the logarithm of Parkinson's or Garman and Klass's estimate."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from data.contracts import SERIES, FloatArray, Kind, Panel
from data.panel import DataError, listed
from data.targets._moves import PERCENT, RETURN, log_returns, of_values, refuse_where
from data.targets.level import at_least_one

NEEDED = {"parkinson": ("high", "low"), "garman_klass": ("open", "high", "low")}


class LogRange:
    """Forecast the log of a day's volatility as its open, high, low and close tell it.

    With H, L, O and C the logarithms of high, low, open and close, the variance of a day is

        Parkinson (1980):          (H - L)^2 / (4 log 2)
        Garman and Klass (1980):   (H - L)^2 / 2 - (2 log 2 - 1) (C - O)^2

    Its root in percent, plus ``offset``, is the volatility whose logarithm is forecast.

    Parameters
    ----------
    estimator : str
        ``parkinson``, from high and low, or ``garman_klass``, from open, high, low and close.
    over : int
        Days whose mean log volatility is one target [steps]; 1: each day is a target of its own.
    offset : float
        Added to the volatility before the logarithm is taken, for days that stand still [% a day].

    Raises
    ------
    ValueError
        If the estimator is not known, or a number is out of its range.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)
    adds: ClassVar[bool] = False
    leaves: ClassVar[Sequence[str]] = (RETURN,)
    unscored: ClassVar[Sequence[str]] = ("mape", "direction")
    curved = True

    def __init__(self, estimator: str = "parkinson", over: int = 1, offset: float = 0.0) -> None:
        if estimator not in NEEDED:
            raise ValueError(f"target.estimator={estimator} is not known; it is one of {', '.join(NEEDED)}.")
        if offset < 0:
            raise ValueError(f"target.offset={offset} must not be below 0 [% a day].")
        self.estimator, self.over, self.offset = estimator, at_least_one(over), offset

    def transform(self, panel: Panel) -> Panel:
        """Return the log volatility of every day but the first, and the returns beside it."""
        needed = NEEDED[self.estimator]
        if absent := [name for name in needed if name not in panel.covariates]:
            raise DataError(
                f"target=log_range needs the column {listed(absent)} beside the close, and {panel.name} has "
                f"{listed(panel.covariates) or 'none'}.  Take source=sp500_ohlc, nasdaq_ohlc or ohlc, or "
                f"target=realized, which needs closes alone."
            )
        prices = panel.frame[[*needed, "y"]].to_numpy(dtype=np.float64)
        refuse_where(
            panel,
            ~np.isfinite(prices).all(axis=1) | (prices <= 0).any(axis=1),
            "target=log_range takes logarithms, but a price is missing or not above 0",
            "Correct or remove these rows.",
        )
        volatility = PERCENT * np.sqrt(self._variance(*np.log(prices).T)) + self.offset
        refuse_where(
            panel,
            ~(volatility > 0),
            "The range of a day is 0 or high lies below low, and has no logarithm",
            "Correct these rows, or set target.offset, such as 0.05 [% a day].",
        )
        beside = {RETURN: log_returns(panel, "log_range")}
        return of_values(panel, np.log(volatility), "log of % a day", beside, ("open", "high", "low"))

    def _variance(self, *prices: FloatArray) -> FloatArray:
        """Return the variance of every day ``(row,)``, NaN where prices contradict each other."""
        high, low = prices[-3], prices[-2]
        span = np.where(high >= low, high - low, np.nan)
        if self.estimator == "parkinson":
            found: FloatArray = span**2 / (4 * np.log(2))
            return found
        return np.maximum(span**2 / 2 - (2 * np.log(2) - 1) * (prices[-1] - prices[0]) ** 2, 0.0)

    def unit_of(self, given: Panel) -> str | None:
        """Return the unit of a volatility."""
        return "% a day"

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Return the volatility [% a day]."""
        return np.maximum(np.exp(values) - self.offset, 0.0)

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Return the square of the volatility, its offset included [(% a day)^2]."""
        found: FloatArray = np.exp(2 * values)
        return found
