"""Windows that are copied when they are looked at.

Neighbouring windows share all steps but one: a thousand series of a thousand steps are 8 MB, their windows of 336
steps 2 GB a component.  Here only the lines that windows slide along are held, and a model that goes through all
windows takes one block of them after another.

Shapes
------
n row, L lookback, C component
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WHOLE = 1 << 26
"""Size up to which rows are held as they are [bytes]."""
BLOCK = 1 << 24
"""Size of the rows that are made at once, where there are more [bytes]."""


class Rowwise(Protocol):
    """Named arrays with the same rows, such as ``Windows`` or ``Batch``."""

    @property
    def past(self) -> FloatArray:
        """One of them, ``(n, ...)``."""
        ...

    def take(self, rows: Any) -> Self:
        """Return some rows of all of them."""
        ...


R = TypeVar("R", bound=Rowwise)
Make = Callable[[IntArray], FloatArray]
"""Maps numbers of rows to these rows ``(m, ...)``."""


class Gathered(NDArrayOperatorsMixin):
    """An array ``(n, ...)`` whose rows are made when they are looked at.

    It is read as an array of NumPy: a part of it is an array, and so is what arithmetic makes of it.  Up to ``WHOLE``
    bytes are made once and kept.  ``blocks`` goes through more of them; everything else that takes all rows makes them
    all.

    Parameters
    ----------
    make : callable (IntArray) -> FloatArray
        Makes rows by their numbers; each is the same whichever others are asked for, to the bit.
    rows : array ``(n,)``
        The numbers of those that are here.
    tail : tuple of int
        Shape of a row.
    made_of : int
        Size of what a row is made of, where that is larger than the row [bytes].
    """

    dtype = np.dtype(np.float64)

    def __init__(self, make: Make, rows: IntArray, tail: tuple[int, ...], made_of: int = 0) -> None:
        self._make, self._rows = make, rows
        self.shape = (len(rows), *tail)
        self.made_of = max(made_of, math.prod(tail) * self.dtype.itemsize)
        self._kept: FloatArray | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all rows [bytes]."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        found = self._kept
        if found is None:
            found = _joined([self._make(self._rows[own]) for own in self._spans()])
            if self.nbytes <= WHOLE:
                self._kept = found
        return np.array(found, dtype=dtype) if copy else np.asarray(found, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        whole = (np.asarray(given) if isinstance(given, Gathered) else given for given in inputs)
        return getattr(ufunc, method)(*whole, **settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)  # sum, reshape, transpose and whatever else an array can do

    def __getitem__(self, key: Any) -> FloatArray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis and len(rest) < self.ndim:
            first, rest = slice(None), [Ellipsis, *rest]
        if self.nbytes <= WHOLE or first is None or first is Ellipsis:
            return np.asarray(self)[key]
        if isinstance(first, int | np.integer):
            return self._make(self._rows[[int(first)]])[(0, *rest)]
        make, rest = self._narrowed(rest)
        chosen = Gathered(make, self._rows[first], self.shape[1:], self.made_of)
        return _joined([make(chosen._rows[own])[(slice(None), *rest)] for own in chosen._spans()])

    def take_rows(self, rows: Any) -> FloatArray:
        """Return some rows, by their numbers, by a mask or as a slice: gathered as well, unless they are few."""
        some = Gathered(self._make, self._rows[rows], self.shape[1:], self.made_of)
        return np.asarray(some) if some.nbytes <= WHOLE else cast(FloatArray, some)

    def newest(self, n_steps: int) -> FloatArray:
        """Return the last steps of every row, ``(n, n_steps, ...)``, not made yet."""
        make, rest = self._narrowed([slice(self.shape[1] - n_steps, self.shape[1])])
        make = partial(_part_of, make, rest[0])
        return cast(FloatArray, Gathered(make, self._rows, (n_steps, *self.shape[2:]), self.made_of))

    def blocks(self) -> Iterator[FloatArray]:
        """Yield all rows, one block after another."""
        for own in self._spans():
            yield self._make(self._rows[own])

    @property
    def rows_of_a_block(self) -> int:
        """How many rows are made at once."""
        return max(1, BLOCK // max(1, self.made_of))

    def mean(self, axis: int | None = None) -> Any:
        """Return the mean over an axis, by default over all; over the rows it is added up block by block."""
        if axis != 0:
            return np.asarray(self).mean(axis=axis)
        return sum(block.sum(axis=0) for block in self.blocks()) / len(self)

    def _spans(self) -> Iterator[slice]:
        """Yield which rows make a block; one block even of no rows."""
        size = self.rows_of_a_block
        for start in range(0, max(len(self), 1), size):
            yield slice(start, start + size)

    def _narrowed(self, key: list[Any]) -> tuple[Make, list[Any]]:
        """Return what makes the asked steps of every row alone, if that is known, and what is still to be cut off."""
        if not key or not isinstance(self._make, Sliding):
            return self._make, key
        steps, *rest = key
        if isinstance(steps, int | np.integer):
            place = int(steps) % self.shape[1]
            return self._make.steps(place, place + 1), [0, *rest]
        if isinstance(steps, slice) and steps.step in (None, 1):
            start, stop, _ = steps.indices(self.shape[1])
            if stop > start:
                return self._make.steps(start, stop), [slice(None), *rest]
        return self._make, key


class Sliding:
    """Make the windows of ``length`` steps that slide along lines, by their first step.

    Parameters
    ----------
    lines : array ``(C, time)``
    length : int
        L [steps].
    """

    def __init__(self, lines: FloatArray, length: int) -> None:
        self.lines, self.length = lines, length

    def __call__(self, starts: IntArray) -> FloatArray:
        """Return windows ``(m, L, C)`` that lie in memory as ``(m, C, L)``."""
        view = sliding_window_view(self.lines, self.length, axis=1).transpose(1, 0, 2)  # (start, C, L)
        return np.ascontiguousarray(view[starts]).transpose(0, 2, 1)

    def steps(self, start: int, stop: int) -> "Sliding":
        """Return what makes the steps ``start`` to ``stop`` of the same windows."""
        return Sliding(self.lines[:, start : self.lines.shape[1] - self.length + stop], stop - start)


def sliding(lines: FloatArray, starts: IntArray, length: int) -> FloatArray:
    """Return windows ``(n, L, C)`` along lines ``(C, time)``, by the place of their first step, gathered."""
    return cast(FloatArray, Gathered(Sliding(lines, length), starts, (length, len(lines))))


def too_many(n_bytes: int) -> bool:
    """Say whether rows of some size are not held as they are [bytes]."""
    return n_bytes > WHOLE


def held(array: FloatArray) -> FloatArray:
    """Return an array whose rows are chosen without copying them, if it is large."""
    if not too_many(array.nbytes):
        return array
    return cast(FloatArray, Gathered(array.__getitem__, np.arange(len(array)), array.shape[1:]))


def taken(array: NDArray[Any], rows: Any) -> NDArray[Any]:
    """Return some rows of an array, by their numbers, by a mask or as a slice; of a gathered one gathered as well."""
    return array.take_rows(rows) if isinstance(array, Gathered) else array[rows]


def newest_steps(array: FloatArray, n_steps: int) -> FloatArray:
    """Return the last steps of every row ``(n, L, ...)``; of a gathered array gathered as well."""
    if isinstance(array, Gathered):
        return array.newest(n_steps)
    return array[:, array.shape[1] - n_steps :]


def blocks_of(array: FloatArray) -> Iterator[FloatArray]:
    """Yield all rows: an array as a whole, a gathered one block after block."""
    if isinstance(array, Gathered):
        yield from array.blocks()
    else:
        yield array


def each(function: Callable[[R], FloatArray], rows: R) -> FloatArray:
    """Apply a function that treats rows one by one: now or, where they are gathered, when its result is looked at."""
    if not isinstance(rows.past, Gathered):
        return function(rows)
    tail = function(rows.take(slice(0, 1))).shape[1:]
    numbers = np.arange(len(rows.past))
    gathered = Gathered(lambda own: np.asarray(function(rows.take(own))), numbers, tail, rows.past.made_of)
    return cast(FloatArray, gathered)


def behind(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return rows and others behind them; of gathered ones gathered as well."""
    if not len(other):
        return one
    if not isinstance(one, Gathered):
        return np.concatenate([one, other])

    def make(numbers: IntArray) -> FloatArray:
        first = numbers < len(one)
        found = np.empty((len(numbers), *one.shape[1:]))
        found[first], found[~first] = one[numbers[first]], other[numbers[~first] - len(one)]
        return found

    return cast(FloatArray, Gathered(make, np.arange(len(one) + len(other)), one.shape[1:], one.made_of))


def _joined(parts: list[FloatArray]) -> FloatArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _part_of(make: Make, steps: slice, rows: IntArray) -> FloatArray:
    return make(rows)[:, steps]
