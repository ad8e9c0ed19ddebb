"""Small files of cells in the layouts of their publishers, as the sources of curves read them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from data.contracts import FloatArray

LIVES = {"A": 40, "B": 60}
"""Cycles after which a cell of ours has lost a fifth of its capacity."""
VOLTAGE = np.linspace(3.6, 2.0, 40)


def held(cell: str, cycle: int) -> float:
    """Capacity of a cell in a cycle [Ah]: below 80 % of 1.1 Ah from the end of its life on."""
    return 1.1 * (1 - 0.2 * (cycle + 0.5) / LIVES[cell]) if cycle >= 0 else 1.1


def curve(cell: str, cycle: int) -> FloatArray:
    """Charge taken out at each voltage [Ah]."""
    return held(cell, cycle) / (1 + np.exp((VOLTAGE - 3.2) / 0.05))


def cycles(cell: str) -> range:
    """Numbers of the cycles on record, some after the end."""
    return range(1, LIVES[cell] + 6)


def long_table() -> pd.DataFrame:
    """A row a sample of the discharges of both cells."""
    parts = [
        pd.DataFrame({"cell": cell, "cycle": cycle, "voltage": VOLTAGE, "capacity": curve(cell, cycle)})
        for cell in LIVES
        for cycle in cycles(cell)
    ]
    return pd.concat(parts, ignore_index=True)


def curves_csv(path: Path) -> Path:
    """Write a long table."""
    path = path.with_suffix(".csv")
    long_table().to_csv(path, index=False)
    return path


def batteryml(folder: Path) -> Path:
    """Write cells as BatteryML's ``BatteryData.to_dict`` has them: charge and discharge in one record."""
    folder.mkdir()
    for cell in LIVES:
        records = [
            {
                "cycle_number": cycle,
                "current_in_A": [1.1] * 3 + [-4.4] * VOLTAGE.size,
                "voltage_in_V": [3.0, 3.3, 3.6, *VOLTAGE],
                "charge_capacity_in_Ah": [0.0, 0.5, 1.1] + [1.1] * VOLTAGE.size,
                "discharge_capacity_in_Ah": [0.0, 0.0, 0.0, *curve(cell, cycle)],
                "time_in_s": list(range(3 + VOLTAGE.size)),
                "temperature_in_C": [30.0] * (3 + VOLTAGE.size),
                "internal_resistance_in_ohm": 0.017,
            }
            for cycle in cycles(cell)
        ]
        content = {"cell_id": cell, "cycle_data": records, "form_factor": "cylindrical_18650"}
        (folder / f"{cell}.json").write_text(json.dumps(content | {"nominal_capacity_in_Ah": 1.1}), encoding="utf-8")
    return folder


def severson(path: Path) -> Path:
    """Write a batch as the authors' MATLAB files of version 7.3 are laid out, a record without a curve first."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install -e '.[batteries]'")
    path = path.with_suffix(".mat")
    with h5py.File(path, "w") as file:
        store = file.create_group("#refs#")
        names = iter(range(100_000))

        def kept(value: object) -> object:
            return store.create_dataset(str(next(names)), data=value).ref

        columns = {key: file.create_dataset(f"batch/{key}", (2, 1), dtype=h5py.ref_dtype) for key in
                   ("summary", "cycles", "cycle_life")}  # fmt: skip
        for place, cell in enumerate(LIVES):
            numbers = [0, *cycles(cell)]
            summary, records = (store.create_group(f"{what} {place}") for what in ("summary", "cycles"))
            capacity = [0.0] + [held(cell, cycle) for cycle in cycles(cell)]
            for name, values in {
                "cycle": numbers,
                "QDischarge": capacity,
                "IR": [0.0] + [0.017] * len(cycles(cell)),
                "Tavg": [0.0] + [31.0] * len(cycles(cell)),
                "chargetime": [0.0] + [10.5] * len(cycles(cell)),
            }.items():
                summary.create_dataset(name, data=np.array([values], dtype=float))
            drawn = records.create_dataset("Qdlin", (len(numbers), 1), dtype=h5py.ref_dtype)
            drawn[0, 0] = kept(np.zeros((1, 2)))
            for row, cycle in enumerate(cycles(cell), start=1):
                drawn[row, 0] = kept(curve(cell, cycle)[None])
            columns["summary"][place, 0], columns["cycles"][place, 0] = summary.ref, records.ref
            columns["cycle_life"][place, 0] = kept(np.array([[float(LIVES[cell])]]))
    return path


def seconds(charge: FloatArray, current: float) -> FloatArray:
    """Time at which a constant current has taken out so much [s]."""
    return 3600 * charge / current


def nasa(folder: Path) -> Path:
    """Write batteries as ``B0005.mat`` is: a charge and a discharge in turn, the voltage rising at rest at last."""
    folder.mkdir()
    for cell in LIVES:
        operations: list[dict[str, object]] = []
        for cycle in cycles(cell):
            charge = curve(cell, cycle)
            data = {
                "Voltage_measured": np.r_[VOLTAGE, 3.4],
                "Current_measured": np.r_[np.full(VOLTAGE.size, -2.0), 0.0],
                "Temperature_measured": np.full(VOLTAGE.size + 1, 25.0),
                "Time": np.r_[seconds(charge, 2.0), seconds(charge, 2.0)[-1] + 60],
                "Capacity": float(charge[-1]),
            }
            operations += [{"type": "charge", "data": {}}, {"type": "discharge", "data": data}]
        savemat(folder / f"{cell}.mat", {cell: {"cycle": np.array(operations, dtype=object)}})
    return folder


def oxford(path: Path) -> Path:
    """Write cells as ``Oxford_Battery_Degradation_Dataset_1.mat`` has them, ``q`` falling in discharge."""
    path = path.with_suffix(".mat")
    content = {
        f"Cell{place}": {
            f"cyc{cycle:04d}": {
                "C1dc": {"v": VOLTAGE, "q": -1000 * curve(cell, cycle), "T": 0 * VOLTAGE + 40},
                "C1ch": {},
            }
            for cycle in cycles(cell)
        }
        for place, cell in enumerate(LIVES, start=1)
    }
    savemat(path, content)
    return path


def bdf(folder: Path) -> Path:
    """Write cells in the Battery Data Format: charge and discharge of each cycle, time running on."""
    folder.mkdir()
    for cell in LIVES:
        parts, start = [], 0.0
        for cycle in cycles(cell):
            time = start + 3600 + seconds(curve(cell, cycle), 1.1)
            table = pd.DataFrame({"Test Time / s": time, "Voltage / V": VOLTAGE, "Current / A": -1.1})
            charge = pd.DataFrame({"Test Time / s": [start, start + 3500], "Voltage / V": 3.5, "Current / A": 1.1})
            parts.append(pd.concat([charge, table]).assign(**{"Cycle Count / 1": cycle, "Step Count / 1": 1}))
            start = float(time[-1]) + 60
        pd.concat(parts).to_csv(folder / f"{cell}.bdf.csv", index=False)
    return folder


WRITERS = {
    "curves_csv": curves_csv,
    "batteryml": batteryml,
    "severson": severson,
    "nasa": nasa,
    "oxford": oxford,
    "bdf": bdf,
}
"""What writes small files of each source of curves, by its YAML file."""
