"""Sources of cells read what publishers offer, and say what is wrong with it."""

import re
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from data.panel import DataError
from data.sources._arbin import COLUMNS, COUNTERS, checked_records, read_workbook
from data.sources.batteryarchive import BatteryArchive
from data.sources.calce import CALCE, CYCLE, RECORD
from data.sources.cells_csv import CellsCSV, plausible
from data.sources.hnei import FACTORS, HNEI
from data.sources.synthetic_cells import CHARGE, DISCHARGE, NOMINAL, SyntheticCells
from runtime.build import build
from tests.battery_files import WRITERS
from tests.conftest import ROOT, choices, data_file

SMALL = SyntheticCells(n_cells=3, life=(60, 90))


def arbin_workbook(path: Path, n_cycles: int, start: str, capacity: float = 1.1, sheet: str = "Channel_1-008") -> None:
    """Write a workbook as an Arbin cycler does: its counters start at zero and run on through its cycles."""
    rows, charged, discharged = [], 0.0, 0.0
    clock = pd.Timestamp(start)
    for cycle in range(1, n_cycles + 1):
        size = capacity - 0.01 * cycle
        for step, current, voltage in [(2, 0.55, 3.9), (4, 0.3, 4.2), (7, -1.1, 3.6), (7, -1.1, 2.7)]:
            for _ in range(2):
                clock += pd.Timedelta(seconds=60)
                moved = size / 4
                charged += moved if current > 0 else 0.0
                discharged += moved if current < 0 else 0.0
                seconds = (clock - pd.Timestamp(start)).total_seconds()
                record = [seconds, clock.to_pydatetime(), step, cycle, current, voltage, charged, discharged]
                rows.append([*record, charged * 4.0, discharged * 3.6, 0.0, 0.08 + 0.001 * cycle])
    order = ["Test_Time(s)", "Date_Time", "Step_Index", "Cycle_Index", "Current(A)", "Voltage(V)", *COUNTERS]
    book = openpyxl.Workbook()
    book.active.title = "Info"
    records = book.create_sheet(sheet)
    records.append([*order, "dV/dt(V/s)", "Internal_Resistance(Ohm)"])
    for row in rows:
        records.append(row)
    book.create_sheet("Statistics_1-008")
    book.save(path)


def hnei_table(n: int = 30, cells: str = "ab") -> pd.DataFrame:
    """A table in the columns of HNEI, without faults."""
    parts = []
    for shift, cell in enumerate(cells):
        cycles = np.arange(1.0, n + 1)
        columns = {name: np.linspace(0.6, 0.5, n) + shift / 100 for name in FACTORS}
        sizes = [2500, 900, 3.9 / 0.6, 3.3 / 0.6, 5000, 6000, 8000]
        for (name, values), size in zip(columns.items(), sizes, strict=True):
            columns[name] = values * size if size < 10 else values * size + 600
        parts.append(pd.DataFrame({"cell": cell, "Cycle_Index": cycles, **columns}))
    return pd.concat(parts, ignore_index=True)


def archive_table(n: int = 40, fade: float = 0.01, nominal: float = 2.8) -> pd.DataFrame:
    """A table in the columns of batteryarchive.org."""
    capacity = nominal * (1 - fade * np.arange(n))
    return pd.DataFrame(
        {
            "Cycle_Index": np.arange(1, n + 1),
            "Start_Time": "2014-01-01 00:00:00",
            "End_Time": "2014-01-01 04:00:00",
            "Test_Time (s)": np.arange(1, n + 1) * 14_400.0,
            "Min_Current (A)": -4.2,
            "Max_Current (A)": 1.4,
            "Min_Voltage (V)": 3.0,
            "Max_Voltage (V)": 4.35,
            "Charge_Capacity (Ah)": capacity * 1.001,
            "Discharge_Capacity (Ah)": capacity,
            "Charge_Energy (Wh)": capacity * 3.9,
            "Discharge_Energy (Wh)": capacity * 3.6,
        }
    )


# Every source of cells


def is_source_of_cells(name: str) -> bool:
    return hasattr(get_object(OmegaConf.load(ROOT / "conf" / "source" / f"{name}.yaml")["_target_"]), "read")


