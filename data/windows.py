"""Cut a panel into windows: the only place that knows history, lookback, horizon and scope."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data.contracts import Decomposition, FloatArray, Fold, IntArray, Panel, Scope, Windows
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

    def ends(self, size: int, keep: int) -> IntArray:
        """Return every end a series of ``size`` steps has."""
        _refuse_longer(keep, self.history)
        return np.arange(self.history - 1, size)

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of the ``history`` steps up to each end, the last ``keep`` of them."""
        return tails(decomposition, [series[end + 1 - self.history : end + 1] for end in ends], keep)

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the components of every window of ``history`` steps, the last ``keep`` of them."""
        return self.history - 1, self.at(decomposition, series, keep, self.ends(series.size, keep))


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

    def ends(self, size: int, keep: int) -> IntArray:
        """Return every end a series of ``size`` steps has."""
        _refuse_longer(keep, self.history)
        return np.arange(self.history - 1, size)

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of all steps up to each end, the last ``keep`` of them."""
        return tails(decomposition, [series[: end + 1] for end in ends], keep)

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the components of every beginning of the series, the last ``keep`` steps of them."""
        return self.history - 1, self.at(decomposition, series, keep, self.ends(series.size, keep))


class Overall:
    """Decompose the whole series at once, test and all, as the papers do.

    It LEAKS: the components before an origin are shaped by what comes after it.  For
    reproducing published numbers, not for forecasting.
    """

    causal = False

    def ends(self, size: int, keep: int) -> IntArray:
        """Return every end a series of ``size`` steps has."""
        return np.arange(keep - 1, size)

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the last ``keep`` steps up to each end of one decomposition of everything."""
        if not len(ends):
            return np.empty((0, decomposition.n_components, keep))
        components = decomposition(series)  # (C, time)
        return sliding_window_view(components, keep, axis=1).transpose(1, 0, 2)[ends - keep + 1]

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the last ``keep`` steps up to every end of one decomposition of everything."""
        return keep - 1, self.at(decomposition, series, keep, self.ends(series.size, keep))


class SplitOnce:
    """Decompose the training part once as a whole, and later steps by rolling windows.

    A test window sees its past only, yet the training windows were shaped by *their* future: the
    model learns from inputs it is never given again.  Widespread, and worse than no decomposition.

    Parameters
    ----------
    history : int
        Length of the windows after the training part [steps].
    train : float
        Share of the series that is decomposed as a whole [fraction].
    """

    causal = False

    def __init__(self, history: int, train: float) -> None:
        if not 0 < train < 1:
            raise ValueError(f"scope.train={train} must be a fraction between 0 and 1.")
        self.history, self.train = _long_enough(history), train

    def ends(self, size: int, keep: int) -> IntArray:
        """Return every end a series of ``size`` steps has."""
        _refuse_longer(keep, self.history)
        return np.arange(self.history - 1, size)

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return components up to each end: of one decomposition in the training part, of a window after it."""
        known = max(self.history, int(self.train * series.size))
        early, late = ends[ends < known], ends[ends >= known]
        return np.concatenate(
            [
                Overall().at(decomposition, series[:known], keep, early),
                Rolling(self.history).at(decomposition, series, keep, late),
            ]
        )

    def tails(self, decomposition: Decomposition, series: FloatArray, keep: int) -> tuple[int, FloatArray]:
        """Return the last ``keep`` steps of the components up to every end."""
        return self.history - 1, self.at(decomposition, series, keep, self.ends(series.size, keep))


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
        ends = first + np.arange(len(components))
        if ends.size > horizon:
            parts.append(_windows(start, series, ends, components, ends[: ends.size - horizon], horizon))
    if not parts:
        longest = max(series.size for _, series in panel.series())
        needed = getattr(scope, "history", lookback) + horizon
        raise DataError(
            f"The longest series of {panel.name} has {longest} steps, but one window needs {needed} "
            f"(scope.history or lookback, + horizon).  Give a longer series or lower scope.history."
        )
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def cut_at(
    panel: Panel, decomposition: Decomposition, scope: Scope, lookback: int, horizon: int, origins: IntArray
) -> Windows:
    """Return the windows of some origins (rows of the panel), cut as ``cut`` does, for a fraction of the cost.

    Origins whose window or targets do not lie within their series are left out.
    """
    parts = []
    for start, series in panel.series():
        own = origins[(origins >= start) & (origins + horizon < start + series.size)] - start
        own = own[np.isin(own, scope.ends(series.size, lookback))]
        if own.size:
            ends = np.unique(own[:, None] + np.arange(horizon + 1))
            parts.append(_windows(start, series, ends, scope.at(decomposition, series, lookback, ends), own, horizon))
    if not parts:
        raise DataError(f"None of the origins asked for has a window in {panel.name}.")
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _windows(
    start: int, series: FloatArray, ends: IntArray, components: FloatArray, origins: IntArray, horizon: int
) -> Windows:
    """Put the windows of one series together.

    Parameters
    ----------
    start : int
        Row of the panel where the series begins; all other numbers are steps of the series.
    ends : array ``(end,)``
        Ascending; holds every origin and the ``horizon`` steps behind it.
    components : array ``(end, C, L)``
    origins : array ``(n,)``
    """
    rows = np.searchsorted(ends, origins)  # (n,)
    steps = 1 + np.arange(horizon)  # (H,)
    arrived = components[:, :, -1]  # (end, C)
    return Windows(
        past=components[rows].transpose(0, 2, 1),  # (n, L, C)
        target=arrived[rows[:, None] + steps],  # (n, H, C)
        y=series[origins[:, None] + steps],  # (n, H)
        origin=start + origins,  # (n,)
    )


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
        if series.size < max(getattr(scope, "history", lookback), lookback):
            raise DataError(
                f"Series {panel.frame['unique_id'].iloc[start]} has {series.size} steps, but a forecast needs "
                f"{max(getattr(scope, 'history', lookback), lookback)}.  Give a longer file."
            )
        past = scope.at(decomposition, series, lookback, np.array([series.size - 1])).transpose(0, 2, 1)
        unknown = np.full((1, 0, decomposition.n_components), np.nan)
        parts.append(Windows(past, unknown, unknown[:, :, 0], np.array([start + series.size - 1])))
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def select(windows: Windows, fold: Fold, role: int) -> Windows:
    """Return the windows all of whose targets have the role."""
    horizon = windows.y.shape[1]
    targets = windows.origin[:, None] + 1 + np.arange(horizon)  # (n, H)
    chosen = (fold.role[targets] == role).all(axis=1)
    return Windows(*(array[chosen] for array in windows))


def _long_enough(history: int) -> int:
    if history < 4:
        raise ValueError(f"scope.history={history} is too short to decompose; it must be at least 4 steps.")
    return history


def _refuse_longer(lookback: int, history: int) -> None:
    if lookback > history:
        raise DataError(f"lookback={lookback} is longer than scope.history={history}.  Raise scope.history.")
