"""Seasonal naive forecast, and the search for the season of a series.

Shapes
------
n window, L lookback, H horizon, C component, m season
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import detrend

from data.contracts import FloatArray
from models.model import Inputs, State
from models.naive import NAIVE, summed

AUTO = "auto"
LONGEST = 400
"""Longest season that is searched for [steps]: a year of days, two weeks of hours."""
CYCLES = 3  # that a series must show at least
FAINT, ERRORS = 0.2, 4.0  # a season correlates by more than this, and by so many standard errors of chance
ROUNDED = 1e-9  # [fraction] of the spread of a line, whose changes do not change
ALIKE, AGAIN = 0.85, 0.6  # of the highest peak, and of a peak at twice its lag: a season comes again and again


class SeasonalNaive:
    """Forecast the value of one season before, with drift moved on by the change over the last season.

    With the season m and k = ceil(h / m), step h from the origin t is forecast as y[t + h - k m] and, with drift,
    k (y[t] - y[t - m]) is added.  A season of 1 is persistence.

    Parameters
    ----------
    label : str
        What tables call the model.
    season : int, str or None
        m [steps]; ``auto`` finds it in the training rows (``find_season``), None is a season of 1.
    drift : bool
        Whether to add the change over the last season.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If the season is no season, or longer than what the model looks back upon.
    """

    needs = NAIVE
    component: None = None

    def __init__(
        self, label: str, season: int | str | None, drift: bool, n_components: int, lookback: int, horizon: int
    ) -> None:
        if season is not None and season != AUTO and not (type(season) is int and season >= 1):
            raise ValueError(f"season={season} must be a whole number of at least 1 [steps], auto or null.")
        if isinstance(season, int) and lookback < steps_needed(season):
            raise ValueError(
                f"season={season} needs a lookback of at least {steps_needed(season)} steps, and has {lookback}."
            )
        self.label = label
        self.drift = drift
        self.horizon = horizon
        self.lookback = lookback
        self.found = season == AUTO
        self.season = season if isinstance(season, int) else 1

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Find the season in the training rows, where it is not given."""
        if self.found:
            longest = min(LONGEST, self.lookback - 1)
            self.season = find_season(series_of(train.rows), longest) or 1

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        y, m = summed(inputs.windows.past), self.season  # (n, L)
        ahead = np.arange(self.horizon)  # h - 1
        forecast = y[:, y.shape[1] - m + ahead % m]  # (n, H)
        if self.drift and y.shape[1] > m:
            change = y[:, -1] - y[:, -1 - m]  # (n,)
            forecast = forecast + change[:, None] * (1 + ahead // m)
        return forecast

    def state(self) -> State:
        """Return the season, where it was found."""
        return {"season": np.array(self.season)} if self.found else {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take the season an earlier fit has found."""
        self.season = int(state["season"]) if self.found else self.season


def steps_needed(season: int | str | None) -> int:
    """Return how many steps a model of a season looks back upon [steps]: the season and the step before it."""
    return 1 + (season if isinstance(season, int) else LONGEST if season == AUTO else 1)


def series_of(rows: pd.DataFrame) -> list[FloatArray]:
    """Return the values ``(time,)`` of every series of training rows."""
    return [own.to_numpy(dtype=np.float64) for _, own in rows.groupby("unique_id", sort=False)["y"]]


def find_season(all_series: Iterable[FloatArray], longest: int = LONGEST) -> int | None:
    """Return the season of some series by the autocorrelation of their changes, or None where they show none.

    Changes from step to step, less a line through them, have no trend, and those of a random walk have no memory, so
    a price has no season here.  A season is a lag at which the autocorrelation, averaged over the series, has a peak
    above 0.2 and above four standard errors of white noise, which twice the lag has as well, to 40 %.  Of those within
    15 % of the highest, as multiples of the season are, the shortest is taken.  Every series must show three cycles.
    What this cannot see is a slow wave under noise that changes more from step to step than the wave: set such a
    season.

    Parameters
    ----------
    all_series : iterable of arrays
        ``(time,)`` each; of training rows alone.
    longest : int
        The longest season searched for [steps].
    """
    pairs = [(series, detrend(np.diff(series))) for series in all_series if series.size > 2 * CYCLES]
    changes = [change for series, change in pairs if np.abs(change).max() > ROUNDED * np.ptp(series)]
    if not changes:
        return None
    most = min(longest, min(change.size for change in changes) // CYCLES)
    lags = np.arange(most + 2)
    found = np.mean([_autocorrelation(change, lags.size) for change in changes], axis=0)  # (lag,)
    least = max(FAINT, ERRORS / np.sqrt(np.mean([change.size for change in changes])))
    inner = lags[2:-1]
    peaks = inner[(found[2:-1] > found[1:-2]) & (found[2:-1] >= found[3:]) & (found[2:-1] > least)]
    peaks = np.array([lag for lag in peaks if 2 * lag > most or found[2 * lag] >= AGAIN * found[lag]], dtype=np.int64)
    return int(peaks[found[peaks] >= ALIKE * found[peaks].max()][0]) if peaks.size else None


def _autocorrelation(values: FloatArray, n_lags: int) -> FloatArray:
    """Return the autocorrelation at lags 0, 1, ... ``(n_lags,)``; 0 at lags the series is too short for."""
    spectrum = np.fft.rfft(values, 2 * values.size)
    found = np.fft.irfft(np.square(np.abs(spectrum)))[: min(n_lags, values.size)]
    return np.pad(found / found[0], (0, n_lags - found.size))