@pytest.fixture(params=[name for name in choices("source") if is_source_of_cells(name)])
def source(request, tmp_path, monkeypatch):
    """Every source of cells as its YAML has it, over small files of ours."""
    config = OmegaConf.load(ROOT / "conf" / "source" / f"{request.param}.yaml")
    for folder in ("hnei", "calce", "batteryarchive"):
        (tmp_path / folder).mkdir()
    hnei_table().to_csv(tmp_path / "hnei" / "Battery_RUL.csv", index=False)
    archive_table().to_csv(tmp_path / "batteryarchive" / "X_a_cycle_data.csv", index=False)
    arbin_workbook(tmp_path / "calce" / "CS2_35_8_17_10.xlsx", n_cycles=40, start="2010-08-17")
    hnei_table().rename(columns={"Cycle_Index": "cycle"}).to_csv(tmp_path / "cells.csv", index=False)
    monkeypatch.setenv("MODECAST_DATA", str(tmp_path))
    if request.param == "cells_csv":
        config.path = str(tmp_path / "cells.csv")
    if request.param == "synthetic_cells":
        config = OmegaConf.merge(config, {"n_cells": 3, "life": [60, 90]})
    if request.param == "synthetic_curves":
        config = OmegaConf.merge(config, {"n_cells": 2, "first": None, "points": 8})
    if request.param in WRITERS:
        size = {"nominal": 1.1, "eol": 0.8} if "nominal" in config and request.param in ("nasa", "oxford") else {}
        config = OmegaConf.merge(config, {"points": 8, "first": None, **size})
        config.path = str(WRITERS[request.param](tmp_path / request.param))
    return build(config)


def test_a_source_of_cells_keeps_its_promises(source) -> None:
    panel, known = source.load(), source.read()
    frame, rows = panel.frame, known.frame
    assert list(frame.columns) == ["unique_id", "ds", "y", *panel.covariates]
    assert list(rows.columns) == ["unique_id", "ds", "y", *panel.covariates]
    assert rows["y"].isna().all()
    assert known.covariates == panel.covariates
    assert panel.unit == "cycles"
    assert panel.notes
    assert all("[" in meaning or "in its own unit" in meaning for meaning in panel.covariates.values())
    assert np.isfinite(frame.drop(columns="unique_id").to_numpy(dtype=float)).all()
    assert (frame.groupby("unique_id")["y"].min() == 0).all()
    assert (frame.groupby("unique_id")["ds"].diff().dropna() > 0).all()
    pd.testing.assert_frame_equal(frame, source.load().frame)
    shared = frame.merge(rows, on=["unique_id", "ds"], suffixes=("", "_read"))
    assert len(shared) == len(frame)
    for column in panel.covariates:
        np.testing.assert_array_equal(shared[column], shared[f"{column}_read"])


def test_remaining_life_falls_by_one_a_cycle(source) -> None:
    frame = source.load().frame
    assert (frame["y"] + frame["ds"]).groupby(frame["unique_id"]).nunique().eq(1).all()


# HNEI


def test_hnei_life_is_the_published_one_and_its_gross_outliers_are_told_by_cell() -> None:
    path = data_file("hnei/hnei_14cells_features_with_cell_id.csv")
    panel = HNEI(str(path), outliers="keep").load()
    np.testing.assert_array_equal(panel.frame["y"], pd.read_csv(path)["RUL"])
    assert any("230 of 15064 rows" in note and "(a 15, b 15," in note for note in panel.notes)
    mended = HNEI(str(path)).load().frame
    assert len(mended) == 15064
    assert mended["Discharge Time (s)"].between(500, 10_000).all()
    dropped = HNEI(str(path), outliers="drop").load().frame
    assert len(dropped) == 15064 - 230
    both = dropped.merge(panel.frame, on=["unique_id", "ds"])
    np.testing.assert_array_equal(both["y_x"], both["y_y"])  # though the last cycle of each cell has gone


def test_hnei_is_a_clock() -> None:
    frame = HNEI(str(data_file("hnei/hnei_14cells_features_with_cell_id.csv"))).load().frame
    life = (frame["y"] + frame["ds"]).groupby(frame["unique_id"]).unique()
    assert all(len(values) == 1 for values in life)
    assert (life.str[0].min(), life.str[0].max()) == (1103, 1134)


