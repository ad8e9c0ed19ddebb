"""The 124 fast-charged cells of Severson et al. (2019, Nature Energy 4, 383), from the files their authors published.

The three batches, ``2017-05-12_batchdata_updated_struct_errorcorrect.mat`` and two more (data.matr.io/1), are MATLAB
files of version 7.3, which are HDF5.  Their layout is read as the authors' notebook does (github.com/rdbraatz/
data-driven-prediction-of-battery-cycle-life-before-capacity-degradation, "Load Data.ipynb"): ``batch/summary``,
``batch/cycle_life`` and ``batch/cycles`` hold a reference a cell; a summary has ``IR``, ``QDischarge``, ``Tavg``,
``chargetime`` and ``cycle``, cycles have ``Qdlin``, a reference a cycle to the charge taken out at the voltages
``Vdlin``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import chosen_cells
from data.cells.curves import CAPACITY, Cycle, curve_panel, grid_of, refuse_pickle, tabled
from data.contracts import FloatArray, Panel
from data.panel import DataError
from data.reading.files import local

NAME = "Severson et al."
WINDOW = (2.0, 3.6)  # [V] of Qdlin, falling in 1000 steps
RULE = "The life of a cell is the cycle_life its authors give, the cycle at which 80 % of 1.1 Ah are left."
SUMMARIES = {
    CAPACITY: "QDischarge",
    "charge time (min)": "chargetime",
    "temperature (C)": "Tavg",
    "resistance (Ohm)": "IR",
}


class Severson:
    """Read one or several batches of the published MATLAB files.

    Parameters
    ----------
    path : str
        A file, or a folder of ``*.mat``.
    window : sequence of float
        Lowest and highest voltage of the curves [V].
    points : int
        Voltages of a curve, evenly spread between.
    first : int or None
        Cycles of which curves are made; None makes those of all [cycles].
    cells : list of str or None
        Cells to use, called ``b1c0`` and so on: batch, in the order of the files' names, and cell; None takes all.
    """

    def __init__(
        self,
        path: str,
        window: Sequence[float] = (2.0, 3.5),
        points: int = 50,
        first: int | None = 150,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.first, self.cells, self.grid = path, first, cells, grid_of(window, points)

    def load(self) -> Panel:
        """Return the first cycles of every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            If h5py is not installed, or a file is not one of the published ones.
        """
        cycles, lives = self._read()
        table, notes = tabled(cycles, self.grid, str(self.path))
        return curve_panel(table, lives, NAME, RULE, notes)

    def read(self) -> Panel:
        """Return the first cycles of every cell; no end need be known."""
        cycles, _ = self._read()
        table, notes = tabled(cycles, self.grid, str(self.path))
        return curve_panel(table, None, NAME, "", notes)

    def _read(self) -> tuple[list[Cycle], dict[str, float | None]]:
        """Return the cycles of all files and the life of each cell."""
        refuse_pickle(self.path)
        root = local(self.path)
        files = [root] if root.is_file() else sorted(root.glob("*.mat"))
        if not files:
            raise DataError(f"{root} holds no *.mat.  Set source.path to the batches from data.matr.io/1, or a folder.")
        cycles: list[Cycle] = []
        lives: dict[str, float | None] = {}
        for number, file in enumerate(files, start=1):
            cycles += _batch(file, f"b{number}c", self.first, lives)
        kept = set(chosen_cells(pd.DataFrame({"unique_id": list(lives)}), self.cells, str(root))["unique_id"])
        return [cycle for cycle in cycles if cycle.cell in kept], lives


def _batch(path: Path, prefix: str, first: int | None, lives: dict[str, float | None]) -> list[Cycle]:
    """Return the cycles of one file, and put the lives of its cells into a mapping."""
    try:
        import h5py
    except ImportError:
        raise DataError("source=severson reads HDF5: install h5py (pip install -e '.[batteries]').") from None
    try:
        with h5py.File(path, "r") as file:
            batch, found = file["batch"], []
            for place in range(batch["summary"].shape[0]):
                cell = f"{prefix}{place}"
                life = np.ravel(file[batch["cycle_life"][place, 0]][()])
                lives[cell] = float(life[0]) if life.size and np.isfinite(life[0]) else None
                found += list(_of_cell(file, batch, place, cell, first))
            return found
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        told = str(error).partition("\n")[0][:200]
        raise DataError(
            f"{path.name} is no batch of Severson et al. (MATLAB 7.3 with batch/summary, cycle_life, cycles): {told}."
            f"  Set source.path to a file from data.matr.io/1."
        ) from None


def _of_cell(file: Any, batch: Any, place: int, cell: str, first: int | None) -> Iterator[Cycle]:
    """Yield the cycles of one cell; one without a curve, as the record before the first often is, is none."""
    summary, curves = file[batch["summary"][place, 0]], file[batch["cycles"][place, 0]]["Qdlin"]
    numbers = _numbers(summary["cycle"])
    told = {ours: _numbers(summary[theirs]) for ours, theirs in SUMMARIES.items() if theirs in summary}
    for row in range(min(curves.shape[0], len(numbers))):
        number = int(numbers[row])
        if first is not None and number > first:
            break
        curve = _numbers(file[curves[row, 0]])
        if len(curve) < 2 or not np.nanmax(curve) > 0:
            continue
        beside = {name: float(values[row]) for name, values in told.items() if row < len(values) and values[row] > 0}
        yield Cycle(cell, number, np.linspace(WINDOW[1], WINDOW[0], len(curve)), curve, beside)


def _numbers(data: Any) -> FloatArray:
    """Return a stored array as numbers in one row."""
    return np.ravel(np.asarray(data[()], dtype=np.float64))
