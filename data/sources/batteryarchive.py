"""Cells of batteryarchive.org, from the cycle tables it offers for download."""

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
    sound_capacity,
    sound_cycles,
    unlabelled,
)
from data.cells.files import data_folder, read_cycles
from data.contracts import Panel
from data.panel import DataError
from data.reading.files import local

NAME = "Battery Archive"
ENDING = "_cycle_data.csv"
CAPACITY = "Discharge_Capacity (Ah)"

# Single cells of a few Ah; the archive books an empty cycle (no charge, no discharge) where a capacity test
# was made.  Start_Time, End_Time and Test_Time (s) are left out: they only ever grow, as a clock does.
CYCLE = {
    "Min_Current (A)": Quantity("lowest current of the cycle, negative in discharge [A]", -100, 100),
    "Max_Current (A)": Quantity("highest current of the cycle [A]", -100, 100),
    "Min_Voltage (V)": Quantity("lowest voltage of the cycle [V]", 0.5, 5),
    "Max_Voltage (V)": Quantity("highest voltage of the cycle [V]", 0.5, 5),
    "Charge_Capacity (Ah)": Quantity("charge put in [Ah]", 0.001, 100),
    "Discharge_Capacity (Ah)": Quantity("charge taken out [Ah]", 0.001, 100),
    "Charge_Energy (Wh)": Quantity("energy put in [Wh]", 0.001, 500),
    "Discharge_Energy (Wh)": Quantity("energy taken out [Wh]", 0.001, 500),
}


class BatteryArchive:
    """Cycle tables ``<cell>_cycle_data.csv``, one file a cell.

    Parameters
    ----------
    path : str or None
        A folder of such files, or one of them; None looks into ``batteryarchive`` of the data folder.
    cells : list of str or None
        Names of cells, as their files are named before the ending; None takes all.
    eol : float or None
        End of life as a fraction of the nominal capacity; None takes the last cycle on record.
    nominal : float or None
        Nominal capacity of every cell [Ah]; None takes the median of its first ten cycles.
    outliers : str
        What becomes of rows beyond the limits of ``CYCLE``: ``"replace"``, ``"drop"`` or ``"keep"``.
    """

    def __init__(
        self,
        path: str | None = None,
        cells: list[str] | None = None,
        eol: float | None = 0.8,
        nominal: float | None = None,
        outliers: str = "replace",
    ) -> None:
        self.path, self.cells, self.nominal = path, cells, nominal
        self.eol, self.outliers = check_eol(eol), check_outliers(outliers)

    def read(self) -> Panel:
        """Return the sound cycles without their remaining life, which need not be known.

        Raises
        ------
        DataError
            Naming every fault of the tables.
        """
        cycles, _, notes = self._cycles()
        return unlabelled(cycles, NAME, CYCLE, notes)

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming every fault of the tables, or if no cell reaches its end of life.
        """
        cycles, ends, notes = self._cycles()
        return labelled(cycles, NAME, CYCLE, ends, notes)

    def _cycles(self) -> tuple[pd.DataFrame, Ends, tuple[str, ...]]:
        tables: list[pd.DataFrame] = []
        read: tuple[str, ...] = ()
        for cell, file in self._files().items():
            cycles, notes = read_cycles(file)
            tables.append(cycles.assign(unique_id=cell))
            read += notes
        table = pd.concat(tables).rename(columns={"Cycle_Index": "ds"})
        recorded, told = checked_cycles(table, NAME, CYCLE)
        sound, mended = sound_cycles(recorded, NAME, CYCLE, self.outliers)
        if self.eol is None:
            ends = last_cycles(recorded)
        else:
            capacity = sound_capacity(recorded, NAME, {CAPACITY: CYCLE[CAPACITY]})
            ends = capacity_ends(capacity, CAPACITY, self.eol, self.nominal)
        return sound, ends, (*read, *told, *mended)

    def _files(self) -> dict[str, Path]:
        root = local(self.path) if self.path else data_folder() / "batteryarchive"
        found = [root] if root.is_file() else sorted(root.rglob(f"*{ENDING}"))
        if not found:
            raise DataError(
                f"{root} holds no file *{ENDING}.  Fetch the HNEI cells with `python -m data.fetch batteryarchive`, or "
                f"set source.path to a folder of cycle tables from www.batteryarchive.org."
            )
        files = {file.name.removesuffix(ENDING).removesuffix(".csv"): file for file in found}
        wanted = chosen_cells(pd.DataFrame({"unique_id": list(files)}), self.cells, str(root))["unique_id"]
        return {cell: files[cell] for cell in wanted}