def test_hnei_limits_catch_the_gross_and_little_else() -> None:
    """What is left lies within a third of its cell's own neighbourhood, but for one row in a hundred."""
    frame = HNEI(str(data_file("hnei/hnei_14cells_features_with_cell_id.csv")), outliers="drop").load().frame
    time = frame["Discharge Time (s)"]
    usual = time.groupby(frame["unique_id"]).transform(lambda values: values.rolling(41, center=True).median())
    assert ((time / usual - 1).abs().dropna() > 0.33).mean() < 0.01


def test_kaggles_table_without_cell_names_is_the_same_panel(tmp_path: Path) -> None:
    named = hnei_table(20, "abcdefgjlnopst")
    named.to_csv(tmp_path / "named.csv", index=False)
    named.drop(columns="cell").assign(RUL=0).to_csv(tmp_path / "kaggle.csv", index=False)
    panels = [HNEI(str(tmp_path / name)).load() for name in ("named.csv", "kaggle.csv")]
    pd.testing.assert_frame_equal(panels[0].frame, panels[1].frame)
    assert panels[1].frame["unique_id"].unique().tolist() == list("abcdefgjlnopst")


def test_the_cycle_number_is_an_input_of_hnei_only_if_asked_for(tmp_path: Path) -> None:
    hnei_table().to_csv(tmp_path / "hnei.csv", index=False)
    assert "Cycle_Index" not in HNEI(str(tmp_path / "hnei.csv")).load().frame
    panel = HNEI(str(tmp_path / "hnei.csv"), cycle_index=True).load()
    assert list(panel.covariates) == ["Cycle_Index", *FACTORS]
    assert (panel.frame["Cycle_Index"] == panel.frame["ds"]).all()


def test_hnei_says_how_to_get_the_table(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODECAST_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"python -m data\.fetch hnei.*source\.path"):
        HNEI().load()


# CALCE


@pytest.mark.parametrize("cell", ["CS2_35", "CS2_36"])
def test_cycles_made_of_records_are_those_of_the_cycle_table(cell: str) -> None:
    table = CALCE(str(data_file(f"calce/{cell}_cycles.csv")), eol=None).load().frame
    made = CALCE(str(data_file(f"calce/{cell}_records.parquet")), eol=None).load().frame
    assert len(table) == len(made)
    for column in CYCLE:
        np.testing.assert_allclose(made[column], table[column], atol=2e-5, err_msg=column)  # the table is rounded


def test_the_end_of_life_of_calce_cells_is_where_their_capacity_is_lost() -> None:
    path = data_file("calce/CS2_35_cycles.csv").parent
    ends = CALCE(str(path)).load().frame.groupby("unique_id")["ds"].max()
    assert ends.to_dict() == {"CS2_35": 596, "CS2_36": 535}
    last = CALCE(str(path), eol=None).load().frame.groupby("unique_id")["ds"].max()
    assert last.to_dict() == {"CS2_35": 886, "CS2_36": 976}


def test_counters_that_restart_with_each_workbook_become_values_of_a_cycle(tmp_path: Path) -> None:
    arbin_workbook(tmp_path / "CS2_35_9_1_10.xlsx", n_cycles=10, start="2010-09-01", capacity=1.0)
    arbin_workbook(tmp_path / "CS2_35_8_17_10.xlsx", n_cycles=10, start="2010-08-17", capacity=1.1)  # earlier
    frame = CALCE(str(tmp_path), eol=None).load().frame
    assert frame["ds"].tolist() == list(range(1, 21))
    expected = [1.1 - 0.01 * k for k in range(1, 11)] + [1.0 - 0.01 * k for k in range(1, 11)]
    np.testing.assert_allclose(frame["discharge_capacity_Ah"], expected, atol=1e-9)
    np.testing.assert_allclose(frame["charge_energy_Wh"], np.array(expected) * 4.0, atol=1e-9)
    np.testing.assert_allclose(frame[["cc_charge_s", "cv_charge_s", "discharge_s"]], [[60, 60, 180]] * 20)


