"""White noise, and the modes of it that ensembles add to a signal."""

from collections import OrderedDict
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._ensemble import Team
from data.decomposition._sifting import DONE, Rule

KEPT = 256 * 2**20
"""Most memory that the noise modes kept for later calls take up [bytes]."""


@lru_cache(maxsize=2)
def white_noise(trials: int, size: int, seed: int) -> FloatArray:
    """Return standard normal noise ``(trials, size)``, read-only.

    Every trial has a stream of its own, and longer noise begins with the shorter one.
    """
    noise = np.empty((trials, size))
    for trial, row in enumerate(noise):
        np.random.Generator(np.random.Philox(key=[seed, trial])).standard_normal(out=row)
    noise.flags.writeable = False
    return noise


def checked_noise(noise: ArrayLike, size: int, boundary: str) -> FloatArray:
    """Return given noise ``(trials, size)`` as contiguous float64.

    Raises
    ------
    ValueError
        If it does not fit the series.
    """
    values = np.array(noise, dtype=np.float64, order="C")
    if values.ndim != 2 or values.shape[1] != size or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"noise must be finite and (trials, time) with the {size} steps of the series, but its shape is "
            f"{values.shape}."
        )
    if boundary == "ar":
        raise ValueError("boundary='ar' lengthens the series, so noise cannot be given with it; give a seed.")
    return values


class NoiseModes:
    """The modes of an ensemble of noises, taken off stage by stage as they are asked for.

    Parameters
    ----------
    noise : array ``(trial, time)``
    keep : bool
        Keep the stages for further signals; without it each can be asked for once, in order.
    """

    def __init__(self, noise: FloatArray, keep: bool) -> None:
        self._rest = np.array(noise, dtype=np.float64, order="C")
        self._state = np.zeros(len(noise), dtype=np.int64)
        self._stages: list[FloatArray] = []
        self._keep = keep
        self._lock = Lock()
        self._deviation: FloatArray | None = None

    @property
    def deviation(self) -> FloatArray:
        """Standard deviation of every first mode ``(trial,)``; known once stage 0 has been asked for."""
        assert self._deviation is not None
        return self._deviation

    def stage(self, k: int, team: Team) -> FloatArray:
        """Return mode k of every noise ``(trial, time)``; its trend after its last mode, then zeros."""
        with self._lock:
            if self._keep and k < len(self._stages):
                return self._stages[k]
            while True:
                if (self._state == DONE).all():  # every further stage is the same
                    return self._stages[-1] if self._keep else np.zeros_like(self._rest)
                mode = team.take_modes(self._rest, self._state)
                if self._deviation is None:
                    self._deviation = mode.std(axis=1)
                if not self._keep:
                    return mode
                self._stages.append(mode)
                if k < len(self._stages):
                    return mode


class _Shelf:
    """Noise modes of the lengths used last, within a bound on memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, int, Rule], NoiseModes] = OrderedDict()
        self._lock = Lock()

    def get(self, trials: int, size: int, seed: int, rule: Rule) -> NoiseModes:
        """Return the noise modes, new ones if they are not kept."""
        bytes_each = 8 * trials * size * int(np.log2(size) + 2)
        if bytes_each > KEPT:
            return NoiseModes(white_noise(trials, size, seed), keep=False)
        key = (trials, size, seed, rule)
        with self._lock:
            modes = self._kept.get(key)
            if modes is None:
                modes = self._kept[key] = NoiseModes(white_noise(trials, size, seed), keep=True)
            self._kept.move_to_end(key)
            total = sum(8 * t * n * int(np.log2(n) + 2) for t, n, _, _ in self._kept)
            while total > KEPT:
                (t, n, _, _), _ = self._kept.popitem(last=False)
                total -= 8 * t * n * int(np.log2(n) + 2)
        return modes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
        white_noise.cache_clear()


SHELF = _Shelf()


def noise_modes(trials: int, size: int, seed: int, rule: Rule, keep: bool) -> NoiseModes:
    """Return the modes of seeded noise; those kept for the length, if they are to be kept."""
    if keep:
        return SHELF.get(trials, size, seed, rule)
    return NoiseModes(white_noise(trials, size, seed), keep=False)
