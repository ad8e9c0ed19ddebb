"""Cells as BatteryML processes them, saved as JSON: MATR, HUST, CALCE, RWTH and others in one layout.

The layout is that of ``batteryml.data.battery_data.BatteryData.to_dict``: ``cell_id``, ``nominal_capacity_in_Ah`` and
``cycle_data``, a list of ``{cycle_number, voltage_in_V, current_in_A, discharge_capacity_in_Ah, temperature_in_C,
internal_resistance_in_ohm, ...}``.  BatteryML itself keeps pickles, which are never opened here.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.cells.cells import check_eol, chosen_cells
from data.cells.curves import CAPACITY, FEWEST, Cycle, curve_panel, faded, grid_of, refuse_pickle, tabled
from data.contracts import FloatArray, Panel
from data.panel import DataError
from data.reading.files import local, read_bytes
from data.reading.json import as_json

NAME = "BatteryML cells"


class BatteryML:
    """Read one JSON file a cell, as BatteryML describes a cell.

    Parameters
    ----------
    path : str
        A file, or a folder of ``*.json``.
    window : sequence of float
        Lowest and highest voltage of the curves [V].
    points : int
        Voltages of a curve, evenly spread between.
    first : int or None
        Cycles of which curves are made; None makes those of all [cycles].
    eol : float
        End of life as a fraction of the nominal capacity.
    nominal : float or None
        Nominal capacity [Ah]; None takes what each file says.
    cells : list of str or None
        Cells to use, by their ``cell_id``; None takes all.
    """

    def __init__(
        self,
        path: str,
        window: Sequence[float] = (2.0, 3.5),
        points: int = 50,
        first: int | None = 150,
        eol: float = 0.8,
        nominal: float | None = None,
        cells: list[str] | None = None,
    ) -> None:
        self.path, self.first, self.nominal, self.cells = path, first, nominal, cells
        self.grid = grid_of(window, points)
        check_eol(eol)
        self.eol = eol

    def load(self) -> Panel:
        """Return the first cycles of every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            If a file is no such cell, or no cell reaches its end of life.
        """
        cells = self._cells()
        lives: dict[str, float | None] = {}
        for cell, content in cells.items():
            nominal = self.nominal if self.nominal is not None else _number(content.get("nominal_capacity_in_Ah"))
            held = [(cell, cycle.number, float(np.nanmax(cycle.charge))) for cycle in _cycles(cell, content, None)]
            table = pd.DataFrame(held, columns=["unique_id", "ds", CAPACITY])
            found, rule = faded(table, self.eol, nominal if nominal and nominal > 0 else None)
            lives |= found
        table, notes = tabled(self._made(cells), self.grid, str(self.path))
        return curve_panel(table, lives, NAME, rule, notes)

    def read(self) -> Panel:
        """Return the first cycles of every cell; no end need be known."""
        table, notes = tabled(self._made(self._cells()), self.grid, str(self.path))
        return curve_panel(table, None, NAME, "", notes)

    def _made(self, cells: Mapping[str, dict[str, Any]]) -> Iterator[Cycle]:
        for cell, content in cells.items():
            yield from _cycles(cell, content, self.first)

    def _cells(self) -> dict[str, dict[str, Any]]:
        """Return the content of every file, by the cell it is of."""
        refuse_pickle(self.path)
        root = local(self.path)
        files = [root] if root.is_file() else sorted(root.glob("*.json"))
        for pickle in sorted(root.glob("*.pkl"))[:1] if not files else []:
            refuse_pickle(pickle)
        if not files:
            raise DataError(f"{root} holds no *.json of cells.  Set source.path to a file or a folder of them.")
        found = {}
        for file in files:
            content = as_json(*read_bytes(file))
            if not isinstance(content, dict) or not isinstance(content.get("cycle_data"), list):
                raise DataError(f"{file.name} is no cell of BatteryML: it has no list cycle_data.")
            found[str(content.get("cell_id", file.stem))] = content
        kept = chosen_cells(pd.DataFrame({"unique_id": list(found)}), self.cells, str(Path(self.path)))["unique_id"]
        return {str(cell): found[str(cell)] for cell in kept}


def _cycles(cell: str, content: dict[str, Any], first: int | None) -> Iterator[Cycle]:
    """Yield the discharge of the cycles of one cell that have one.

    Raises
    ------
    DataError
        If a cycle is none, or its samples do not go together.
    """
    for place, record in enumerate(content["cycle_data"], start=1):
        number = record.get("cycle_number", place) if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(number, int):
            raise DataError(f"{cell}: entry {place} of cycle_data is no cycle with a whole cycle_number.")
        if first is not None and number > first:
            continue
        voltage, charge, current = (
            _samples(record.get(name), cell, number)
            for name in ("voltage_in_V", "discharge_capacity_in_Ah", "current_in_A")
        )
        if len(voltage) != len(charge) or (len(current) and len(current) != len(voltage)):
            raise DataError(
                f"{cell}: cycle {number} has {len(voltage)} voltages, {len(charge)} discharge capacities and "
                f"{len(current)} currents; one of each a sample is needed."
            )
        if len(current):
            voltage, charge = voltage[current < 0], charge[current < 0]
        if np.isfinite(charge).sum() < FEWEST:
            continue
        warm = _samples(record.get("temperature_in_C"), cell, number)
        told = {"resistance (Ohm)": _number(record.get("internal_resistance_in_ohm"))}
        told["temperature (C)"] = float(np.nanmean(warm)) if np.isfinite(warm).any() else None
        yield Cycle(cell, number, voltage, charge, {key: value for key, value in told.items() if value is not None})


def _samples(values: Any, cell: str, number: int) -> FloatArray:
    """Return samples as numbers; none where there are none."""
    try:
        found = np.asarray([] if values is None else values, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 1:
        raise DataError(f"{cell}: cycle {number} has samples that are no list of numbers.")
    return found


def _number(value: Any) -> float | None:
    """Return a finite number, or None."""
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
