"""Rescale windows: min-max, by the last value, or to zero mean and unit deviation; fitted on training windows.

Shapes
------
n window, L lookback, H horizon, C component, E covariate
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from data.contracts import KINDS, SERIES, Batch, FloatArray, Kind, Scaling, Windows
from data.gathered import Gathered, blocks_of

MEAN, DEVIATION = "covariate_mean", "covariate_deviation"
"""Names of what is learnt of covariates."""


class MinMax:
    """Map each component to [0, 1] by its smallest and largest training value, as the papers do.

    A level beyond the training range lands outside [0, 1], where a network has seen nothing.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)

    def __init__(self) -> None:
        self._low = self._span = np.empty(0)  # (C + 1,), the sum last

    def fit(self, train: Windows) -> "MinMax":
        """Learn the ranges from the training windows."""
        ends = []
        for part in train.blocks():
            seen = np.concatenate([_flat(part.past), _flat(part.target)])  # (rows, C)
            totals = np.r_[part.past.sum(axis=2).ravel(), part.y.ravel()]
            ends.append([np.r_[seen.min(axis=0), totals.min()], np.r_[seen.max(axis=0), totals.max()]])
        low, high = np.array(ends).swapaxes(0, 1)  # (block, C + 1) each
        self._low = low.min(axis=0)
        self._span = _nonzero(high.max(axis=0) - self._low)
        return self

    def transform(self, windows: Windows) -> Batch:
        """Return ``past (n, L, C)`` and ``target (n, H, C + 1)``."""
        target = np.concatenate([windows.target, windows.y[:, :, None]], axis=2)
        past = (windows.past - self._low[:-1]) / self._span[:-1]
        return Batch(past, (target - self._low) / self._span)

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H, C)`` to the sum ``(n, H)`` in the unit of ``y``."""
        return (forecast * self._span[:-1] + self._low[:-1]).sum(axis=2)

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H)`` to the unit of ``y``."""
        return forecast * self._span[-1] + self._low[-1]

    def state(self) -> dict[str, FloatArray]:
        """Return the ranges."""
        return {"low": self._low, "span": self._span}

    def load_state(self, state: dict[str, FloatArray]) -> "MinMax":
        """Take the ranges of an earlier fit."""
        self._low, self._span = state["low"], state["span"]
        return self


class WindowMinMax:
    """Map each component to [0, 1] by its smallest and largest value within the lookback.

    Nothing is fitted, and a level never seen in training looks like any other.  What is forecast
    is measured on the scale of its own window and may land outside [0, 1].
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)

    def fit(self, train: Windows) -> "WindowMinMax":
        """Return itself: nothing is fitted."""
        return self

    def transform(self, windows: Windows) -> Batch:
        """Return ``past (n, L, C)`` and ``target (n, H, C + 1)``."""
        low, span = self._ranges(windows)  # (n, 1, C + 1) each
        target = np.concatenate([windows.target, windows.y[:, :, None]], axis=2)
        past = (windows.past - low[:, :, :-1]) / span[:, :, :-1]
        return Batch(past, (target - low) / span)

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H, C)`` to the sum ``(n, H)`` in the unit of ``y``."""
        low, span = self._ranges(windows)
        return (forecast * span[:, :, :-1] + low[:, :, :-1]).sum(axis=2)

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H)`` to the unit of ``y``."""
        low, span = self._ranges(windows)
        return forecast * span[:, :, -1] + low[:, :, -1]

    def state(self) -> dict[str, FloatArray]:
        """Return no numbers: nothing was fitted."""
        return {}

    def load_state(self, state: dict[str, FloatArray]) -> "WindowMinMax":
        """Return itself: nothing was fitted."""
        return self

    @staticmethod
    def _ranges(windows: Windows) -> tuple[FloatArray, FloatArray]:
        lows, spans = [], []
        for part in windows.blocks():
            seen = np.concatenate([part.past, part.past.sum(axis=2, keepdims=True)], axis=2)
            lows.append(seen.min(axis=1, keepdims=True))
            spans.append(_nonzero(seen.max(axis=1, keepdims=True) - lows[-1]))
        return np.concatenate(lows), np.concatenate(spans)


class LastValue:
    """Rescale each window by its last known value, so that a forecast of zero *is* persistence.

    The last component carries the level: its past is measured from its last value as well, so a
    level never seen in training looks like any other.  The other components swing about zero
    and are divided by their training deviation.
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)

    def __init__(self) -> None:
        self._past = self._change = np.empty(0)  # (C,) and (C + 1,)

    def fit(self, train: Windows) -> "LastValue":
        """Learn the deviations from the training windows."""
        self._past = _nonzero(np.sqrt(_mean(np.square(_flat(self._swings(part))) for part in train.blocks())))
        self._change = _nonzero(np.sqrt(_mean(np.square(_flat(self._changes(part))) for part in train.blocks())))
        return self

    def transform(self, windows: Windows) -> Batch:
        """Return ``past (n, L, C)`` and ``target (n, H, C + 1)``."""
        return Batch(self._swings(windows) / self._past, self._changes(windows) / self._change)

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H, C)`` to the sum ``(n, H)`` in the unit of ``y``."""
        return _last(windows).sum(axis=1)[:, None] + (forecast * self._change[:-1]).sum(axis=2)

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H)`` to the unit of ``y``."""
        return _last(windows).sum(axis=1)[:, None] + forecast * self._change[-1]

    def state(self) -> dict[str, FloatArray]:
        """Return the deviations."""
        return {"past": self._past, "change": self._change}

    def load_state(self, state: dict[str, FloatArray]) -> "LastValue":
        """Take the deviations of an earlier fit."""
        self._past, self._change = state["past"], state["change"]
        return self

    @staticmethod
    def _swings(windows: Windows) -> FloatArray:
        swings = windows.past.copy()
        swings[:, :, -1] -= windows.past[:, -1:, -1]
        return swings

    @staticmethod
    def _changes(windows: Windows) -> FloatArray:
        last = _last(windows)[:, None, :]  # (n, 1, C)
        total = windows.y[:, :, None] - last.sum(axis=2, keepdims=True)  # (n, H, 1)
        return np.concatenate([windows.target - last, total], axis=2)


