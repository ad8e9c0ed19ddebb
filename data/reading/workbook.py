"""Sheets of an Excel workbook, whatever else the file holds: rows within bounds, or one sentence."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from data.panel import DataError, listed

LARGEST = 1 << 29  # [bytes] of all parts, unpacked
BOMB = 32 << 20, 300  # [bytes], [ratio] beyond both a part is no sheet
PROLOG = 1 << 16  # [bytes] within which the first element of a part stands
WIDEST = 20_000  # [columns]
APART = 1000  # empty rows or columns between a table and a cell that is no part of it
MOST_CELLS = 50_000_000


def sheet_of(content: bytes, name: str, wanted: str | None) -> tuple[list[list[Any]], str, tuple[str, ...]]:
    """Return the rows of one sheet, its name, and which others were not read.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call the file.
    wanted : str or None
        Name of the sheet; None takes the first that holds something.

    Raises
    ------
    DataError
        If the file is no workbook that can be read, or has no such sheet.
    """
    with opened(content, name) as book:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        if wanted is not None and wanted not in sheets:
            raise DataError(f"{name} has no sheet {wanted!r}; it has {listed(map(repr, sheets))}.  Set source.sheet.")
        for title in [wanted] if wanted is not None else list(sheets):
            rows = rows_of(sheets[title], f"{name}, sheet {title!r},")
            if rows:
                others = [other for other in sheets if other != title]
                if wanted is not None or not others:
                    return rows, title, ()
                return (
                    rows,
                    title,
                    (f"{name} is read from its sheet {title!r}; {listed(map(repr, others))} are not (source.sheet).",),
                )
    raise DataError(f"{name} has no cell with a value.  Give a workbook with a table.")


class opened:
    """Open a workbook after a look at its parts, and turn what may go wrong into a sentence."""

    def __init__(self, content: bytes, name: str) -> None:
        self.content, self.name = content, name
        self.book: openpyxl.Workbook | None = None

    def __enter__(self) -> openpyxl.Workbook:
        """Return the workbook, whose sheets are read row by row."""
        check_parts(self.content, self.name)
        try:
            self.book = openpyxl.load_workbook(io.BytesIO(self.content), read_only=True, data_only=True)
        except ODD as error:
            raise unreadable(self.name, error) from None
        return self.book

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        if self.book is not None:
            self.book.close()


ODD = (zipfile.BadZipFile, zlib.error, InvalidFileException, SyntaxError, ArithmeticError, AttributeError, LookupError,
       TypeError, ValueError, OSError, EOFError, NotImplementedError, RecursionError, AssertionError)  # fmt: skip
"""What openpyxl and the parsers below it raise where a file is none of theirs."""


def unreadable(name: str, error: Exception) -> DataError:
    """Return the sentence for a workbook that is none."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".")
    return DataError(f"{name} is not a workbook that can be read ({reason}).  Save it again as .xlsx, or as .csv.")


def check_parts(content: bytes, name: str) -> None:
    """Refuse archives that unpack to what no sheet holds, and parts that define entities.

    Raises
    ------
    DataError
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            whole = sum(member.file_size for member in members)
            for member in members:
                ratio = member.file_size / max(member.compress_size, 1)
                if whole > LARGEST or (member.file_size > BOMB[0] and ratio > BOMB[1]):
                    raise DataError(
                        f"{name} unpacks to {whole >> 20} MiB, as no workbook of a table does.  Save it as .csv."
                    )
                if member.flag_bits & 1:
                    raise DataError(f"{name} is locked with a password.  Save it without.")
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as part:
                        prolog = part.read(PROLOG)
                    if re.search(rb"<!(DOCTYPE|ENTITY)", prolog) or not re.search(rb"<[A-Za-z]", prolog):
                        raise DataError(
                            f"{name} is not a workbook that can be read: its part {member.filename} is none of Excel's."
                        )
            if not any(member.filename.startswith("xl/") for member in members):
                kind = "an OpenDocument sheet" if any(m.filename == "mimetype" for m in members) else "no workbook"
                raise DataError(f"{name} is {kind}.  Save its table as .xlsx or .csv.")
            if not any(member.filename.startswith("xl/worksheets/") for member in members):
                raise DataError(f"{name} has no sheet with cells, at most charts.  Put the table into a sheet.")
            if any(member.filename == "xl/workbook.bin" for member in members):
                raise DataError(f"{name} is a binary workbook (.xlsb).  Save it as .xlsx or .csv.")
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise unreadable(name, error) from None


def rows_of(sheet: Any, name: str) -> list[list[Any]]:
    """Return the rows of a sheet from the first with a value to the last, none wider than its widest value."""
    rows: list[list[Any]] = []
    gap = cells = 0
    try:
        for row in _values(sheet):
            if not row:
                gap += bool(rows)
                continue
            if gap > APART:
                raise _stray(name, "row")
            rows.extend([] for _ in range(gap))
            gap = 0
            cells += len(row)
            if len(row) > WIDEST or cells > MOST_CELLS:
                raise DataError(f"{name} holds more than {MOST_CELLS} cells.  Save its table as .csv.")
            rows.append(row)
    except DataError:
        raise
    except ODD as error:
        raise unreadable(name, error) from None
    return _of_one_width(rows, name)


def _values(sheet: Any) -> Iterator[list[Any]]:
    """Yield every row up to its last value; a sheet's own word on its size is not trusted."""
    sheet.reset_dimensions()
    for row in sheet.iter_rows(values_only=True):
        last = len(row)
        while last and (row[last - 1] is None or row[last - 1] == ""):
            last -= 1
        yield list(row[:last])


def _of_one_width(rows: list[list[Any]], name: str) -> list[list[Any]]:
    """Fill rows up to the widest, and leave out empty columns on the left."""
    width = max(map(len, rows), default=0)
    used = [False] * width
    for row in rows:
        for column, value in enumerate(row):
            if value is not None and value != "":
                used[column] = True
    places = [column for column, one in enumerate(used) if one]
    if any(after - before > 100 for before, after in pairwise(places)):
        raise _stray(name, "column")
    first = places[0] if places else 0
    return [[*row, *[None] * (width - len(row))][first:] for row in rows]


def _stray(name: str, what: str) -> DataError:
    return DataError(f"{name} has a value in a {what} far beyond its table.  Clear that cell.")
