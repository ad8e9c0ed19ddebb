"""Complete ensemble EMD with adaptive noise (CEEMDAN), as PyEMD computes it.

    from data.decomposition.ceemdan import ceemdan
    modes = ceemdan(closes, trials=100, seed=0)
"""

from collections.abc import Sequence

from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._complete import complete_ensemble
from data.decomposition._ensemble import (
    Team,
    announced_compilation,
    on_extended,
    rule_of,
    tails_of,
    thread_count,
)
from data.decomposition._noise import NoiseModes, checked_noise, noise_modes
from data.decomposition.alignment import align_modes
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
    check_settings(
        trials=trials,
        noise=epsilon,
        seed=seed,
        stop=stop,
        siftings=siftings,
        boundary=boundary,
        threads=threads,
        max_modes=max_modes,
    )
    values = checked(series, 4, "decomposition=ceemdan")
    given = None if noise is None else checked_noise(noise, values.size, boundary)
    return _decompose(
        values, trials, epsilon, seed, stop, siftings, boundary, max_modes, given, thread_count(threads), True
    )


def _decompose(
    series: FloatArray,
    trials: int,
    epsilon: float,
    seed: int,
    stop: str,
    siftings: int,
    boundary: str,
    max_modes: int,
    noise: FloatArray | None,
    threads: int,
    keep_noise: bool,
) -> FloatArray:
    rule = rule_of(stop, siftings, boundary)

    def modes_of(values: FloatArray) -> FloatArray:
        if noise is None:
            added = noise_modes(trials, values.size, seed, rule, keep_noise)
        else:
            added = NoiseModes(noise, keep=False)
        with Team(values.size, threads, rule) as team, announced_compilation():
            return complete_ensemble(values, added, team, epsilon, improved=False, most=max_modes)

    return on_extended(series, boundary, modes_of)


class Ceemdan:
    """A fixed number of components by complete ensemble EMD with adaptive noise.

    The noise modes of a length are computed once and serve all windows of that length.

    Parameters
    ----------
    n_components : int
        Number of rows of a result.  The last one holds what the modes leave of the series: its
        trend and level.
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    seed : int
        Of the noise.
    align : str
        How modes are given to rows, ``period`` or ``index``; see ``alignment.align_modes``.
    stop, siftings, boundary
        See ``ceemdan``.
    threads : int, optional
        By default every core.  The result does not depend on it.
    """

    def __init__(
        self,
        n_components: int = 5,
        trials: int = 100,
        epsilon: float = 0.005,
        seed: int = 0,
        align: str = "period",
        stop: str = "huang",
        siftings: int = 10,
        boundary: str = "mirror",
        threads: int | None = None,
    ) -> None:
        check_settings(
            n_components=n_components,
            trials=trials,
            noise=epsilon,
            seed=seed,
            align=align,
            stop=stop,
            siftings=siftings,
            boundary=boundary,
            threads=threads,
        )
        self._n_components = n_components
        self.trials = trials
        self.epsilon = epsilon
        self.seed = seed
        self.align = align
        self.stop = stop
        self.siftings = siftings
        self.boundary = boundary
        self.threads = threads

    @property
    def n_components(self) -> int:
        """Number of rows of every result."""
        return self._n_components

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(n_components, time)``, fast first, the remainder last."""
        return self._components(series, thread_count(self.threads), True)

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to the last ``keep`` points of their components, a window a thread."""
        return tails_of(self._components, windows, keep, self.n_components, self.threads)

    def _components(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        modes = _decompose(
            checked(series, 4, "decomposition=ceemdan"),
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
        )
        return align_modes(modes, self.n_components, self.align)
