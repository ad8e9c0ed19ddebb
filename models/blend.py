"""Blend the forecasts of a model with those of a reference by one weight.

Shapes
------
n window, H horizon
"""

from typing import NamedTuple

import numpy as np

from data.contracts import FloatArray
from models.model import Model


class Blend(NamedTuple):
    """How much of a forecast is the model's; the rest is that of a reference anyone can make."""

    weight: float
    """Share of the model [fraction]."""
    reference: Model
    """Reads windows and rows as they are."""


def blended(forecast: FloatArray, reference: FloatArray, weight: float) -> FloatArray:
    """Return ``reference + weight (forecast - reference)``, all ``(n, H)``; at 0 and 1 one of them to the bit."""
    if weight in (0.0, 1.0):
        return forecast if weight else reference
    return reference + weight * (forecast - reference)


def blending_weight(y: FloatArray, forecast: FloatArray, reference: FloatArray) -> float:
    """Return the weight in [0, 1] with the smallest mean absolute error of the blended forecast.

    The error is convex and piecewise linear in the weight, and smallest at the weighted median of the ratios
    ``(y - reference) / (forecast - reference)`` with weights ``|forecast - reference|``: no search, no step.

    Parameters
    ----------
    y, forecast, reference : FloatArray
        ``(n, H)``; n may be 0.

    Returns
    -------
    float
        1 where the forecasts do not differ or are not finite: the model alone.
    """
    apart = (forecast - reference).ravel()
    if not np.isfinite(apart).all() or not np.abs(apart).any():
        return 1.0
    apart, left = apart[apart != 0], (y - reference).ravel()[apart != 0]
    ratio = left / apart
    order = np.argsort(ratio, kind="stable")
    below = np.cumsum(np.abs(apart)[order])
    median = ratio[order][np.searchsorted(below, below[-1] / 2)]
    return float(np.clip(median, 0.0, 1.0))