class Standard:
    """Standardise each channel by its training mean and deviation, and divide the target by its largest value.

    So paper 2 does.  Where the smallest target is zero, as of a remaining useful life, dividing it by its
    largest training value maps it to [0, 1].  The components of a target are divided by the same number.

    A channel of zeros and ones tells which of several cases a step belongs to, and stays as it is: a
    rare case would be as many deviations from its mean as it is rare.  A channel that never moved in
    training has taught nothing and becomes zero, whatever it does later.

    Parameters
    ----------
    clip : float
        Where a channel ends, on either side of its mean [training deviations].  One gross outlier of a
        sensor in a window never seen would otherwise carry any network or line to where it was never fitted.

    Raises
    ------
    ValueError
        If nothing would be left of a channel.
    """

    kinds: ClassVar[Sequence[Kind]] = KINDS

    def __init__(self, clip: float = 10.0) -> None:
        if not clip > 0:
            raise ValueError(f"scaling.clip={clip} leaves nothing of a channel; it must be above 0 deviations.")
        self.clip = clip
        self._mean = self._deviation = np.empty(0)  # (C,)
        self._largest = np.empty(0)  # ()

    def fit(self, train: Windows) -> "Standard":
        """Learn means, deviations and the largest target from the training windows."""
        binary = np.all([((past == 0) | (past == 1)).all(axis=(0, 1)) for past in blocks_of(train.past)], axis=0)
        mean, deviation, largest = _moments(train.past)
        still = deviation <= 1e-9 * largest  # but for rounding
        self._mean = np.where(binary, 0.0, mean)
        self._deviation = np.where(binary, 1.0, np.where(still, np.inf, deviation))
        self._largest = _nonzero(np.abs(train.y).max())
        return self

    def transform(self, windows: Windows) -> Batch:
        """Return ``past (n, L, C)`` and ``target (n, H, C' + 1)`` of windows whose targets have C' components."""
        target = np.concatenate([windows.target, windows.y[:, :, None]], axis=2)
        past = (windows.past - self._mean) / self._deviation
        return Batch(past.clip(-self.clip, self.clip), target / self._largest)

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H, C')`` to the sum ``(n, H)`` in the unit of ``y``."""
        return (forecast * self._largest).sum(axis=2)

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H)`` to the unit of ``y``."""
        return forecast * self._largest

    def state(self) -> dict[str, FloatArray]:
        """Return means, deviations and the largest target."""
        return {"mean": self._mean, "deviation": self._deviation, "largest": self._largest}

    def load_state(self, state: dict[str, FloatArray]) -> "Standard":
        """Take what an earlier fit has learned."""
        self._mean, self._deviation, self._largest = state["mean"], state["deviation"], state["largest"]
        return self


class WithCovariates:
    """Scale components and targets as another scaling does, and covariates by their training mean and deviation.

    What is known ahead stands H steps earlier behind the covariates of the lookback, so that the last H of its L
    steps show the dates of the targets.  A column that never moved in training becomes zero.

    Parameters
    ----------
    inner : Scaling
        Of components and targets.
    hidden : int
        How many of the first covariates are left to the models that ask for them: returns a target leaves.

    Raises
    ------
    ValueError
        To fit, if the lookback is too short to show what is known of every target.
    """

    kinds: ClassVar[Sequence[Kind]] = KINDS
    clip = 10.0  # [training deviations] a gross outlier would carry any line to where it was never fitted

    def __init__(self, inner: Scaling, hidden: int = 0) -> None:
        self.inner, self.hidden = inner, hidden
        self._mean = self._deviation = np.empty(0)  # (E,)

    def fit(self, train: Windows) -> "WithCovariates":
        """Learn from the training windows."""
        self.inner.fit(train)
        if self.n_extra(train):
            self._mean, deviation, largest = _moments(train.each(self._extra_of))
            self._deviation = np.where(deviation <= 1e-9 * largest, 0.0, deviation)  # 0: never moved
        return self

    def transform(self, windows: Windows) -> Batch:
        """Return ``past (n, L, C)``, ``target (n, H, C + 1)`` and ``extra (n, L, E)``, None without covariates."""
        if not isinstance(windows.past, Gathered):
            batch, beside = self.inner.transform(windows), extra_of(windows, self.hidden)
            return batch if beside is None else batch._replace(extra=self._scaled(beside))
        names = ("past", "target", "extra") if self.n_extra(windows) else ("past", "target")
        return Batch(**{name: windows.each(partial(self._part, name)) for name in names})

    def _part(self, name: str, windows: Windows) -> FloatArray:
        """Return one of the arrays that a few windows are scaled to."""
        if name == "extra":
            return self._scaled(self._extra_of(windows))
        return np.asarray(getattr(self.inner.transform(windows), name))

    def _extra_of(self, windows: Windows) -> FloatArray:
        beside = extra_of(windows, self.hidden)
        assert beside is not None
        return beside

    def _scaled(self, beside: FloatArray) -> FloatArray:
        moving = self._deviation > 0
        extra = np.where(moving, (beside - self._mean) / np.where(moving, self._deviation, 1.0), 0.0)
        return extra.clip(-self.clip, self.clip)

    def n_extra(self, windows: Windows) -> int:
        """Return E, how many channels stand beside the components."""
        beside = extra_of(windows.take(slice(0, 1)), self.hidden)
        return 0 if beside is None else int(beside.shape[2])

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H, C)`` to the sum ``(n, H)`` in the unit of ``y``."""
        return self.inner.restore_components(forecast, windows)

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map ``(n, H)`` to the unit of ``y``."""
        return self.inner.restore_total(forecast, windows)

    def state(self) -> dict[str, FloatArray]:
        """Return what was fitted."""
        if not self._mean.size:
            return self.inner.state()
        return {**self.inner.state(), MEAN: self._mean, DEVIATION: self._deviation}

    def load_state(self, state: dict[str, FloatArray]) -> "WithCovariates":
        """Take what an earlier fit has learned."""
        self.inner.load_state({name: value for name, value in state.items() if name not in (MEAN, DEVIATION)})
        if MEAN in state:
            self._mean, self._deviation = state[MEAN], state[DEVIATION]
        return self


def extra_of(windows: Windows, hidden: int = 0) -> FloatArray | None:
    """Return covariates, channels, and last what is known ahead H steps earlier, ``(n, L, E)``; None without any.

    Raises
    ------
    ValueError
        If the lookback is shorter than the horizon, so that the dates of the first targets would not be seen.
    """
    covariates = windows.covariates
    parts = [] if covariates is None or covariates.shape[2] <= hidden else [covariates[:, :, hidden:]]
    if windows.channels is not None:
        parts.append(windows.channels)
    if windows.known is not None:
        lookback = windows.past.shape[1]
        horizon = windows.known.shape[1] - lookback
        if horizon > lookback:
            raise ValueError(
                f"lookback={lookback} is shorter than horizon={horizon}, so a model would not see what is known of the "
                f"first targets (known=[...]).  Raise lookback, or leave out known."
            )
        parts.append(windows.known[:, horizon:])
    return np.concatenate(parts, axis=2) if parts else None


def _mean(blocks: Iterable[FloatArray]) -> FloatArray:
    """Return the mean over all rows of blocks ``(rows, C)``, one after another: ``(C,)``."""
    total, n = 0.0, 0
    for block in blocks:
        total, n = total + block.sum(axis=0), n + len(block)
    return np.asarray(total / n)


def _moments(past: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, standard deviation and largest size ``(C,)`` of each channel of ``(n, L, C)``."""
    mean = _mean(map(_flat, blocks_of(past)))
    deviation = np.sqrt(_mean(np.square(_flat(part) - mean) for part in blocks_of(past)))
    return mean, deviation, np.max([np.abs(_flat(part)).max(axis=0) for part in blocks_of(past)], axis=0)


def _last(windows: Windows) -> FloatArray:
    return windows.past[:, -1, :]  # (n, C)


def _flat(array: FloatArray) -> FloatArray:
    return array.reshape(-1, array.shape[2])


def _nonzero(scale: FloatArray) -> FloatArray:
    """Leave a component that never moves, such as one padded with zeros, as it is."""
    return np.where(scale > 0, scale, 1.0)
