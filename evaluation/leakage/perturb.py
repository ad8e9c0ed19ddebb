"""What the audit puts in place of data that must not matter."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.contracts import FloatArray

How = Literal["scrambled", "shifted", "constant"]
WAYS: tuple[How, ...] = ("scrambled", "shifted", "constant")
SHIFT = 3.0  # standard deviations a shifted future is moved by


def replacement(values: FloatArray, replaced: NDArray[np.bool_], how: How, rng: np.random.Generator) -> FloatArray:
    """Return the values with some of them replaced by others of the same kind.

    ``scrambled`` puts them in another order, ``shifted`` moves them by three standard deviations,
    ``constant`` repeats the last value that stays.
    """
    other = values.copy()
    if how == "scrambled":
        other[replaced] = rng.permutation(values[replaced])
    elif how == "shifted":
        other[replaced] += SHIFT * (values.std() or 1.0)
    else:
        kept = np.flatnonzero(~replaced)
        other[replaced] = values[kept[-1]] if kept.size else values[0]
    return other
