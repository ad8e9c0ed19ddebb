"""Improved complete ensemble EMD with adaptive noise (ICEEMDAN).

from data.decomposition.iceemdan import iceemdan
modes = iceemdan(closes, trials=100, epsilon=0.2, seed=0)
"""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._complete import modes_of_given
from data.decomposition.ceemdan import Ceemdan


def iceemdan(
    series: ArrayLike,
    trials: int = 100,
    epsilon: float = 0.2,
    seed: int = 0,
    *,
    stop: str = "huang",
    siftings: int = 10,
    boundary: str = "mirror",
    max_modes: int = 100,
    noise: ArrayLike | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Split a series into modes by averaged local means (ICEEMDAN).

    Colominas, Schlotthauer, Torres (2014): Improved complete ensemble EMD: a suitable tool for
    biomedical signal processing, Biomedical Signal Processing and Control 14, 19-29.  Every mode is
    the difference of two averaged local means, so less of the noise stays in the result than with
    CEEMDAN; the first mode of a noise is added at unit strength, the later ones as they come.


    Parameters
    ----------
    series : array ``(time,)``
        At least 4 finite numbers, equally spaced in time, of any real type and unit.
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    seed : int
        Of the noise; every trial has a stream of its own.
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
    noise : array ``(trials, time)``, optional
        White noise of standard deviation 1 to use in place of the seeded one.
    threads : int, optional
        Share the work; by default every core.  The result does not depend on it.

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
    >>> modes = iceemdan(np.sin(time / 3) + np.sin(time / 30) + time / 100, trials=20)
    >>> modes.shape[1], bool(np.allclose(modes.sum(axis=0)[100], np.sin(100 / 3) + np.sin(100 / 30) + 1))
    (500, True)
    """
    return modes_of_given(
        series,
        trials,
        epsilon,
        seed,
        stop,
        siftings,
        boundary,
        max_modes,
        noise,
        threads,
        improved=True,
        name="iceemdan",
    )


@dataclass(frozen=True)
class Iceemdan(Ceemdan):
    """A fixed number of components by improved complete ensemble EMD with adaptive noise.

    Parameters are those of ``Ceemdan``; the noise is as strong as in its paper.
    """

    epsilon: float = 0.2

    improved: ClassVar[bool] = True
