"""Keep arrays that were dear to compute: ``python -m runtime.cache info`` or ``clear``.

``joblib.Memory`` would do much of this, but it unpickles what it finds, and a pickle runs code:
an output folder that somebody sends along must not be able to.  Entries here are NumPy files
read with ``allow_pickle=False`` behind a checksum.
"""

import argparse
import fcntl
import hashlib
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.files import ROOT, atomic

Arrays = Mapping[str, NDArray[Any]]

_SUFFIX, _PART, _LOCK = ".arrays", ".part", ".arrays-lock"
_DAY = 86400.0
_DIGEST = hashlib.sha256().digest_size

_BEGAN = float(os.environ.setdefault("MODECAST_BEGAN", str(time.time())))
"""Start of the run, which its worker processes inherit: what was used since then is in use [s]."""


@dataclass
class _Account:
    """What this process knows of a folder, so that it need not look at every entry at every writing."""

    total: int
    """Bytes of all entries, when they were counted last or written here."""
    passed: int = 0
    """Bytes written or turned away since they were counted."""
    full: bool = False
    """Whether all of them are in use."""


_accounts: dict[Path, _Account] = {}


class CacheWarning(UserWarning):
    """A cache that could not be used; the result was computed as if there were none."""


class ArrayCache:
    """Keep results in files that any number of processes may read and fill at once.

    An entry appears whole or not at all, is checked against its checksum on every reading, and is computed
    by one process while the others that need it wait.  What was used longest ago is the first to go, but
    nothing that the run itself has used: when all that is left is in use, further results are not kept, and a
    run that passes over more than fits again and again finds at least what fitted.  Whatever goes wrong with a
    file costs a warning and a computation, never a wrong result.

    Parameters
    ----------
    folder : str or None
        Where the entries lie, relative to the checkout; None takes the environment variable
        ``MODECAST_CACHE`` or else ``outputs/.cache``.
    limit_bytes : int
        Size above which entries are deleted or not kept [bytes].
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
        with alone(path.with_suffix(_LOCK)):
            kept = self._read(path)  # another process may have computed it meanwhile
            if kept is None:
                kept = compute()
                self._write(path, kept)
        return kept

    def entries(self) -> list[Path]:
        """Return the files of all entries."""
        return sorted(self.folder.glob("*" + _SUFFIX))

    def clear(self) -> int:
        """Delete every entry, but nothing else in the folder, and return how many there were."""
        entries = self.entries()
        for path in [*entries, *self.folder.glob(f".*{_SUFFIX}.*{_PART}"), *self.folder.glob("*" + _LOCK)]:
            path.unlink(missing_ok=True)
        _accounts.pop(self.folder, None)
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
            path.unlink(missing_ok=True)
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
        size = payload.nbytes + _DIGEST
        if size > self.limit_bytes:
            _warn(f"A result of {payload.nbytes} bytes is not kept: the limit is {self.limit_bytes}.")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._has_room(size):
                return
            with atomic(path) as part, part.open("wb") as file:
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
        except OSError as error:
            _warn(
                f"The cache in {path.parent} cannot be written ({error.strerror}); results are not kept.  "
                f"Free some space, or set MODECAST_CACHE to a folder that can be written."
            )

    def _has_room(self, size: int) -> bool:
        """Say whether an entry may be added, after making room for it where the folder is full.

        The entries are counted at the first writing of a process and again after a tenth of the limit has been
        written or turned away, for other processes write, too.
        """
        account = _accounts.get(self.folder)
        full = account is not None and account.full
        exceeded = account is not None and not full and account.total + size > self.limit_bytes
        if account is None or exceeded or account.passed + size > self.limit_bytes / 10:
            _sweep_parts(self.folder)
            account = _accounts[self.folder] = self._evicted(size)
            if account.full and not full:
                _warn(
                    f"The cache in {self.folder} is full of what this run uses (the limit is {self.limit_bytes} "
                    f"bytes); further results are computed each time."
                )
        account.passed += size
        account.total += 0 if account.full else size
        return not account.full

    def _evicted(self, size: int) -> _Account:
        """Delete what was used longest ago, but nothing in use, until there is room; return what is left."""
        entries = sorted(_found(self.folder, "*" + _SUFFIX), key=lambda entry: entry[2])
        total = sum(nbytes for _, nbytes, _ in entries)
        for path, nbytes, used in entries:
            if total + size <= self.limit_bytes or used >= _BEGAN:
                break
            path.unlink(missing_ok=True)
            total -= nbytes
        return _Account(total, full=total + size > self.limit_bytes)


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


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock; the system frees it when its process ends, however that ends.

    Where a folder cannot be written to or has no locks, nobody waits.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        while (handle := _locked(lock)) is None:
            pass
    except OSError:
        handle = None
    try:
        yield
    finally:
        if handle is not None:
            lock.unlink(missing_ok=True)
            os.close(handle)


def _locked(lock: Path) -> int | None:
    """Return the lock, open, once it is free; None where its last holder has deleted it meanwhile."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if lock.exists() and os.fstat(handle).st_ino == lock.stat().st_ino:
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _sweep_parts(folder: Path) -> None:
    """Delete what processes that died have left unfinished."""
    for part, _, used in _found(folder, f".*{_SUFFIX}.*{_PART}"):
        if used < time.time() - _DAY:
            part.unlink(missing_ok=True)


def _found(folder: Path, pattern: str) -> Iterator[tuple[Path, int, float]]:
    """Yield path, size [bytes] and last use [s] of the files that are still there."""
    for path in folder.glob(pattern):
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
        sizes = [size for _, size, _ in _found(cache.folder, "*" + _SUFFIX)]
        print(f"{len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB in {cache.folder}.")


if __name__ == "__main__":
    main(sys.argv[1:])
