"""Read MATLAB files up to version 7.2 as plain structures, or say in one sentence what is wrong."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.contracts import FloatArray
from data.panel import DataError
from data.reading.files import read_bytes


def read_mat(path: Path) -> Mapping[str, Any]:
    """Return the variables of a file; a structure is a dictionary, an array of them a list.

    Raises
    ------
    DataError
        If it is no such file, is damaged or of version 7.3, which is HDF5.
    """
    from scipy.io import loadmat  # half a second to import

    name, content = read_bytes(path)
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[512:520] == b"\x89HDF\r\n\x1a\n":
        raise DataError(f"{name} is a MATLAB file of version 7.3.  Save it with -v7.")
    try:
        found: Mapping[str, Any] = loadmat(io.BytesIO(content), simplify_cells=True)
    except Exception as error:  # a damaged file can fail anywhere in the reader, and the file is at fault
        told = str(error).partition("\n")[0][:200]
        raise DataError(f"{name} is no MATLAB file that can be read ({type(error).__name__}: {told}).") from None
    return {key: value for key, value in found.items() if not key.startswith("__")}


def series_in(record: Any, names: list[str], where: str) -> list[FloatArray]:
    """Return fields of a structure as numbers of one length, ``(s,)`` each.

    Raises
    ------
    DataError
        If one is missing, is no number, or they differ in length.
    """
    if not isinstance(record, Mapping) or any(name not in record for name in names):
        raise DataError(f"{where} has no {', '.join(names)}.")
    try:
        found = [np.ravel(np.asarray(record[name], dtype=np.float64)) for name in names]
    except (TypeError, ValueError):
        raise DataError(f"{where} holds something else than numbers in {', '.join(names)}.") from None
    if len({len(values) for values in found}) > 1:
        raise DataError(f"{where} has {', '.join(names)} of different lengths.")
    return found
