"""Tell rounding from looking: how far two results of one computation lie apart, and whether rounding explains it.

Sums and products round otherwise for another number of rows, another library or a GPU.  A difference is rounding
if it is small beside the *spread* of what it is in, the typical distance of a column's values from their median, and
so small that nothing can be learnt from it: 1e-9 of the spread in float64, a thousandth of the smallest leak we
plant, and 1e-5 in float32, which resolves 1e-7.  Of what was fitted there is a single row, and the spread is the
value itself.  Where the level is far above the spread, no number is finer than its own resolution: 8 units in the
last place are rounding, too.  Whatever is not finite in one and is in the other is no rounding, and neither is any
change of whole numbers, words or truth values.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.contracts import FloatArray

Precision = Literal["float64", "float32"]
BOUND: dict[Precision, float] = {"float64": 1e-9, "float32": 1e-5}
"""Of the spread; what lies beyond is no rounding."""
MOST = 10_000  # rows from which the spread is measured
PLACES = 8  # units in the last place of the largest value of a column


class Difference(NamedTuple):
    """How two arrays ``(n, ...)`` differ, row by row."""

    differs: NDArray[np.bool_]
    """``(n,)`` by a bit or more; NaN is the same as NaN."""
    beyond: NDArray[np.bool_]
    """``(n,)`` by more than rounding."""
    relative: FloatArray
    """``(n,)`` largest difference of the row over the spread of its column."""


class Scale(NamedTuple):
    """What differences in each column of an array ``(n, ...)`` are measured by."""

    spread: FloatArray
    """``(m,)``."""
    largest: FloatArray
    """``(m,)`` magnitude."""


def scale_of(values: NDArray[Any]) -> Scale:
    """Return the spread of each column, the median distance from the median, or the standard deviation if that is 0.

    The median is not carried away by a trend: of a series that grows a thousandfold, early values count by their
    own size.  The spread of a single row is its values.  Of many rows ten thousand are looked at.
    """
    n = len(values)
    if not np.issubdtype(values.dtype, np.inexact) or not values.size:
        return Scale(np.zeros(0), np.zeros(0))
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST)).astype(np.int64))
    flat = values[rows].reshape(len(rows), -1).astype(np.float64)
    flat[~np.isfinite(flat)] = np.nan
    flat[:, np.isnan(flat).all(axis=0)] = 0.0
    largest = np.nanmax(np.abs(flat), axis=0)
    if n == 1:
        return Scale(np.nan_to_num(np.abs(flat[0])), largest)
    spread = np.nanmedian(np.abs(flat - np.nanmedian(flat, axis=0)), axis=0)
    return Scale(np.where(spread > 0, spread, np.nanstd(flat, axis=0)), largest)


def difference(
    old: NDArray[Any], new: NDArray[Any], precision: Precision | None = None, scale: Scale | None = None
) -> Difference:
    """Compare two results row by row; arrays of other shapes differ everywhere.

    Parameters
    ----------
    old, new : array ``(n, ...)``
    precision : str or None
        What they were computed in; None: see it from the values.
    scale : Scale or None
        ``scale_of(old)``, where that is known already.
    """
    n = len(old)
    if old.shape != new.shape:
        return Difference(np.ones(n, dtype=bool), np.ones(n, dtype=bool), np.full(n, np.inf))
    same = old == new
    inexact = np.issubdtype(old.dtype, np.inexact) and np.issubdtype(new.dtype, np.inexact)
    if inexact:
        same |= np.isnan(old) & np.isnan(new)
    differs = ~same.reshape(n, -1).all(axis=1)
    relative = np.where(differs, np.inf, 0.0)
    if not inexact or not differs.any():
        return Difference(differs, differs, relative)
    spread, largest = scale or scale_of(old)
    flat, other = (values[differs].reshape(int(differs.sum()), -1) for values in (old, new))
    precision = precision or _precision(flat, other)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(other.astype(np.float64) - flat.astype(np.float64))
    apart[same[differs].reshape(flat.shape)] = 0.0
    apart[np.isnan(apart)] = np.inf
    finest = PLACES * np.finfo(precision).eps * largest
    beyond = differs.copy()
    beyond[differs] = (apart > np.maximum(BOUND[precision] * spread, finest)).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative[differs] = np.where(apart > 0, apart / np.where(spread > 0, spread, largest), 0.0).max(axis=1)
    return Difference(differs, beyond, relative)


def _precision(old: NDArray[Any], new: NDArray[Any]) -> Precision:
    """Return what two results were computed in: float32 where nothing is finer, unless they are whole numbers."""
    if np.finfo(old.dtype).eps > np.finfo(np.float64).eps:
        return "float32"
    with np.errstate(over="ignore"):
        coarse = all(np.array_equal(x.astype(np.float32), x, equal_nan=True) for x in (old, new))
    whole = all(np.array_equal(np.rint(x), x, equal_nan=True) for x in (old, new))
    return "float32" if coarse and not whole else "float64"
