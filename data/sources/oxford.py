"""Oxford Battery Degradation Dataset 1 (Birkl, 2017): eight pouch cells, measured every hundred drive cycles.

As its README says, ``Oxford_Battery_Degradation_Dataset_1.mat`` holds ``Cell1`` to ``Cell8``; each has ``cyc0000``,
``cyc0100`` and so on, named by the drive cycles before, and each of these measurements ``C1ch``, ``C1dc``,
``OCVch`` and ``OCVdc`` with ``t``, ``v`` [V], ``q`` [mAh] and ``T`` [°C].  The curve is that of the
discharge at 1 C, ``C1dc``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import check_eol, chosen_cells
from data.cells.curves import Cycle, grid_of, panel_of, refuse_pickle
from data.contracts import Panel
from data.panel import DataError
from data.reading.files import local
from data.reading.matlab import read_mat, series_in

NAME = "Oxford cells"
CYCLE = re.compile(r"cyc(\d{1,6})")


class Oxford:
    """Read the 1 C discharges of the published MATLAB file.

    Parameters
    ----------
    path : str
        The file.
    window : sequence of float
        Lowest and highest voltage of the curves [V].
    points : int
        Voltages of a curve, evenly spread between.
    first : int or None
        Drive cycles up to which curves are made; None makes those of all [cycles].
    eol : float
        End of life as a fraction of the nominal capacity.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten records.
    cells : list of str or None
        Cells to use, such as Cell1; None takes all.
    """

    def __init__(
        self,
        path: str,
        window: Sequence[float] = (2.7, 4.2),
        points: int = 50,
        first: int | None = None,
        eol: float = 0.8,
        nominal: float | None = 0.74,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.first, self.nominal, self.cells = path, first, nominal, cells
        self.grid = grid_of(window, points)
        check_eol(eol)
        self.eol = eol

    def load(self) -> Panel:
        """Return every cell with its remaining life [drive cycles].

        Raises
        ------
        DataError
            If it is another file, or no cell reaches its end of life.
        """
        return panel_of(self._cycles(), self.grid, self.first, NAME, self.eol, self.nominal)

    def read(self) -> Panel:
        """Return every cell; no end need be known."""
        return panel_of(self._cycles(), self.grid, self.first, NAME, None, None)

    def _cycles(self) -> list[Cycle]:
        refuse_pickle(self.path)
        found = read_mat(local(self.path))
        cells = {name: value for name, value in found.items() if name.startswith("Cell") and isinstance(value, Mapping)}
        if not cells:
            raise DataError(f"{self.path} is not the Oxford data set: it has no Cell1 (source.path).")
        kept = chosen_cells(pd.DataFrame({"unique_id": list(cells)}), self.cells, str(self.path))["unique_id"]
        return [cycle for cell in kept for cycle in _of_cell(str(cell), cells[str(cell)])]


def _of_cell(cell: str, records: Mapping[str, Any]) -> Iterator[Cycle]:
    """Yield the 1 C discharges of one cell."""
    for name, record in records.items():
        numbered = CYCLE.fullmatch(name)
        if numbered is None or not isinstance(record, Mapping) or "C1dc" not in record:
            continue
        voltage, charge, warm = series_in(record["C1dc"], ["v", "q", "T"], f"{cell}: {name}")
        if len(voltage):
            taken = np.abs(charge - charge[0]) / 1000
            yield Cycle(cell, int(numbered[1]), voltage, taken, {"temperature (C)": float(warm.mean())})