def test_a_workbook_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    for name in ("CS2_35_8_17_10.xlsx", "CS2_35_8_17_10 (1).xlsx"):
        arbin_workbook(tmp_path / name, n_cycles=10, start="2010-08-17")
    panel = CALCE(str(tmp_path), eol=None).load()
    assert panel.frame["ds"].tolist() == list(range(1, 11))
    assert any("80 records of" in note and "count once" in note for note in panel.notes)


def test_records_count_their_life_in_cycles_and_their_charge_from_the_start_of_the_cycle(tmp_path: Path) -> None:
    arbin_workbook(tmp_path / "CS2_35_8_17_10.xlsx", n_cycles=10, start="2010-08-17")
    arbin_workbook(tmp_path / "CS2_35_9_1_10.xlsx", n_cycles=10, start="2010-09-01", capacity=1.0)
    panel = CALCE(str(tmp_path), view="records", eol=None).load()
    assert panel.frame["ds"].tolist() == list(range(1, 161))
    assert panel.frame["y"].tolist() == list(np.repeat(np.arange(19.0, -1, -1), 8))
    assert panel.frame["Charge_Capacity(Ah)"].max() < 1.1
    assert list(panel.covariates) == list(RECORD)
    assert panel.lives() == {"CS2_35": 20.0}
    assert panel.lives() == CALCE(str(tmp_path), eol=None).load().lives()
    assert panel.ages().tolist() == list(np.repeat(np.arange(1, 21), 8))
    thinned = CALCE(str(tmp_path), view="records", every=3, eol=None).load().frame
    pd.testing.assert_frame_equal(thinned, panel.frame[::3].reset_index(drop=True))


def test_records_of_the_real_cell_are_the_eight_factors_of_the_paper() -> None:
    path = data_file("calce/CS2_35_records.parquet")
    frame = CALCE(str(path), view="records", every=4, eol=None).load().frame
    assert len(frame) == 65233
    assert frame["y"].iloc[0] == 885
    assert frame["Charge_Capacity(Ah)"].max() < 1.2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK not a workbook", "CS2_35_1.xlsx is not a workbook that can be read"),
        (b"", "CS2_35_1.xlsx is empty"),
    ],
)
def test_a_corrupt_workbook_is_named_beside_all_others(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "CS2_35_1.xlsx").write_bytes(content)
    arbin_workbook(tmp_path / "CS2_35_2.xlsx", n_cycles=2, start="2010-08-17", sheet="Sheet1")
    with pytest.raises(DataError) as error:
        CALCE(str(tmp_path)).load()
    assert said in str(error.value)
    assert "CS2_35_2.xlsx has no sheet named Channel_*; it has Info, Sheet1" in str(error.value)


def test_a_workbook_without_a_column_is_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Channel_1-008"
    book.active.append(COLUMNS[:-1])
    book.save(tmp_path / "CS2_35_1.xlsx")
    with pytest.raises(DataError, match=r"sheet Channel_1-008, lacks the column Internal_Resistance\(Ohm\)"):
        CALCE(str(tmp_path)).load()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("Cycle_Index", None, "has 1 records without a number or date in Cycle_Index"),
        ("Voltage(V)", "over", r"has 1 records without a number or date in Voltage\(V\)"),
        ("Date_Time", "yesterday", "has 1 records without a number or date in Date_Time"),
    ],
)
def test_a_record_that_says_nothing_is_told_with_its_column(tmp_path: Path, column: str, value: object, said: str):
    arbin_workbook(tmp_path / "CS2_35_1.xlsx", n_cycles=2, start="2010-08-17")
    records = read_workbook(tmp_path / "CS2_35_1.xlsx").astype({column: object})
    records.loc[3, column] = value
    with pytest.raises(DataError, match=said):
        checked_records(records, "CS2_35_1.xlsx")
    with pytest.raises(DataError, match="holds no record"):
        checked_records(records[:0], "CS2_35_1.xlsx")


