"""What flows between the stages.  Read this file first.

A source yields a ``Panel``; a split gives every row of it a role (``Fold``); a scope cuts it
into ``Windows`` with the help of a ``Decomposition``; a model turns the scaled windows
(``Batch``) into forecasts.

Shapes
------
B batch, L lookback, H horizon, C component, K network, n window, X covariate, Z column known ahead, E = X + Z
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.gathered import Gathered, each, taken

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TRAIN, VALIDATION, TEST, GAP = 0, 1, 2, -1
"""Roles of a row.  A row in the gap is the target of no window, but may be looked back upon."""

Kind = Literal["series", "remaining", "total"]
SERIES: Kind = "series"
REMAINING: Kind = "remaining"
TOTAL: Kind = "total"
"""Kinds of targets: the next values of a series, what is left of a life at every row of a cell, one number a cell.

They decide which scores, tests, models, scalings and intervals make sense; a task says which kind its target is of."""
CELLS: tuple[Kind, ...] = (REMAINING, TOTAL)
KINDS: tuple[Kind, ...] = (SERIES, *CELLS)


@dataclass(frozen=True)
class Outside:
    """A covariate as its own source has it: when each value is of, and when it could be known.

    Shapes
    ------
    m value, in the order in which they become available

    Parameters
    ----------
    name : str
        The column it becomes.
    unit : str
    dates : array ``(m,)``
        What each value is of [ns since 1970, its own clock].
    available : array ``(m,)``
        When it could be known [ns since 1970 in UTC], ascending.
    numbers : array ``(m,)``
        The values.
    moves : bool
        Whether a row holds the log change since the decision before, and not the value itself.
    """

    name: str
    unit: str
    dates: IntArray
    available: IntArray
    numbers: FloatArray
    moves: bool


@dataclass(frozen=True)
class Panel:
    """One or many series in one long table.

    Build it with ``data.panel.validated``, which checks every promise made here.

    Parameters
    ----------
    frame : DataFrame
        Columns ``unique_id`` (str), ``ds`` (timestamp or integer step) and ``y`` (float64);
        sorted by ``unique_id`` and ``ds``, finite, no date twice in a series.  Further columns are the
        covariates and, where it is not ``ds``, the age.
    name : str
        What a title calls it.
    unit : str
        Unit of ``y``.
    covariates : mapping
        What stands in each further column of the frame, unit included, by the column's name.  Each
        value is known at its own ``ds``, never later: those of ``outside`` when that row's forecast is made.
    notes : tuple of str
        What was left out or mended on the way, a sentence each; printed and kept with the run.
    calendar : str or None
        Calendar of the exchange whose sessions the dates are, such as XSHG; None where they are learnt from the dates.
    age : str
        Column that counts how far a cell is [cycles]: ``ds``, unless several rows share a cycle.  Of cells alone.
    given : Panel or None
        What the source gave, where ``y`` is made of it by a ``Target``; None where it is ``y`` itself.
    known : mapping
        Columns that are known ahead, such as the weekday, and what stands in them; none of ``covariates``.
    static : tuple of str
        Names of the covariates that are one number a series.
    outside : tuple of Outside
        Where covariates that no source of the panel holds come from: the audit joins them again.  Then the frame has
        the columns ``decided_at`` and ``decided_before``, in which each row tells when its forecast is made and
        when that of the row before was [ns since 1970 in UTC].
    """

    frame: pd.DataFrame
    name: str
    unit: str
    covariates: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    calendar: str | None = None
    age: str = "ds"
    given: "Panel | None" = None
    known: Mapping[str, str] = field(default_factory=dict)
    static: tuple[str, ...] = ()
    outside: "tuple[Outside, ...]" = ()

    def ages(self) -> "pd.Series[Any]":
        """Return how far the cell of each row is [cycles]."""
        return self.frame[self.age]

    def lives(self) -> dict[str, float]:
        """Return how long each cell lives [cycles], whatever its rows count."""
        whole = (self.frame[self.age] + self.frame["y"]).groupby(self.frame["unique_id"], sort=False).max()
        return {str(cell): float(life) for cell, life in whole.items()}

    def series(self) -> Iterator[tuple[int, FloatArray]]:
        """Yield the first row and the values ``(time,)`` of every series, in order."""
        ids: Any = self.frame["unique_id"].array  # compared where they lie: a million objects of Python take .1 s
        starts = np.flatnonzero(np.r_[True, np.asarray(ids[1:] != ids[:-1], dtype=bool)])
        values = self.frame["y"].to_numpy(dtype=np.float64)
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            yield int(start), values[start:stop]


class Fold(NamedTuple):
    """The role of every row of a panel, as a target."""

    role: NDArray[np.int8]
    """``(row,)``: TRAIN, VALIDATION, TEST or GAP."""
    name: str


class Windows(NamedTuple):
    """Inputs and targets of forecasts, in the unit of ``y``.

    Of many windows ``past``, ``target``, ``covariates`` and ``known`` may be gathered (``data.gathered``): arrays whose
    rows are made when they are looked at.
    """

    past: FloatArray
    """``(n, L, C)`` components of the lookback."""
    target: FloatArray
    """``(n, H, C)`` components of the future, each as decomposed when it has come; they sum to ``y``."""
    y: FloatArray
    """``(n, H)`` the future itself."""
    origin: IntArray
    """``(n,)`` row of the panel that is the last one known; its targets are the H rows that follow.

    Of a cell's remaining life the target is that of the origin itself; -1 marks a synthetic window."""
    covariates: FloatArray | None = None
    """``(n, L, X)`` what else is known at the steps of the lookback, each column in its own unit; None: nothing.

    Never mixed into ``past``, whose components sum to ``y``."""
    known: FloatArray | None = None
    """``(n, L + H, Z)`` what is known ahead, of the lookback and of the targets; None: nothing."""
    start: IntArray | None = None
    """``(n,)`` how many cycles of the beginning of its cell are hidden from a window [cycles]; None: none of any."""
    channels: FloatArray | None = None
    """``(n, L, 2 (C - 1))`` instantaneous amplitude and frequency of the components, made of those of the same window
    and of nothing else; None: not asked for."""

    def take(self, rows: NDArray[Any] | slice) -> "Windows":
        """Return some windows, by their numbers, by a mask or as a slice."""
        some: list[Any] = [None if array is None else taken(array, rows) for array in self]
        return Windows(*some)

    def each(self, function: "Callable[[Windows], FloatArray]") -> FloatArray:
        """Apply a function that treats windows one by one: now or, of gathered ones, when its result is looked at."""
        return each(function, self)

    def blocks(self) -> "Iterator[Windows]":
        """Yield all windows: at once or, where they are gathered, as many as are made at once."""
        if not isinstance(self.past, Gathered):
            yield self
            return
        size = self.past.rows_of_a_block
        for start in range(0, max(len(self.past), 1), size):
            yield self.take(slice(start, start + size))


