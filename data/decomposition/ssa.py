"""Singular spectrum analysis (SSA).

Golyandina, Nekrutkin, Zhigljavsky: Analysis of Time Series Structure: SSA and Related Techniques (2001).

Shapes
------
T time, L window, R rank
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import ThreadpoolController

from data.contracts import FloatArray
from data.decomposition.alignment import ALIGNMENTS, align_modes
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


class SSA:
    """Split a series into bands of what recurs in it most, by the eigenvectors of its lagged copies.

    The mean is taken off first and given back to the last row: the result moves with the series.  The
    ``rank`` leading eigenvectors give an elementary series each, which goes to the row its mean
    period lies in; the rest, mostly noise, goes to the first row.  The whole series enters every
    eigenvector: every point of a component depends on all others.

    Parameters
    ----------
    n_components : int
        Number of rows of a result.  The last one holds what is slower than the others: trend and level.
    window : int
        L, lags that are compared; periods longer than it count as trend [steps].
    rank : int
        R, eigenvectors that are told apart, at most L.
    align : str
        How elementary series are given to rows, ``period``, or ``index`` in order of their period;
        see ``alignment.align_modes``.
    """

    causal = False
    memory = None

    def __init__(self, n_components: int = 5, window: int = 60, rank: int = 12, align: str = "period") -> None:
        faults = [
            f"decomposition.{name}={value!r} must be {wanted}."
            for name, value, wanted, right in (
                ("n_components", n_components, "at least 2", n_components >= 2),
                ("window", window, "at least 2 steps", window >= 2),
                ("rank", rank, f"between 1 and decomposition.window={window}", 1 <= rank <= window),
                ("align", align, f"one of {', '.join(ALIGNMENTS)}", align in ALIGNMENTS),
            )
            if not right
        ]
        if faults:
            raise ValueError("\n".join(faults))
        self.n_components = n_components
        self.window = window
        self.rank = rank
        self.align = align

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(n_components, time)``, fast first."""
        values = checked(series, max(2 * self.window, 4), f"decomposition=ssa with decomposition.window={self.window}")
        return in_own_unit(values, self._bands, "decomposition=ssa")

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(T,)`` to ``(n_components, T)``."""
        mean = values.mean()
        elementary = elementary_series(values - mean, self.window, self.rank)  # (R, T)
        if self.align == "index":
            turns = np.count_nonzero(np.diff(np.signbit(np.diff(elementary, axis=1)), axis=1), axis=1)
            elementary = elementary[np.argsort(-turns, kind="stable")]
        level = np.full_like(values, mean)
        bands = align_modes(np.vstack([elementary, level]), self.n_components, self.align)
        bands[0] += values - bands.sum(axis=0)
        return bands


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def elementary_series(values: FloatArray, window: int, rank: int) -> FloatArray:
    """Return what each of the ``rank`` leading eigenvectors of the lagged copies holds of a series ``(R, T)``.

    Parameters
    ----------
    values : array ``(T,)``
    window : int
        L, number of lags.
    """
    lagged = sliding_window_view(values, values.size - window + 1)  # (L, T - L + 1)
    likeness = np.einsum("it,jt->ij", lagged, lagged)  # no BLAS, whose bits change with its threads
    with _blas().limit(limits=1, user_api="blas"):  # matrices this small only wait for further threads
        _, vectors = np.linalg.eigh(likeness)
    leading = vectors[:, ::-1].T[:rank]  # (R, L), strongest first
    weights = np.einsum("rl,lt->rt", leading, lagged)  # (R, T - L + 1)
    overlap = np.minimum(np.arange(1, values.size + 1), np.arange(values.size, 0, -1)).clip(max=window)
    return np.stack([np.convolve(vector, weight) for vector, weight in zip(leading, weights, strict=True)]) / overlap
