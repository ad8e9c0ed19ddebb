"""Variational mode decomposition of a series together with its covariates.

ur Rehman and Aftab: Multivariate Variational Mode Decomposition, IEEE Transactions on Signal Processing 67(23), 2019.

Shapes
------
M channel: the series and its covariates; K mode, T time
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition.batch import side_by_side
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit
from data.decomposition.vmd import VMD


class MVMD(VMD):
    """Split a series into ``modes`` narrow bands whose centres it shares with its covariates, fastest first.

    A mode has one centre for all channels, found where their power is together: mode k of the series means the same
    band as mode k of a covariate.  Each covariate counts as much as the series does, whatever its unit: its mean is
    taken off and its deviation made that of the series.  What is returned are the modes of the series, and they sum
    to it.  A covariate that stands still in a window has no say; a series without covariates has the modes of
    ``VMD``, to the bit.

    Parameters
    ----------
    modes, bandwidth, ascent, tolerance, iterations
        See ``VMD``.
    """

    def together(self, channels: FloatArray) -> FloatArray:
        """Map ``(T, M)``, the series first, to the modes of the series ``(K, T)``."""
        series, *beside = (checked(column, 4, "decomposition=mvmd") for column in channels.T)
        moving = [_standardised(column) for column in beside if np.ptp(column) > 0]

        def modes(values: FloatArray) -> FloatArray:
            scaled = [values - values.mean(), *(values.std() * column for column in moving)]
            return self._restored(values, self._bands(np.stack(scaled))[0])

        return in_own_unit(series, modes, "decomposition=mvmd")

    def all_modes(self, channels: FloatArray) -> FloatArray:
        """Map ``(T, M)`` to the modes of all channels ``(M, K, T)``, less their means, all with a deviation of 1."""
        columns = [checked(column, 4, "decomposition=mvmd") for column in channels.T]
        return self._bands(np.stack([_standardised(column) for column in columns]))

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows, ``(T,)`` or ``(T, M)`` each, to ``(n, K, keep)``, a window a thread."""
        return side_by_side(self._of_any, windows, keep, self.modes)

    def _of_any(self, window: FloatArray) -> FloatArray:
        return self(window) if np.ndim(window) == 1 else self.together(window)


def _standardised(column: FloatArray) -> FloatArray:
    """Return a column that moves with mean 0 and deviation 1."""
    small = np.ldexp(column, -int(np.frexp(np.abs(column).max())[1]))  # no square overflows
    swings = small - small.mean()
    deviation = float(swings.std())
    return swings / deviation if deviation > 0 else swings