class Batch(NamedTuple):
    """Scaled windows, as arrays or tensors."""

    past: Any
    """``(B, L, C)``."""
    target: Any
    """``(B, H, C + 1)``: each component, and last their sum, each on its own scale."""
    extra: Any = None
    """``(B, L, E)`` covariates of the lookback and the channels of its components, each on its own scale, and behind
    them what is known ahead, H steps earlier: the last step shows that of the last target.  None: there are none."""

    def take(self, rows: Any) -> "Batch":
        """Return some windows, by their numbers, by a mask or as a slice."""
        return Batch(*(None if array is None else taken(array, rows) for array in self))

    def each(self, function: "Callable[[Batch], FloatArray]") -> FloatArray:
        """Apply a function that treats windows one by one: now or, of gathered ones, when its result is looked at."""
        return each(function, self)


class Source(Protocol):
    """Read one data set."""

    def load(self) -> Panel:
        """Return the validated panel."""
        ...


class Target(Protocol):
    """Turn the values of a source into what is forecast, and forecasts back into the unit users think in.

    Row t of the result depends on the rows up to t of its own series and on nothing else: the audit replaces what
    comes later and demands equal bits.
    """

    kinds: ClassVar[Sequence[Kind]]
    """Kinds of targets it can be asked for."""
    over: int
    """Steps whose mean is one target; 1: each step is a target of its own."""
    adds: ClassVar[bool]
    """Whether it is a move, so that targets along a horizon add up; what anyone can forecast then is no move, zero."""
    leaves: ClassVar[Sequence[str]]
    """Covariates it puts before those of the source, known at their own ``ds``: first of all ``return`` [%]."""
    unscored: ClassVar[Sequence[str]]
    """Scores that mean nothing of it, by their names in ``evaluation.scores``."""

    def unit_of(self, given: Panel) -> str | None:
        """Return the unit users of a source think in; None where that is the unit of ``y``: nothing is restored."""
        ...

    @property
    def curved(self) -> bool:
        """Whether the mean in one unit is not the mean in the other, so that what is restored needs a correction."""
        ...

    def transform(self, panel: Panel) -> Panel:
        """Return the panel with another ``y`` and unit, without the rows that have none.

        Raises
        ------
        DataError
            If the panel lacks a column, or has values that the target has no number for.
        """
        ...

    def restore(self, values: FloatArray, level: FloatArray) -> FloatArray:
        """Map values ``(...)``, and the last level known before them, to the unit users think in.

        Of moves the values are sums from the origin on.
        """
        ...

    def variance(self, values: FloatArray) -> FloatArray | None:
        """Map values to the variance they stand for [(% a day)^2]; None where it is no volatility."""
        ...


