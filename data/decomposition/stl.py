"""Seasonal-trend decomposition by local regression (STL) with one or several periods (MSTL).

Cleveland, Cleveland, McRae, Terpenning: STL: A seasonal-trend decomposition procedure based on
loess, Journal of Official Statistics 6(1), 1990.  Bandara, Hyndman, Bergmeir: MSTL: A
seasonal-trend decomposition algorithm for time series with multiple seasonal patterns (2021).
Computed by statsmodels.
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


class STL:
    """Split a series into remainder, seasonal part and trend.

    Local regressions look both ways: every point of a component depends on its neighbours before
    *and* after it, and the last ones are revised when the series goes on.

    Parameters
    ----------
    period : int
        Steps after which the season comes again, such as 12 for months.
    seasonal : int
        Seasons over which the seasonal part is smoothed; odd.  Larger lets it change less.
    robust : bool
        Give outliers less weight, at several times the cost.
    """

    n_components = 3
    causal = False
    memory = None

    def __init__(self, period: int = 5, seasonal: int = 7, robust: bool = False) -> None:
        faults = _period_faults("period", [period])
        if seasonal < 3 or seasonal % 2 == 0:
            faults.append(f"decomposition.seasonal={seasonal} must be odd and at least 3 seasons.")
        if faults:
            raise ValueError("\n".join(faults))
        self.period = period
        self.seasonal = seasonal
        self.robust = robust

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(3, time)``: remainder, seasonal part, trend."""
        reason = f"decomposition=stl with decomposition.period={self.period}"
        return in_own_unit(checked(series, _shortest([self.period]), reason), self._parts, "decomposition=stl")

    def _parts(self, values: FloatArray) -> FloatArray:
        from statsmodels.tsa.seasonal import STL as Method  # takes a second to import: only if needed

        found = Method(values, period=self.period, seasonal=self.seasonal, robust=self.robust).fit()
        return np.stack([found.resid, found.seasonal, found.trend])


class MSTL:
    """Split a series into remainder, a seasonal part for each of several periods, and trend.

    As ``STL``, which is applied to one period after the other, shortest first, twice over.

    Parameters
    ----------
    periods : sequence of int
        Steps after which each season comes again, shortest first, such as 24 and 168 for hours.
    """

    causal = False
    memory = None

    def __init__(self, periods: Sequence[int] = (5, 21)) -> None:
        faults = _period_faults("periods", periods)
        if list(periods) != sorted(set(periods)) or not len(periods):
            faults.append(f"decomposition.periods={list(periods)} must be different and the shortest first.")
        if faults:
            raise ValueError("\n".join(faults))
        self.periods = tuple(periods)
        self.n_components = len(self.periods) + 2

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(periods + 2, time)``: remainder, seasonal parts, trend."""
        reason = f"decomposition=mstl with decomposition.periods={list(self.periods)}"
        return in_own_unit(checked(series, _shortest(self.periods), reason), self._parts, "decomposition=mstl")

    def _parts(self, values: FloatArray) -> FloatArray:
        from statsmodels.tsa.seasonal import MSTL as Method  # takes a second to import: only if needed

        found = Method(values, periods=self.periods).fit()
        seasonal = np.reshape(found.seasonal, (values.size, len(self.periods)))
        return np.stack([found.resid, *seasonal.T, found.trend])


def _shortest(periods: Sequence[int]) -> int:
    return 2 * max(periods) + 1


def _period_faults(name: str, periods: Sequence[int]) -> list[str]:
    return [f"decomposition.{name}={period} must be at least 2 steps." for period in periods if period < 2]
