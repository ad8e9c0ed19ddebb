"""The end of life that forecasts imply, averaged over each cell's own past.

A forecast of the remaining life at age s says that the cell ends at E(s) = s + RUL(s).  The end does not move while a
cell ages, so the mean of what was said of it errs less than the last word alone, as a filter of a constant does.

Shapes
------
n row
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data.contracts import FloatArray

Filter = Literal["none", "bounded", "from_birth"]
FILTERS: Sequence[str] = get_args(Filter)


def filtered(forecast: FloatArray, record: NDArray[Any], ages: FloatArray, reach: float) -> FloatArray:
    """Return remaining lives whose implied end of life is the mean of those a cell has shown lately.

    The result at a row is mean(RUL(s') - (s - s')) over the rows s' up to it of the same record with s - s' below
    ``reach``.  Ages enter as differences alone, so it is the same whatever a counter shows at the beginning of a
    record; no later row and no other cell has a part in it.

    Parameters
    ----------
    forecast : FloatArray
        ``(n, 1)`` remaining life [cycles].
    record : array
        ``(n,)`` what tells one record of a cell from another; the rows of one stand together, in the order of time.
    ages : FloatArray
        ``(n,)`` how far the cell is [cycles], never falling within a record; several rows may share a cycle.
    reach : float
        How far back ends of life are averaged [cycles]; infinite takes the whole record.
    """
    found = np.array(forecast, dtype=np.float64)  # a copy
    if not len(found):
        return found
    begins = np.flatnonzero(np.r_[True, record[1:] != record[:-1]])
    for begin, end in zip(begins, [*begins[1:], len(record)], strict=True):
        lived = ages[begin:end] - ages[begin]  # [cycles] since the record begins
        total = np.r_[0.0, np.cumsum(lived + found[begin:end, 0])]
        first = np.searchsorted(lived, lived - reach, side="right")
        here = np.arange(1, end - begin + 1)
        found[begin:end, 0] = (total[here] - total[first]) / (here - first) - lived
    return found
