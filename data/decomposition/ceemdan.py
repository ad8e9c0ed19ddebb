"""Complete ensemble EMD with adaptive noise (CEEMDAN), as PyEMD computes it.

from data.decomposition.ceemdan import ceemdan
modes = ceemdan(closes, trials=100, seed=0)
"""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._complete import decompose, modes_of_given
from data.decomposition.channels import Channels
from data.decomposition.checks import check_settings
from data.decomposition.series import checked


def ceemdan(
    series: ArrayLike,
    trials: int = 100,
    epsilon: float = 0.005,
    seed: int = 0,
    *,
    stop: str = "huang",
    siftings: int = 10,
    boundary: str = "mirror",
    max_modes: int = 100,
    noise: ArrayLike | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Split a series into modes with the help of noise (CEEMDAN).

    Torres, Colominas, Schlotthauer, Flandrin (2011): A complete ensemble empirical mode
    decomposition with adaptive noise, ICASSP, 4144-4147.  This is PyEMD's variant: the first mode
    is the mean of the first modes of the noisy series; from the second on, the local means of what
    is left and a mode of each noise are averaged, as in Colominas et al. (2014), all modes of a
    noise being measured by the standard deviation of its first one.  With the same noise the
    result equals PyEMD's.


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
    >>> modes = ceemdan(np.sin(time / 3) + np.sin(time / 30) + time / 100, trials=20)
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
        improved=False,
        name="ceemdan",
    )


@dataclass(frozen=True)
class Ceemdan(Channels):
    """A fixed number of components by complete ensemble EMD with adaptive noise.

    The noise modes of a length are computed once and serve all windows of that length.

    Parameters
    ----------
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    seed : int
        Of the noise.
    n_components, align, stop, siftings, boundary, threads
        See ``Channels``.
    """

    trials: int = 100
    epsilon: float = 0.005
    seed: int = 0

    improved: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(
            n_components=self.n_components,
            trials=self.trials,
            noise=self.epsilon,
            seed=self.seed,
            align=self.align,
            stop=self.stop,
            siftings=self.siftings,
            boundary=self.boundary,
            threads=self.threads,
        )

    def modes(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        """Map ``(time,)`` to its modes and what they leave of it ``(n_modes + 1, time)``."""
        return decompose(
            checked(series, 4, f"decomposition={type(self).__name__.lower()}"),
            self.trials,
            self.epsilon,
            self.seed,
            self.stop,
            self.siftings,
            self.boundary,
            100,
            None,
            threads,
            keep_noise,
            self.improved,
        )
