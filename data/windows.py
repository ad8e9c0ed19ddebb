"""Cut a panel into windows: the only place that knows history, lookback, horizon and scope."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from data.contracts import Decomposition, FloatArray, Fold, IntArray, JointDecomposition, Panel, Scope, Windows
from data.decomposition.batch import components_of, tails, target_of
from data.decomposition.series import confirm_sum
from data.gathered import held, newest_steps, sliding, too_many
from data.panel import DataError

_SAMPLED = 4
"""Windows, at least, by which the word of a causal decomposition is checked."""

Work = Callable[[Any, Iterable[Any]], Iterable[Any]]
"""Maps a function over series, in order, as the builtin ``map`` does."""


class RollingWindow:
    """Decompose the last ``history`` steps before each origin: causal, and every origin costs the same.

    Parameters
    ----------
    history : int
        Length of the series a decomposition is handed [steps].
    """

    causal = True

    def __init__(self, history: int) -> None:
        self.history = _long_enough(history)

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of the ``history`` steps up to each end, the last ``keep`` of them."""
        length = max(self.history, keep)

        def windows(some: IntArray) -> FloatArray:
            return tails(decomposition, [series[max(end + 1 - length, 0) : end + 1] for end in some], keep)

        memory = decomposition.memory
        if decomposition.causal and memory is not None and keep + memory <= length:
            return _in_one_pass(decomposition, series, keep, ends, windows)
        return windows(ends)


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

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of all steps up to each end, the last ``keep`` of them."""

        def windows(some: IntArray) -> FloatArray:
            return tails(decomposition, [series[: end + 1] for end in some], keep)

        return _in_one_pass(decomposition, series, keep, ends, windows) if decomposition.causal else windows(ends)


class WholeSeries:
    """Decompose the whole series at once, test and all, as the papers do.

    It LEAKS: the components before an origin are shaped by what comes after it.  For
    reproducing published numbers, not for forecasting.
    """

    causal = False
    history = None

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the last ``keep`` steps up to each end of one decomposition of everything."""
        if not len(ends):
            return np.empty((0, decomposition.n_components, keep))
        components = components_of(decomposition, series)  # (C, time)
        confirm_sum(components, target_of(series), type(decomposition).__name__)
        return sliding_window_view(components, keep, axis=1).transpose(1, 0, 2)[_rows(ends - keep + 1)]


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

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return components up to each end: of one decomposition in the training part, of a window after it.

        Those of a causal decomposition are the same however the series goes on: there is nothing to split.
        """
        if decomposition.causal:
            return WholeSeries().at(decomposition, series, keep, ends)
        known = max(self.history, int(self.train * len(series)))
        early, late = ends[ends < known], ends[ends >= known]
        return np.concatenate(
            [
                WholeSeries().at(decomposition, series[:known], keep, early),
                RollingWindow(self.history).at(decomposition, series, keep, late),
            ]
        )


def _in_one_pass(
    decomposition: Decomposition,
    series: FloatArray,
    keep: int,
    ends: IntArray,
    windows: Callable[[IntArray], FloatArray],
) -> FloatArray:
    """Return what ``windows`` does of a decomposition that says that its components do not change later.

    It is decomposed once up to the last end, and taken at its word only where some windows agree.

    Raises
    ------
    ValueError
        If a window has other components.
    """
    some = ends[:: max(1, len(ends) // _SAMPLED)]
    if len(some) == len(ends):
        return windows(ends)
    found = WholeSeries().at(decomposition, series[: ends.max() + 1], keep, ends)
    if not np.array_equal(found[:: max(1, len(ends) // _SAMPLED)], windows(some)):
        raise ValueError(
            f"{type(decomposition).__name__} says that it is causal with a memory of {decomposition.memory} steps, but "
            f"its components change when the series goes on or begins earlier.  Set causal = False and memory = None."
        )
    return found


class EveryEnd(NamedTuple):
    """Map a series ``(time,)`` to the components of the ``keep`` points up to each end ``(end, C, keep)``.

    Its name and its values are all that a worker process or a memory must know.
    """

    scope: Scope
    decomposition: Decomposition
    keep: int
    first: int
    """The first end; every later step is one, too, unless there is a stride."""
    stride: int = 1
    horizon: int = 0
    """With a stride above 1, ends are the origins and the ``horizon`` steps behind each of them."""

    def ends(self, size: int) -> IntArray:
        """Return the ends in a series of some length, ascending."""
        if self.stride == 1:
            return np.arange(self.first, size)
        starts = _origins(size, self.horizon, self.first, self.stride)
        return np.unique(starts[:, None] + np.arange(self.horizon + 1))

    def __call__(self, series: FloatArray) -> FloatArray:
        """Decompose one series."""
        return self.scope.at(self.decomposition, series, self.keep, self.ends(len(series)))


def first_end(scope: Scope, decomposition: Decomposition, lookback: int) -> int:
    """Return the first step of a series at which a window may end.

    ``scope.history`` counts only where the decomposition needs it.  Forecasts that are compared must
    be of the same rows: give ``cut`` the largest first end of all of them.

    Raises
    ------
    DataError
        If the lookback is longer than the history to be decomposed.
    """
    if scope.history is None or decomposition.memory == 0:
        return lookback - 1
    if lookback > scope.history:
        raise DataError(f"lookback={lookback} is longer than scope.history={scope.history}.  Raise scope.history.")
    return scope.history - 1


def origins(panel: Panel, horizon: int, first: int, stride: int = 1) -> IntArray:
    """Return the rows of the panel that are the origin of a window, ascending.

    Parameters
    ----------
    first : int
        The step of each series at which a window may first end; see ``first_end``.
    stride : int
        Steps from one origin to the next.  They are counted from the beginning of each series, so that the targets
        of an origin begin with a block of ``stride`` steps: hours from midnight on, forecast each 24 steps, are
        forecast at the end of a day.
    """
    found = [start + _origins(series.size, horizon, first, stride) for start, series in panel.series()]
    return np.concatenate(found).astype(np.int64)


def window_rows(first: int, horizon: int, stride: int = 1) -> int:
    """Return how many steps a series needs for one window and its targets; parameters as of ``origins``."""
    return int(_origins(first + stride + horizon, horizon, first, stride)[0]) + 1 + horizon


def _origins(size: int, horizon: int, first: int, stride: int) -> IntArray:
    """Return the origins of a series of some length: neither first, nor lookback, nor what comes later moves them."""
    return np.arange(first + (-first - 1) % stride, size - horizon, stride)


def cut(
    panel: Panel,
    decomposition: Decomposition,
    scope: Scope,
    lookback: int,
    horizon: int,
    work: Work = map,
    first: int | None = None,
    stride: int = 1,
) -> Windows:
    """Return every window of every series, in the panel's order.

    The components of a target are taken from the decomposition that ends with that target, so
    they sum to ``y`` and use nothing that comes later.

    Parameters
    ----------
    work : function
        Maps a function over the series: the builtin one after another, ``map`` of a choice of
        ``conf/parallel`` in several processes or machines, or either in a ``data.cached.CachedWork``.
    first : int, optional
        The step of each series at which the first window ends, by default ``first_end`` of this
        decomposition.  Give the largest of all that are compared.
    stride : int
        Steps from one origin to the next, as of ``origins``.

    Raises
    ------
    DataError
        If no series is long enough for a single window.
    """
    least = first_end(scope, decomposition, lookback)
    first = least if first is None else max(first, least)
    starts, all_series = zip(*panel.series(), strict=True)
    counts = [_origins(series.size, horizon, first, stride).size for series in all_series]
    if not any(counts):
        longest = max(series.size for series in all_series)
        needed = window_rows(first, horizon, stride)
        raise DataError(
            f"The longest series of {panel.name} has {longest} steps, but one window needs {needed} "
            f"({why_first(first, lookback)}, + horizon).  {_remedy(first, lookback)}"
        )
    kept = [(start, series) for start, series, count in zip(starts, all_series, counts, strict=True) if count]
    handed = [_handed(panel, decomposition, start, series) for start, series in kept]
    every = EveryEnd(scope, decomposition, lookback, first, stride, horizon if stride > 1 else 0)
    many = too_many(sum(counts) * lookback * decomposition.n_components * 8)
    parts = (
        _windows(
            panel,
            start,
            series,
            every.ends(series.size),
            components,
            horizon,
            _origins(series.size, horizon, first, stride),
            many,
        )
        for (start, series), components in zip(kept, work(every, handed), strict=True)
    )
    return _gathered(panel, parts, sum(counts)) if many else _joined(parts, sum(counts), len(kept))


def cut_at(
    panel: Panel,
    decomposition: Decomposition,
    scope: Scope,
    lookback: int,
    horizon: int,
    origins: IntArray,
    first: int | None = None,
) -> Windows:
    """Return the windows of some origins (rows of the panel), cut as ``cut`` does, for a fraction of the cost.

    Origins whose window or targets do not lie within their series are left out.
    """
    least = first_end(scope, decomposition, lookback)
    first = least if first is None else max(first, least)
    parts = []
    for start, series in panel.series():
        own = origins[(origins >= start + first) & (origins + horizon < start + series.size)] - start
        if own.size:
            ends = np.unique(own[:, None] + np.arange(horizon + 1))
            components = scope.at(decomposition, _handed(panel, decomposition, start, series), lookback, ends)
            parts.append(_windows(panel, start, series, ends, components, horizon, own, many=False))
    if not parts:
        raise DataError(f"None of the origins asked for has a window in {panel.name}.")
    return _joined(parts, sum(len(part.y) for part in parts), len(parts))


def _windows(
    panel: Panel,
    start: int,
    series: FloatArray,
    ends: IntArray,
    components: FloatArray,
    horizon: int,
    origins: IntArray,
    many: bool,
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
    many : bool
        Whether there are so many windows that what stands beside them is gathered from the whole panel, later.
    """
    rows = np.searchsorted(ends, origins)  # (n,)
    steps = 1 + np.arange(horizon)  # (H,)
    arrived = components[:, :, -1]  # (end, C)
    return Windows(
        past=components[_rows(rows)].transpose(0, 2, 1),  # (n, L, C)
        target=arrived[rows[:, None] + steps],  # (n, H, C)
        y=series[origins[:, None] + steps],  # (n, H)
        origin=start + origins,  # (n,)
        covariates=None if many else _beside(panel, panel.covariates, start, origins, components.shape[2]),
        known=None if many else _beside(panel, panel.known, start, origins, components.shape[2], horizon),
    )