def test_dates_that_a_workbook_counts_in_days_are_dates(tmp_path: Path) -> None:
    arbin_workbook(tmp_path / "CS2_35_1.xlsx", n_cycles=2, start="2010-08-17")
    records = read_workbook(tmp_path / "CS2_35_1.xlsx")
    days = (records["Date_Time"] - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    again = checked_records(records.assign(Date_Time=days), "book")["Date_Time"]
    assert (again - records["Date_Time"]).abs().max() < pd.Timedelta(seconds=1)


def test_calce_says_what_a_view_can_be_made_of(tmp_path: Path) -> None:
    (tmp_path / "CS2_35_cycles.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"no \.parquet or \.xlsx file, of which source\.view=records"):
        CALCE(str(tmp_path), view="records").load()
    with pytest.raises(DataError, match=r"no cell CX2_1; it has CS2_35"):
        CALCE(str(tmp_path), cells=["CX2_1"]).load()
    with pytest.raises(DataError, match=r"python -m data\.fetch calce"):
        CALCE(str(tmp_path / "nowhere")).load()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CALCE(view="days"), r"source\.view=days"),
        (lambda: CALCE(every=2), r"source\.every=2"),
        (lambda: CALCE(eol=80), r"source\.eol=80"),
        (lambda: HNEI(outliers="ignore"), r"source\.outliers=ignore"),
        (lambda: CellsCSV("x.csv", eol=0.8), r"source\.capacity"),
        (lambda: SyntheticCells(missing=0.9), r"source\.missing=0\.9"),
        (lambda: SyntheticCells(life=(90, 60)), r"source\.life=\[90, 60\]"),
    ],
)
def test_impossible_settings_are_refused(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


# Battery Archive


def test_battery_archive_reads_a_file_a_cell_without_its_clocks(tmp_path: Path) -> None:
    archive_table(40).to_csv(tmp_path / "HNEI_a_cycle_data.csv", index=False)
    archive_table(60, fade=0.005).drop(columns=["Start_Time", "End_Time"]).to_csv(
        tmp_path / "HNEI_b_cycle_data.csv", index=False
    )
    panel = BatteryArchive(str(tmp_path), nominal=2.8).load()
    assert panel.frame.groupby("unique_id")["ds"].max().to_dict() == {"HNEI_a": 22, "HNEI_b": 42}
    assert not [column for column in panel.covariates if "Time" in column]
    only = BatteryArchive(str(tmp_path), cells=["HNEI_b"], eol=None).load().frame
    assert only["unique_id"].unique().tolist() == ["HNEI_b"]


def test_an_empty_cycle_of_battery_archive_is_no_death(tmp_path: Path) -> None:
    table = archive_table(60, fade=0.005)
    table.loc[9:11, ["Charge_Capacity (Ah)", "Discharge_Capacity (Ah)", "Charge_Energy (Wh)"]] = 0.0
    table.to_csv(tmp_path / "a_cycle_data.csv", index=False)
    panel = BatteryArchive(str(tmp_path), nominal=2.8).load()
    assert panel.frame["ds"].max() == 42
    assert any("3 of 60 rows" in note for note in panel.notes)


# Any table


def test_any_table_takes_its_numeric_columns_but_not_the_answer(tmp_path: Path) -> None:
    table = hnei_table().assign(RUL=9.0, operator="x").rename(columns={"cell": "name", "Cycle_Index": "n"})
    table.to_csv(tmp_path / "mine.csv", index=False)
    panel = CellsCSV(str(tmp_path / "mine.csv"), cell="name", cycle="n").load()
    assert list(panel.covariates) == list(FACTORS)
    assert any(note.startswith("RUL is the answer by its name") for note in panel.notes)


def test_any_table_ends_by_its_capacity_where_told(tmp_path: Path) -> None:
    table = pd.DataFrame({"cycle": range(1, 61), "q": 2.0 - 0.01 * np.arange(60), "ir": 0.1 + 0.001 * np.arange(60)})
    table.to_csv(tmp_path / "one.csv", index=False)
    source = CellsCSV(str(tmp_path / "one.csv"), cell=None, covariates=["ir"], capacity="q", eol=0.8, nominal=2.0)
    panel = source.load()
    assert panel.frame["ds"].max() == 42
    assert list(panel.covariates) == ["ir"]
    assert panel.frame["unique_id"].unique().tolist() == ["one"]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("max_voltage_V", 3700.0, "30 of 30 values .* lie beyond 0 .. 100.*a thousandfold too large"),
        ("capacity_Ah", 1100.0, "a thousandfold too large"),
        ("discharge_time_s", -5.0, "30 of 30 values .* lie beyond 0 .. inf"),
    ],
)
def test_what_a_name_does_not_lead_to_expect_is_told_and_taken_as_it_stands(tmp_path, column, value, said):
    values = value + np.arange(30) / 100
    pd.DataFrame({"cycle": range(30), column: values}).to_csv(tmp_path / "x.csv", index=False)
    panel = CellsCSV(str(tmp_path / "x.csv"), cell=None).load()
    np.testing.assert_allclose(panel.frame[column], values)
    assert any(re.search(said, note) for note in panel.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no file"),
        ("", "is empty"),
        ("cell,cycle,q\n", "has no rows"),
        ("cell,day,q\na,1,2\n", "fewer than 5 rows"),
        ("cell,cycle,name\na,1,x\n", "no numeric column"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_one_message(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        CellsCSV(str(tmp_path / "t.csv")).load()


def fading(*lives: int, cell: str = "c") -> pd.DataFrame:
    """Cells whose capacity falls below 0.8 of its start after so many cycles."""
    parts = []
    for k, life in enumerate(lives):
        cycle = np.arange(1, int(life * 1.2) + 1)
        capacity = 1.1 * (1 - 0.2 * cycle / life)
        parts.append(
            pd.DataFrame({"cell": f"{cell}{k}", "cycle": cycle, "capacity": capacity, "ir": 0.02 + cycle / 1e4})
        )
    return pd.concat(parts, ignore_index=True)


def lives_of(path: Path, **options: object) -> dict[str, float]:
    return CellsCSV(str(path), capacity="capacity", eol=0.8, **options).load().lives()


LIVES = (60, 75, 90)
SIGNED = ["voltage slope", "voltage skewness", "dV (V)", "capacity change", "charge time difference", "energy_drop_Wh"]


@pytest.mark.parametrize("column", [*SIGNED, "voltage kurtosis", "current slope", "time", "sag_V", "ΔQ capacity"])
def test_a_column_that_is_negative_for_some_cycles_is_taken_as_it_stands(tmp_path: Path, column: str) -> None:
    table = fading(*LIVES)
    table.to_csv(tmp_path / "plain.csv", index=False)
    wave = np.sin(np.arange(len(table)) / 7)
    table.assign(**{column: wave}).to_csv(tmp_path / "more.csv", index=False)
    panels = [
        CellsCSV(str(tmp_path / f"{name}.csv"), capacity="capacity", eol=0.8).load() for name in ("plain", "more")
    ]
    keys = ["unique_id", "ds", "y", "capacity"]
    pd.testing.assert_frame_equal(panels[0].frame[keys], panels[1].frame[keys])
    assert panels[1].frame[column].min() < -0.9


@pytest.mark.parametrize("outliers", ["replace", "drop"])
@pytest.mark.parametrize("fault", [np.nan, -5.0, 1e9])
def test_no_fault_of_an_input_moves_the_end_of_life(tmp_path: Path, outliers: str, fault: float) -> None:
    table = fading(*LIVES)
    table.to_csv(tmp_path / "plain.csv", index=False)
    table.loc[np.random.default_rng(0).random(len(table)) < 0.15, "ir"] = fault
    table.to_csv(tmp_path / "faulty.csv", index=False)
    limits = {"ir": [0, 1]}
    assert lives_of(tmp_path / "plain.csv") == lives_of(tmp_path / "faulty.csv", outliers=outliers, limits=limits)


def test_limits_a_user_sets_mend_and_those_of_a_name_do_not(tmp_path: Path) -> None:
    table = fading(60)
    table.loc[5, "ir"] = -7.0
    table.rename(columns={"ir": "resistance"}).to_csv(tmp_path / "c.csv", index=False)
    panel = CellsCSV(str(tmp_path / "c.csv")).load()
    assert panel.frame["resistance"][5] == -7.0
    assert any("1 of 72 values of 'resistance' lie beyond 0 .. 10" in note for note in panel.notes)
    mended = CellsCSV(str(tmp_path / "c.csv"), limits={"resistance": [0, 10]}).load().frame
    assert mended["resistance"][5] == mended["resistance"][4]
    with pytest.raises(ValueError, match=r"source\.limits\.x=\[3, 2\]"):
        CellsCSV("c.csv", limits={"x": [3, 2]})


@pytest.mark.parametrize(
    "columns", [["capacity", "ir"], ["cycle", "capacity", "ir"], ["Cycle_Index", "capacity", "ir"]]
)
@pytest.mark.parametrize("where", ["", "*.csv"])
def test_a_folder_or_a_pattern_makes_a_cell_of_each_file(tmp_path: Path, columns: list[str], where: str) -> None:
    for cell, rows in fading(*LIVES).rename(columns={"cycle": columns[0]} if len(columns) == 3 else {}).groupby("cell"):
        rows[columns].to_csv(tmp_path / f"{cell}.csv", index=False)
    (tmp_path / "README.txt").write_text("made by hand")
    assert lives_of(tmp_path / where) == {"c0": 65.0, "c1": 80.0, "c2": 95.0}
    if len(columns) == 2:
        notes = CellsCSV(str(tmp_path / where), cycle=None).load().notes
        assert any("rows of a cell are counted as its cycles" in note for note in notes)


def test_one_file_without_a_column_of_cycles_is_one_cell_whose_rows_are_counted(tmp_path: Path) -> None:
    fading(60)[["capacity", "ir"]].to_csv(tmp_path / "B0005.csv", index=False)
    assert lives_of(tmp_path / "B0005.csv", cell=None, cycle=None) == {"B0005": 65.0}
    assert lives_of(tmp_path / "B0005.csv") == {"B0005": 65.0}


def test_rows_that_are_counted_are_of_one_cell_and_in_the_order_of_time(tmp_path: Path) -> None:
    table = fading(*LIVES).drop(columns="cycle").assign(date=pd.date_range("2020-01-01", periods=270).astype(str))
    table[::-1].to_csv(tmp_path / "x.csv", index=False)
    assert lives_of(tmp_path / "x.csv") == {"c0": 65.0, "c1": 80.0, "c2": 95.0}
    table[["capacity", "ir"]].to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"comes back after it was lost, at row 7\d: does it hold several cells"):
        lives_of(tmp_path / "x.csv")
    table[["capacity", "ir"]][71::-1].to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match="rises along its rows: are they newest first"):
        lives_of(tmp_path / "x.csv")


def test_a_column_that_counts_the_rows_of_the_file_is_no_input(tmp_path: Path) -> None:
    fading(*LIVES).to_csv(tmp_path / "x.csv")
    panel = CellsCSV(str(tmp_path / "x.csv")).load()
    assert list(panel.covariates) == ["capacity", "ir"]
    assert any("counts the rows and is left out" in note for note in panel.notes)


def test_a_table_of_many_columns_is_read_without_a_warning(tmp_path: Path) -> None:
    table = fading(*LIVES)
    more = pd.DataFrame(np.tile(table[["ir"]], 300), columns=[f"v{k}" for k in range(300)])
    pd.concat([table, more], axis=1).to_csv(tmp_path / "x.csv", index=False)
    assert len(CellsCSV(str(tmp_path / "x.csv")).load().covariates) == 302


@pytest.mark.parametrize("names", [["007", "7", "070"], ["1", "2", "10"], ["1.0", "1e2", "0x1"], ["a b", "c,d", "é"]])
def test_a_cell_keeps_the_name_its_file_gives_it(tmp_path: Path, names: list[str]) -> None:
    table = fading(*LIVES)
    table["cell"] = table["cell"].map(dict(zip(["c0", "c1", "c2"], names, strict=True)))
    table.to_csv(tmp_path / "cells.csv", index=False)
    assert set(lives_of(tmp_path / "cells.csv")) == set(names)
    assert set(lives_of(tmp_path / "cells.csv", cells=names[:1])) == {names[0]}


def test_cells_that_nobody_tells_apart_are_asked_about(tmp_path: Path) -> None:
    table = fading(*LIVES).rename(columns={"cell": "Probe"})
    table.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r"'cycle' falls 2 times.*source\.cell"):
        lives_of(tmp_path / "a.csv")
    table.drop(columns="cycle").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match=r"'Probe' may tell cells apart: set source\.cell=Probe, or source\.cell=null"):
        lives_of(tmp_path / "b.csv")
    assert lives_of(tmp_path / "a.csv", cell="Probe") == {"c0": 65.0, "c1": 80.0, "c2": 95.0}


