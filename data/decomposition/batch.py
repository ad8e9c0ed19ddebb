"""Decompose many windows, the fastest way the decomposition knows."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from multiprocessing import parent_process
from typing import TypeVar

import numpy as np

from data.contracts import BatchDecomposition, Decomposition, FloatArray, JointDecomposition
from data.decomposition.series import confirm_sum

_PATIENCE = 2.0
"""How long nothing is drawn [s]: a bar for what is over in a moment only flickers."""

_AT_ONCE = 1 << 18
"""Points of all windows that are computed on together: what fits into the caches."""

T = TypeVar("T")


def tails(decomposition: Decomposition, windows: Sequence[FloatArray], keep: int) -> FloatArray:
    """Map n windows ``(time,)`` to the last ``keep`` points of their components.

    Parameters
    ----------
    decomposition : Decomposition
        Handed one window at a time unless it has a faster way of its own.
    windows : sequence of arrays
        Each of its own length, none shorter than ``keep``; of a ``JointDecomposition`` also ``(time, 1 + X)``.
    keep : int
        Points kept of every window [steps].

    Returns
    -------
    array ``(n, n_components, keep)``, equal to the bit to one call per window.

    Raises
    ------
    ValueError
        If a window cannot be decomposed, or components do not sum to it.
    """
    if keep < 1:
        raise ValueError(f"keep={keep} must be at least 1 step.")
    shortest = min((len(window) for window in windows), default=keep)
    if shortest < keep:
        raise ValueError(f"keep={keep} steps are asked of a window of {shortest}.  Keep fewer or widen the window.")
    if not len(windows):
        return np.empty((0, decomposition.n_components, keep))
    if isinstance(decomposition, BatchDecomposition):
        found = decomposition.tails(windows, keep)
    else:
        found = np.empty((len(windows), decomposition.n_components, keep))
        made = (components_of(decomposition, window) for window in windows)
        for row, components in enumerate(watched(made, len(windows))):
            found[row] = components[:, -keep:]
    confirm_sum(found, np.stack([target_of(window)[-keep:] for window in windows]), type(decomposition).__name__)
    return found


def components_of(decomposition: Decomposition, series: FloatArray) -> FloatArray:
    """Map ``(time,)``, or ``(time, 1 + X)`` with the series first, to the components of the series ``(C, time)``."""
    if series.ndim == 1:
        return decomposition(series)
    assert isinstance(decomposition, JointDecomposition)
    return decomposition.together(series)


def target_of(series: FloatArray) -> FloatArray:
    """Return the series ``(time,)`` of what a decomposition is handed, which may have covariates beside it."""
    return series if series.ndim == 1 else series[:, 0]


def side_by_side(
    decompose: Callable[[FloatArray], FloatArray], windows: Sequence[FloatArray], keep: int, n_components: int
) -> FloatArray:
    """Map n windows to the last ``keep`` points of their components ``(n, C, keep)``, a window a thread."""
    from numba import get_num_threads

    found = np.empty((len(windows), n_components, keep))
    with ThreadPoolExecutor(get_num_threads()) as threads:
        for row, components in enumerate(watched(threads.map(decompose, windows), len(windows))):
            found[row] = components[:, -keep:]
    return found


def stacks(windows: Sequence[FloatArray]) -> Iterator[tuple[slice, FloatArray]]:
    """Yield neighbours of equal length as one array ``(n, time)``, and which windows they are."""
    row = 0
    for size, equal in groupby(windows, key=len):
        group = list(equal)
        step = max(1, _AT_ONCE // size)
        for first in range(0, len(group), step):
            stack = np.stack(group[first : first + step])
            yield slice(row, row + len(stack)), stack
            row += len(stack)


def watched(results: Iterable[T], total: int) -> Iterator[T]:
    """Yield the results; where somebody watches a long wait, draw a bar with the time left.

    A worker process draws none: several would write over each other.
    """
    remaining = iter(results)
    if not sys.stderr.isatty() or parent_process() is not None:
        yield from remaining
        return
    started, done = time.monotonic(), 0
    while done < total and time.monotonic() - started < _PATIENCE:
        yield next(remaining)
        done += 1
    if done < total:
        yield from _drawn(remaining, done, total)


def _drawn(remaining: Iterator[T], done: int, total: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("decomposing"), BarColumn(), MofNCompleteColumn(), TextColumn("windows, left"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("decomposing", total=total, completed=done)
        for result in remaining:
            bar.advance(task)
            yield result