def last_handed(panel: Panel, decomposition: Decomposition) -> tuple[int, FloatArray]:
    """Return the first row of the last series, and what a decomposition is handed of it."""
    start, series = list(panel.series())[-1]
    return start, _handed(panel, decomposition, start, series)


def _handed(panel: Panel, decomposition: Decomposition, start: int, series: FloatArray) -> FloatArray:
    """Return what a decomposition is handed of a series, ``(time,)`` or with its covariates ``(time, 1 + X)``."""
    names = list(panel.covariates)
    if not names or not isinstance(decomposition, JointDecomposition):
        return series
    beside = panel.frame[names].iloc[start : start + series.size].to_numpy(dtype=np.float64)  # (time, X)
    return np.column_stack([series, beside])


def _beside(
    panel: Panel, names: Iterable[str], start: int, origins: IntArray, lookback: int, ahead: int = 0
) -> FloatArray | None:
    """Return columns of one series at the steps of the lookback and ``ahead`` more; None where there are none."""
    chosen = list(names)
    if not chosen:
        return None
    stop = start + int(origins.max()) + ahead + 1
    columns = panel.frame[chosen].iloc[start:stop].to_numpy(dtype=np.float64)  # (time, X)
    return sliding_window_view(columns, lookback + ahead, axis=0).transpose(0, 2, 1)[_rows(origins - lookback + 1)]