def test_cells_come_in_any_form_a_series_does(tmp_path: Path) -> None:
    table = fading(*LIVES)
    german = table.to_csv(index=False, sep=";", decimal=",")
    (tmp_path / "cells.csv").write_bytes(german.encode("utf-16"))
    table.to_excel(tmp_path / "cells.xlsx", index=False)
    table.to_parquet(tmp_path / "cells.parquet")
    expected = {"c0": 65.0, "c1": 80.0, "c2": 95.0}
    assert all(lives_of(tmp_path / f"cells.{kind}") == expected for kind in ("csv", "xlsx", "parquet"))


def test_a_nominal_capacity_of_another_size_is_asked_about(tmp_path: Path) -> None:
    fading(*LIVES).assign(capacity=lambda t: 1000 * t["capacity"]).to_csv(tmp_path / "mAh.csv", index=False)
    with pytest.raises(DataError, match=r"source\.nominal=1\.1 is another size"):
        lives_of(tmp_path / "mAh.csv", nominal=1.1)
    assert lives_of(tmp_path / "mAh.csv") == {"c0": 65.0, "c1": 80.0, "c2": 95.0}


def test_a_cell_in_which_nothing_changes_is_left_out_by_name(tmp_path: Path) -> None:
    table = fading(*LIVES)
    table.loc[table["cell"] == "c1", ["capacity", "ir"]] = 1.0
    table.to_csv(tmp_path / "cells.csv", index=False)
    panel = CellsCSV(str(tmp_path / "cells.csv")).load()
    assert panel.frame["unique_id"].unique().tolist() == ["c0", "c2"]
    assert any("constant in every column and are left out: c1" in note for note in panel.notes)


