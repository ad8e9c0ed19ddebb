"""Fourteen cells of the Hawaii Natural Energy Institute, cycled side by side for some 1100 cycles."""

import string

import numpy as np
import pandas as pd

from data.cells.cells import (
    Quantity,
    check_outliers,
    checked_cycles,
    chosen_cells,
    labelled,
    last_cycles,
    sound_cycles,
    unlabelled,
)
from data.cells.files import first_file, read_cycles
from data.contracts import Panel
from data.panel import DataError, listed

NAME = "HNEI"
FILES = ["hnei/hnei_14cells_features_with_cell_id.csv", "hnei/Battery_RUL.csv", "hnei/Final Database.csv"]
CELLS = "abcdefgjlnopst"
"""The published order of the cells, for tables without a column that names them."""

# A 2.8 Ah cell, charged at C/2 (7200 s, and the taper) and discharged at 1.5 C (2400 s), formed at C/2
# (7400 s).  About every hundred cycles a capacity test at C/20 or slower, or a rest of days, was booked on a
# cycle, and some records were cut off after seconds.  The limits were set once, after a look at all fourteen
# cells; with those of the times halved and doubled 224 rows are caught, tightened by a fifth 233, as they are 230.
FACTORS = {
    "Discharge Time (s)": Quantity("time of the discharge [s]", 500, 10_000),
    "Decrement 3.6-3.4V (s)": Quantity("time in which the voltage falls from 3.6 to 3.4 V in discharge [s]", 0, 2_000),
    "Max. Voltage Dischar. (V)": Quantity("highest voltage in discharge [V]", 2.5, 4.5),
    "Min. Voltage Charg. (V)": Quantity("lowest voltage in charge [V]", 2.5, 4.5),
    "Time at 4.15V (s)": Quantity("time until the charge reaches 4.15 V [s]", 0, 10_800),
    "Time constant current (s)": Quantity("time of the charge at constant current [s]", 500, 14_400),
    "Charging time (s)": Quantity("time of the whole charge [s]", 1_000, 28_800),
}
AGE = {"Cycle_Index": Quantity("number of the cycle, which on this data set is a clock [cycles]", 0)}


class HNEI:
    """The table of health factors derived from the HNEI cells: one row a cycle.

    RUL + Cycle_Index is constant within every cell, and all cells end between cycle 1103 and 1134: the
    number of the cycle alone tells the remaining life to half a percent.

    Parameters
    ----------
    path : str or None
        The table, with or without a column ``cell`` (without it a cell starts where Cycle_Index falls);
        None looks into the data folder.
    cells : list of str or None
        Cells to use, by their letter; None takes all.
    cycle_index : bool
        Add Cycle_Index to the covariates, as paper 2 does.
    outliers : str
        What becomes of rows beyond the limits of ``FACTORS``: ``"replace"``, ``"drop"`` or ``"keep"``.
    """

    def __init__(
        self,
        path: str | None = None,
        cells: list[str] | None = None,
        cycle_index: bool = False,
        outliers: str = "replace",
    ) -> None:
        self.path, self.cells, self.cycle_index = path, cells, cycle_index
        self.outliers = check_outliers(outliers)

    def read(self) -> Panel:
        """Return the sound cycles without their remaining life, which need not be known.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        recorded, told = self._recorded()
        sound, mended = self._sound(recorded)
        return unlabelled(self._with_age(sound), NAME, self._factors(), (*told, *mended))

    def load(self) -> Panel:
        """Return the cycles of every cell with their remaining life [cycles].

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        recorded, told = self._recorded()
        sound, mended = self._sound(recorded)
        # The last cycle of every cell is one of the capacity tests, so the end is taken before rows go.
        return labelled(self._with_age(sound), NAME, self._factors(), last_cycles(recorded), (*told, *mended))

    def _factors(self) -> dict[str, Quantity]:
        return AGE | FACTORS if self.cycle_index else FACTORS

    def _recorded(self) -> tuple[pd.DataFrame, tuple[str, ...]]:
        path = first_file(self.path, FILES, "hnei", "The HNEI table")
        table, read = read_cycles(path)
        if "Cycle_Index" not in table.columns:
            raise DataError(f"{path} lacks the column 'Cycle_Index'; it has {listed(map(repr, table.columns))}.")
        table = table.rename(columns={"Cycle_Index": "ds", "cell": "unique_id"})
        if "unique_id" not in table.columns:
            table["unique_id"] = _cell_names(table["ds"])
        recorded, told = checked_cycles(chosen_cells(table, self.cells, str(path)), str(path), FACTORS)
        return recorded, (*read, *told)

    def _sound(self, recorded: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
        return sound_cycles(recorded, NAME, FACTORS, self.outliers)

    def _with_age(self, frame: pd.DataFrame) -> pd.DataFrame:
        if not self.cycle_index:
            return frame
        return frame.assign(Cycle_Index=frame["ds"].astype(np.float64))


def _cell_names(cycles: "pd.Series[float]") -> "pd.Series[str]":
    """Name the cells of a table that does not: a new one starts where the cycle number falls."""
    number = (pd.to_numeric(cycles, errors="coerce").diff() < 0).cumsum()
    letters = CELLS if number.iloc[-1] + 1 == len(CELLS) else string.ascii_lowercase
    return number.map(lambda k: letters[k] if k < len(letters) else f"cell {k + 1}")
