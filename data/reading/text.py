"""A text to a table of texts: separator, header lines, remarks, footers, and no row of another length unseen."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow

from data.panel import DataError
from data.reading.files import first_lines
from data.reading.layout import EMPTY, TEXT, Layout, as_text, is_comment, kinds_of, layout_of, modal_width

HEAD = 300  # [lines] that decide
LONGEST = 1 << 22  # [characters] of a line
FOOTERS = 20  # [lines] at the end that may belong to nothing
CANDIDATES = ("\t", ";", "|", ",")


class Parsed(NamedTuple):
    """A table of texts."""

    layout: Layout
    columns: list[pa.Array]
    separator: str
    notes: tuple[str, ...]


def parsed(text: str, name: str, separator: str | None, skip_rows: int) -> Parsed:
    """Read a text whose lines are the rows of a table.

    Parameters
    ----------
    text : str
    name : str
        What messages call the file.
    separator : str or None
        Between columns; None finds out.
    skip_rows : int
        Lines before the header to pass over.

    Raises
    ------
    DataError
        If no table can be told, or a row has another number of cells than the others.
    """
    for _ in range(skip_rows):
        line = next(iter(first_lines(text, 1)), "")
        text = text[len(line) :]
    hint = re.match(r'"?sep=(.)"?\r?\n', text, flags=re.IGNORECASE)  # Excel's own
    if hint:
        separator, text = separator or hint[1], text[hint.end() :]
    if not text.strip():
        raise DataError(f"{name} is empty.  Give a file with a header line and rows.")
    text = _without_preface(text)
    head = list(first_lines(text, HEAD))
    if max(map(len, head)) > LONGEST:
        raise DataError(f"{name} has a line of {max(map(len, head))} characters, as no table has.")
    found = separator is None
    if separator is None:
        separator = _separator(head, name)
    if separator == " ":
        text = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text.replace("\r\n", "\n"))
        text = re.sub(r"[ \t]+", "\t", text)
        head, separator = list(first_lines(text, HEAD)), "\t"
    rows, ends = _rows(head, separator, name)
    layout = layout_of(rows, name)
    if layout.first >= len(rows):
        body = ""
    else:
        start = ends[layout.first - 1] if layout.first else 0
        body = text[sum(map(len, head[:start])) :]
    header = [as_text(cell) for cell in rows[layout.first - 1]] if layout.headed and layout.first else []
    columns, notes = _columns(body, layout, separator, header, name)
    if layout.passed:
        said = f"{layout.passed} lines before the header of {name} are passed over."
        notes = (said, *notes)
    if found:
        _refuse_other_separator(columns, layout.names, separator, name)
    if found and separator == "," and not layout.headed and len(columns) == 2:
        _refuse_split_decimals(columns, name)
    return Parsed(layout, columns, separator, notes)


def _without_preface(text: str) -> str:
    """Return the text without remarks at its beginning that fill all the lines that decide, but for the last few."""
    remarks = re.match(r"(?:[ \t]*(?:#|%|//)[^\r\n]*(?:\r\n|\n|\r))*", text)
    lines = [] if remarks is None else remarks[0].splitlines(keepends=True)
    return text[sum(map(len, lines[:-5])) :] if len(lines) > HEAD // 2 else text


def _separator(head: Sequence[str], name: str) -> str:
    """Return what parts the columns: lines of one width whose cells are numbers, dates and clean words."""
    best, most = None, 0.0
    for candidate in CANDIDATES:
        rows, _ = _rows(head, candidate, name)
        rows = [row for row in rows if row and not is_comment(row) and any(cell.strip() for cell in row)]
        width = modal_width(rows)
        if width < 2 or width > 100_000:
            continue
        alike = [row for row in rows if len(row) == width]
        shown = alike[-max(1, min(len(alike), 4_000 // width)) :]
        cells = [cell for row in shown for cell in row]
        score = sum(_worth(kind, cell) for kind, cell in zip(kinds_of(cells), cells, strict=True)) / len(cells)
        score *= len(alike) / len(rows)
        if score > most + 0.02:
            best, most = candidate, score
    if best is not None:
        return best
    plain = [line.split() for line in head if line.strip() and not COMMENTED.match(line)]
    width = modal_width(plain)
    last = plain[-1] if plain else []
    if width > 1 and len(last) == width and sum(kind != TEXT for kind in kinds_of(last)) >= width - 1:
        whole = " ".join(last)
        if kinds_of([whole])[0] == TEXT:  # a date with its time, or 1 234, is one column
            return " "
    return ","


COMMENTED = re.compile(r"\s*[#%]")


def _worth(kind: int, cell: str) -> float:
    if kind != TEXT:
        return 0.9 if kind == EMPTY else 1.0
    return 0.2 if re.search(r"[;\t|,]", cell) else 0.8


def _rows(lines: Sequence[str], separator: str, name: str) -> tuple[list[list[str]], list[int]]:
    """Return the rows of some lines, and how many lines have gone by after each."""
    reader = csv.reader(lines, delimiter=separator)
    rows, ends = [], []
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        if not rows:
            raise DataError(f"{name} is no table: {error}.  Give a CSV file.") from None
    return rows, ends


def _columns(
    body: str, layout: Layout, separator: str, header: Sequence[str | None], name: str
) -> tuple[list[pa.Array], tuple[str, ...]]:
    width = len(layout.names)
    if not body.strip():
        return [pa.array([], pa.string())] * width, ()
    odd: list[arrow.InvalidRow] = []

    def put_aside(row: arrow.InvalidRow) -> str:
        odd.append(row)
        return "skip"

    keys = [f"c{number}" for number in range(width)]
    content = body.encode("utf-8", "surrogatepass")
    try:
        table = arrow.read_csv(
            io.BytesIO(content),
            arrow.ReadOptions(use_threads=False, column_names=keys, block_size=min(len(content) + 1, 1 << 26)),
            arrow.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=put_aside),
            arrow.ConvertOptions(column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        raise DataError(f"{name} is no table that can be read: {_first_line(error)}.") from None
    columns = [column.combine_chunks() for column in table.columns]
    columns = [column.chunk(0) if isinstance(column, pa.ChunkedArray) else column for column in columns]
    for column, label in zip(columns, layout.names, strict=True):
        broken = pc.greater(pc.count_substring(column, "\n"), 5)
        if pc.any(broken).as_py():
            row = pc.index(broken, True).as_py() + 1
            raise DataError(f'{name} opens a quote (") in row {row} of column {label!r} and does not close it there.')
    notes = _explained(odd, table.num_rows, width, name)
    repeated = None
    for column, cell in zip(columns, header, strict=False):
        alike = pc.equal(pc.utf8_trim_whitespace(column), (cell or "").strip())
        repeated = alike if repeated is None else pc.and_(repeated, alike)
    blank = None
    for column in columns:
        nothing = pc.equal(pc.utf8_trim_whitespace(column), "")
        blank = nothing if blank is None else pc.and_(blank, nothing)
    remark = pc.match_substring_regex(columns[0], r"^\s*(#|%|//)")
    footer, told = _footers(columns, name) if width > 1 else (None, ())
    drop = pc.or_(blank, remark)
    if repeated is not None and width > 0 and pc.any(repeated).as_py():
        drop = pc.or_(drop, repeated)
        notes += (
            f"{name} repeats its header {pc.sum(repeated).as_py()} times between its rows; these lines are left out.",
        )
    if footer is not None:
        drop = pc.or_(drop, footer)
        notes += told
    if pc.any(drop).as_py():
        columns = [column.filter(pc.invert(drop)) for column in columns]
    return columns, notes


def _explained(odd: Sequence[arrow.InvalidRow], n_sound: int, width: int, name: str) -> tuple[str, ...]:
    """Pass over blank lines, remarks and what stands below the table, and refuse other rows of another length."""
    notes: list[str] = []
    total = n_sound + len(odd)
    strange: list[arrow.InvalidRow] = []
    end = total
    for row in reversed(odd):
        if not row.text.strip(" \t,;|\r\n") or is_comment([row.text]):
            end -= end == row.number
            continue
        if row.number == end and len(strange) < FOOTERS and row.actual_columns < width:
            end -= 1
            strange.append(row)
        else:
            raise _ragged(
                [one for one in odd if one.text.strip(" \t,;|\r\n") and not is_comment([one.text])], width, name
            )
    if strange:
        shown = strange[-1].text.strip()[:60]
        notes.append(f"{len(strange)} lines below the table of {name} are passed over ({shown!r}).")
    return tuple(notes)


def _ragged(odd: Sequence[arrow.InvalidRow], width: int, name: str) -> DataError:
    counts = Counter(row.actual_columns for row in odd)
    first = odd[0]
    return DataError(
        f"{len(odd)} rows of {name} have {' or '.join(map(str, sorted(counts)[:3]))} cells where the others have "
        f"{width}, the first after {first.number - 1} rows ({first.text.strip()[:60]!r}).  Correct these rows; put "
        f"values with a comma in them in quotes, or set source.separator."
    )


def _footers(columns: Sequence[pa.Array], name: str) -> tuple[pa.Array | None, tuple[str, ...]]:
    """Find the last rows in which one word stands and nothing else."""
    n = len(columns[0])
    texts = []
    for place in range(n - 1, max(n - 1 - FOOTERS, -1), -1):
        cells = [column[place].as_py().strip() for column in columns]
        spoken = [cell for cell in cells if cell]
        if len(spoken) > 1 or (spoken and kinds_of(spoken)[0] != TEXT):
            break
        texts += spoken
    else:
        if n <= FOOTERS:
            return None, ()
    if not texts:
        return None, ()
    below = pa.array([False] * (place + 1) + [True] * (n - place - 1))
    return below, (f"{len(texts)} lines below the table of {name} are passed over ({texts[-1][:60]!r}).",)


def _refuse_other_separator(columns: Sequence[pa.Array], labels: Sequence[str], separator: str, name: str) -> None:
    """Refuse a column whose cells hold what parts columns elsewhere: it is two, or the file is two."""
    for column, label in zip(columns, labels, strict=True):
        shown = column.slice(0, HEAD).to_pylist()
        for other in set("\t;|") - {separator}:
            if sum(other in cell for cell in shown) > len(shown) / 2:
                example = next(cell for cell in shown if other in cell)
                raise DataError(
                    f"{name} holds {example[:60]!r} in column {label!r}: what parts its columns?  Set source.separator."
                )


def _refuse_split_decimals(columns: Sequence[pa.Array], name: str) -> None:
    """A column of 1,5 without quotes, or two columns of whole numbers: nothing tells."""
    if all(pc.all(pc.match_substring_regex(column, r"^\s*\d+\s*$")).as_py() for column in columns):
        raise DataError(
            f"{name} has no header and rows such as '{columns[0][0]},{columns[1][0]}', which are two columns or one "
            f"with a decimal comma: set source.separator=comma, or source.separator=semicolon with "
            f"source.decimal=comma."
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__
