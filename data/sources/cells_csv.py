"""Cells from any table of cycles: one file with all of them, or one file a cell."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import (
    SLIPS,
    SMOOTHING,
    Ends,
    Quantity,
    capacity_ends,
    check_eol,
    check_outliers,
    checked_cycles,
    chosen_cells,
    labelled,
    last_cycles,
    sound_capacity,
    sound_cycles,
    unlabelled,
)
from data.contracts import Panel
from data.panel import DataError, listed
from data.reading.files import stem, tables_of
from data.reading.options import Options
from data.reading.roles import row_counters
from data.reading.table import Table, read_table

# What a column's name says of the size of its values: from the smallest cell to a pack.  A name is a guess:
# what lies beyond is told, never changed.
LIMITS = [
    (r"volt|\(V\)|_V$", 0.0, 100.0, "a voltage [V]"),
    (r"capacity|\(Ah\)|_Ah$", 0.0, 500.0, "a capacity [Ah]"),
    (r"energy|\(Wh\)|_Wh$", 0.0, 50_000.0, "an energy [Wh]"),
    (r"resistance|ohm", 0.0, 10.0, "a resistance [Ohm]"),
    (r"time|duration|\(s\)|_s$", 0.0, float("inf"), "a duration [s]"),
]
DERIVED = (
    r"slope|skew|kurt|diff|delta|Δ|change|rate|gradient|deriv|d[QVTI]/?d[QVTI]|entropy|log|ratio|corr|cov|residual|trend|"
    r"norm|scaled|score|std|var|moment|drop|rise|shift|error|coef"
)
"""Names of what is computed of a quantity, and is none itself: the skewness of a voltage is no voltage."""
TARGET = r"^(rul|remaining|cycles?_?left|y$)"
CYCLES = r"(cycle|zyklus|循环|循环号|循环次数)s?[ _.]?(index|number|numero|nummer|num|no|nr|id|count|n)?\.?"
CELLS = r"(cell|battery|batterie|zelle|电池)[ _.]?(id|name|number|no|nr|index)?\.?|barcode"
FEW = 0.2  # [fraction] of the rows: as many names as that tell rows apart, not cells


class CellsCSV:
    """Read cells from a table with a header line and a row a cycle, or from a table a cell.

    Parameters
    ----------
    path : str
        The file, of any kind ``data.reading`` knows; or a folder, or a pattern such as ``cells/*.csv``, whose
        files are a cell each, called by the file's name.
    cell : str or None
        Column that tells cells apart; None where there is one cell a file.
    cycle : str or None
        Column of the cycle number; None counts the rows, in their order.
    covariates : list of str or None
        Columns to learn from; None takes every numeric one but the cycle number and what is named like a
        remaining life.
    capacity : str or None
        Column of the discharge capacity [Ah]; needed where ``eol`` is given.
    eol : float or None
        End of life as a fraction of the nominal capacity; None takes the last cycle on record.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten cycles.
    cells : list of str or None
        Cells to use; None takes all.
    limits : mapping or None
        Lowest and highest possible value of a column, such as ``{"charge_s": [0, 20000]}``; None sets none.
    outliers : str
        What becomes of rows with missing values or beyond the limits: ``"replace"``, ``"drop"`` or ``"keep"``.
    separator, decimal, thousands, encoding, skip_rows, sheet
        How the files are written, as of ``data.sources.csv.CSV``.
    """

    def __init__(
        self,
        path: str,
        cell: str | None = "cell",
        cycle: str | None = "cycle",
        covariates: list[str] | None = None,
        capacity: str | None = None,
        eol: float | None = None,
        nominal: float | None = None,
        cells: list[str] | None = None,
        limits: Mapping[str, Sequence[float]] | None = None,
        outliers: str = "replace",
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        encoding: str | None = None,
        skip_rows: int = 0,
        sheet: str | None = None,
    ) -> None:
        if eol is not None and capacity is None:
            raise ValueError(f"source.eol={eol} needs source.capacity, the column of the discharge capacity.")
        self.path, self.cell, self.cycle, self.covariates = path, cell, cycle, covariates
        self.capacity, self.nominal, self.cells = capacity, nominal, cells
        self.eol, self.outliers, self.limits = check_eol(eol), check_outliers(outliers), _checked_limits(limits)
        self.options = Options(separator, decimal, thousands, encoding, skip_rows, sheet).checked()

    def read(self) -> Panel:
        """Return the sound cycles without their remaining life, which need not be known.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        frame, quantities, _, notes = self._cycles()
        return unlabelled(frame, stem(self.path), quantities, notes)

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming every fault of the table, or if no cell reaches its end of life.
        """
        frame, quantities, ends, notes = self._cycles()
        return labelled(frame, stem(self.path), quantities, ends, notes)

    def _cycles(self) -> tuple[pd.DataFrame, dict[str, Quantity], Ends, tuple[str, ...]]:
        table, told = self._table()
        covariates, chosen = self._covariates(table)
        quantities = {column: self._quantity(column) for column in covariates}
        measured = (
            {self.capacity: Quantity("the discharge capacity [Ah]", 1e-9)}
            if self.eol is not None and self.capacity
            else {}
        )
        table = chosen_cells(table, self.cells, str(self.path))
        recorded, repaired = checked_cycles(table, str(self.path), quantities | measured)
        sound, mended = sound_cycles(recorded, str(self.path), quantities, self.outliers)
        if self.eol is None or self.capacity is None:
            ends = last_cycles(recorded)
        else:
            self._check_nominal(recorded[self.capacity])
            ends = capacity_ends(
                sound_capacity(recorded, str(self.path), measured), self.capacity, self.eol, self.nominal
            )
        doubts = [
            doubt for column in covariates if column not in self.limits for doubt in _doubt(column, recorded[column])
        ]
        return sound, quantities, ends, (*told, *chosen, *repaired, *mended, *doubts)

    def _table(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return all files in one table with ``unique_id`` and ``ds``."""
        files, passed = tables_of(self.path)
        tables = {file: read_table(file, self.options) for file in files}
        notes: list[str] = [*passed]
        names = _file_names(files)
        parts = [self._part(tables[file], names[file], len(files) > 1, notes) for file in files]
        shared = [column for column in parts[0] if all(column in part for part in parts)]
        lost = sorted({str(column) for part in parts for column in part} - set(shared))
        if lost:
            notes.append(f"{listed(map(repr, lost))} are not in every file and are left out.")
        every = [note for table in tables.values() for note in table.notes]
        if len(every) > 3 and len(files) > 1:
            every = [*every[:3], f"And {len(every) - 3} more of this kind."]
        return pd.concat([part[shared] for part in parts], ignore_index=True), (*every, *dict.fromkeys(notes))

    def _part(self, table: Table, name: str, several: bool, notes: list[str]) -> pd.DataFrame:
        """Return one file with ``unique_id`` and ``ds`` beside its columns."""
        if not len(table):
            raise DataError(f"{table.name} has no rows.  Give a table with a row a cycle.")
        cell = self._key(table, self.cell, "cell", CELLS, notes, optional=True)
        cycle = self._key(table, self.cycle, "cycle", CYCLES, notes, optional=self.cycle == "cycle")
        if several and cell is not None and len(set(table.texts(cell))) == 1:
            cell = None  # a number of the channel, say: the file is the cell
        frame, read = table.frame(texts=[] if cell is None else [cell])
        notes += read
        ids = pd.Series(name, index=frame.index) if cell is None else frame[cell]
        if ids.isna().any():
            raise DataError(
                f"{table.name} has {int(ids.isna().sum())} rows without a cell in {cell!r}.  Name or remove them."
            )
        if cell is None and not several and self.cell is not None:
            _refuse_hidden_cells(table, cycle)
        ds: Any = _counted(table, ids, notes) if cycle is None else frame[cycle]
        if cycle is None and cell is None and self.cell is not None and self.eol is not None and self.capacity in frame:
            capacity = pd.to_numeric(frame[self.capacity], errors="coerce").iloc[np.argsort(ds.to_numpy())]
            _refuse_rising(table.name, str(self.capacity), capacity, self.eol)
        elif cell is None and cycle is not None:
            _refuse_restarts(table, cycle, ds)
        taken = [column for column in (cell, cycle) if column is not None]
        counters = row_counters(table, [str(column) for column in frame if column not in taken])
        if counters:
            notes.append(f"Column {counters[0]!r} counts the rows and is left out.")
        return frame.drop(columns=[*taken, *counters]).assign(unique_id=ids, ds=ds)

    def _key(
        self, table: Table, wanted: str | None, option: str, alike: str, notes: list[str], optional: bool
    ) -> str | None:
        """Return the column of the cells or of the cycles; None where rows are counted or a file is a cell."""
        if wanted is None:
            return None
        found = table.named(wanted)
        if not found and wanted == option:
            found = [name for name in table.columns if re.fullmatch(alike, name.strip(), re.IGNORECASE)]
        if len(found) > 1:
            raise DataError(f"{table.name} has {listed(map(repr, found))}.  Name one with source.{option}=...")
        if not found and not (optional and wanted == option):
            raise DataError(table.lacks([wanted], option))
        if found and found[0] != wanted:
            notes.append(f"Column {found[0]!r} is taken for the {option} (source.{option}).")
        return found[0] if found else None

    def _covariates(self, table: pd.DataFrame) -> tuple[list[str], tuple[str, ...]]:
        columns = [str(column) for column in table.columns if column not in ("unique_id", "ds")]
        asked = [*(self.covariates or []), *([self.capacity] if self.capacity else []), *self.limits]
        absent = [column for column in dict.fromkeys(asked) if column not in columns]
        if absent:
            raise DataError(
                f"{self.path} lacks the column {listed(map(repr, absent))}; it has {listed(map(repr, columns))}.  Set "
                f"source.covariates, source.capacity and source.limits to columns that are there."
            )
        if self.covariates is not None:
            return self.covariates, ()
        numeric = [column for column in columns if _is_numeric(table[column])]
        told = [column for column in numeric if re.search(TARGET, column, re.IGNORECASE)]
        known = table.groupby("unique_id")[numeric].count().min() if numeric else pd.Series(dtype=int)
        empty = [column for column in numeric if column not in told and known[column] == 0]
        kept = [column for column in numeric if column not in [*told, *empty]]
        if not kept:
            raise DataError(f"{self.path} has no numeric column to learn from; it has {listed(map(repr, columns))}.")
        notes = []
        if told:
            notes.append(f"{listed(told)} is the answer by its name and is not among the inputs.")
        if empty:
            notes.append(f"{listed(map(repr, empty))} hold no value in some cell and are not among the inputs.")
        return kept, tuple(notes)

    def _quantity(self, column: str) -> Quantity:
        meaning = plausible(column).meaning
        low, high = self.limits.get(column, (-np.inf, np.inf))
        return Quantity(meaning, low, high)

    def _check_nominal(self, capacity: "pd.Series[float]") -> None:
        median = float(capacity.median())
        if self.nominal is not None and not 0.05 < median / self.nominal < 20:
            raise DataError(
                f"{self.path}: {self.capacity!r} has the median {median:g}, and source.nominal={self.nominal:g} is "
                f"another size.  Give both in one unit [Ah]."
            )


def plausible(column: str) -> Quantity:
    """Return what the name of a column lets expect of its values."""
    if not re.search(DERIVED, column, re.IGNORECASE):
        for pattern, low, high, meaning in LIMITS:
            if re.search(pattern, column, re.IGNORECASE):
                return Quantity(f"{column}, {meaning}", low, high)
    return Quantity(f"{column}, in its own unit")


def _doubt(column: str, values: "pd.Series[float]") -> list[str]:
    """Say where a column does not hold what its name lets expect; it is taken as it stands."""
    expected = plausible(column)
    known = values[np.isfinite(values)]
    wrong = (known < expected.low) | (known > expected.high)
    if not wrong.any():
        return []
    median = float(known.median())
    slips = [told for factor, told in SLIPS.items() if expected.low < median * factor <= expected.high]
    guess = f" ({slips[0].split(':')[0]})" if slips and wrong.mean() > FEW else ""
    return [
        f"{int(wrong.sum())} of {known.size} values of {column!r} lie beyond {expected.low:g} .. {expected.high:g}, "
        f"what its name lets expect{guess}; they are taken as they stand (source.limits mends)."
    ]


def _checked_limits(limits: Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, float]]:
    checked = {}
    for column, pair in (limits or {}).items():
        sound = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(end, int | float) for end in pair)
        if not sound or not pair[0] < pair[1]:
            raise ValueError(f"source.limits.{column}={pair} must be two rising numbers, such as [0, 20000].")
        checked[str(column)] = (float(pair[0]), float(pair[1]))
    return checked


def _file_names(files: Sequence[Path]) -> dict[Path, str]:
    names = {file: stem(file) for file in files}
    if len(set(names.values())) < len(names):
        return {file: f"{file.parent.name}/{file.name}" for file in files}
    return names


def _is_numeric(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) or bool(pd.to_numeric(column, errors="coerce").notna().mean() > 0.5)


def _refuse_hidden_cells(table: Table, cycle: str | None) -> None:
    """Where rows are counted, a column of few names may tell cells apart that nobody has spoken of."""
    if cycle is not None:
        return
    for name in table.columns:
        if not table.is_numeric(name) and not table.is_dated(name):
            distinct = len(set(table.texts(name)) - {None})
            if 1 < distinct <= FEW * len(table):
                raise DataError(
                    f"{table.name} has no column of cycles, and {name!r} may tell cells apart: set "
                    f"source.cell={name}, or source.cell=null where all rows are one cell."
                )


def _counted(table: Table, ids: "pd.Series[Any]", notes: list[str]) -> "pd.Series[int]":
    """Count the rows of each cell, in the order of their dates where there are some."""
    order = pd.Series(np.arange(len(ids)), index=ids.index)
    told = "in their order"
    for name in table.columns:
        if table.is_dated(name):
            try:
                dates = table.dates(name).parsed
            except DataError:  # of which it is not known which are the days
                continue
            if dates.notna().all() and not dates.groupby(ids).is_monotonic_increasing.all():
                order, told = dates.rank(method="first"), f"in the order of {name!r}"
            break
    notes.append(f"The rows of a cell are counted as its cycles, {told}.")
    return order.groupby(ids, sort=False).rank(method="first").astype(np.int64)


def _refuse_rising(name: str, column: str, capacity: "pd.Series[float]", eol: float) -> None:
    """Refuse rows that were counted where the capacity comes back or rises: they are not one cell in order of time."""
    smooth = capacity.rolling(SMOOTHING, min_periods=1).median()
    full = smooth.iloc[:10].median()
    back = ((smooth.cummin() < eol * full) & (smooth > 0.95 * full)).to_numpy()
    if back.sum() >= SMOOTHING:
        raise DataError(
            f"{name} has no column of cells or cycles, and {column!r} comes back after it was lost, at row "
            f"{int(back.argmax()) + 1}: does it hold several cells?  Name the column that tells them apart with "
            f"source.cell=..., or set source.cell=null where all rows are one cell."
        )
    if eol * smooth.iloc[-1] > full:
        raise DataError(
            f"{name} has no column of cycles, and {column!r} rises along its rows: are they newest first?  Put them in "
            f"the order of time, or name the column of the cycle with source.cycle=..."
        )


def _refuse_restarts(table: Table, cycle: str, cycles: "pd.Series[Any]") -> None:
    falls = int((pd.to_numeric(cycles, errors="coerce").diff() < 0).sum())
    if falls and pd.Series(cycles).duplicated().any():
        raise DataError(
            f"{table.name} has one cell, but {cycle!r} falls {falls} times between its rows: does it hold several "
            f"cells?  Name the column that tells them apart with source.cell=..."
        )
