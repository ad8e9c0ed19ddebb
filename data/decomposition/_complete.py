"""The loop that CEEMDAN and ICEEMDAN share."""

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._ensemble import Team, announced_compilation, on_extended, rule_of, thread_count
from data.decomposition._noise import NoiseModes, checked_noise, noise_modes
from data.decomposition._sifting import ENDING, FADING, MOST
from data.decomposition.checks import check_settings
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


def modes_of_given(
    series: ArrayLike,
    trials: int,
    epsilon: float,
    seed: int,
    stop: str,
    siftings: int,
    boundary: str,
    max_modes: int,
    noise: ArrayLike | None,
    threads: int | None,
    improved: bool,
    name: str,
) -> FloatArray:
    """Check what a user gives ``ceemdan.ceemdan`` or ``iceemdan.iceemdan``, and decompose it.

    Raises
    ------
    ValueError
        If the series, the noise or a setting cannot be used.
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
    values = checked(series, 4, f"decomposition={name}")
    given = None if noise is None else checked_noise(noise, values.size, boundary)
    n_threads = thread_count(threads)
    return decompose(
        values, trials, epsilon, seed, stop, siftings, boundary, max_modes, given, n_threads, True, improved
    )


def decompose(
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
    improved: bool,
) -> FloatArray:
    """Return the modes of a checked series with seeded noise, or with the noise given.

    Parameters are those of ``ceemdan.ceemdan``; ``keep_noise`` keeps the modes of the noise for the
    next series of this length, ``improved`` is ICEEMDAN.
    """
    rule = rule_of(stop, siftings, boundary)

    def modes_of(values: FloatArray) -> FloatArray:
        if noise is None:
            added = noise_modes(trials, values.size, seed, rule, keep_noise)
        else:
            added = NoiseModes(noise, keep=False)
        with Team(values.size, threads, rule) as team, announced_compilation():
            return complete_ensemble(values, added, team, epsilon, improved, most=max_modes)

    name = f"decomposition={'iceemdan' if improved else 'ceemdan'}"
    return in_own_unit(series, lambda values: on_extended(values, boundary, modes_of), name)


def complete_ensemble(
    series: FloatArray,
    noise: NoiseModes,
    team: Team,
    epsilon: float,
    improved: bool,
    most: int = MOST,
    rescaled: bool = True,
    least_range: float = 0.01,
    least_power: float = 0.05,
) -> FloatArray:
    """Return the modes of a series, fast first, and last what they leave ``(n_modes + 1, time)``.

    Parameters
    ----------
    series : array ``(time,)``
        Checked; a constant has no modes.
    noise : NoiseModes
        One noise a trial.
    epsilon : float
        Noise added at every stage [standard deviation of what is left].
    improved : bool
        Colominas et al. (2014) throughout, noise of later stages as it comes; else as PyEMD does:
        the first mode is a mean of modes and not of local means, and the modes of a noise are all
        measured by its first one.
    most : int
        Most modes to look for.
    rescaled : bool
        Without it PyEMD's variant takes the modes of the noises as they are.
    least_range, least_power : float
        A remainder of a smaller range or sum of magnitudes ends it [standard deviation of the series].
    """
    if np.ptp(series) == 0:
        return series[None].copy()
    unit = np.std(series)
    signal = series / unit
    added = noise.stage(0, team)
    equalised = epsilon / noise.deviation if rescaled else np.full(len(added), epsilon)  # (trial,)
    first = team.average(signal, added, equalised, local_mean=improved)
    modes = [signal - first if improved else first]
    left = signal - modes[0]
    if improved:
        equalised = np.full(len(added), epsilon)
    while len(modes) < most and _holds_modes(signal - np.sum(modes, axis=0), team, least_range, least_power):
        added = noise.stage(len(modes), team)
        smoother = team.average(left, added, np.std(left) * equalised, local_mean=True)
        modes.append(left - smoother)
        left = smoother
    modes.append(signal - np.sum(modes, axis=0))
    return np.array(modes) * unit


def _holds_modes(remainder: FloatArray, team: Team, least_range: float, least_power: float) -> bool:
    """Return whether it is worth looking for a further mode."""
    if np.ptp(remainder) < least_range or np.abs(remainder).sum() < least_power:
        return False
    rest, state = remainder[None].copy(), np.zeros(1, dtype=np.int64)
    team.take_modes(rest, state)
    found = state[0] <= ENDING and state[0] != FADING
    return bool(found and np.abs(rest).max() > 1e-8)
