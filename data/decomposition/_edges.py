"""Continue a series beyond both ends with an autoregressive model of its own steps."""

import numpy as np

from data.contracts import FloatArray

ORDER = 20
"""Steps that the model looks back upon."""

REACH = 64
"""Most points that are added at each end."""


def extend_ends(series: FloatArray) -> tuple[FloatArray, int]:
    """Return the series with up to ``REACH`` points added at each end, and how many they are.

    The steps are taken to be autoregressive about their mean, with the coefficients that solve the
    Yule-Walker equations: such a forecast cannot grow without bound.
    """
    reach = min(REACH, series.size // 4)
    order = min(ORDER, series.size // 8)
    if order < 1 or np.ptp(series) == 0:
        return series, 0
    after = series[-1] + np.cumsum(_forecast(np.diff(series), order, reach))
    before = series[0] + np.cumsum(_forecast(np.diff(series[::-1]), order, reach))
    return np.concatenate([before[::-1], series, after]), reach


def _forecast(steps: FloatArray, order: int, reach: int) -> FloatArray:
    """Return the ``reach`` steps that are expected to follow."""
    mean = steps.mean()
    centred = steps - mean
    covariance = np.array([centred[: centred.size - lag] @ centred[lag:] for lag in range(order + 1)])
    if covariance[0] <= 1e-20 * (mean * mean + 1e-300) * centred.size:  # a straight line
        return np.full(reach, mean)
    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    weights = np.linalg.solve(covariance[lags] + 1e-9 * covariance[0] * np.eye(order), covariance[1:])
    known = list(centred[-order:])
    for _ in range(reach):
        known.append(float(weights @ known[: -order - 1 : -1]))
    return mean + np.array(known[order:])
