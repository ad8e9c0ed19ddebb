"""Forecast in chunks of one fixed size, so that no row's numbers depend on its neighbours.

The last bits of a matrix product depend on how many rows it has, and where one of them stands.  Here every
product has ``CHUNK`` rows, the last chunk filled up with zeros; it is taken in double precision and rounded
to single at the end, which takes away what the place of a row and the number of threads still move.
"""

from collections.abc import Callable

import numpy as np

from data.contracts import FloatArray

CHUNK = 64
"""Rows that go through a model at once: more are no faster, and a single row costs as much as a whole chunk."""
MADE = 64  # chunks whose rows are made together, where they are gathered


def in_chunks(
    function: Callable[[FloatArray], FloatArray], rows: FloatArray, axis: int = 0, size: int = CHUNK
) -> FloatArray:
    """Apply a function that treats rows one by one, and round what it returns to single precision.

    Parameters
    ----------
    function : callable
        Maps ``(size, ...)`` to an array whose axis ``axis`` has as many entries, one a row.
    rows : FloatArray
        ``(n, ...)``; n may be 0.
    axis : int
        Where the rows of the result are.
    size : int
        Rows of a chunk.

    Returns
    -------
    FloatArray
        The results with n entries along ``axis``.
    """
    chunks = []
    for begin in range(0, max(len(rows), 1), MADE * size):
        made = np.asarray(rows[begin : begin + MADE * size])  # of gathered rows many at once
        for start in range(0, max(len(made), 1), size):  # one chunk even of no rows: its result has the other axes
            chunk = np.zeros((size, *rows.shape[1:]))
            own = made[start : start + size]
            chunk[: len(own)] = own
            chunks.append(np.asarray(function(chunk)).take(range(len(own)), axis))
    rounded: FloatArray = np.concatenate(chunks, axis).astype(np.float32).astype(np.float64)
    return rounded
