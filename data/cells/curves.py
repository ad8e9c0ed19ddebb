"""Discharge curves of cells: charge taken out over voltage, on one grid of voltages for all cycles.

Every source of curves returns the same kind of panel: a row a cycle, ``y`` the remaining life, and a column a voltage
of the grid, ``Q(3.200 V)``, with the charge taken out when the voltage has fallen to it [Ah].
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.cells.cells import Ends, Quantity, capacity_ends, labelled, unlabelled
from data.contracts import FloatArray, Panel
from data.panel import DataError, listed

CURVE = r"^Q\("
"""Pattern of the columns that are a curve."""
FEWEST = 5  # samples of a discharge below which there is no curve
CAPACITY = "capacity (Ah)"
SUMMARY = {
    CAPACITY: Quantity("charge taken out in the cycle [Ah]", 0.0, 500.0),
    "charge time (min)": Quantity("time of the charge [min]", 0.0, 10_000.0),
    "temperature (C)": Quantity("mean temperature of the cycle [°C]", -60.0, 150.0),
    "resistance (Ohm)": Quantity("internal resistance [Ohm]", 0.0, 10.0),
}
"""What a source may know of a cycle beside its curve."""
PICKLES = (".pkl", ".pickle", ".pck", ".p")


class Cycle(NamedTuple):
    """The discharge of one cycle."""

    cell: str
    number: int
    voltage: FloatArray
    """``(s,)`` [V]."""
    charge: FloatArray
    """``(s,)`` taken out so far [Ah]."""
    summary: Mapping[str, float] = {}
    """Some of ``SUMMARY``."""


def grid_of(window: Sequence[float], points: int) -> FloatArray:
    """Return falling voltages, evenly spread [V].

    Raises
    ------
    ValueError
        If there are fewer than two, or the highest is not above the lowest.
    """
    if points < 2 or len(window) != 2 or not window[0] < window[1]:
        raise ValueError(
            f"source.window={list(window)} must be two rising numbers [V], such as [2.0, 3.5], and "
            f"source.points={points} at least 2."
        )
    return np.linspace(window[1], window[0], points)


def column_names(grid: FloatArray) -> list[str]:
    """Return the name of the column of each voltage."""
    return [f"Q({voltage:.3f} V)" for voltage in grid]


def refuse_pickle(path: object) -> None:
    """Refuse a file that can only be read by running what is in it.

    Raises
    ------
    DataError
        If its name is that of a pickle.
    """
    if str(path).lower().endswith(PICKLES):
        raise DataError(
            f"{path} is a pickle, and to read one is to run code that stands in it: it is not opened.  Save the cells "
            f"as JSON or CSV where you trust the file (source.path)."
        )


def on_grid(voltage: FloatArray, charge: FloatArray, grid: FloatArray) -> FloatArray:
    """Return the charge at each voltage of a falling grid, ``(V,)``.

    Beyond what was recorded the end of the record holds.  Where a voltage was passed several times, as by noise, the
    mean of the charges counts; and charge taken out only grows while the voltage falls.
    """
    known = np.isfinite(voltage) & np.isfinite(charge)
    passed, place, times = np.unique(voltage[known], return_inverse=True, return_counts=True)  # rising
    mean = np.bincount(place, charge[known]) / times
    return np.interp(grid, passed, np.maximum.accumulate(mean[::-1])[::-1])


def tabled(cycles: Iterable[Cycle], grid: FloatArray, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a row a cycle: ``unique_id``, ``ds``, summary and curve, and what was left out.

    Raises
    ------
    DataError
        If no cycle has a curve, or a cell has one twice.
    """
    columns, bare = column_names(grid), 0
    rows: list[dict[str, object]] = []
    for cycle in cycles:
        if (np.isfinite(cycle.voltage) & np.isfinite(cycle.charge)).sum() < FEWEST:
            bare += 1
            continue
        curve = on_grid(cycle.voltage, cycle.charge, grid)
        told = {CAPACITY: float(np.nanmax(cycle.charge)), **cycle.summary}
        rows.append({"unique_id": cycle.cell, "ds": cycle.number, **told, **dict(zip(columns, curve, strict=True))})
    if not rows:
        raise DataError(f"{name} has no discharge of at least {FEWEST} samples of voltage and capacity.")
    table = pd.DataFrame(rows).sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)
    twice = table.duplicated(["unique_id", "ds"])
    if twice.any():
        first = table[twice].iloc[0]
        raise DataError(f"{name} has cycle {first['ds']} of cell {first['unique_id']} twice.  Keep one of them.")
    notes = [f"{bare} cycles have fewer than {FEWEST} samples of their discharge and are left out."] if bare else []
    return _summarised(table, columns, notes)