def _all_beside(
    panel: Panel, names: Iterable[str], origins: IntArray, lookback: int, ahead: int = 0
) -> FloatArray | None:
    """Return what ``_beside`` does, of many windows of all series, gathered; None where there are no such columns."""
    chosen = list(names)
    if not chosen:
        return None
    lines = np.ascontiguousarray(panel.frame[chosen].to_numpy(dtype=np.float64).T)  # (X, row)
    return sliding(lines, origins - lookback + 1, lookback + ahead)


def _joined(parts: Iterable[Windows], n_windows: int, n_parts: int) -> Windows:
    """Return the windows of all series behind each other, each copied once and as soon as it is there.

    The past lies in memory as ``(n, C, L)``, however it was cut: the last bits of a sum over
    components depend on it.
    """
    whole: Windows | None = None
    done = 0
    for part in parts:
        if n_parts == 1:
            return part._replace(past=np.ascontiguousarray(part.past.transpose(0, 2, 1)).transpose(0, 2, 1))
        if whole is None:
            whole = _room(part, n_windows)
        done += _put(whole, part, done)
    assert whole is not None
    return whole


class _Line(NamedTuple):
    """Windows of one series that slide along a line."""

    line: FloatArray
    """``(C, time)`` from the first step of the first window to the last target."""
    y: FloatArray
    origin: IntArray


