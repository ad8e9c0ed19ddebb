"""Curves come from every layout on one grid, and a file that is none is refused in a sentence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from data.cells.curves import CAPACITY, discharged, grid_of, on_grid
from data.panel import DataError
from data.sources.batteryml import BatteryML
from data.sources.bdf import BDF
from data.sources.curves_csv import CurvesCSV
from data.sources.nasa import FIELDS, NASA
from data.sources.oxford import Oxford
from data.sources.severson import Severson
from tests.battery_files import LIVES, VOLTAGE, WRITERS, curve, held, long_table

SOURCES = {
    "curves_csv": CurvesCSV,
    "batteryml": BatteryML,
    "severson": Severson,
    "nasa": NASA,
    "oxford": Oxford,
    "bdf": BDF,
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_layout_gives_the_curves_and_lives_that_were_written(name: str, tmp_path: Path) -> None:
    path = str(WRITERS[name](tmp_path / "cells"))
    size = {} if name in ("batteryml", "severson") else {"nominal": 1.1, "eol": 0.8}
    panel = SOURCES[name](path, window=[2.0, 3.5], points=7, first=20, **size).load()
    frame = panel.frame
    assert list(panel.lives().values()) == [float(life) for life in LIVES.values()]
    assert frame["ds"].max() == 20
    grid = grid_of([2.0, 3.5], 7)
    row = frame[frame["ds"] == 12].iloc[0]
    for voltage in grid:
        expected = np.interp(voltage, VOLTAGE[::-1], curve("A", 12)[::-1])
        assert row[f"Q({voltage:.3f} V)"] == pytest.approx(expected, abs=2e-3)
    assert row[CAPACITY] == pytest.approx(held("A", 12), rel=1e-3)


def test_what_a_layout_tells_of_a_cycle_is_among_the_covariates(tmp_path: Path) -> None:
    told = Severson(str(WRITERS["severson"](tmp_path / "cells"))).load().frame.iloc[0]
    assert (told["charge time (min)"], told["temperature (C)"], told["resistance (Ohm)"]) == (10.5, 31.0, 0.017)
    told = BatteryML(str(WRITERS["batteryml"](tmp_path / "ml"))).load().frame.iloc[0]
    assert (told["temperature (C)"], told["resistance (Ohm)"]) == (30.0, 0.017)


def test_a_curve_is_put_on_the_grid_whatever_the_order_and_noise_of_its_samples() -> None:
    voltage = np.array([3.0, 3.5, 2.5, 3.5, np.nan, 2.75])
    charge = np.array([0.5, 0.0, 1.0, 0.2, 9.0, 0.45])
    found = on_grid(voltage, charge, np.array([3.6, 3.5, 3.25, 3.0, 2.75, 2.0]))
    np.testing.assert_allclose(found, [0.1, 0.1, 0.3, 0.5, 0.5, 1.0])


def test_a_life_in_the_table_comes_before_the_capacity(tmp_path: Path) -> None:
    table = long_table()
    table.assign(life=table["cell"].map({"A": 70, "B": 80})).to_csv(tmp_path / "c.csv", index=False)
    assert list(CurvesCSV(str(tmp_path / "c.csv"), points=5).load().lives().values()) == [70.0, 80.0]
    table.assign(life=np.arange(len(table))).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match="tells more than one life of A, B"):
        CurvesCSV(str(tmp_path / "c.csv"), points=5).load()


def test_samples_of_a_charge_are_left_out_where_the_current_is_told(tmp_path: Path) -> None:
    table = long_table()
    charge = table.assign(current=1.1, capacity=0.0, voltage=2.7)
    both = table.assign(current=-4.4)
    whole = tmp_path / "c.csv"
    pd.concat([both, charge]).to_csv(whole, index=False)
    table.to_csv(tmp_path / "d.csv", index=False)
    mixed = CurvesCSV(str(whole), current="current", points=5).load().frame
    pd.testing.assert_frame_equal(mixed, CurvesCSV(str(tmp_path / "d.csv"), points=5).load().frame)


@pytest.mark.parametrize("source", SOURCES.values())
@pytest.mark.parametrize("name", ["cell.pkl", "cells.PICKLE"])
def test_a_pickle_is_not_opened(source: type, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch taken'\ntR.")
    with pytest.raises(DataError, match="is a pickle, and to read one is to run code"):
        source(str(tmp_path / name)).load()
    assert not Path("taken").exists()


BROKEN = {
    "no json": (b"{'a': 1}", "c.json is no JSON"),
    "deep": (b"[" * 100_000, "c.json is no JSON"),
    "no cell": (b'{"a": 1}', "c.json is no cell of BatteryML: it has no list cycle_data"),
    "no cycle": (b'{"cycle_data": [1]}', "entry 1 of cycle_data is no cycle"),
    "text": (
        json.dumps(
            {"cycle_data": [{"cycle_number": 1, "voltage_in_V": ["x"], "discharge_capacity_in_Ah": [1]}]}
        ).encode(),
        "cycle 1 has samples that are no list of numbers",
    ),
    "torn": (
        json.dumps(
            {"cycle_data": [{"cycle_number": 1, "voltage_in_V": [3, 2], "discharge_capacity_in_Ah": [1]}]}
        ).encode(),
        "cycle 1 has 2 voltages, 1 discharge capacities",
    ),
    "empty": (b'{"cycle_data": []}', "has no discharge of at least 5 samples"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_cell_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    content, words = BROKEN[name]
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(DataError, match=words) as told:
        BatteryML(str(tmp_path)).read()
    assert "\n" not in str(told.value)


def test_a_file_that_is_no_batch_is_refused_in_a_sentence(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install -e '.[batteries]'")
    (tmp_path / "text.mat").write_text("MATLAB 5.0")
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["batch/summary"] = np.zeros((1, 1))
    for name in ("text.mat", "other.mat"):
        with pytest.raises(DataError, match=f"{name} is no batch of Severson") as told:
            Severson(str(tmp_path / name)).load()
        assert "\n" not in str(told.value)


def test_missing_columns_and_odd_cycles_are_named(tmp_path: Path) -> None:
    table = long_table()
    table.drop(columns="voltage").to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match=r"lacks the column 'voltage'.*source\.voltage"):
        CurvesCSV(str(tmp_path / "c.csv")).read()
    table.assign(cycle=table["cycle"] + 0.5).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match="whose cycle is no whole number"):
        CurvesCSV(str(tmp_path / "c.csv")).read()
    with pytest.raises(ValueError, match=r"source\.window=\[3\.5, 2\.0\] must be two rising numbers"):
        CurvesCSV("c.csv", window=[3.5, 2.0])


@pytest.mark.parametrize("name", ["nasa", "oxford"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no MATLAB", "is no MATLAB file that can be read"),
        (b"\x00" * 600, "is no MATLAB file that can be read"),
        (b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n", "is a MATLAB file of version 7.3"),
    ],
    ids=["text", "zeros", "version 7.3"],
)
def test_a_file_that_is_no_matlab_is_refused(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(DataError, match=words) as told:
        SOURCES[name](str(tmp_path / "x.mat")).load()
    assert "\n" not in str(told.value)


def test_matlab_files_of_something_else_are_refused_in_a_sentence(tmp_path: Path) -> None:
    for content, nasa, oxford in (
        ({"x": np.zeros(3)}, "is no battery of NASA PCoE", "is not the Oxford data set"),
        ({"B": {"cycle": np.zeros(3)}}, "is no battery of NASA PCoE", "is not the Oxford data set"),
        ({"B": {"cycle": {"type": "discharge", "data": 3}}, "Cell1": {"cyc0000": {"C1dc": {"v": [1.0]}}}},
         "discharge 1 has no Voltage_measured", "Cell1: cyc0000 has no v, q, T"),
        ({"B": {"cycle": {"type": "discharge", "data": {name: ["a"] for name in FIELDS}}},
          "Cell1": {"cyc0000": {"C1dc": {"v": [1.0], "q": [1.0, 2.0], "T": [1.0]}}}},
         "holds something else than numbers", "of different lengths"),
    ):  # fmt: skip
        savemat(tmp_path / "x.mat", content)
        for source, words in ((NASA, nasa), (Oxford, oxford)):
            with pytest.raises(DataError, match=words) as told:
                source(str(tmp_path / "x.mat")).load()
            assert "\n" not in str(told.value)


def test_a_table_that_is_no_bdf_is_told_what_it_lacks_and_machine_names_are_read(tmp_path: Path) -> None:
    folder = WRITERS["bdf"](tmp_path / "cells")
    table = pd.read_csv(folder / "A.bdf.csv")
    names = dict(zip(table, ["test_time_second", "voltage_volt", "current_ampere", "cycle_count", "step"], strict=True))
    (tmp_path / "other").mkdir()
    table.rename(columns=names).to_csv(tmp_path / "other" / "A.csv", index=False)
    sizes = {"nominal": 1.1, "points": 5}
    one, other = (BDF(str(path), **sizes).load().frame for path in (folder / "A.bdf.csv", tmp_path / "other" / "A.csv"))
    pd.testing.assert_frame_equal(one, other)
    table.drop(columns="Current / A").to_csv(tmp_path / "B.csv", index=False)
    with pytest.raises(DataError, match="lacks 'Current / A' of the Battery Data Format"):
        BDF(str(tmp_path / "B.csv")).load()


def test_the_current_is_integrated_in_discharge_alone() -> None:
    charge = discharged(np.array([0.0, 1800.0, 3600.0, 7200.0, 7200.0]), np.array([-2.0, -4.0, 0.0, 5.0, np.nan]))
    np.testing.assert_allclose(charge, [0.0, 1.5, 1.5, 1.5, 1.5])