def _summarised(table: pd.DataFrame, columns: list[str], notes: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Drop what is not known of every cell; a value that is missing takes the last one of its cell."""
    known = [column for column in SUMMARY if column in table]
    absent = [column for column in known if table[column].isna().groupby(table["unique_id"]).all().any()]
    kept = [column for column in known if column not in absent]
    table = table[["unique_id", "ds", *kept, *columns]].copy()
    table[kept] = table.groupby("unique_id", sort=False)[kept].ffill()
    lacking = table[kept].isna().any(axis=1)
    if absent:
        notes.append(f"{listed(absent)} is not known of every cell and is left out.")
    if lacking.any():
        notes.append(
            f"{int(lacking.sum())} cycles come before the first {listed(kept)} of their cell and are left out."
        )
    return table[~lacking].reset_index(drop=True), tuple(notes)


def curve_panel(
    table: pd.DataFrame, lives: Mapping[str, float | None] | None, name: str, rule: str, notes: tuple[str, ...] = ()
) -> Panel:
    """Return cycles with their curves as a panel; ``y`` is the remaining life [cycles], or NaN.

    Parameters
    ----------
    table : DataFrame
        As of ``tabled``.
    lives : mapping or None
        Life of each cell [cycles]; None of one whose end is not on record, which is left out.  None in place of all:
        no end need be known.
    name, rule : str
        What titles call the data, and in one sentence what a life is.
    notes : tuple of str
        What was told so far.
    """
    covariates = [str(column) for column in table.columns if column not in ("unique_id", "ds")]
    curve = Quantity("charge taken out down to this voltage [Ah]")
    quantities = {column: SUMMARY.get(column, curve) for column in covariates}
    if lives is None:
        return unlabelled(table, name, quantities, notes)
    ends = {cell: None if life is None or not np.isfinite(life) else round(life) for cell, life in lives.items()}
    return labelled(table, name, quantities, Ends(ends, rule), notes)


def faded(table: pd.DataFrame, eol: float, nominal: float | None) -> tuple[dict[str, float | None], str]:
    """Return the life of each cell by its capacity, as ``capacity_ends`` finds it, and the rule.

    Parameters
    ----------
    table : DataFrame
        All cycles of the cells: ``unique_id``, ``ds`` and ``CAPACITY``.
    eol : float
        Fraction of the nominal capacity at which a life ends.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten cycles.
    """
    ends = capacity_ends(table, CAPACITY, eol, nominal)
    return {cell: None if cycle is None else float(cycle) for cell, cycle in ends.cycle.items()}, ends.rule


def panel_of(
    cycles: Sequence[Cycle],
    grid: FloatArray,
    first: int | None,
    name: str,
    eol: float | None,
    nominal: float | None,
) -> Panel:
    """Return the first cycles with their remaining life by the capacity of all [cycles]; NaN where ``eol`` is None."""
    kept = [cycle for cycle in cycles if first is None or cycle.number <= first]
    table, notes = tabled(kept, grid, name)
    if eol is None:
        return curve_panel(table, None, name, "", notes)
    sound = [cycle for cycle in cycles if np.isfinite(cycle.charge).any()]
    held = [(cycle.cell, cycle.number, float(np.nanmax(cycle.charge))) for cycle in sound]
    records = pd.DataFrame(held, columns=["unique_id", "ds", CAPACITY]).sort_values(["unique_id", "ds"])
    lives, rule = faded(records, eol, nominal)
    return curve_panel(table, lives, name, rule, notes)


def discharged(seconds: FloatArray, current: FloatArray) -> FloatArray:
    """Return the charge that a current below 0 has taken out so far ``(s,)`` [Ah], by trapezoids.

    A step counts where both of its ends discharge: when a current began between two samples is not known.
    """
    flow = np.maximum(-np.nan_to_num(current), 0.0)
    before, steps = np.r_[flow[:1], flow[:-1]], np.diff(seconds, prepend=seconds[:1])
    charge = np.where((flow > 0) & (before > 0), np.maximum(steps, 0.0) * (flow + before) / 2, 0.0)
    return np.cumsum(charge) / 3600
