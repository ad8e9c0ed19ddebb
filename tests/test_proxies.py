"""Columns that tell the target by themselves are called proxies, and measurements are not."""

import time

import numpy as np
import pandas as pd
import pytest

from data.sources.synthetic_cells import SyntheticCells
from evaluation.leakage.proxies import BOUND, proxies_finding, target_proxies
from tests.conftest import data_file

LONG, SHORT = "lives of 400 to 800 cycles", "lives of 80 to 120 cycles"


class Cells:
    """Cells of a data set: measured columns, remaining life, names and cycles."""

    def __init__(self, table: pd.DataFrame, y: np.ndarray, cells: np.ndarray, cycles: np.ndarray) -> None:
        self.table, self.y, self.cells, self.cycles = table, y, cells, cycles

    def told(self, **columns: np.ndarray | pd.Series) -> pd.DataFrame:
        return target_proxies(pd.DataFrame(columns), self.y, self.cells, self.cycles).set_index("column")

    def per_cell(self, change):
        return lambda values: pd.Series(values).groupby(self.cells).transform(change).to_numpy()


def synthetic(n_cells: int, life: tuple[float, float], **more: float) -> Cells:
    panel = SyntheticCells(n_cells=n_cells, life=life, **more).load()
    frame = panel.frame
    return Cells(
        frame[list(panel.covariates)],
        frame["y"].to_numpy(),
        frame["unique_id"].to_numpy(),
        frame["ds"].to_numpy(dtype=np.float64),
    )


@pytest.fixture(scope="module")
def every() -> dict[str, Cells]:
    return {LONG: synthetic(12, (400, 800)), SHORT: synthetic(4, (80, 120), longest=160)}


@pytest.fixture(params=[LONG, SHORT])
def cells(request: pytest.FixtureRequest, every: dict[str, Cells]) -> Cells:
    return every[request.param]


# --- proxies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0, 2.0])
def test_the_cycle_number_and_the_target_are_caught_whatever_little_noise_is_added(cells: Cells, noise: float) -> None:
    rng = np.random.default_rng(0)
    found = cells.told(
        clock=cells.cycles + rng.normal(0, noise, cells.y.size),
        mirrored=3.0 - 2 * cells.y + rng.normal(0, 2 * noise, cells.y.size),
    )
    assert found["proxy"].all(), found


def test_noise_of_three_percent_of_a_life_hides_no_clock(cells: Cells) -> None:
    rng = np.random.default_rng(1)
    wide = 0.03 * (cells.y + cells.cycles).max()
    found = cells.told(clock=cells.cycles + rng.normal(0, wide, cells.y.size))
    assert found["proxy"].all(), found


@pytest.mark.parametrize("width", [3, 9])
def test_a_centred_mean_of_the_target_or_the_cycle_number_is_caught(cells: Cells, width: int) -> None:
    mean = cells.per_cell(lambda own: own.rolling(width, center=True, min_periods=1).mean())
    found = cells.told(target=mean(cells.y), clock=mean(cells.cycles))
    assert found["proxy"].all(), found


@pytest.mark.parametrize("shape", [np.sqrt, np.log1p, np.square], ids=["root", "logarithm", "square"])
def test_any_monotone_curve_of_either_is_caught(cells: Cells, shape) -> None:
    assert cells.told(clock=shape(cells.cycles), target=-shape(cells.y))["proxy"].all()


def test_a_clock_that_starts_elsewhere_in_every_cell_is_caught(cells: Cells) -> None:
    offset = 1e5 * pd.factorize(cells.cells)[0]
    found = cells.told(seconds_since_1970=offset + 86400.0 * cells.cycles, record=offset + cells.cycles)
    assert found["proxy"].all(), found


# --- measurements ---------------------------------------------------------------------------------


def test_constants_tell_nothing(cells: Cells) -> None:
    of_cell = np.random.default_rng(0).normal(25, 10, len(cells.y))[pd.factorize(cells.cells)[0]]
    found = cells.told(temperature=np.full(cells.y.size, 25.0), of_each_cell=of_cell)
    assert not found["proxy"].any()
    assert (found[["age", "rul"]] < 0.1).all(axis=None)


def test_temperatures_and_setpoints_are_left_alone(cells: Cells) -> None:
    rng = np.random.default_rng(0)
    at, n = cells.cycles, cells.y.size
    found = cells.told(
        room=25 + rng.normal(0, 1, n),
        season=25 + 3 * np.sin(2 * np.pi * at / 200) + rng.normal(0, 0.3, n),
        drifting=25 + 5 * at / at.max() + rng.normal(0, 1, n),
        check_up=np.where(at % 50 < 2, 0.2, 1.0),
        second_half=np.where(at > at.max() / 2, 2.0, 1.0),
        eight_steps=np.floor(8 * at / at.max()),
    )
    assert not found["proxy"].any(), found


