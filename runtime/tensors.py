"""Read kept weights as arrays: a header that is bounded, the types a run writes, finite numbers."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.faults import FolderError, meant, shown
from runtime.kept import read_bytes

Tensors = dict[str, NDArray[Any]]

FILE_BYTES = 2_000_000_000
HEADER_BYTES = 10_000_000
TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}


def read_tensors(path: Path) -> Tensors:
    """Return the arrays of a safetensors file by name, each a copy that may be written to.

    Raises
    ------
    FolderError
        If the file is damaged, or holds a type, a shape or a number no run of ours writes.
    """
    content = read_bytes(path, FILE_BYTES)
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(HEADER_BYTES, len(content) - 8):
        raise FolderError(f"{path} is damaged: its header of {length} bytes does not fit.  Train the run again.")
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"))
        entries = {name: value for name, value in header.items() if name != "__metadata__"}
        data = memoryview(content)[8 + length :]
        tensors = {name: _tensor(path, name, value, data) for name, value in entries.items()}
        covered = sorted(tuple(value["data_offsets"]) for value in entries.values())
    except FolderError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise FolderError(f"{path} is damaged: its header cannot be read ({reason}).  Train the run again.") from None
    ends = [0, *(end for _, end in covered)]
    if [begin for begin, _ in covered] != ends[:-1] or ends[-1] != len(data):
        raise FolderError(f"{path} is damaged: its tensors overlap or leave gaps.  Train the run again.")
    return tensors


def refuse_other_layout(found: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Refuse tensors of other names, shapes or types than a model has.

    Parameters
    ----------
    found, wanted : mapping
        What was read, and what the freshly built model holds, by name.

    Raises
    ------
    FolderError
        Naming the first that differs.
    """
    for name in [*wanted, *found]:
        if name not in found:
            raise FolderError(f"{path} lacks {name}: it is of other settings.  Train the run again.")
        if name not in wanted:
            known = meant(name, wanted, "Train the run again.")
            raise FolderError(f"{path} holds {shown(name)}, which the model of its configuration has not.  {known}")
        mine, theirs = wanted[name], found[name]
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
            raise FolderError(
                f"{path} holds {name} as {theirs.dtype} {theirs.shape}, but the model of its configuration has "
                f"{mine.dtype} {mine.shape}.  Train the run again."
            )


def _tensor(path: Path, name: str, entry: dict[str, Any], data: memoryview) -> NDArray[Any]:
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in TYPES:
        raise FolderError(f"{path} holds {shown(name)} as {shown(kind)}; a run writes {', '.join(TYPES)}.")
    numbers = [*shape, begin, end]
    if not all(type(number) is int and 0 <= number < 2**48 for number in numbers):
        raise ValueError(f"{name} has shape {shape} at {begin} to {end}")
    dtype = np.dtype(TYPES[kind])
    if math.prod(shape) * dtype.itemsize != end - begin or end > len(data):
        raise FolderError(f"{path} is damaged: {shown(name)} of shape {shown(shape)} does not fit its bytes.")
    array = np.frombuffer(data[begin:end], dtype).reshape(shape).copy()
    if kind == "BOOL" and (array.view(np.uint8) > 1).any():
        raise FolderError(f"{path} is damaged: {shown(name)} holds what is neither true nor false.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FolderError(
            f"{path} holds numbers in {shown(name)} that do not exist (NaN or infinite); "
            f"its training has diverged or the file is damaged.  Train the run again."
        )
    return array
