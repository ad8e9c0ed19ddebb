"""Where a table begins in a sheet or a text: what stands before it, its header lines, its first row."""

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from data.panel import DataError
from data.reading import dates, numbers

EMPTY, NUMBER, DATE, TEXT = 0, 1, 2, 3
"""Kinds of a cell."""

MOSTLY = 0.8  # [fraction] of the cells of a column that make it one of numbers or dates
MOST_HEADERS = 4  # lines
LONGEST = 60  # [characters] of a number or a date
BUDGET = 10_000  # [cells] that are looked at
WIDEST = 20_000  # [columns]
RECORD = re.compile(r"\s*\"?\d[\d./:T -]*\"?\s*[,;\t|]")
"""A line that begins as a row of data does."""
COMMENT = re.compile(r"\s*(#|%|//|--\s|!\s)")

Row = Sequence[Any]


class Layout(NamedTuple):
    """How a table lies in its rows."""

    names: list[str]
    """Of the columns, each once."""
    headings: list[tuple[str, ...]]
    """All that stands above each column, from the top."""
    first: int
    """Which row is the first of data."""
    passed: int
    """How many rows before the header are no comments and no part of the table."""
    headed: bool
    """Whether the columns have names of their own."""
    repeated: tuple[str, ...] = ()
    """Names that stand above several columns."""


