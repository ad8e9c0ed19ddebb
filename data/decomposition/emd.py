"""Empirical mode decomposition (EMD).

from data.decomposition.emd import emd
modes = emd(closes)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._ensemble import (
    Team,
    announced_compilation,
    on_extended,
    rule_of,
)
from data.decomposition._sifting import DONE, ENDED, FADING
from data.decomposition.channels import Channels
from data.decomposition.checks import check_settings
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


def emd(
    series: ArrayLike,
    *,
    stop: str = "huang",
    siftings: int = 10,
    boundary: str = "mirror",
    max_modes: int = 100,
) -> FloatArray:
    """Split a series into modes by sifting (EMD).

    Huang et al. (1998): The empirical mode decomposition and the Hilbert spectrum for nonlinear and
    non-stationary time series analysis, Proc. R. Soc. Lond. A 454, 903-995.  The extrema beyond the
    ends are those of Rilling, Flandrin, Goncalves (2003): On empirical mode decomposition and its
    algorithms, IEEE-EURASIP NSIP-03.  The result is that of PyEMD for the series measured in its
    standard deviation: PyEMD's thresholds have a unit, and modes smaller than they are lost there.

    Parameters
    ----------
    series : array ``(time,)``
        At least 4 finite numbers, equally spaced in time, of any real type and unit.
    stop : str
        When a sifting stops: ``huang`` (PyEMD's default: the mean envelope holds little energy),
        ``fixed`` (after ``siftings``), ``fixed_h`` (after as many in a row with as many extrema as
        zero crossings, give or take one), ``s_number`` (as many in a row with unchanged numbers).
    siftings : int
        Of the rules that count.
    boundary : str
        What lies beyond the ends: ``mirror`` (Rilling 2003), ``slope`` (the last slopes between
        extrema go on), ``ar`` (an autoregressive forecast of the series, mirrored at its end).
    max_modes : int
        Most modes to look for.

    Returns
    -------
    array ``(n_modes + 1, time)``
        The modes, fast first, in the unit of the series; the last row is what they leave of it, so
        that the rows sum to the series.  A constant series has no mode.

    Raises
    ------
    ValueError
        If the series or a setting cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(500)
    >>> emd(np.sin(time / 3) + time / 100).shape
    (2, 500)
    """
    check_settings(stop=stop, siftings=siftings, boundary=boundary, max_modes=max_modes)
    return _decompose(checked(series, 4, "decomposition=emd"), stop, siftings, boundary, max_modes)


def _decompose(series: FloatArray, stop: str, siftings: int, boundary: str, max_modes: int) -> FloatArray:
    def modes_of(values: FloatArray) -> FloatArray:
        rule = rule_of(stop, siftings, boundary, values)

        def extended(longer: FloatArray) -> FloatArray:
            with Team(longer.size, 1, rule) as team, announced_compilation():
                return sift_modes(longer, team, max_modes)

        return on_extended(values, boundary, extended)

    return in_own_unit(series, modes_of, "decomposition=emd")


def sift_modes(series: FloatArray, team: Team, max_modes: int) -> FloatArray:
    """Return the modes of a checked series and what they leave of it ``(n_modes + 1, time)``."""
    rest, state = series[None].copy(), np.zeros(1, dtype=np.int64)
    modes: list[FloatArray] = []
    while len(modes) < max_modes:
        mode = team.take_modes(rest, state)[0]
        if state[0] in (ENDED, DONE):
            break
        modes.append(mode)
    if modes and state[0] == FADING:  # a last mode with too few extrema is trend
        modes.pop()
    return np.array([*modes, series - np.sum(modes, axis=0)])


@dataclass(frozen=True)
class Emd(Channels):
    """A fixed number of components by empirical mode decomposition.

    Fast, but without noise a mode may mix scales, and modes change much from window to window.
    Parameters are those of ``Channels``.
    """

    def __post_init__(self) -> None:
        check_settings(
            n_components=self.n_components,
            align=self.align,
            stop=self.stop,
            siftings=self.siftings,
            boundary=self.boundary,
            threads=self.threads,
        )

    def modes(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        """Map ``(time,)`` to its modes and what they leave of it ``(n_modes + 1, time)``."""
        return _decompose(checked(series, 4, "decomposition=emd"), self.stop, self.siftings, self.boundary, 100)
