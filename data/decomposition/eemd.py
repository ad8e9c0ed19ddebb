"""Ensemble empirical mode decomposition (EEMD).

from data.decomposition.eemd import eemd
modes = eemd(closes, trials=100, seed=0)
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
    thread_count,
)
from data.decomposition._noise import checked_noise, white_noise
from data.decomposition._sifting import DONE, ENDED, MOST, Rule
from data.decomposition.channels import Channels
from data.decomposition.checks import check_settings
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


def eemd(
    series: ArrayLike,
    trials: int = 100,
    noise_width: float = 0.05,
    seed: int = 0,
    *,
    stop: str = "huang",
    siftings: int = 10,
    boundary: str = "mirror",
    noise: ArrayLike | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Split a series into modes as the mean over noisy copies of it (EEMD).

    Wu, Huang (2009): Ensemble empirical mode decomposition: a noise-assisted data analysis method,
    Advances in Adaptive Data Analysis 1(1), 1-41.  The mean is taken over all trials, one without a
    further mode counting as zero, and trends are averaged apart from modes.  What is left of the
    noise, which the mean does not cancel, is white and taken out of the first mode.

    Parameters
    ----------
    series : array ``(time,)``
        At least 4 finite numbers, equally spaced in time, of any real type and unit.
    trials : int
        Number of noises.
    noise_width : float
        Standard deviation of the noise [range of the series].
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
    noise : array ``(trials, time)``, optional
        White noise of standard deviation 1 to use in place of the seeded one.
    threads : int, optional
        Share the work; by default every core.  The result does not depend on it.

    Returns
    -------
    array ``(n_modes + 1, time)``
        The modes, fast first, in the unit of the series; the last row is the mean trend, so that
        the rows sum to the series.  A constant series has no mode.

    Raises
    ------
    ValueError
        If the series or a setting cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(500)
    >>> modes = eemd(np.sin(time / 3) + time / 100, trials=20)
    >>> bool(np.allclose(modes.sum(axis=0), np.sin(time / 3) + time / 100))
    True
    """
    check_settings(
        trials=trials,
        noise=noise_width,
        noise_name="noise_width",
        seed=seed,
        stop=stop,
        siftings=siftings,
        boundary=boundary,
        threads=threads,
    )
    values = checked(series, 4, "decomposition=eemd")
    given = None if noise is None else checked_noise(noise, values.size, boundary)
    n = thread_count(threads)
    return _decompose(values, trials, noise_width, seed, stop, siftings, boundary, given, n)


def _decompose(
    series: FloatArray,
    trials: int,
    noise_width: float,
    seed: int,
    stop: str,
    siftings: int,
    boundary: str,
    noise: FloatArray | None,
    threads: int,
) -> FloatArray:
    if np.ptp(series) == 0:
        return series[None].copy()

    def mean_modes(values: FloatArray, rule: Rule) -> FloatArray:
        added = white_noise(trials, values.size, seed) if noise is None else noise
        rest = values + noise_width * np.ptp(values) * added  # (trial, time)
        state = np.zeros(len(rest), dtype=np.int64)
        modes: list[FloatArray] = []
        trend = np.zeros_like(values)
        with Team(values.size, threads, rule) as team, announced_compilation():
            while len(modes) < MOST and not (state == DONE).all():
                taken = team.take_modes(rest, state)
                ended = state == ENDED
                trend += team.sum_trials(taken * ended[:, None]) / len(rest)
                modes.append(team.sum_trials(taken * ~ended[:, None]) / len(rest))
            unfinished = (state != DONE) & (state != ENDED)
            if unfinished.any():
                trend += team.sum_trials(rest * unfinished[:, None]) / len(rest)
        modes = [mode for mode in modes if mode.any()]
        if not modes:
            return values[None].copy()
        modes[0] += values - np.sum(modes, axis=0) - trend
        return np.array([*modes, values - np.sum(modes, axis=0)])

    def modes_of(values: FloatArray) -> FloatArray:
        rule = rule_of(stop, siftings, boundary, values)
        return on_extended(values, boundary, lambda longer: mean_modes(longer, rule))

    return in_own_unit(series, modes_of, "decomposition=eemd")


@dataclass(frozen=True)
class Eemd(Channels):
    """A fixed number of components by ensemble empirical mode decomposition.

    Noise fills every scale, so that modes mix less than with EMD.

    Parameters
    ----------
    trials : int
        Number of noises.
    noise_width : float
        Standard deviation of the noise [range of the series].
    seed : int
        Of the noise.
    n_components, align, stop, siftings, boundary, threads
        See ``Channels``.
    """

    trials: int = 100
    noise_width: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(
            n_components=self.n_components,
            trials=self.trials,
            noise=self.noise_width,
            noise_name="noise_width",
            seed=self.seed,
            align=self.align,
            stop=self.stop,
            siftings=self.siftings,
            boundary=self.boundary,
            threads=self.threads,
        )

    def modes(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        """Map ``(time,)`` to its modes and what they leave of it ``(n_modes + 1, time)``."""
        return _decompose(
            checked(series, 4, "decomposition=eemd"),
            self.trials,
            self.noise_width,
            self.seed,
            self.stop,
            self.siftings,
            self.boundary,
            None,
            threads,
        )
