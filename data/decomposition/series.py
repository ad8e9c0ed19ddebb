"""Check what a decomposition is handed, and what it returns."""

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray

LARGEST = 1e300
"""Magnitude up to which no decomposition overflows."""


def checked(series: ArrayLike, shortest: int, reason: str) -> FloatArray:
    """Return a copy of ``series`` as contiguous float64 ``(time,)``.

    Parameters
    ----------
    series : array
        Real numbers of any type.
    shortest : int
        Fewest points that can be decomposed [steps].
    reason : str
        Why it is that many, in the words of the configuration.

    Raises
    ------
    ValueError
        If it is not one-dimensional, too short, or holds something that is not a finite number or
        too large a one.
    """
    raw = np.asarray(series)
    if raw.dtype.kind not in "biuf":
        raise ValueError(f"A series must hold real numbers, but holds {raw.dtype}.  Convert it to float64.")
    if raw.ndim != 1:
        raise ValueError(
            f"A decomposition takes one series (time,), but got shape {raw.shape}.  "
            f"Decompose one column or row at a time."
        )
    if raw.size < shortest:
        raise ValueError(
            f"A series of {raw.size} points is too short: {reason} needs at least {shortest}.  "
            f"Give a longer series or raise scope.history."
        )
    values = np.array(raw, dtype=np.float64)
    largest = np.abs(values).max(initial=0.0)
    if largest <= LARGEST:
        return values
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        raise ValueError(
            f"A series must be finite, but {broken.size} of its {values.size} points are not, the first at "
            f"index {broken[0]} ({values[broken[0]]}).  Fill or drop them before decomposing."
        )
    raise ValueError(
        f"The values of a series reach {largest:.3g}, but numbers end at {np.finfo(np.float64).max:.3g} and sums "
        f"need room: at most {LARGEST:g} can be decomposed.  Measure the series in another unit."
    )


def confirm_sum(components: FloatArray, series: FloatArray, name: str) -> None:
    """Refuse components that are not finite or do not sum to their series, to 1e-9 of its largest value.

    Parameters
    ----------
    components : array ``(..., component, time)``
    series : array ``(..., time)``
    name : str
        What a message calls the decomposition.

    Raises
    ------
    ValueError
        Saying by how much, and what to do.
    """
    largest = np.abs(series).max(axis=-1, keepdims=True)
    missed = np.abs(components.sum(axis=-2) - series)
    if (missed <= 1e-9 * largest).all():  # False where not finite
        return
    if not np.isfinite(missed).all():
        raise ValueError(
            f"{name} gives components that are not finite for a series whose values reach {largest.max():.3g}.  "
            f"Measure the series in another unit, in which its values are nearer to 1."
        )
    raise ValueError(
        f"{name} gives components that miss the series by up to {missed.max():.3g}, where its values reach "
        f"{largest.max():.3g}; they must sum to it.  Add what is left of the series to one of the components."
    )
