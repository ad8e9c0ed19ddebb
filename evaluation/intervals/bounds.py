"""Prediction intervals: the contract of every method, and the names of their columns.

An interval is put around the forecast of ``y`` itself, whatever was summed up to make it.  Every method widens the
Forecasts table (see ``evaluation.rows``) by two columns a level, ``lo_80, hi_80, lo_95, hi_95``, in the unit of
``y``; a bound that cannot be had is NaN.

What a row may know: the errors of calibration rows, which no model has learnt from, and those truths of the test
set whose ``ds`` is not after the row's ``origin``.  Each model, series and step of the horizon has errors of its
own, and so has each fold where the table has a column ``fold``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from data.contracts import FloatArray, Kind

OWN = "own_"  # begins the columns of what a model has learnt itself
DIGITS = 9  # binary, of the reach of an interval that its bounds are kept to: an error of at most a thousandth


class Intervals(Protocol):
    """Put intervals around forecasts."""

    kinds: ClassVar[Sequence[Kind]]
    """Kinds of targets it is made for."""

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts, in their order, with the columns ``lo_<level>`` and ``hi_<level>``.

        Parameters
        ----------
        forecasts, calibration : DataFrame
            Forecasts tables of the test and the validation rows; the second may be empty.  With
            several folds both have a column ``fold``.
        """
        ...

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return one ``Offset``, as a dictionary, a model, series, step and level, for what comes next."""
        ...

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Return a sentence for every level that the calibration rows do not support."""
        ...


def bound_columns(levels: Sequence[int]) -> list[str]:
    """Return the names of the columns an interval of each level has."""
    return [f"{side}_{level}" for level in levels for side in ("lo", "hi")]


def bounded_levels(forecasts: pd.DataFrame) -> list[int]:
    """Return the levels a table has both bounds of [%], ascending."""
    names = {str(column) for column in forecasts.columns}
    levels = sorted(int(name[3:]) for name in names if name.startswith("lo_") and name[3:].isdigit())
    return [level for level in levels if f"hi_{level}" in names]


def around(forecasts: pd.DataFrame, reach: Mapping[int, FloatArray], smallest: float = -math.inf) -> pd.DataFrame:
    """Return the forecasts with the bounds of each level, none of them below ``smallest``.

    Parameters
    ----------
    forecasts : DataFrame
    reach : mapping
        For each level how far its interval reaches on either side, ``(n,)`` in the unit of ``y``.
    smallest : float
        Least value a bound may have.
    """
    y_hat = forecasts["y_hat"].to_numpy(dtype=np.float64)
    y_hat = np.where(np.isfinite(y_hat), y_hat, np.nan)
    bounds = {}
    for level, far in reach.items():
        bounds[f"lo_{level}"] = np.maximum(y_hat - far, smallest)
        bounds[f"hi_{level}"] = np.maximum(y_hat + far, smallest)
    return forecasts.assign(**bounds)


def rounded(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts with bounds rounded to a thousandth of how far the narrowest interval of their row reaches.

    No digit beyond means anything, and rounded they take half the room: to multiples of a power of two, of which single
    precision holds most.  The order of the bounds of a row stays.
    """
    levels = bounded_levels(forecasts)
    if not levels:
        return forecasts
    names = bound_columns(levels)
    ends = forecasts[names].to_numpy(dtype=np.float64)  # (n, 2 levels)
    widths = ends[:, 1::2] - ends[:, ::2]  # (n, level)
    narrowest = np.where(widths > 0, widths, np.inf).min(axis=1) / 2
    known = np.isfinite(narrowest)
    step = np.exp2(np.floor(np.log2(np.where(known, narrowest, 1.0))) - DIGITS)[:, None]
    with np.errstate(invalid="ignore"):
        kept = np.where(known[:, None] & np.isfinite(ends / step), np.rint(ends / step) * step, ends)
    return forecasts.assign(**dict(zip(names, kept.T, strict=True)))


def rank(n: int, alpha: float) -> int:
    """Return the place, from 0, of the conformal quantile among n sorted scores, which a share alpha exceeds."""
    return min(max(math.ceil((n + 1) * (1 - alpha) - 1e-9), 1), n) - 1


def needed(level: int) -> int:
    """Return how many scores, or cells, support a level: so many that the largest is exceeded by at most 1 - level."""
    return math.ceil(100 / (100 - level) - 1e-9) - 1


def supported(n: int, levels: Sequence[int], what: str, of: str = "") -> list[str]:
    """Say which levels n cells or errors do not support: a sentence, or none.

    Parameters
    ----------
    n : int
        How many there are.
    levels : sequence of int
        That were asked for [%].
    what, of : str
        What is counted, in the singular, and of what each, if that needs saying.
    """
    missing = [level for level in levels if n < needed(level)]
    if not missing:
        return []
    counted = f"{n} {what}{'' if n == 1 else 's'}{f' of {of}' if of else ''}"
    supports = f"{counted} {'supports' if n == 1 else 'support'} at most {100 * n // (n + 1)} %"
    left_out = " and ".join(f"{level} %" for level in missing)
    return [f"{supports}: no interval of {left_out}, which takes {needed(missing[0])} or more."]


def valid_levels(levels: Sequence[int]) -> list[int]:
    """Return the levels, ascending.

    Raises
    ------
    ValueError
        If one is no whole number of percent, or is named twice.
    """
    if not levels or any(not (isinstance(level, int) and 0 < level < 100) for level in levels):
        raise ValueError(f"intervals.levels={list(levels)} must be whole numbers between 0 and 100, in percent.")
    if len(set(levels)) < len(levels):
        raise ValueError(f"intervals.levels={list(levels)} names a level twice.")
    return sorted(levels)
