"""Forecast in chunks of one fixed size, so that a window has the same bits whatever stands beside it.

Products of matrices add up in another order for another number of rows, or of threads: the last bits of a
forecast would depend on its neighbours.  Three things keep them out: every chunk has the same number of rows, the
last one padded; products are computed in double precision; and what comes out is rounded to single precision,
which is a billion times coarser than what is left of the difference.
"""

from collections.abc import Callable

import numpy as np

from data.contracts import FloatArray

CHUNK = 256
"""Windows forecast at once."""


def in_chunks(forecast: Callable[[FloatArray], FloatArray], inputs: FloatArray) -> FloatArray:
    """Map inputs ``(n, ...)`` to scaled forecasts ``(K, n, H)``, chunk by chunk.

    Parameters
    ----------
    forecast : callable
        Maps ``(CHUNK, ...)`` to ``(K, CHUNK, H)`` in double precision, each row by itself.
    """
    parts = []
    for start in range(0, len(inputs), CHUNK):
        chunk = inputs[start : start + CHUNK]
        padded = np.concatenate([chunk, np.repeat(chunk[-1:], CHUNK - len(chunk), axis=0)])
        parts.append(np.asarray(forecast(padded))[:, : len(chunk)])
    return np.concatenate(parts, axis=1).astype(np.float32).astype(np.float64)
