"""Parquet and Feather files to tables: whole columns with their types, within bounds."""

import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from data.panel import DataError

MOST_CELLS = 200_000_000
LARGEST = 4 << 30  # [bytes] unpacked


def parquet_of(content: bytes, name: str) -> pd.DataFrame:
    """Return the table of a Parquet file.

    Raises
    ------
    DataError
        If it is none, or too large.
    """
    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        about = file.metadata
        unpacked = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        if about.num_rows * max(about.num_columns, 1) > MOST_CELLS or unpacked > LARGEST:
            raise DataError(f"{name} holds {about.num_rows} rows of {about.num_columns} columns, more than is read.")
        return _frame(file.read())
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise _unreadable(name, "Parquet", error) from None


def feather_of(content: bytes, name: str) -> pd.DataFrame:
    """Return the table of a Feather file.

    Raises
    ------
    DataError
        If it is none, or too large.
    """
    try:
        return _frame(feather.read_table(pa.BufferReader(content)))
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise _unreadable(name, "Feather", error) from None


def _frame(table: pa.Table) -> pd.DataFrame:
    for field in table.schema:
        if pa.types.is_nested(field.type):
            raise ValueError(f"its column {field.name} holds lists or records")
    return table.to_pandas()


def _unreadable(name: str, kind: str, error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".")
    return DataError(f"{name} is no {kind} file that can be read ({reason}).  Write it again, or as .csv.")
