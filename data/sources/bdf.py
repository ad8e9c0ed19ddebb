"""Cells in the Battery Data Format of the Battery Data Alliance (BDF), one table of samples a cell.

Its columns are named ``Test Time / s``, ``Voltage / V``, ``Current / A`` (required) and ``Cycle Count / 1``
(recommended and needed here), or by the machine-readable names ``test_time_second``, ``voltage_volt``,
``current_ampere`` and ``cycle_count`` (github.com/battery-data-alliance/battery-data-format).  A current below 0
discharges.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import check_eol, chosen_cells
from data.cells.curves import Cycle, discharged, grid_of, panel_of, refuse_pickle
from data.contracts import Panel
from data.panel import DataError, listed
from data.reading.files import local, stem, tables_of
from data.reading.options import Options
from data.reading.table import read_table

NAMES = {
    "seconds": ("Test Time / s", "test_time_second"),
    "voltage": ("Voltage / V", "voltage_volt"),
    "current": ("Current / A", "current_ampere"),
    "cycle": ("Cycle Count / 1", "cycle_count"),
}
TEMPERATURE = (
    "Surface Temperature T1 / degC",
    "temperature_t1_celsius",
    "Ambient Temperature / degC",
    "ambient_temperature_celsius",
)


class BDF:
    """Read the discharges of cells in the Battery Data Format.

    Parameters
    ----------
    path : str
        A file, or a folder, or a pattern such as ``cells/*.bdf.csv``, whose files are a cell each.
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
        Cells to use, as their files are called; None takes all.
    """

    def __init__(
        self,
        path: str,
        window: Sequence[float] = (2.5, 4.2),
        points: int = 50,
        first: int | None = None,
        eol: float = 0.8,
        nominal: float | None = None,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.first, self.nominal, self.cells = path, first, nominal, cells
        self.grid = grid_of(window, points)
        check_eol(eol)
        self.eol = eol

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming what a table lacks, or if no cell reaches its end of life.
        """
        return panel_of(self._cycles(), self.grid, self.first, stem(self.path), self.eol, self.nominal)

    def read(self) -> Panel:
        """Return every cell; no end need be known."""
        return panel_of(self._cycles(), self.grid, self.first, stem(self.path), None, None)

    def _cycles(self) -> list[Cycle]:
        refuse_pickle(self.path)
        files = {stem(file).removesuffix(".bdf"): file for file in tables_of(local(self.path))[0]}
        kept = chosen_cells(pd.DataFrame({"unique_id": list(files)}), self.cells, str(self.path))["unique_id"]
        return [cycle for cell in kept for cycle in _of_cell(str(cell), files[str(cell)])]


def _of_cell(cell: str, path: Any) -> Iterator[Cycle]:
    """Yield the discharges of one file."""
    refuse_pickle(path)
    table = read_table(path, Options())
    found = {ours: next((name for name in names if name in table.columns), None) for ours, names in NAMES.items()}
    absent = [names[0] for ours, names in NAMES.items() if found[ours] is None]
    if absent:
        raise DataError(
            f"{table.name} lacks {listed(map(repr, absent))} of the Battery Data Format; it has "
            f"{listed(map(repr, table.columns))}.  Read it with source=curves_csv, which lets you name columns."
        )
    warm = next((name for name in TEMPERATURE if name in table.columns), None)
    frame = table.frame()[0].rename(columns={name: ours for ours, name in found.items()})
    numbers = frame[list(NAMES)].apply(pd.to_numeric, errors="coerce")
    if numbers.isna().to_numpy().any():
        raise DataError(f"{table.name} has {int(numbers.isna().any(axis=1).sum())} samples without a number.")
    numbers["warm"] = pd.to_numeric(frame[warm], errors="coerce") if warm else np.nan
    groups: Any = numbers.groupby("cycle", sort=True)
    for number, own in groups:
        out = own["current"].to_numpy(float) < 0
        charge = discharged(own["seconds"].to_numpy(float), own["current"].to_numpy(float))
        told = {"temperature (C)": float(own["warm"].mean())} if own["warm"].notna().any() else {}
        yield Cycle(cell, int(number), own["voltage"].to_numpy(float)[out], charge[out], told)
