"""Cut a panel into windows: the only place that knows history, lookback, horizon and scope."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data.contracts import Decomposition, FloatArray, Fold, Panel, Scope, Windows
from data.decomposition.batch import tails
from data.panel import DataError

Work = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Rolling:
    """Decompose the last ``history`` steps before each origin: causal, and every origin costs the same.

    Parameters
    ----------
    history : int
        Length of the series a decomposition is handed [steps].
    """

    causal = True

    def __init__(self, history: int) -> None:
        self.history = _long_enough(history)

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the components of every window of ``history`` steps, the last ``keep`` of them."""
        _refuse_longer(keep, self.history)
        if series.size < self.history:
            return self.history - 1, np.empty((0, decomposition.n_components, keep))
        windows = sliding_window_view(series, self.history)
        return self.history - 1, tails(decomposition, list(windows), keep)


class Expanding:
    """Decompose all steps up to each origin: causal, and dearer with every origin.

    Parameters
    ----------
    history : int
        Steps known at the first origin.
    """

    causal = True

    def __init__(self, history: int) -> None:
        self.history = _long_enough(history)

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the components of every beginning of the series, the last ``keep`` steps of them."""
        _refuse_longer(keep, self.history)
        beginnings = [series[: end + 1] for end in range(self.history - 1, series.size)]
        return self.history - 1, tails(decomposition, beginnings, keep)


class Overall:
    """Decompose the whole series at once, test and all, as the papers do.

    It LEAKS: the components before an origin are shaped by what comes after it.  For
    reproducing published numbers, not for forecasting.
    """

    causal = False

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the last ``keep`` steps up to every end of one decomposition of everything."""
        if series.size < keep:
            return keep - 1, np.empty((0, decomposition.n_components, keep))
        components = decomposition(series)                            # (C, time)
        return keep - 1, sliding_window_view(components, keep, axis=1).transpose(1, 0, 2)


def cut(
    panel: Panel, decomposition: Decomposition, scope: Scope, lookback: int, horizon: int, work: Work = map
) -> Windows:
    """Return every window of every series, in the panel's order.

    ``work`` maps a function over the series: the builtin one after another, or ``map`` of a
    choice of ``conf/parallel`` in several processes or machines.

    The components of a target are taken from the decomposition that ends with that target, so
    they sum to ``y`` and use nothing that comes later.

    Raises
    ------
    DataError
        If no series is long enough for a single window.
    """
    starts, all_series = zip(*panel.series(), strict=True)
    decomposed = work(partial(_tails, scope, decomposition, lookback), all_series)
    parts = []
    for start, series, (first, components) in zip(starts, all_series, decomposed, strict=True):
        count = len(components) - horizon                                       # components (end, C, L)
        if count < 1:
            continue
        arrived = components[:, :, -1]                                          # (end, C)
        steps = 1 + np.arange(count)[:, None] + np.arange(horizon)              # (n, H)
        parts.append(
            Windows(
                past=components[:count].transpose(0, 2, 1),                     # (n, L, C)
                target=arrived[steps],                                          # (n, H, C)
                y=series[first + steps],                                        # (n, H)
                origin=start + first + np.arange(count),                        # (n,)
            )
        )
    if not parts:
        longest = max(series.size for _, series in panel.series())
        needed = getattr(scope, "history", lookback) + horizon
        raise DataError(
            f"The longest series of {panel.name} has {longest} steps, but one window needs {needed} "
            f"(scope.history or lookback, + horizon).  Give a longer series or lower scope.history."
        )
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _tails(scope: Scope, decomposition: Decomposition, keep: int, series: FloatArray) -> tuple[int, FloatArray]:
    return scope.tails(decomposition, series, keep)


def latest(panel: Panel, decomposition: Decomposition, scope: Scope, lookback: int) -> Windows:
    """Return the window at the end of every series, whose future is not known yet (``NaN``).

    Raises
    ------
    DataError
        If a series is too short for one window.
    """
    parts = []
    for start, series in panel.series():
        known = series[-scope.history :] if isinstance(scope, Rolling) else series
        if known.size < max(getattr(scope, "history", lookback), lookback):
            raise DataError(
                f"Series {panel.frame['unique_id'].iloc[start]} has {series.size} steps, but a forecast needs "
                f"{max(getattr(scope, 'history', lookback), lookback)}.  Give a longer file."
            )
        past = tails(decomposition, [known], lookback).transpose(0, 2, 1)       # (1, L, C)
        unknown = np.full((1, 0, decomposition.n_components), np.nan)
        parts.append(Windows(past, unknown, unknown[:, :, 0], np.array([start + series.size - 1])))
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def select(windows: Windows, fold: Fold, role: int) -> Windows:
    """Return the windows all of whose targets have the role."""
    horizon = windows.y.shape[1]
    targets = windows.origin[:, None] + 1 + np.arange(horizon)                  # (n, H)
    chosen = (fold.role[targets] == role).all(axis=1)
    return Windows(*(array[chosen] for array in windows))


def _long_enough(history: int) -> int:
    if history < 4:
        raise ValueError(f"scope.history={history} is too short to decompose; it must be at least 4 steps.")
    return history


def _refuse_longer(lookback: int, history: int) -> None:
    if lookback > history:
        raise DataError(f"lookback={lookback} is longer than scope.history={history}.  Raise scope.history.")
