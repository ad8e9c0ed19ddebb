"""Decompose a series in a unit of its own, so that neither its unit nor its level changes what is found."""

from collections.abc import Callable
from typing import Any

import numpy as np

from data.contracts import FloatArray
from data.decomposition.series import confirm_sum

_DIGITS = 2.0**20
"""A level this many times larger than the moves would eat half of their digits."""

_SAFE = 1000
"""Powers of two up to this one are numbers themselves."""


def in_own_unit(series: FloatArray, decompose: Callable[[FloatArray], FloatArray], name: str) -> FloatArray:
    """Return the components of a checked series ``(time,)``, decomposed with a deviation between 1 and 2.

    The series is multiplied by a power of two, which costs no bit, and so are its components.  Where
    its level is a million times its moves, the level is taken off before, exactly, and given back to
    the last component; a series with ordinary digits keeps its level and its bits.

    Parameters
    ----------
    decompose : function
        Maps ``(time,)`` to ``(component, time)``.
    name : str
        What a message calls the decomposition.

    Raises
    ------
    ValueError
        If the components are not finite or do not sum to the series.
    """
    high, low = float(series.max()), float(series.min())
    exponent = int(np.frexp(max(high, -low))[1])
    scaled = _shifted(series, -exponent)  # magnitudes below 1: no square overflows
    level = float(scaled.mean()) if _hides_moves(high, low) else 0.0
    if level:
        scaled -= level
    further = int(np.frexp(scaled.std())[1]) - 1 if high > low else 0
    components = _shifted(decompose(_shifted(scaled, -further)), exponent + further)
    if level:
        components[-1] += np.ldexp(level, exponent)
    confirm_sum(components, series, name)
    return components


def levels(values: FloatArray) -> FloatArray:
    """Return the mean of every series ``(n, time)`` whose level leaves few digits to its moves, else zero.

    Returns
    -------
    array ``(n, 1)``
        Subtracting it is exact: the values lie within a factor of two of it.
    """
    high, low = values.max(axis=1, keepdims=True), values.min(axis=1, keepdims=True)
    return np.where(_hides_moves(high, low), values.mean(axis=1, keepdims=True), 0.0)


def _hides_moves(high: Any, low: Any) -> Any:
    """Say whether series between these values have a level that leaves few digits to their moves."""
    moves = high - low
    return (moves > 0) & (np.maximum(high, -low) > _DIGITS * moves)


def _shifted(values: FloatArray, exponent: int) -> FloatArray:
    """Return a copy of the values times ``2**exponent``."""
    if abs(exponent) <= _SAFE:
        return values * 2.0**exponent
    return np.ldexp(values, exponent)
