"""Decompose a series once, however many runs ask for it."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from data.contracts import Decomposition, FloatArray, IntArray, Scope

_PACKAGES = ("EMD-signal", "numba", "numpy", "PyWavelets", "scipy", "statsmodels")
"""What computes the components besides our own code."""


class Memory(Protocol):
    """What remembers results, such as ``runtime.cache.ArrayCache``."""

    def get_or_compute(
        self, key: Mapping[str, Any], compute: Callable[[], Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        """Return the arrays kept under the key, or compute and keep them."""
        ...


class CachedScope:
    """A scope that asks a memory first, series by series.

    A result is known again by the values of the series, the settings, the classes, the code of
    ``data/decomposition`` and ``data/windows.py`` and the versions of the numerical packages.

    Parameters
    ----------
    scope : Scope
        What decides which part of the series a decomposition may see.
    memory : Memory
    settings : mapping
        The resolved configuration of scope and decomposition: all that makes their results differ.
    """

    def __init__(self, scope: Scope, memory: Memory, settings: Mapping[str, Any]) -> None:
        self.scope = scope
        self.memory = memory
        self.settings = settings
        self.causal = scope.causal

    @property
    def history(self) -> int | None:
        """As the scope within [steps]."""
        return self.scope.history

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return the components of the ``keep`` points up to each end, ``(end, C, keep)``."""
        key = {
            "settings": self.settings,
            "kinds": [_kind(self.scope), _kind(decomposition)],
            "series": series,
            "keep": keep,
            "ends": np.asarray(ends),
            "code": _code(),
            "versions": _versions(),
        }

        def compute() -> dict[str, NDArray[Any]]:
            return _packed(self.scope.at(decomposition, series, keep, ends))

        return _unpacked(self.memory.get_or_compute(key, compute), keep)


def _packed(components: FloatArray) -> dict[str, NDArray[Any]]:
    """Return ``(end, C, keep)`` as the lines ``(C, time)`` it slides along, if it does to the bit.

    So it is where the past of a component does not change with time: a thirtieth of the size.
    """
    if len(components):
        lines = np.concatenate([components[0], components[1:, :, -1].T], axis=1)
        slid = sliding_window_view(lines, components.shape[2], axis=1).transpose(1, 0, 2)
        if np.array_equal(slid.view(np.int64), components.view(np.int64)):
            return {"lines": lines}
    return {"windows": components}


def _unpacked(kept: Mapping[str, NDArray[Any]], keep: int) -> FloatArray:
    if "windows" in kept:
        return kept["windows"]
    return sliding_window_view(kept["lines"], keep, axis=1).transpose(1, 0, 2)


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