def layout_of(rows: Sequence[Row], name: str) -> Layout:
    """Find the header and the first row of data.

    Parameters
    ----------
    rows : sequence of rows
        The first rows of the table, texts or values of a sheet; their lengths may differ.
    name : str
        What messages call the file.

    Raises
    ------
    DataError
        If the header names another number of columns than the rows have.
    """
    width = modal_width(rows)
    if width > WIDEST:
        raise DataError(f"{name} has {width} columns; at most {WIDEST} are read.  Give fewer.")
    rows = rows[: max(12, BUDGET // max(width, 1))]
    kinds = [kinds_of(row) for row in rows]
    full = [place for place, row in enumerate(rows) if len(row) == width and not _is_blank(kinds[place])]
    sample = [kinds[place] for place in full[-max(1, len(full) // 3) :]]
    table = np.array(sample, dtype=np.int64).reshape(len(sample), width)  # (row, column)
    known = (table != EMPTY).sum(axis=0)
    like = [(table == kind).sum(axis=0) >= MOSTLY * np.maximum(known, 1) for kind in (NUMBER, DATE)]
    either = np.isin(table, [NUMBER, DATE]).sum(axis=0) >= MOSTLY * np.maximum(known, 1)
    measured = np.flatnonzero(either & (known > 0))
    dated = np.flatnonzero(like[1] & (known > 0))
    first = _first_row(kinds, full, measured, dated)
    headers, passed = _headers(rows, kinds, first, width)
    never = {int(column) for column in np.flatnonzero(known == 0)}
    lines = [_fitted(rows[place], width, never, rows[first:], name) for place in headers]
    before = ["  ".join(as_text(cell) or "" for cell in row) for row in rows[:first] if not is_comment(row)]
    if sum(RECORD.match(line) is not None for line in before) > 2:
        raise DataError(
            f"{name} has rows of other columns before its table ({before[-passed].strip()[:60]!r}).  Set "
            f"source.separator, or source.skip_rows to the lines before the header."
        )
    if not lines and passed:
        line = before[-1]
        raise DataError(
            f"{name} has {width} columns, but the line before its first row names none of them "
            f"({line.strip()[:60]!r}).  Set source.separator, or give a header line."
        )
    if not lines:
        names = [f"column {number}" for number in range(1, width + 1)]
        return Layout(names, [(label,) for label in names], first, passed, False)
    headings = [tuple(line[column] for line in lines) for column in range(width)]
    labels = _labels(lines, width)
    repeated = tuple(label for label, times in Counter(labels).items() if times > 1)
    return Layout(_unique(labels), headings, first, passed, True, repeated)


def modal_width(rows: Sequence[Row]) -> int:
    """Return how many cells most rows have, of several the widest."""
    widths = Counter(len(row) for row in rows if any(str(cell).strip() for cell in row if cell is not None))
    return max(widths, key=lambda width: (widths[width], width)) if widths else 0


def kinds_of(cells: Row) -> list[int]:
    """Return the kind of each cell."""
    return [_kind(as_text(cell)) for cell in cells]


def as_text(cell: Any) -> str | None:
    """Return a cell as a text that the same reader reads, None where nothing stands."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return repr(cell) if isinstance(cell, float) else str(cell)


def is_comment(row: Row) -> bool:
    """Tell whether a row is a remark of the file."""
    return bool(row) and isinstance(row[0], str) and COMMENT.match(row[0]) is not None


def _kind(text: str | None) -> int:
    text = (text or "").strip().strip(numbers.MARKS)
    if text.lower() in numbers.MISSING:
        return EMPTY
    if len(text) > LONGEST:
        return TEXT
    if dates.is_date(text):
        return DATE
    return NUMBER if numbers.is_number(text) else TEXT


def _is_blank(kinds: Sequence[int]) -> bool:
    return all(kind == EMPTY for kind in kinds)


def _first_row(kinds: list[list[int]], full: list[int], measured: np.ndarray, dated: np.ndarray) -> int:
    if not len(measured):
        return full[1] if len(full) > 1 else len(kinds)
    for place in full:
        row = np.array(kinds[place])
        known = row[measured] != EMPTY
        sound = np.isin(row[measured], [NUMBER, DATE])
        when = not len(dated) or row[dated[0]] in (DATE, NUMBER)
        if known.any() and sound.sum() >= 0.5 * known.sum() and when:
            return place
    return len(kinds)


def _headers(rows: Sequence[Row], kinds: list[list[int]], first: int, width: int) -> tuple[list[int], int]:
    """Return the header rows, from the top, and how many rows before them belong to nothing."""
    before = [place for place in range(first) if not _is_blank(kinds[place])]
    spoken = [place for place in before if not is_comment(rows[place])]
    found: list[int] = []
    for back, place in enumerate(reversed(spoken)):
        several = sum(kind != EMPTY for kind in kinds[place]) > 1 or width == 1
        above = spoken[len(spoken) - back - 2] if back + 2 <= len(spoken) else None
        # A single word in a row of empty cells names the first column, where a whole header stands above it.
        alone = above is not None and len(rows[place]) == width == len(rows[above]) and _is_whole(kinds[above])
        if len(found) == MOST_HEADERS or abs(len(rows[place]) - width) > 1 or not (several or alone):
            break
        found.insert(0, place)
    if not found and before and is_comment(rows[before[-1]]):
        bare = _uncommented(rows[before[-1]])
        if len(bare) == width and width > 1:
            return [before[-1]], len(spoken)
    return found, len(spoken) - len(found)


def _is_whole(kinds: Sequence[int]) -> bool:
    return sum(kind != EMPTY for kind in kinds) > max(1, len(kinds) // 2)


def _uncommented(row: Row) -> list[Any]:
    bare = [COMMENT.sub("", str(row[0])).strip(), *row[1:]]
    return bare[1:] if bare[0] == "" and len(bare) > 1 else bare


def _fitted(row: Row, width: int, never: set[int], body: Sequence[Row], name: str) -> list[str]:
    """Return a header line with a text a column."""
    line = [(as_text(cell) or "").strip() for cell in (_uncommented(row) if is_comment(row) else row)]
    while len(line) > width and not line[-1]:
        line.pop()
    if len(line) == width - 1:
        counted = [as_text(other[0]) for other in body if len(other) == width]
        if width - 1 in never:  # rows end with a separator, the header does not
            return [*line, ""]
        if len(counted) > 2 and all(
            text is not None and text.isdecimal() and int(text) - int(counted[0] or 0) == number
            for number, text in enumerate(counted)
        ):
            return ["", *line]
    if len(line) != width:
        raise DataError(
            f"The header of {name} names {len(line)} columns, but its rows have {width}.  Put values with a comma in "
            f"them in quotes, or set source.separator, or source.skip_rows to the lines before the header."
        )
    return line


def _labels(lines: list[list[str]], width: int) -> list[str]:
    """Return a name a column: of several lines those that tell columns apart."""
    if len(lines) == 1:
        return [text or f"Unnamed: {column}" for column, text in enumerate(lines[0])]
    telling = [line for line in lines if len({text for text in line[1:] if text}) > 1] or lines[:1]
    firsts = [line[0] for line in lines if line[0]]
    labels = [firsts[-1] if firsts else "Unnamed: 0"]
    for column in range(1, width):
        parts = list(dict.fromkeys(line[column] for line in telling if line[column]))
        labels.append(" ".join(parts) or next((line[column] for line in lines if line[column]), f"Unnamed: {column}"))
    return labels


def _unique(labels: list[str]) -> list[str]:
    """Tell columns of one name apart as pandas does: close, close.1."""
    made: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for label in labels:
        again = label
        while again in made:
            numbers[label] = numbers.get(label, 0) + 1
            again = f"{label}.{numbers[label]}"
        made[again] = None
    return list(made)
