"""Cells of CALCE, University of Maryland, from its workbooks or from tables made of them."""

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
    sound_capacity,
    sound_cycles,
    unlabelled,
)
from data.cells.files import data_folder, read_cycles
from data.contracts import Panel
from data.panel import DataError
from data.reading.files import local
from data.sources._arbin import PHASES, checked_records, joined, per_cycle, per_record, read_workbook

NAME = "CALCE"
KINDS = {"records": [".parquet", ".xlsx"], "cycles": [".csv", ".parquet", ".xlsx"]}
"""What each view can be made of, the quickest to read first."""

# LiCoO2 cells of 1.1 Ah (CS2) or 1.35 Ah (CX2), charged at C/2 to 4.2 V and held there until 50 mA, discharged
# to 2.7 V.  A cycle whose record holds no discharge down to there was cut off and tells no capacity.
CYCLE = {
    "charge_capacity_Ah": Quantity("charge put in [Ah]", 0.01, 3),
    "discharge_capacity_Ah": Quantity("charge taken out [Ah]", 0.01, 3),
    "charge_energy_Wh": Quantity("energy put in [Wh]", 0.03, 12),
    "discharge_energy_Wh": Quantity("energy taken out [Wh]", 0.03, 12),
    "mean_discharge_V": Quantity("mean voltage of the discharge [V]", 2.5, 4.2),
    "internal_resistance_ohm": Quantity("internal resistance, the last measured in the cycle [Ohm]", 0.001, 2),
    "cc_charge_s": Quantity("time of the charge at constant current [s]", 0, 43_200),
    "cv_charge_s": Quantity("time of the charge at constant voltage [s]", 0, 43_200),
    "discharge_s": Quantity("time of the discharge [s]", 1, 43_200),
}
CAPACITY = "discharge_capacity_Ah"
LOWEST = {"min_V": Quantity("lowest voltage [V]", 2.0, 2.75)}
RECORD = {
    "Charge_Capacity(Ah)": Quantity("charge put in since the cycle began [Ah]", 0, 3),
    "Current(A)": Quantity("current, positive in charge [A]", -10, 10),
    "Voltage(V)": Quantity("voltage [V]", 0, 5),
    "Discharge_Capacity(Ah)": Quantity("charge taken out since the cycle began [Ah]", 0, 3),
    "Charge_Energy(Wh)": Quantity("energy put in since the cycle began [Wh]", 0, 12),
    "Discharge_Energy(Wh)": Quantity("energy taken out since the cycle began [Wh]", 0, 12),
    "dV/dt(V/s)": Quantity("change of the voltage [V/s]", -1, 1),
    "Internal_Resistance(Ohm)": Quantity("internal resistance last measured [Ohm]", 0, 2),
}


