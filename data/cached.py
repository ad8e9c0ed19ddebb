"""Decompose the series of a panel once, however many runs ask for it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from data.contracts import FloatArray
from data.windows import EveryEnd, Work

_PACKAGES = ("EMD-signal", "numba", "numpy", "PyWavelets", "scipy", "statsmodels")
"""What computes the components besides our own code."""

AN_ENTRY = 1 << 17
"""Points of the series in one entry: few files for a thousand series, little lost by an interruption."""


class Memory(Protocol):
    """What remembers results, such as ``runtime.cache.ArrayCache``."""

    def get_or_compute(
        self, key: Mapping[str, Any], compute: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        """Return the arrays kept under the key, or compute and keep them."""
        ...


class CachedWork:
    """A map over the series of a panel that asks a memory first, many series an entry.

    Results are known again by the values of the series, the settings, the classes, the code of
    ``data/decomposition`` and ``data/windows.py`` and the versions of the numerical packages.

    Parameters
    ----------
    work : function
        Maps a function over series: the builtin, or ``map`` of a choice of ``conf/parallel``.
    memory : Memory
    settings : mapping
        The resolved configuration of scope and decomposition: all that makes their results differ.
    """

    def __init__(self, work: Work, memory: Memory, settings: Mapping[str, Any]) -> None:
        self.work = work
        self.memory = memory
        self.settings = settings

    def __call__(self, decompose: EveryEnd, all_series: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Yield the components ``(end, C, keep)`` of every series, in order."""
        for group in _groups(all_series):
            key = {
                "settings": self.settings,
                "kinds": [_kind(decompose.scope), _kind(decompose.decomposition)],
                "keep": decompose.keep,
                "first": decompose.first,
                "stride": [decompose.stride, decompose.horizon],
                "series": group,
                "code": _code(),
                "versions": _versions(),
            }
            kept = self.memory.get_or_compute(key, partial(self._computed, decompose, group))
            for number in range(len(group)):
                yield _unpacked(kept, number, decompose.keep)

    def _computed(self, decompose: EveryEnd, group: list[FloatArray]) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        for number, components in enumerate(self.work(decompose, group)):
            found |= _packed(components, number)
        return found


def _groups(all_series: Iterable[FloatArray]) -> Iterator[list[FloatArray]]:
    """Yield neighbours that fill one entry."""
    group: list[FloatArray] = []
    points = 0
    for series in all_series:
        if group and points + series.size > AN_ENTRY:
            yield group
            group, points = [], 0
        group.append(series)
        points += series.size
    if group:
        yield group


def _packed(components: FloatArray, number: int) -> dict[str, NDArray[Any]]:
    """Return ``(end, C, keep)`` as the lines ``(C, time)`` it slides along, if it does to the bit.

    So it is where the past of a component does not change with time: a thirtieth of the size.
    """
    if len(components):
        lines = np.concatenate([components[0], components[1:, :, -1].T], axis=1)
        slid = sliding_window_view(lines, components.shape[2], axis=1).transpose(1, 0, 2)
        if np.array_equal(slid.view(np.int64), components.view(np.int64)):
            return {f"lines {number}": lines}
    return {f"windows {number}": components}


def _unpacked(kept: Mapping[str, NDArray[Any]], number: int, keep: int) -> FloatArray:
    if f"windows {number}" in kept:
        return kept[f"windows {number}"]
    return sliding_window_view(kept[f"lines {number}"], keep, axis=1).transpose(1, 0, 2)


def _kind(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


@cache
def _code() -> str:
    """Return a digest of all code that turns a series into components."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*(here / "decomposition").rglob("*.py"), here / "windows.py", here / "cached.py"]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(here).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