def test_a_name_without_a_unit_has_no_limits() -> None:
    assert plausible("skewness").low == -np.inf
    assert plausible("Voltage(V)").high == 100


# Synthetic cells


def test_synthetic_cells_die_at_clearly_different_ages() -> None:
    ends = SyntheticCells().load().frame.groupby("unique_id")["ds"].max()
    assert len(ends) == 12
    assert ends.std() > 80
    assert ends.between(380, 820).all()


def test_synthetic_factors_follow_from_capacity_and_resistance() -> None:
    quiet = SyntheticCells(n_cells=1, life=(60, 90), noise=0.0, missing=0.0, outliers_in=0.0)
    capacity, resistance = quiet.states(0)
    rows = quiet.read().frame
    assert len(rows) == capacity.size
    np.testing.assert_allclose(rows["Max. Voltage Dischar. (V)"], 4.2 - DISCHARGE * resistance)
    put_in = CHARGE * rows["Time constant current (s)"] / 3600
    taken_out = DISCHARGE * rows["Discharge Time (s)"] / 3600
    assert (put_in < taken_out).all()
    assert (taken_out < capacity).all()
    assert (taken_out > 0.9 * capacity).all()
    assert abs(capacity[0] / NOMINAL - 1) < 0.05


def test_a_rest_gives_capacity_back_and_the_fade_takes_it() -> None:
    capacity, _ = SyntheticCells(n_cells=1).states(0)
    assert (np.diff(capacity) > 0.002 * NOMINAL).any()
    assert capacity[-1] < 0.8 * NOMINAL


def test_the_seed_decides_everything_and_each_cell_alone() -> None:
    same, other = SyntheticCells(n_cells=3, life=(60, 90)), SyntheticCells(n_cells=3, life=(60, 90), seed=1)
    pd.testing.assert_frame_equal(SMALL.load().frame, same.load().frame)
    assert not SMALL.load().frame.equals(other.load().frame)
    one = SyntheticCells(n_cells=1, life=(60, 90)).load().frame
    pd.testing.assert_frame_equal(one, SMALL.load().frame[lambda rows: rows["unique_id"] == "cell 01"])


def test_a_synthetic_cell_whose_record_stops_early_is_censored() -> None:
    panel = SyntheticCells(n_cells=6, life=(60, 200), longest=120).load()
    assert panel.frame["unique_id"].nunique() < 6
    assert any("never reach their end of life on record and are left out" in note for note in panel.notes)
    with pytest.raises(DataError, match="no cell whose end of life is on record"):
        SyntheticCells(n_cells=2, life=(100, 120), longest=50).load()