@pytest.mark.parametrize("power", [1.0, 1.5, 0.5])
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_capacity_that_only_falls_is_left_alone(cells: Cells, power: float, noise: float) -> None:
    """It reaches 80 % when each cell ends, strictly monotone: a clock of its own cell, but of no other."""
    life = cells.y + cells.cycles
    capacity = 1.1 * (1 - 0.2 * (cells.cycles / life) ** power)
    capacity += np.random.default_rng(0).normal(0, noise, life.size)
    found = cells.told(capacity=capacity)
    assert not found["proxy"].any(), found


def test_no_measured_column_of_simulated_cells_is_a_proxy(every: dict[str, Cells]) -> None:
    for cells in (*every.values(), synthetic(12, (600, 620))):
        found = target_proxies(cells.table, cells.y, cells.cells, cells.cycles)
        assert not found["proxy"].any(), found


def test_no_column_of_the_hnei_cells_is_a_proxy_though_all_live_alike() -> None:
    frame = pd.read_csv(data_file("hnei/hnei_14cells_features_with_cell_id.csv"))
    table = frame.drop(columns=["cell", "Cycle_Index", "RUL"])
    known = (frame["RUL"].to_numpy(dtype=np.float64), frame["cell"].to_numpy(), frame["Cycle_Index"].to_numpy())
    began = time.process_time()
    found = target_proxies(table, *known)
    assert time.process_time() - began < 5
    assert found[["age", "rul"]].max(axis=None) < BOUND - 0.03, found
    assert found["beside"].iloc[0] == pytest.approx(0.98, abs=0.01)  # what the age alone tells
    both = target_proxies(table.assign(counter=frame["Cycle_Index"]), *known)
    assert both.loc[both["proxy"], "column"].tolist() == ["counter"]


def test_no_column_of_the_calce_cells_is_a_proxy() -> None:
    ends = {"CS2_35": 584, "CS2_36": 535}
    frame = pd.concat([pd.read_csv(data_file(f"calce/{cell}_cycles.csv")).assign(cell=cell) for cell in ends])
    frame = frame[frame["global_cycle"] <= frame["cell"].map(ends)]
    numbers = frame.select_dtypes("number").drop(columns=["global_cycle", "cycle_index"])
    y = (frame["cell"].map(ends) - frame["global_cycle"]).to_numpy(dtype=np.float64)
    found = target_proxies(numbers, y, frame["cell"].to_numpy(), frame["global_cycle"].to_numpy(dtype=np.float64))
    assert not found["proxy"].any(), found


# --- edges ----------------------------------------------------------------------------------------


def test_of_a_single_cell_only_a_straight_line_is_called_a_proxy() -> None:
    cycles = np.arange(1.0, 101)
    cell = Cells(pd.DataFrame(), 100 - cycles, np.full(100, "a"), cycles)
    noise = np.random.default_rng(0).normal(0, 1, 100)
    found = cell.told(clock=2 * cycles + 7, constant=np.ones(100), noisy=cycles + noise, empty=np.full(100, np.nan))
    assert found["proxy"].to_dict() == {"clock": True, "constant": False, "noisy": False, "empty": False}
    assert found[["age", "rul", "beside"]].isna().all(axis=None)
    assert "clock (of 4) counts the remaining life down" in proxies_finding(found.reset_index()).detail


def test_holes_and_columns_without_numbers_are_no_error(cells: Cells) -> None:
    holes = np.where(np.arange(cells.y.size) % 3 == 0, np.nan, cells.cycles)
    found = cells.told(holes=holes, empty=np.full(cells.y.size, np.nan))
    assert found["proxy"].to_dict() == {"holes": True, "empty": False}


def test_the_order_of_rows_does_not_matter(cells: Cells) -> None:
    places = np.random.default_rng(0).permutation(cells.y.size)
    shuffled = Cells(cells.table.iloc[places], cells.y[places], cells.cells[places], cells.cycles[places])
    ours = target_proxies(cells.table, cells.y, cells.cells, cells.cycles)
    theirs = target_proxies(shuffled.table, shuffled.y, shuffled.cells, shuffled.cycles)
    for name in ("age", "rul"):
        np.testing.assert_allclose(theirs[name], ours[name], atol=0.03)  # folds are of other cells


def test_the_finding_names_the_column_and_what_it_tells(cells: Cells) -> None:
    found = cells.told(capacity=cells.table.iloc[:, 0].to_numpy(), innocent=cells.cycles).reset_index()
    finding = proxies_finding(found)
    assert (finding.stage, finding.verdict, finding.checked, finding.changed) == ("covariates", "LEAKS", 2, 1)
    assert finding.detail.startswith("innocent (of 2) counts time or cycles: alone it tells ")
    assert "of the age of cells it was not fitted on, a measurement less than 93 %" in finding.detail
    honest = proxies_finding(found.iloc[:1])
    assert honest.verdict == "causal"
    assert "(capacity); the age alone tells" in honest.detail
    assert proxies_finding(found.iloc[:0]).verdict == "causal"
