"""Records of an Arbin cycler: from workbooks whose counters restart to one record a cell.

Every workbook counts charge and energy from its own start and on through all its cycles, and numbers its
cycles from one.  Charge and energy of a cycle are therefore sums of increments within a workbook, and the
cycle of a cell is counted through its workbooks, ordered by date.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from data.panel import DataError, listed
from data.reading.table import read_sheets

COUNTERS = ["Charge_Capacity(Ah)", "Discharge_Capacity(Ah)", "Charge_Energy(Wh)", "Discharge_Energy(Wh)"]
MEASURED = ["Current(A)", "Voltage(V)", *COUNTERS, "dV/dt(V/s)", "Internal_Resistance(Ohm)"]
COLUMNS = ["Test_Time(s)", "Date_Time", "Step_Index", "Cycle_Index", *MEASURED]

FLOWS = 0.01  # [A] a step whose mean current is smaller is a rest
HELD = 4.195  # [V] a step of charge whose median voltage is higher is held at 4.2 V
PHASES = ["cc_charge_s", "cv_charge_s", "discharge_s"]


def read_workbook(path: Path) -> pd.DataFrame:
    """Return the records of the sheets ``Channel_*`` of one workbook, in the order of the sheets.

    Raises
    ------
    DataError
        If the file is no workbook, or no sheet holds the records of an Arbin cycler.
    """
    sheets, names = read_sheets(path, lambda name: name.startswith("Channel") and "Chart" not in name)
    if not sheets:
        raise DataError(f"{path.name} has no sheet named Channel_*; it has {listed(names)}.")
    parts = [checked_records(table.frame()[0], table.name) for table in sheets.values()]
    return pd.concat(parts, ignore_index=True)


def checked_records(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return ``COLUMNS`` of a table as numbers and dates.

    Raises
    ------
    DataError
        If a column is missing, or a record has no number, time or cycle; ``name`` says where.
    """
    absent = [column for column in COLUMNS if column not in table.columns]
    if absent:
        raise DataError(f"{name} lacks the column {', '.join(absent)}.")
    given = table[COLUMNS].dropna(how="all").reset_index(drop=True)
    if given.empty:
        raise DataError(f"{name} holds no record.")
    dates = given["Date_Time"]
    if pd.api.types.is_numeric_dtype(dates):  # days, as workbooks count them
        dates = pd.to_datetime(dates, unit="D", origin="1899-12-30")
    records = given.drop(columns="Date_Time").apply(pd.to_numeric, errors="coerce")
    records.insert(1, "Date_Time", pd.to_datetime(dates, errors="coerce"))
    broken = records.isna()
    if broken.to_numpy().any():
        columns = ", ".join(broken.columns[broken.any()])
        raise DataError(f"{name} has {int(broken.any(axis=1).sum())} records without a number or date in {columns}.")
    return records[COLUMNS]


def joined(workbooks: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Put the workbooks of one cell in order of date and count on through them.

    Parameters
    ----------
    workbooks : dict
        Records by the name of their workbook.

    Returns
    -------
    records : DataFrame
        ``COLUMNS``, the counters as increments since the record before [Ah, Wh]; ``cycle``, counted
        through the cell's life from 1; ``record``, from 1.
    notes : tuple of str
        What was left out because another workbook holds it too.
    """
    ordered = sorted(workbooks.items(), key=lambda item: (item[1]["Date_Time"].min(), item[0]))
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    until, cycles = pd.Timestamp.min, 0
    for name, table in ordered:
        part = table[COLUMNS].reset_index(drop=True)
        # The first record already counts: a workbook starts from zero.  A counter that falls was reset.
        steps = part[COUNTERS].diff().fillna(part[COUNTERS])
        part[COUNTERS] = steps.where(steps >= 0, part[COUNTERS])
        known = (part["Date_Time"] <= until).to_numpy()
        if known.any():
            notes.append(f"{int(known.sum())} records of {name} are in an earlier workbook too and count once.")
            part = part.loc[~known].reset_index(drop=True)
        if part.empty:
            continue
        until = part["Date_Time"].max()
        part["cycle"] = cycles + part["Cycle_Index"].astype(np.int64) - int(part["Cycle_Index"].min()) + 1
        cycles = int(part["cycle"].max())
        parts.append(part)
    records = pd.concat(parts, ignore_index=True)
    records["record"] = np.arange(1, len(records) + 1)
    return records, tuple(notes)


def per_cycle(records: pd.DataFrame) -> pd.DataFrame:
    """Return one row a cycle.

    Returns
    -------
    DataFrame
        ``ds`` (cycle) and ``charge_capacity_Ah``, ``discharge_capacity_Ah``, ``charge_energy_Wh``,
        ``discharge_energy_Wh``, ``mean_discharge_V`` (energy / charge), ``min_V``,
        ``internal_resistance_ohm`` (the last of the cycle), and from the first to the last record of each
        phase ``cc_charge_s``, ``cv_charge_s`` and ``discharge_s``.
    """
    cycles = records.groupby("cycle")
    sums = cycles[COUNTERS].sum()
    capacity = sums["Discharge_Capacity(Ah)"]
    result = pd.DataFrame(
        {
            "charge_capacity_Ah": sums["Charge_Capacity(Ah)"],
            "discharge_capacity_Ah": capacity,
            "charge_energy_Wh": sums["Charge_Energy(Wh)"],
            "discharge_energy_Wh": sums["Discharge_Energy(Wh)"],
            "mean_discharge_V": (sums["Discharge_Energy(Wh)"] / capacity).where(capacity > 0),
            "min_V": cycles["Voltage(V)"].min(),
            "internal_resistance_ohm": cycles["Internal_Resistance(Ohm)"].last(),
        }
    ).join(_times(records))
    return result.fillna(dict.fromkeys(PHASES, 0.0)).rename_axis("ds").reset_index()


def per_record(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with every counter as charge or energy since the start of its cycle [Ah, Wh]."""
    since = records.groupby("cycle")[COUNTERS].cumsum()
    return records[["record", "cycle", *MEASURED]].assign(**{name: since[name] for name in COUNTERS})


def _times(records: pd.DataFrame) -> pd.DataFrame:
    """Return the time [s] that each cycle (a row) spends in each of ``PHASES`` (a column), NaN for none."""
    steps = records.groupby(["cycle", "Step_Index"])
    current = steps["Current(A)"].mean()
    held = steps["Voltage(V)"].median() >= HELD
    seconds = steps["Test_Time(s)"].max() - steps["Test_Time(s)"].min()
    kinds = [(current > FLOWS) & ~held, (current > FLOWS) & held, current < -FLOWS]
    return pd.DataFrame(
        {phase: seconds[kind].groupby("cycle").sum() for phase, kind in zip(PHASES, kinds, strict=True)}
    )