def _gathered(panel: Panel, parts: Iterable[Windows], n_windows: int) -> Windows:
    """Return the windows of all series behind each other, holding no more than the lines that they slide along.

    Where the past of a component changes as the series goes on, its windows are held, each of them once.
    """
    lines: list[_Line] = []
    whole: Windows | None = None
    done = lookback = 0
    for part in parts:
        lookback = part.past.shape[1]
        if whole is None and _slides(part.past):
            line = np.concatenate([part.past[0].T, part.past[1:, -1].T, part.target[-1].T], axis=1)
            lines.append(_Line(line, part.y, part.origin))
            continue
        if whole is None:
            whole = _room(part, n_windows)
            for known in lines:
                done += _put(whole, _along([known], lookback), done)
        done += _put(whole, part, done)
    if whole is None:
        whole = _along(lines, lookback)
    else:
        whole = whole._replace(past=held(whole.past), target=held(whole.target))
    return whole._replace(
        covariates=_all_beside(panel, panel.covariates, whole.origin, lookback),
        known=_all_beside(panel, panel.known, whole.origin, lookback, whole.y.shape[1]),
    )


def _slides(past: FloatArray) -> bool:
    """Say whether windows ``(n, L, C)`` slide along a line step by step: by where they lie in memory."""
    return past.shape[1] > 1 and (len(past) == 1 or past.strides[0] == past.strides[1])


def _along(lines: Sequence[_Line], lookback: int) -> Windows:
    """Return the windows of several lines, gathered from all of them behind each other."""
    counts = np.array([len(one.y) for one in lines])
    ends = np.cumsum([one.line.shape[1] for one in lines])
    shift = np.r_[0, ends[:-1]] - np.r_[0, np.cumsum(counts)[:-1]]
    first = np.repeat(shift, counts) + np.arange(counts.sum())  # (n,) place of the first step of each window
    y, origin = np.concatenate([one.y for one in lines]), np.concatenate([one.origin for one in lines])
    line = np.concatenate([one.line for one in lines], axis=1)  # (C, time)
    past, target = sliding(line, first, lookback), sliding(line, first + lookback, y.shape[1])
    return Windows(past, target, y, origin)


def _room(part: Windows, n_windows: int) -> Windows:
    """Return windows like those of one series, nothing written yet."""
    _, lookback, n_components = part.past.shape
    return Windows(
        past=np.empty((n_windows, n_components, lookback)).transpose(0, 2, 1),
        target=np.empty((n_windows, *part.target.shape[1:])),
        y=np.empty((n_windows, part.y.shape[1])),
        origin=np.empty(n_windows, dtype=np.int64),
        covariates=None if part.covariates is None else np.empty((n_windows, *part.covariates.shape[1:])),
        known=None if part.known is None else np.empty((n_windows, *part.known.shape[1:])),
    )


def _put(whole: Windows, part: Windows, done: int) -> int:
    """Write the windows of one series behind those that are done, and return how many they are."""
    for room, array in zip(whole, part, strict=True):
        if room is not None and array is not None:
            room[done : done + len(array)] = array
    return len(part.y)