class Feature(Protocol):
    """Transform the table of a panel into inputs, as a transformer of scikit-learn.

    A table has the index (``unique_id``, ``ds``) and a column a quantity.  Row t of a result depends
    on the rows up to t of its own series and on what was fitted, and on nothing else; no row is lost.
    """

    def fit(self, X: pd.DataFrame, y: "pd.Series[float]") -> "Feature":
        """Learn from training rows alone."""
        ...

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Map a table to one with the same index."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that was fitted, by name."""
        ...

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> "Feature":
        """Take what an earlier fit has learned."""
        ...


class TooFewWindows(ValueError):
    """An augmentation was given fewer training windows than it can learn from."""


class Augmentation(Protocol):
    """Generate synthetic training windows; they never reach validation or test."""

    @property
    def covariates(self) -> bool:
        """Whether its windows have covariates of their own; False refuses those of a run, before it begins."""
        ...

    @property
    def fewest(self) -> int:
        """Training windows that it needs at least; a run with fewer is refused before it begins."""
        ...

    def samples(self, train: Batch, n_conditions: int, seed: int) -> Batch:
        """Return synthetic windows that resemble the scaled training windows; maybe none.

        Parameters
        ----------
        train : Batch
            Scaled training windows, ``past (n, L, C)`` and ``target (n, H, C + 1)``.
        n_conditions : int
            How many of the last channels of ``past`` tell the cluster of a step, one of them 1.
        seed : int
            The same seed gives the same windows.

        Raises
        ------
        TooFewWindows
            If there are too few to learn from; never none in silence.
        """
        ...


class Split(Protocol):
    """Give every row of a panel its role: training, validation or test."""

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold, or one per refit in time order."""
        ...


class Decomposition(Protocol):
    """Split one series into components.

    An implementation is handed one array and can see nothing else: a leak is not writable here.
    It gives the same bits for the same input, whatever the number of threads, and components in
    the unit of the series: those of ``a * series`` are ``a`` times those of ``series``, to rounding.
    """

    @property
    def n_components(self) -> int:
        """Number of rows every call returns."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a component at t depends on the series up to t alone.

        Such components do not change when the series goes on; others are revised with every step.
        """
        ...

    @property
    def memory(self) -> int | None:
        """Steps before t that a component at t depends on; None where it is all that was handed over.

        Zero frees a window from ``scope.history``: it may begin as soon as the lookback is known.  A causal
        decomposition whose memory fits into a window gives every window the same components.
        """
        ...

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(n_components, time)``, fast first; the rows sum to ``series``."""
        ...


@runtime_checkable
class BatchDecomposition(Protocol):
    """A decomposition with a faster way through many windows than one call after another."""

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to the last ``keep`` points of their components.

        Returns ``(n, n_components, keep)``, equal to the bit to one call per window.
        """
        ...


@runtime_checkable
class JointDecomposition(Protocol):
    """A decomposition that sees a series together with the covariates that are known at its steps."""

    def together(self, channels: FloatArray) -> FloatArray:
        """Map ``(time, 1 + X)``, the series first, to the components of the series ``(n_components, time)``."""
        ...


class Scope(Protocol):
    """Decide what a decomposition may see when it prepares the inputs of a forecast."""

    @property
    def causal(self) -> bool:
        """False where the components of a window depend on what comes after it."""
        ...

    @property
    def history(self) -> int | None:
        """Length of what is decomposed before the first origin [steps]; None where the lookback is enough.

        It counts where a decomposition needs it; see ``data.windows.first_end``.
        """
        ...

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of the ``keep`` points up to each of some ends, ``(end, C, keep)``.

        A ``JointDecomposition`` may be handed ``(time, 1 + X)``: the series and its covariates.

        An end is the index of the last point known; none lies before ``keep - 1``.
        """
        ...


class Scaling(Protocol):
    """Bring every component to a common size; fitted on training windows only."""

    kinds: ClassVar[Sequence[Kind]]
    """Kinds of targets it is made for."""

    def fit(self, train: Windows) -> "Scaling":
        """Learn from training windows alone."""
        ...

    def transform(self, windows: Windows) -> Batch:
        """Map windows to a batch, ``past (n, L, C)`` and ``target (n, H, C + 1)``."""
        ...

    def restore_components(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map scaled component forecasts ``(n, H, C)`` to ``(n, H)`` in the unit of ``y``."""
        ...

    def restore_total(self, forecast: FloatArray, windows: Windows) -> FloatArray:
        """Map scaled forecasts of the sum ``(n, H)`` to ``(n, H)`` in the unit of ``y``."""
        ...

    def state(self) -> dict[str, FloatArray]:
        """Everything that was fitted, by name."""
        ...

    def load_state(self, state: dict[str, FloatArray]) -> "Scaling":
        """Take what an earlier fit has learned."""
        ...
