"""Batteries of NASA's Prognostics Center of Excellence (Saha and Goebel, 2007), one MATLAB file each.

As the README beside the data says, ``B0005.mat`` holds a structure ``B0005`` with an array ``cycle`` of operations of
the type charge, discharge or impedance; ``data`` of a discharge has ``Voltage_measured`` [V], ``Current_measured`` [A,
negative in discharge], ``Temperature_measured`` [°C] and ``Time`` [s].  A cycle here is a discharge, counted from 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from data.cells.cells import check_eol, chosen_cells
from data.cells.curves import Cycle, discharged, grid_of, panel_of, refuse_pickle
from data.contracts import Panel
from data.panel import DataError
from data.reading.files import local
from data.reading.matlab import read_mat, series_in

NAME = "NASA PCoE"
FIELDS = ["Voltage_measured", "Current_measured", "Temperature_measured", "Time"]


class NASA:
    """Read the discharges of the batteries.

    Parameters
    ----------
    path : str
        A file, or a folder of ``B*.mat``.
    window : sequence of float
        Lowest and highest voltage of the curves [V].
    points : int
        Voltages of a curve, evenly spread between.
    first : int or None
        Cycles of which curves are made; None makes those of all [cycles].
    eol : float
        End of life as a fraction of the nominal capacity; its publishers stopped at 0.7.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten cycles.
    cells : list of str or None
        Batteries to use, such as B0005; None takes all.
    """

    def __init__(
        self,
        path: str,
        window: Sequence[float] = (2.7, 4.0),
        points: int = 50,
        first: int | None = None,
        eol: float = 0.7,
        nominal: float | None = 2.0,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.first, self.nominal, self.cells = path, first, nominal, cells
        self.grid = grid_of(window, points)
        check_eol(eol)
        self.eol = eol

    def load(self) -> Panel:
        """Return every battery with its remaining life [cycles].

        Raises
        ------
        DataError
            If a file is no such battery, or none reaches its end of life.
        """
        return panel_of(self._cycles(), self.grid, self.first, NAME, self.eol, self.nominal)

    def read(self) -> Panel:
        """Return every battery; no end need be known."""
        return panel_of(self._cycles(), self.grid, self.first, NAME, None, None)

    def _cycles(self) -> list[Cycle]:
        refuse_pickle(self.path)
        root = local(self.path)
        files = [root] if root.is_file() else sorted(root.glob("*.mat"))
        if not files:
            raise DataError(f"{root} holds no *.mat of batteries.  Set source.path to a file or a folder of them.")
        named = chosen_cells(pd.DataFrame({"unique_id": [file.stem for file in files]}), self.cells, str(root))
        kept = set(named["unique_id"])
        return [cycle for file in files if file.stem in kept for cycle in _of_battery(file)]


def _of_battery(path: Path) -> Iterator[Cycle]:
    """Yield the discharges of one battery."""
    found = [value for value in read_mat(path).values() if isinstance(value, Mapping) and "cycle" in value]
    operations = found[0]["cycle"] if found else None
    operations = [operations] if isinstance(operations, Mapping) else operations
    if not isinstance(operations, list | np.ndarray) or not all(isinstance(one, Mapping) for one in operations):
        raise DataError(f"{path.name} is no battery of NASA PCoE: it has no structure with an array cycle.")
    discharges = [one for one in operations if one.get("type") == "discharge"]
    for number, one in enumerate(discharges, start=1):
        voltage, current, warm, seconds = series_in(one.get("data"), FIELDS, f"{path.name}: discharge {number}")
        if not len(voltage):
            continue
        flows = current < -0.05 * np.abs(current).max()  # the rest after the cut-off lets the voltage rise again
        charge = discharged(seconds, current)
        yield Cycle(path.stem, number, voltage[flows], charge[flows], {"temperature (C)": float(warm.mean())})
