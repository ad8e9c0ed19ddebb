"""Keep arrays that were dear to compute: ``python -m runtime.cache info`` or ``clear``.

``joblib.Memory`` would do much of this, but it unpickles what it finds, and a pickle runs code:
an output folder that somebody sends along must not be able to.  Entries here are NumPy files
read with ``allow_pickle=False`` behind a checksum.
"""

import argparse
import hashlib
import io
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
Arrays = Mapping[str, NDArray[Any]]

_SUFFIX = ".arrays"
_PART = ".arrays-part"
_DAY = 86400.0
_DIGEST = hashlib.sha256().digest_size


class CacheWarning(UserWarning):
    """A cache that could not be used; the result was computed as if there were none."""


class ArrayCache:
    """Keep results in files that any number of processes may read and fill at once.

    An entry appears whole or not at all (written aside, then renamed), is checked against its
    checksum on every reading, and is the first to go when it was used longest ago.  Whatever
    goes wrong with a file costs a warning and a computation, never a wrong result.

    Parameters
    ----------
    folder : str or None
        Where the entries lie, relative to the checkout; None takes the environment variable
        ``MODECAST_CACHE`` or else ``outputs/.cache``.
    limit_bytes : int
        Size above which the entries used longest ago are deleted [bytes].
    """

    def __init__(self, folder: str | Path | None = None, limit_bytes: int = 2_000_000_000) -> None:
        if limit_bytes < 1:
            raise ValueError(f"limit_bytes={limit_bytes} must be positive.")
        self.folder = ROOT / (folder or os.environ.get("MODECAST_CACHE") or "outputs/.cache")
        self.limit_bytes = limit_bytes

    def get_or_compute(self, key: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """Return the named arrays kept under ``key``, or compute and keep them.

        Parameters
        ----------
        key : mapping
            Everything the result depends on: arrays, and what JSON can hold, nested at will.
        compute : callable
            Returns arrays by name; called if there is no sound entry.
        """
        path = self.folder / (key_digest(key) + _SUFFIX)
        kept = self._read(path)
        if kept is not None:
            return kept
        arrays = compute()
        self._write(path, arrays)
        return arrays

    def entries(self) -> list[Path]:
        """Return the files of all entries."""
        return sorted(self.folder.glob("*" + _SUFFIX))

    def clear(self) -> int:
        """Delete every entry, but nothing else in the folder, and return how many there were."""
        entries = self.entries()
        for path in [*entries, *self.folder.glob("*" + _PART)]:
            path.unlink(missing_ok=True)
        return len(entries)

    def _read(self, path: Path) -> Arrays | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(f"The cache in {path.parent} cannot be read ({error.strerror}); computing anew.")
            return None
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            _warn(f"The cache entry {path.name} is damaged; computing it anew.")
            return None
        with np.load(io.BytesIO(content[_DIGEST:]), allow_pickle=False) as kept:
            arrays = dict(kept)
        try:
            os.utime(path)  # now the one used last
        except OSError:
            return arrays  # another process has just deleted it
        return arrays

    def _write(self, path: Path, arrays: Arrays) -> None:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        payload = content.getbuffer()
        if payload.nbytes + _DIGEST > self.limit_bytes:
            _warn(f"A result of {payload.nbytes} bytes is not kept: the limit is {self.limit_bytes}.")
            return
        part = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=_PART, delete=False) as file:
                part = Path(file.name)
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
            os.replace(part, path)
            self._evict(path)
        except OSError as error:
            if part is not None:
                part.unlink(missing_ok=True)
            _warn(
                f"The cache in {path.parent} cannot be written ({error.strerror}); results are not kept.  "
                f"Free some space, or set MODECAST_CACHE to a folder that can be written."
            )

    def _evict(self, newest: Path) -> None:
        """Delete what was used longest ago until the limit holds, and parts that were never finished."""
        for part, _, used in _found(self.folder, _PART):
            if used < time.time() - _DAY:
                part.unlink(missing_ok=True)
        entries = sorted(_found(self.folder, _SUFFIX), key=lambda entry: entry[2])
        excess = sum(size for _, size, _ in entries) - self.limit_bytes
        for path, size, _ in entries:
            if excess <= 0:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                excess -= size


def key_digest(key: Mapping[str, Any]) -> str:
    """Return a name that changes with every name, number, type, shape and byte of the key.

    Raises
    ------
    TypeError
        If the key holds something other than arrays and what JSON can hold.
    """
    return hashlib.sha256(json.dumps(_plain(key), sort_keys=True).encode()).hexdigest()


def _plain(part: Any) -> Any:
    """Return the part with its arrays replaced by what tells them apart."""
    if isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            raise TypeError("A cache key cannot hold an array of Python objects.")
        content = hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
        return {"array": [str(part.dtype), list(part.shape), content]}
    if isinstance(part, Mapping):
        if not all(isinstance(name, str) for name in part):
            raise TypeError(f"The names in a cache key must be strings, got {list(part)}.")
        return {"mapping": {name: _plain(value) for name, value in part.items()}}
    if isinstance(part, list | tuple):
        return [_plain(value) for value in part]
    return part


def _found(folder: Path, suffix: str) -> Iterator[tuple[Path, int, float]]:
    """Yield path, size [bytes] and last use [s] of the files that are still there."""
    for path in folder.glob("*" + suffix):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # another process was faster
        yield path, status.st_size, status.st_mtime


def _warn(message: str) -> None:
    warnings.warn(message, CacheWarning, stacklevel=4)


def main(arguments: list[str]) -> None:
    """Say what the cache holds, or clear it."""
    parser = argparse.ArgumentParser(prog="python -m runtime.cache", description=main.__doc__)
    parser.add_argument("command", choices=["info", "clear"])
    command = parser.parse_args(arguments).command
    cache = ArrayCache()
    if command == "clear":
        print(f"Deleted {cache.clear()} entries from {cache.folder}.")
    else:
        sizes = [size for _, size, _ in _found(cache.folder, _SUFFIX)]
        print(f"{len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB in {cache.folder}.")


if __name__ == "__main__":
    main(sys.argv[1:])
