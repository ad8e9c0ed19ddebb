"""The one check of what a decomposition is handed."""

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray


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
        If it is not one-dimensional, too short, or holds something that is not a finite number.
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
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        raise ValueError(
            f"A series must be finite, but {broken.size} of its {values.size} points are not, the first at "
            f"index {broken[0]} ({values[broken[0]]}).  Fill or drop them before decomposing."
        )
    return values
