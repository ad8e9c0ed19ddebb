"""Any table of cycles in a CSV file."""

import re
from pathlib import Path

import pandas as pd

from data.cells.cells import (
    Ends,
    Quantity,
    capacity_ends,
    check_eol,
    check_outliers,
    checked_cycles,
    chosen_cells,
    labelled,
    last_cycles,
    sound_cycles,
)
from data.cells.files import read_csv
from data.contracts import Panel
from data.panel import DataError

# What a column's name says of the size of its values: from the smallest cell to a pack.
LIMITS = [
    (r"volt|\(V\)|_V$", 0.0, 100.0, "a voltage [V]"),
    (r"capacity|\(Ah\)|_Ah$", 0.0, 500.0, "a capacity [Ah]"),
    (r"energy|\(Wh\)|_Wh$", 0.0, 50_000.0, "an energy [Wh]"),
    (r"resistance|ohm", 0.0, 10.0, "a resistance [Ohm]"),
    (r"time|duration|\(s\)|_s$", 0.0, float("inf"), "a duration [s]"),
]
TARGET = r"^(rul|remaining|cycles?_?left|y$)"


class CellsCSV:
    """Read cells from one table with a header line and a row a cycle.

    Parameters
    ----------
    path : str
        The file.
    cell : str or None
        Column that tells cells apart; None where there is one.
    cycle : str
        Column of the cycle number.
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
    outliers : str
        What becomes of rows with missing values or beyond what the name of a column allows (a negative
        duration): ``"replace"``, ``"drop"`` or ``"keep"``.
    """

    def __init__(
        self,
        path: str,
        cell: str | None = "cell",
        cycle: str = "cycle",
        covariates: list[str] | None = None,
        capacity: str | None = None,
        eol: float | None = None,
        nominal: float | None = None,
        cells: list[str] | None = None,
        outliers: str = "replace",
    ) -> None:
        if eol is not None and capacity is None:
            raise ValueError(f"source.eol={eol} needs source.capacity, the column of the discharge capacity.")
        self.path, self.cell, self.cycle, self.covariates = path, cell, cycle, covariates
        self.capacity, self.nominal, self.cells = capacity, nominal, cells
        self.eol, self.outliers = check_eol(eol), check_outliers(outliers)

    def read(self) -> pd.DataFrame:
        """Return the sound cycles without their remaining life, which need not be known.

        Raises
        ------
        DataError
            Naming every fault of the file.
        """
        frame, quantities, _, _ = self._cycles()
        return frame[["unique_id", "ds", *quantities]]

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming every fault of the file, or if no cell reaches its end of life.
        """
        frame, quantities, ends, notes = self._cycles()
        return labelled(frame, Path(self.path).stem, quantities, ends, notes)

    def _cycles(self) -> tuple[pd.DataFrame, dict[str, Quantity], Ends, tuple[str, ...]]:
        path = Path(self.path)
        table = read_csv(path)
        keys = [self.cycle] if self.cell is None else [self.cell, self.cycle]
        absent = [column for column in keys if column not in table.columns]
        if absent:
            raise DataError(
                f"{path} lacks the column {', '.join(map(repr, absent))}; it has "
                f"{', '.join(map(repr, table.columns))}.  Name its columns with source.cell=... and source.cycle=..."
            )
        columns, told = self._columns(table, keys)
        quantities = {column: plausible(column) for column in columns}
        needed = quantities if self.capacity is None else quantities | {self.capacity: plausible(self.capacity)}
        table = table.assign(unique_id=path.stem if self.cell is None else table[self.cell], ds=table[self.cycle])
        recorded, repaired = checked_cycles(chosen_cells(table, self.cells, str(path)), str(path), needed)
        sound, mended = sound_cycles(recorded, str(path), needed, self.outliers)
        if self.eol is None or self.capacity is None:
            ends = last_cycles(recorded)
        else:
            ends = capacity_ends(sound, self.capacity, self.eol, self.nominal)
        return sound, quantities, ends, (*told, *repaired, *mended)

    def _columns(self, table: pd.DataFrame, keys: list[str]) -> tuple[list[str], tuple[str, ...]]:
        if self.covariates is not None:
            return self.covariates, ()
        numeric = [column for column in table.select_dtypes("number").columns if column not in keys]
        told = [column for column in numeric if re.search(TARGET, column, re.IGNORECASE)]
        kept = [column for column in numeric if column not in told]
        if not kept:
            raise DataError(f"{self.path} has no numeric column besides {', '.join(keys + told)} to learn from.")
        if not told:
            return kept, ()
        return kept, (f"{', '.join(told)} is the answer by its name and is not among the inputs.",)


def plausible(column: str) -> Quantity:
    """Return what the name of a column lets expect of its values."""
    for pattern, low, high, meaning in LIMITS:
        if re.search(pattern, column, re.IGNORECASE):
            return Quantity(f"{column}, {meaning}", low, high)
    return Quantity(f"{column}, in its own unit")