class CALCE:
    """Cells as CALCE publishes them, cycle by cycle or record by record.

    Parameters
    ----------
    path : str or None
        A folder with, for every cell, workbooks ``<cell>*.xlsx`` (in a folder of any name or none), or
        ``<cell>_records.parquet``, or ``<cell>_cycles.csv``; or one such file.  None looks into ``calce``
        of the data folder.
    cells : list of str or None
        Such as ``["CS2_35"]``; None takes all that are there.
    view : str
        ``"cycles"``: one row a cycle, ``ds`` is the cycle.  ``"records"``: one row a record with the eight
        factors of paper 2; ``ds`` is the number of the record within the cell's life, because several
        records share a cycle, and ``y`` is still counted in cycles.
    every : int
        Of the records each such one is kept, whatever it holds [records].
    eol : float or None
        End of life as a fraction of the nominal capacity; None takes the last cycle on record.
    nominal : float
        Nominal capacity [Ah].
    outliers : str
        What becomes of cycles beyond the limits of ``CYCLE`` or cut off before 2.75 V: ``"replace"``,
        ``"drop"`` or ``"keep"``.
    """

    def __init__(
        self,
        path: str | None = None,
        cells: list[str] | None = None,
        view: str = "cycles",
        every: int = 1,
        eol: float | None = 0.8,
        nominal: float = 1.1,
        outliers: str = "replace",
    ) -> None:
        if view not in KINDS:
            raise ValueError(f"source.view={view} must be cycles or records.")
        if every < 1 or (every > 1 and view == "cycles"):
            raise ValueError(f"source.every={every} must be at least 1, and 1 where source.view=cycles.")
        self.path, self.cells, self.view, self.every = path, cells, view, every
        self.eol, self.nominal, self.outliers = check_eol(eol), nominal, check_outliers(outliers)

    def read(self) -> Panel:
        """Return the sound rows without their remaining life, which need not be known.

        Raises
        ------
        DataError
            Naming every fault of the files.
        """
        if self.view == "records":
            records, _, notes = self._records()
            return unlabelled(records, f"{NAME} records", RECORD, notes, counter="cycle")
        cycles, _, notes = self._cycles()
        return unlabelled(cycles, NAME, CYCLE, notes)

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            Naming every fault of the files, or if no cell reaches its end of life.
        """
        if self.view == "cycles":
            cycles, ends, notes = self._cycles()
            return labelled(cycles, NAME, CYCLE, ends, notes)
        records, ends, notes = self._records()
        return labelled(records, f"{NAME} records", RECORD, ends, notes, counter="cycle")

    def _cycles(self) -> tuple[pd.DataFrame, Ends, tuple[str, ...]]:
        tables: list[pd.DataFrame] = []
        notes: list[str] = []
        for cell, files in self._files().items():
            if files[0].suffix == ".csv":
                table, read = _cycle_table(files[0])
                notes += read
            else:
                records, repeats = _joined(cell, files)
                table = per_cycle(records)
                notes += repeats
            tables.append(table.assign(unique_id=cell))
        recorded, told = checked_cycles(pd.concat(tables), NAME, CYCLE | LOWEST)
        sound, mended = sound_cycles(recorded, NAME, CYCLE | LOWEST, self.outliers)
        return sound, self._ends(recorded), (*notes, *told, *mended)

    def _records(self) -> tuple[pd.DataFrame, Ends, tuple[str, ...]]:
        tables: list[pd.DataFrame] = []
        cycles: list[pd.DataFrame] = []
        notes: list[str] = []
        for cell, files in self._files().items():
            records, repeats = _joined(cell, files)
            notes += repeats
            cycles.append(per_cycle(records).assign(unique_id=cell))
            rows = per_record(records).rename(columns={"record": "ds"})
            tables.append(rows.iloc[:: self.every].assign(unique_id=cell))
        recorded, told = checked_cycles(pd.concat(cycles), NAME, CYCLE | LOWEST)
        ends = self._ends(recorded)
        counted = RECORD | {"cycle": Quantity("cycle the record belongs to [cycles]", 0)}
        rows, _ = checked_cycles(pd.concat(tables), f"{NAME} records", counted)
        sound, mended = sound_cycles(rows, f"{NAME} records", RECORD, self.outliers)
        thinned = (f"Of the records every {self.every}th is kept.",) if self.every > 1 else ()
        return sound, ends, (*notes, *told, *thinned, *mended)

    def _ends(self, recorded: pd.DataFrame) -> Ends:
        if self.eol is None:
            return last_cycles(recorded)
        whole = LOWEST | {CAPACITY: CYCLE[CAPACITY]}
        return capacity_ends(sound_capacity(recorded, NAME, whole), CAPACITY, self.eol, self.nominal)

    def _files(self) -> dict[str, list[Path]]:
        """Return what to read of each cell: one table, one file of records, or its workbooks."""
        root = local(self.path) if self.path else data_folder() / "calce"
        if not root.exists():
            raise DataError(
                f"The CALCE cells are not here: there is no {root}.  Fetch them with `python -m data.fetch calce`, "
                f"or set source.path to a folder of workbooks, or MODECAST_DATA to the folder that holds calce/."
            )
        kinds = KINDS[self.view]
        found = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.suffix in kinds)
        by_cell: dict[str, list[Path]] = {}
        for file in found:
            if not file.name.startswith(("~", ".")) and file.suffix in kinds:
                by_cell.setdefault(_cell(file), []).append(file)
        if not by_cell:
            raise DataError(f"{root} holds no {' or '.join(kinds)} file, of which source.view={self.view} can be made.")
        names = pd.DataFrame({"unique_id": list(by_cell)})
        wanted = chosen_cells(names, self.cells, str(root))["unique_id"]
        quickest = {cell: min(kinds.index(file.suffix) for file in by_cell[cell]) for cell in wanted}
        return {cell: [f for f in by_cell[cell] if f.suffix == kinds[quickest[cell]]] for cell in wanted}


def read_records(files: list[Path]) -> dict[str, pd.DataFrame]:
    """Return the records of a cell's workbooks by their names, from the workbooks or from one parquet file.

    Raises
    ------
    DataError
        Naming every file that cannot be read.
    """
    books: dict[str, pd.DataFrame] = {}
    faults: list[str] = []
    for file in files:
        try:
            books |= _parquet(file) if file.suffix == ".parquet" else {file.name: read_workbook(file)}
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("The CALCE files cannot be used as they are:\n  " + "\n  ".join(faults))
    return books


def _cycle_table(file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table, notes = read_cycles(file)
    table = table.rename(columns={"global_cycle": "ds"})
    phases = [column for column in PHASES if column in table.columns]
    table[phases] = table[phases].fillna(0.0)  # a phase that did not occur
    if {"discharge_energy_Wh", "discharge_capacity_Ah"} <= set(table.columns):  # as of records, whatever the mean
        table["mean_discharge_V"] = table["discharge_energy_Wh"] / table["discharge_capacity_Ah"]
    return table, notes


def _joined(cell: str, files: list[Path]) -> tuple[pd.DataFrame, list[str]]:
    records, notes = joined(read_records(files))
    return records, [f"{cell}: {note}" for note in notes]


def _parquet(file: Path) -> dict[str, pd.DataFrame]:
    table, _ = read_cycles(file)
    if "src_file" not in table.columns:
        raise DataError(f"{file.name} lacks the column src_file, the workbook of each record.")
    books = {str(name): rows for name, rows in table.groupby("src_file", sort=False)}
    return {name: checked_records(rows, f"{file.name}, workbook {name},") for name, rows in books.items()}


def _cell(file: Path) -> str:
    """Return the name of the cell a file belongs to: CS2_35 of CS2_35_8_17_10.xlsx."""
    named = re.match(r"C[SX]2_\d+", file.name, flags=re.IGNORECASE)
    return named[0].upper() if named else re.sub(r"_(records|cycles)$", "", file.stem)
