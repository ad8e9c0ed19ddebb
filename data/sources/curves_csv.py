"""Discharge curves from any long table: a row a sample, with cell, cycle, voltage and capacity."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import check_eol, chosen_cells
from data.cells.curves import CAPACITY, SUMMARY, Cycle, curve_panel, faded, grid_of, refuse_pickle, tabled
from data.contracts import Panel
from data.panel import DataError, listed
from data.reading.files import local, stem, tables_of
from data.reading.options import Options
from data.reading.table import read_table

NAMED = "The life of a cell is what the table says of it."


class CurvesCSV:
    """Read the discharge curves of cells from one table, or from a table a cell.

    Parameters
    ----------
    path : str
        The file, of any kind ``data.reading`` knows; or a folder, or a pattern such as ``cells/*.csv``, whose files are
        a cell each, called by the file's name.
    cell, cycle, voltage, capacity : str
        Columns of the cell, the number of the cycle, the voltage [V] and the charge taken out in the cycle so far [Ah].
        A file without the first is one cell.
    life : str
        Column of the life of the cell [cycles]; where there is none the capacity tells it by ``eol``.
    current : str or None
        Column of the current [A]: samples in which it is not negative are no discharge, and left out.  None takes all.
    window : sequence of float
        Lowest and highest voltage of the curves [V].
    points : int
        Voltages of a curve, evenly spread between.
    first : int or None
        Cycles of which curves are made; None makes those of all [cycles].
    eol : float
        End of life as a fraction of the nominal capacity.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten cycles.
    cells : list of str or None
        Cells to use; None takes all.
    """

    def __init__(
        self,
        path: str,
        cell: str = "cell",
        cycle: str = "cycle",
        voltage: str = "voltage",
        capacity: str = "capacity",
        life: str = "life",
        current: str | None = None,
        window: Sequence[float] = (2.0, 3.5),
        points: int = 50,
        first: int | None = 150,
        eol: float = 0.8,
        nominal: float | None = None,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.cell, self.life, self.current = path, cell, life, current
        self.columns = {"cycle": cycle, "voltage": voltage, "capacity": capacity}
        self.grid, self.first, self.nominal, self.cells = grid_of(window, points), first, nominal, cells
        check_eol(eol)
        self.eol = eol

    def load(self) -> Panel:
        """Return the first cycles of every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming what is wrong with the table, or if no cell's end is known.
        """
        samples, notes = self._samples()
        lives, rule = self._lives(samples)
        table, told = tabled(self._cycles(samples), self.grid, str(self.path))
        return curve_panel(table, lives, stem(self.path), rule, (*notes, *told))

    def read(self) -> Panel:
        """Return the first cycles of every cell; no end need be known."""
        samples, notes = self._samples()
        table, told = tabled(self._cycles(samples), self.grid, str(self.path))
        return curve_panel(table, None, stem(self.path), "", (*notes, *told))

    def _samples(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return the samples of all files under our names, sorted by cell and cycle."""
        refuse_pickle(self.path)
        files, notes = tables_of(local(self.path))
        parts = []
        for file in files:
            refuse_pickle(file)
            table = read_table(file, Options())
            wanted = [*self.columns.values(), *([self.current] if self.current else [])]
            absent = [name for name in wanted if name not in table.columns]
            if absent:
                raise DataError(
                    f"{table.name} lacks the column {listed(map(repr, absent))}; it has "
                    f"{listed(map(repr, table.columns))}.  Name them with source.cycle, source.voltage, "
                    f"source.capacity and source.current."
                )
            frame = table.frame(texts=[self.cell])[0].rename(
                columns={name: ours for ours, name in self.columns.items()}
            )
            cells = frame[self.cell].astype(str) if self.cell in frame else stem(file)
            parts.append(frame.assign(unique_id=cells))
        samples = chosen_cells(pd.concat(parts, ignore_index=True), self.cells, str(self.path))
        known = [*self.columns, *(name for name in (self.life, self.current, *SUMMARY) if name in samples)]
        numbers = samples[known].apply(pd.to_numeric, errors="coerce")
        odd = numbers["cycle"].isna() | (numbers["cycle"] != numbers["cycle"].round()) | (numbers["cycle"] < 0)
        if odd.any():
            raise DataError(
                f"{self.path} has {int(odd.sum())} samples whose cycle is no whole number from 0 (source.cycle)."
            )
        samples = numbers.assign(unique_id=samples["unique_id"], cycle=numbers["cycle"].astype(np.int64))
        if self.current:
            samples = samples[samples[self.current] < 0]
        return samples.sort_values(["unique_id", "cycle"], kind="stable", ignore_index=True), tuple(notes)

    def _lives(self, samples: pd.DataFrame) -> tuple[dict[str, float | None], str]:
        """Return the life of each cell [cycles] and how it was told."""
        if self.life in samples:
            told = samples.groupby("unique_id")[self.life].agg(["min", "max"])
            torn = told.index[told["min"] != told["max"]]
            if len(torn):
                raise DataError(f"{self.path} tells more than one life of {listed(torn)} (source.life={self.life}).")
            return {str(cell): float(life) for cell, life in told["max"].items()}, NAMED
        held = samples.groupby(["unique_id", "cycle"])["capacity"].max().rename(CAPACITY).reset_index()
        return faded(held.rename(columns={"cycle": "ds"}), self.eol, self.nominal)

    def _cycles(self, samples: pd.DataFrame) -> Iterator[Cycle]:
        """Yield the discharge of every cycle."""
        kept = samples if self.first is None else samples[samples["cycle"] <= self.first]
        beside = [name for name in SUMMARY if name in kept]
        groups: Any = kept.groupby(["unique_id", "cycle"], sort=False)
        for (cell, number), own in groups:
            told = {name: float(own[name].iloc[0]) for name in beside}
            yield Cycle(str(cell), int(number), own["voltage"].to_numpy(float), own["capacity"].to_numpy(float), told)