def latest(
    panel: Panel, decomposition: Decomposition, scope: Scope, lookback: int, ahead: Sequence[FloatArray] | None = None
) -> Windows:
    """Return the window at the end of every series, whose future is not known yet (``NaN``).

    Parameters
    ----------
    ahead : sequence of array ``(H, Z)``, optional
        What is known ahead of the targets of each series; needed where the panel has such columns.

    Raises
    ------
    DataError
        If a series is too short for one window.
    """
    first = first_end(scope, decomposition, lookback)
    starts, every = zip(*panel.series(), strict=True)
    for start, series in zip(starts, every, strict=True):
        if series.size <= first:
            raise DataError(
                f"Series {panel.frame['unique_id'].iloc[start]} has {series.size} steps, but a forecast needs "
                f"{first + 1} ({why_first(first, lookback)}).  Give a longer file."
            )
    ends = [np.array([start + series.size - 1]) for start, series in zip(starts, every, strict=True)]
    places = [(start, end - start) for start, end in zip(starts, ends, strict=True)]
    beside = [_beside(panel, panel.covariates, start, end, lookback) for start, end in places]
    known = [_beside(panel, panel.known, start, end, lookback) for start, end in places]
    if ahead is not None:
        known = [None if own is None else np.concatenate([own, ahead[n][None]], axis=1) for n, own in enumerate(known)]
    handed = [_handed(panel, decomposition, start, series) for start, series in zip(starts, every, strict=True)]
    unknown = np.full((len(every), 0, decomposition.n_components), np.nan)
    return Windows(
        past=_at_the_end(scope, decomposition, handed, lookback).transpose(0, 2, 1),  # (n, L, C)
        target=unknown,
        y=unknown[:, :, 0],
        origin=np.concatenate(ends),
        covariates=_together(beside),
        known=_together(known),
    )


def _together(parts: Sequence[FloatArray | None]) -> FloatArray | None:
    """Return arrays of many series behind each other; None where there are none."""
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def _at_the_end(scope: Scope, decomposition: Decomposition, every: Sequence[FloatArray], lookback: int) -> FloatArray:
    """Return the components of the last ``lookback`` points of many series, ``(n, C, L)``.

    The windows of all series go through a decomposition together, where its scope has it decompose one each.
    """
    if isinstance(scope, RollingWindow):
        length = max(scope.history, lookback)
        return tails(decomposition, [series[-length:] for series in every], lookback)
    return np.concatenate([scope.at(decomposition, series, lookback, np.array([len(series) - 1])) for series in every])


def select(windows: Windows, fold: Fold, role: int, reach: int | None = None) -> Windows:
    """Return the windows all of whose targets have the role; ``reach`` steps after the origin, by default H."""
    return windows.take(_rows(chosen(windows, fold, role, reach)))


def chosen(windows: Windows, fold: Fold, role: int, reach: int | None = None) -> IntArray:
    """Return the numbers of the windows that ``select`` returns."""
    return np.flatnonzero(all_of_role(windows.origin, fold, role, windows.y.shape[1] if reach is None else reach))


def all_of_role(origins: IntArray, fold: Fold, role: int, reach: int) -> NDArray[np.bool_]:
    """Say for each origin whether all ``reach`` targets behind it have the role."""
    own = np.ones(len(origins), dtype=bool)
    for step in range(1, reach + 1):
        own &= fold.role[origins + step] == role
    return own


def newest(windows: Windows, lookback: int) -> Windows:
    """Return windows that look back upon their newest steps alone."""
    beside, known, channels = windows.covariates, windows.known, windows.channels
    return windows._replace(
        past=newest_steps(windows.past, lookback),
        covariates=None if beside is None else newest_steps(beside, lookback),
        known=None if known is None else newest_steps(known, lookback + known.shape[1] - windows.past.shape[1]),
        channels=None if channels is None else newest_steps(channels, lookback),
    )


def _rows(rows: IntArray) -> IntArray | slice:
    """Return neighbouring rows as a slice, which takes a view and no copy."""
    if rows.size and rows[-1] - rows[0] + 1 == rows.size and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def why_first(first: int, lookback: int) -> str:
    """Return the setting by which the first window ends where it does."""
    return "lookback" if first < lookback else "scope.history"


def _remedy(first: int, lookback: int) -> str:
    lower = "lookback" if first < lookback else "scope.history"
    return f"Give a longer series or lower {lower}."


def _long_enough(history: int) -> int:
    if history < 4:
        raise ValueError(f"scope.history={history} is too short to decompose; it must be at least 4 steps.")
    return history
