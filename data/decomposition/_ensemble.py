"""Share compiled loops among threads, so that the result does not depend on their number."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from queue import SimpleQueue

import numpy as np
from numba.core import event
from numba.core.config import NUMBA_NUM_THREADS  # type: ignore[attr-defined]
from numpy.typing import NDArray

from data.contracts import FloatArray
from data.decomposition._edges import extend_ends
from data.decomposition._sifting import (
    FIXED,
    FIXED_H,
    HUANG,
    MIRROR,
    S_NUMBER,
    SLOPE,
    Rule,
    Workspace,
    new_workspace,
    sift_ensemble,
    sum_trials,
    take_modes,
)
from data.decomposition.batch import watched

STOPS = {"huang": HUANG, "fixed": FIXED, "fixed_h": FIXED_H, "s_number": S_NUMBER}
BOUNDARIES = {"mirror": MIRROR, "slope": SLOPE, "ar": MIRROR}  # ar: a longer series, mirrored

_CHUNKS = 4
"""Pieces of work a thread gets of one stage: more even out, fewer cost less."""


def rule_of(stop: str, siftings: int, boundary: str, series: FloatArray | None = None) -> Rule:
    """Return the rule the compiled loops obey; the names have been checked.

    Thresholds are measured in the standard deviation of the series; without one, which then has a
    deviation of 1, as they are.
    """
    unit = 1.0 if series is None else float(np.std(series)) or 1.0
    return Rule(stop=STOPS[stop], siftings=siftings, boundary=BOUNDARIES[boundary], unit=unit)


def thread_count(threads: int | None) -> int:
    """Return how many threads to use; ``None`` takes what numba may use, by default every core.

    Raises
    ------
    ValueError
        If it is less than one.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads} must be at least 1, or null for every core.")
    return int(NUMBA_NUM_THREADS) if threads is None else threads


class Team:
    """The threads that share the signals of one ensemble.

    Each signal is computed by one thread with the same compiled loop, and sums over signals are
    taken in their order: the bits do not depend on the number of threads.

    Parameters
    ----------
    size : int
        Length of the signals [steps].
    threads : int
        One works in the caller's thread.
    rule : Rule
        What the loops obey.
    """

    def __init__(self, size: int, threads: int, rule: Rule) -> None:
        self.size = size
        self.threads = threads
        self.rule = rule
        self._free: SimpleQueue[Workspace] = SimpleQueue()
        for _ in range(threads):
            self._free.put(new_workspace(size))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def take_modes(self, rest: FloatArray, state: NDArray[np.int64]) -> FloatArray:
        """Move the next mode of every signal out of ``rest (trial, time)``; see ``_sifting.take_modes``."""
        mode = np.empty_like(rest)

        def work(first: int, stop: int, space: Workspace) -> None:
            take_modes(rest, mode, state, first, stop, space, self.rule)

        self._share(work, len(rest))
        return mode

    def average(self, base: FloatArray, noise: FloatArray, scale: FloatArray, local_mean: bool) -> FloatArray:
        """Return the mean over trials of what ``_sifting.sift_ensemble`` finds, ``(time,)``."""
        result = np.empty_like(noise)

        def work(first: int, stop: int, space: Workspace) -> None:
            sift_ensemble(base, noise, scale, local_mean, result, first, stop, space, self.rule)

        self._share(work, len(noise))
        return self.sum_trials(result) / len(noise)

    def sum_trials(self, rows: FloatArray) -> FloatArray:
        """Return the sum of ``(trial, time)`` over the trials."""
        total = np.empty(rows.shape[1])
        sum_trials(rows, total)
        return total

    def _share(self, work: Callable[[int, int, Workspace], None], count: int) -> None:
        def piece(bounds: tuple[int, int]) -> None:
            space = self._free.get()
            try:
                work(*bounds, space)
            finally:
                self._free.put(space)

        if self._pool is None or count == 1:
            piece((0, count))
            return
        pieces = min(count, _CHUNKS * self.threads)
        bounds = [count * k // pieces for k in range(pieces + 1)]
        for _ in self._pool.map(piece, pairwise(bounds)):
            pass


def tails_of(
    decompose: Callable[[FloatArray, int, bool], FloatArray],
    windows: Sequence[FloatArray],
    keep: int,
    n_components: int,
    threads: int | None,
) -> FloatArray:
    """Map n windows ``(time,)`` to the last ``keep`` points of their components, a window a thread.

    Parameters
    ----------
    decompose : function
        Is handed a window, the number of threads it may use (1), and whether windows of the same
        length follow, so that the noise modes of that length are worth keeping.

    Returns
    -------
    array ``(n, n_components, keep)``
    """
    found = np.empty((len(windows), n_components, keep))
    sizes = Counter(map(len, windows))
    order = sorted(range(len(windows)), key=lambda k: len(windows[k]))

    def one(k: int) -> None:
        window = windows[k]
        found[k] = decompose(window, 1, sizes[len(window)] > 1)[:, -keep:]

    with ThreadPoolExecutor(thread_count(threads)) as pool:
        try:
            for _ in watched(pool.map(one, order), len(order)):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def on_extended(series: FloatArray, boundary: str, decompose: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the modes of a series, which with ``boundary="ar"`` is first continued at both ends."""
    if boundary != "ar":
        return decompose(series)
    longer, reach = extend_ends(series)
    return np.ascontiguousarray(decompose(longer)[:, reach : reach + series.size])


@contextmanager
def announced_compilation() -> Iterator[None]:
    """Say once on stderr that loops are being compiled, if they are."""
    with event.install_listener("numba:compile", _Announcement()):
        yield


class _Announcement(event.Listener):
    said = False

    def on_start(self, event: event.Event) -> None:
        """Speak at the first compilation of this process."""
        if not _Announcement.said:
            _Announcement.said = True
            print("Compiling the decomposition (once per machine, up to a minute) ...", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        """Stay silent."""
