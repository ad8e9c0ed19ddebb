"""The one reader: a file of any kind, or a DataFrame, to a table whose columns can be asked for by name."""

import datetime as dt
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.contracts import FloatArray
from data.panel import DataError, listed
from data.reading.columnar import feather_of, parquet_of
from data.reading.dates import DAYS, NO_DATE, Dates, is_date, times_of_day, to_dates
from data.reading.encoding import text_of
from data.reading.files import read_bytes
from data.reading.layout import Layout, as_text, layout_of
from data.reading.numbers import Numbers, Style, count_numbers, to_numbers, trimmed
from data.reading.options import Options
from data.reading.text import parsed
from data.reading.tsf import is_tsf, series_of
from data.reading.workbook import opened, rows_of, sheet_of

SAMPLE = 400  # cells that tell what a column holds
MOSTLY = 0.8  # [fraction] of them


@dataclass(frozen=True)
class Table:
    """A table as its file has it: texts stay texts until somebody asks what they mean.

    Parameters
    ----------
    name : str
        What messages call it.
    columns : dict
        Texts (Arrow arrays, null where nothing stands) or typed values (Series), by the column's name.
    headings : dict
        All that stands above a column, where several lines do.
    options : Options
    loose : bool
        Whether a point before three digits may group thousands: in files parted by semicolons.
    notes : tuple of str
    """

    name: str
    columns: dict[str, Any]
    headings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    loose: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def named(self, wanted: str) -> list[str]:
        """Return the columns that stand under a name, be it in another case; none where there is none."""
        if wanted in self.columns:
            return [wanted]
        under = [name for name, lines in self.headings.items() if wanted in lines]
        if under:
            return under
        plain = wanted.strip().casefold()
        alike = [name for name in self.columns if name.strip().casefold() == plain]
        return alike or [n for n, lines in self.headings.items() if plain in [line.casefold() for line in lines]]

    def lacks(self, wanted: Iterable[str], option: str) -> str:
        """Return the sentence that says which column is not there, what is, and what is near."""
        names = list(wanted)
        near = [match for name in names for match in difflib.get_close_matches(name, list(self.columns), n=1)]
        guess = f"  Did you mean {near[0]!r}?" if near else ""
        return (
            f"{self.name} lacks the {option} column {', '.join(map(repr, names))}; it has "
            f"{listed(map(repr, self.columns))}.{guess}  Name it with source.{option}=..."
        )

    def is_numeric(self, name: str) -> bool:
        """Tell whether a column holds mostly numbers."""
        column = self.columns[name]
        if isinstance(column, pd.Series):
            return pd.api.types.is_numeric_dtype(column) and not self.is_dated(name)
        shown = _shown(column)
        return len(shown) > 0 and count_numbers(shown) >= MOSTLY * len(shown) and not self.is_dated(name)

    def is_dated(self, name: str) -> bool:
        """Tell whether a column holds mostly dates; of whole numbers those that all are days as YYYYMMDD."""
        column = self.columns[name]
        if isinstance(column, pd.Series) and not pd.api.types.is_integer_dtype(column):
            return pd.api.types.is_datetime64_any_dtype(column) or isinstance(column.dtype, pd.PeriodDtype)
        if isinstance(column, pd.Series):
            column = pa.array([str(value) for value in column[:SAMPLE]], pa.string())
        shown = _shown(column)
        words = shown.filter(pc.invert(pc.match_substring_regex(shown, NO_DATE))).to_pylist()
        days = not words and pc.all(pc.match_substring_regex(shown, DAYS)).as_py()
        return len(shown) > 0 and (days or sum(map(is_date, words)) >= MOSTLY * len(shown))

    def is_empty(self, name: str) -> bool:
        """Tell whether nothing stands in a column."""
        column = self.columns[name]
        return bool(column.isna().all()) if isinstance(column, pd.Series) else column.null_count == len(column)

    def numbers(self, name: str) -> Numbers:
        """Return a column as numbers.

        Raises
        ------
        DataError
            If it can be read in two ways.
        """
        column = self.columns[name]
        if isinstance(column, pd.Series):
            values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            return Numbers(values, np.asarray(np.isnan(values) & column.notna().to_numpy()), ())
        others = (text for key, text in self.columns.items() if key != name and not isinstance(text, pd.Series))
        style = Style(self.options.decimal, self.options.thousands)
        return to_numbers(f"Column {name!r} of {self.name}", column, style, others, self.loose)

    def dates(self, name: str, clock: str | None = None) -> Dates:
        """Return a column as times; ``clock`` names the column of the time of day, where it stands apart.

        Raises
        ------
        DataError
            If it holds no dates, or can be read in two ways.
        """
        column = self.columns[name]
        if clock is not None:
            days, hours = self.texts(name), times_of_day(f"Column {clock!r} of {self.name}", self.texts(clock))
            column = pa.array([f"{d} {h}" if d and h else None for d, h in zip(days, hours, strict=True)], pa.string())
        return to_dates(f"Column {name!r} of {self.name}", column, self.options)

    def texts(self, name: str) -> list[str | None]:
        """Return a column as its file has it: 007 stays 007."""
        column = self.columns[name]
        if isinstance(column, pd.Series):
            return [None if pd.isna(value) else as_text(value) for value in column.tolist()]
        return column.to_pylist()

    def frame(
        self, names: Iterable[str] | None = None, texts: Iterable[str] = ()
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return columns (None: all) as numbers where they hold some, else as they stand, and what was noted.

        Those named in ``texts`` stay texts: a cell called 007 keeps its name.

        Raises
        ------
        DataError
            If one of them can be read in two ways.
        """
        made: dict[str, Any] = {}
        notes: list[str] = []
        kept = set(texts)
        for name in self.columns if names is None else names:
            column = self.columns[name]
            if name in kept:
                made[name] = pd.Series(self.texts(name), dtype=object)
            elif isinstance(column, pd.Series):
                made[name] = column
            elif self.is_numeric(name):
                found = self.numbers(name)
                notes += found.notes
                made[name] = found.parsed
                if found.wrong.any():
                    made[name] = pd.Series(found.parsed, dtype=object)
                    made[name][found.wrong] = pd.Series(self.texts(name), dtype=object)[found.wrong]
                elif _is_whole(found.parsed):
                    made[name] = found.parsed.astype(np.int64)
            else:
                made[name] = pd.Series(self.texts(name), dtype=object)
        return pd.DataFrame(made, index=pd.RangeIndex(len(self))), tuple(notes)


def read_table(source: "str | Path | pd.DataFrame", options: Options | None = None) -> Table:
    """Read a CSV, Parquet, Feather, Excel or .tsf file, packed or not, or take a DataFrame.

    Parameters
    ----------
    source : path or DataFrame
    options : Options or None
        What the file does not say itself.

    Raises
    ------
    DataError
        If it is no table that can be read, saying what to change.
    """
    options = (options or Options()).checked()
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, "The table", options)
    name, content = read_bytes(source)
    shown = Path(source).name
    if content.startswith(b"PAR1"):
        return _of_frame(parquet_of(content, shown), shown, options)
    if content.startswith((b"ARROW1", b"FEA1")):
        return _of_frame(feather_of(content, shown), shown, options)
    if content.startswith(b"PK"):
        rows, _, notes = sheet_of(content, shown, options.sheet)
        return _of_rows(rows[options.skip_rows :], shown, options, notes)
    text, notes = text_of(shown, content, options.encoding)
    if name.lower().endswith(".tsf") or is_tsf(text):
        frame, told = series_of(text, shown)
        return _of_frame(frame, shown, options, (*notes, *told))
    found = parsed(text, shown, options.separator, options.skip_rows)
    columns = dict(zip(found.layout.names, map(trimmed, found.columns), strict=True))
    return _without_empty(found.layout, columns, shown, options, found.separator == ";", (*notes, *found.notes))


def read_sheets(path: "str | Path", wanted: Callable[[str], bool]) -> tuple[dict[str, Table], list[str]]:
    """Read the sheets of a workbook whose names are wanted, and return also the names of all.

    Raises
    ------
    DataError
        If it is no workbook that can be read.
    """
    _, content = read_bytes(path)
    name = Path(path).name
    with opened(content, name) as book:
        names = [sheet.title for sheet in book.worksheets]
        sheets = {
            sheet.title: rows_of(sheet, f"{name}, sheet {sheet.title},")
            for sheet in book.worksheets
            if wanted(sheet.title)
        }
    return {title: _of_rows(rows, f"{name}, sheet {title},", Options(), ()) for title, rows in sheets.items()}, names


def _of_rows(rows: Sequence[Sequence[Any]], name: str, options: Options, notes: tuple[str, ...]) -> Table:
    if not rows:
        raise DataError(f"{name} has no rows.  Give a file with at least one series of values.")
    layout = layout_of(rows, name)
    body = [row for row in rows[layout.first :] if any(cell not in (None, "") for cell in row)]
    columns = {label: _typed([row[place] for row in body]) for place, label in enumerate(layout.names)}
    if layout.passed:
        notes = (*notes, f"{layout.passed} rows before the header of {name} are passed over.")
    return _without_empty(layout, columns, name, options, False, notes)


def _of_frame(frame: pd.DataFrame, name: str, options: Options, notes: tuple[str, ...] = ()) -> Table:
    if not isinstance(frame.index, pd.RangeIndex):
        index = frame.index.to_frame(index=False)
        index.columns = ["index" if label is None or str(label) == "0" else str(label) for label in index.columns]
        frame = pd.concat([index, frame.reset_index(drop=True)], axis=1)
    labels = [label if isinstance(label, tuple) else (label,) for label in frame.columns]
    headings = [tuple(str(part) for part in label) for label in labels]
    names = [" ".join(part for part in heading if part) or "Unnamed" for heading in headings]
    if len(set(names)) < len(names):
        twice = sorted({label for label in names if names.count(label) > 1})
        raise DataError(f"{name} has more than one column {listed(map(repr, twice))}.  Rename them.")
    columns = {label: _typed_series(frame.iloc[:, place]) for place, label in enumerate(names)}
    return Table(name, columns, dict(zip(names, headings, strict=True)), options, False, notes)


def _without_empty(
    layout: Layout, columns: dict[str, Any], name: str, options: Options, loose: bool, notes: tuple[str, ...]
) -> Table:
    """Return the table without columns that have neither a name nor a value, as a separator at the end leaves."""
    table = Table(name, columns, dict(zip(layout.names, layout.headings, strict=True)), options, loose, notes)
    bare = [key for key, lines in table.headings.items() if not any(lines) and len(table) and table.is_empty(key)]
    if not layout.headed:
        said = f"{name} has no header line; its columns are called 'column 1', 'column 2' and so on."
        notes = (*notes, said)
    if layout.repeated:
        first = layout.repeated[0]
        said = (
            f"{name} has more than one column called {listed(map(repr, layout.repeated))}: the first keeps its name, "
        )
        notes = (*notes, f"{said}the next is {f'{first}.1'!r}.")
    kept = {key: column for key, column in columns.items() if key not in bare}
    headings = {key: lines for key, lines in table.headings.items() if key in kept}
    return Table(name, kept, headings, options, loose, notes)


def _typed(cells: list[Any]) -> Any:
    """Return the cells of a sheet as numbers or times where all are, else as texts."""
    known = [cell for cell in cells if cell is not None and cell != ""]
    if known and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known):
        return pd.Series([np.nan if cell is None or cell == "" else cell for cell in cells], dtype=np.float64)
    if known and all(isinstance(cell, dt.datetime) for cell in known):
        times = pd.to_datetime(pd.Series(cells, dtype=object), errors="coerce")
        return times.dt.round("ms")  # a workbook counts days in floats
    return trimmed(pa.array([as_text(cell) for cell in cells], pa.string()))


def _typed_series(values: "pd.Series[Any]") -> Any:
    values = values.reset_index(drop=True)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    timed = pd.api.types.is_datetime64_any_dtype(values) or isinstance(values.dtype, pd.PeriodDtype)
    if timed or (pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)):
        return values
    return _typed([None if _is_missing(value) else value for value in values.tolist()])


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _shown(column: pa.Array) -> pa.Array:
    """Return some texts that are there, from the beginning, the middle and the end."""
    known = column.drop_null()
    third = SAMPLE // 3
    if len(known) <= SAMPLE:
        return known
    places = [*range(third), *range(len(known) // 2, len(known) // 2 + third), *range(len(known) - third, len(known))]
    return known.take(pa.array(places))


def _is_whole(values: FloatArray) -> bool:
    return bool(values.size) and bool(np.all(values == np.floor(values)) and np.all(np.abs(values) < 2**53))
