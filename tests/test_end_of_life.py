"""The filter of the end of life that forecasts imply."""

import numpy as np
import pandas as pd
import pytest

from data.cells.end_of_life import filtered
from data.contracts import TEST, TRAIN, Fold, Windows
from data.panel import validated
from evaluation.judge import judge
from runtime.build import ConfigError, build

N = 60


@pytest.fixture
def records():
    """Two cells with gaps in their cycles, and forecasts that are off by noise."""
    rng = np.random.default_rng(0)
    ages = np.concatenate([np.sort(rng.choice(400, N, replace=False)) for _ in range(2)]).astype(float)
    ages[5] = ages[4]  # two records of one cycle
    return np.repeat(["a", "b"], N), ages, 500 - ages[:, None] + rng.normal(0, 30, (2 * N, 1))


@pytest.mark.parametrize("reach", [1.0, 70.0, np.inf])
def test_the_mean_of_implied_ends_is_that_of_the_definition(records, reach):
    cells, ages, forecast = records
    found = filtered(forecast, cells, ages, reach)
    for i in range(2 * N):
        past = [j for j in range(i + 1) if cells[j] == cells[i] and ages[i] - ages[j] < reach]
        assert found[i, 0] == pytest.approx(np.mean([ages[j] + forecast[j, 0] for j in past]) - ages[i])


def test_no_later_row_and_no_other_cell_has_a_part(records):
    cells, ages, forecast = records
    other = forecast.copy()
    other[30:] += 1e6  # the later half of a, and all of b
    np.testing.assert_array_equal(filtered(other, cells, ages, 70.0)[:30], filtered(forecast, cells, ages, 70.0)[:30])
    other[N:] = forecast[N:]  # now a alone is another
    np.testing.assert_array_equal(filtered(other, cells, ages, 70.0)[N:], filtered(forecast, cells, ages, 70.0)[N:])


def test_what_a_counter_shows_at_the_beginning_of_a_record_has_no_part(records):
    cells, ages, forecast = records
    shifted = ages + np.repeat([1000.0, -7.0], N)
    np.testing.assert_allclose(filtered(forecast, cells, shifted, 70.0), filtered(forecast, cells, ages, 70.0))


def test_the_truth_stays_and_noise_shrinks(records):
    cells, ages, forecast = records
    truth = 500 - ages[:, None]
    np.testing.assert_allclose(filtered(truth, cells, ages, 200.0), truth)
    assert np.abs(filtered(forecast, cells, ages, 200.0) - truth).mean() < 0.5 * np.abs(forecast - truth).mean()


def task(configure, *words):
    cfg = configure("experiment=smoke_battery", *words)
    return build(cfg.task)(cfg)


def cells_panel(records):
    cells, ages, _ = records
    frame = pd.DataFrame({"unique_id": cells, "ds": ages.astype(int), "y": 500 - ages}).drop_duplicates(
        ["unique_id", "ds"]
    )
    return validated(frame, "cells", "cycles")


def noisy_windows(records):
    panel = cells_panel(records)
    y = panel.frame["y"].to_numpy()[:, None]
    noisy = y + np.random.default_rng(1).normal(0, 30, y.shape)
    return panel, Windows(y[:, :, None], y[:, :, None], y, np.arange(len(y))), noisy


def test_forecasts_are_filtered_over_what_was_chosen(configure, records):
    panel, windows, noisy = noisy_windows(records)
    own = task(configure)
    ages = panel.frame["ds"].to_numpy(dtype=float)
    expected = filtered(noisy, panel.frame["unique_id"].to_numpy(), ages, 50.0)
    np.testing.assert_array_equal(own.finish(panel, windows, noisy, 50.0), np.maximum(expected, 0))
    for memory in (None, 0.0):
        np.testing.assert_array_equal(own.finish(panel, windows, noisy, memory), np.maximum(noisy, 0))


def test_validation_cells_choose_how_far_back_and_the_clock_is_left_alone(configure, records):
    panel, windows, noisy = noisy_windows(records)
    own = task(configure)
    assert own.memory(panel, windows, "Ridge", noisy) == 200.0  # noise: the more the better
    drifting = windows.y * 0.2  # it always says a fifth: what was said long ago is further off
    assert own.memory(panel, windows, "Ridge", drifting) == 0.0
    assert own.memory(panel, windows, "Clock", noisy) is None
    nobody = windows.take(slice(0))
    assert own.memory(panel, nobody, "Ridge", noisy[:0]) == 200.0
    assert task(configure, "task.filter=none").memory(panel, windows, "Ridge", noisy) is None
    assert task(configure, "task.filter=from_birth").memory(panel, windows, "Ridge", noisy) > 1e6


def test_rows_that_count_all_cycles_say_so_and_what_a_filter_makes_alone_stands_beside(configure):
    labels = {
        kind: [row.label for row in task(configure, f"task.filter={kind}").candidates()]
        for kind in ("none", "bounded", "from_birth")
    }
    assert "Filter alone" not in labels["none"]
    assert set(labels["bounded"]) == {*labels["none"], "Filter alone"}
    assert all(label == "Clock" or label.endswith(", counts cycles") for label in labels["from_birth"])
    assert not any("counts" in label for label in labels["bounded"])


def test_the_table_says_what_the_filter_does(configure, records):
    panel = cells_panel(records)
    fold = Fold(np.where(panel.frame["unique_id"] == "a", TRAIN, TEST).astype(np.int8), "without b")
    facts = task(configure).facts(panel, [fold])
    rows = panel.frame.assign(origin=panel.frame["ds"], step=0, model="Clock", y_hat=panel.frame["y"] + 1)
    notes = " ".join(judge(rows, facts, {}).notes)
    assert "as many of its past cycles, at most 200, as err least on validation cells" in notes
    assert "Filter alone" in notes
    birth = " ".join(task(configure, "task.filter=from_birth").facts(panel, [fold]).notes)
    assert "whose number is a clock" in birth
    assert not task(configure, "task.filter=none", "split.validation=0").facts(panel, [fold]).notes


def test_fewer_validation_cells_than_asked_for_are_told(configure, records):
    panel = cells_panel(records)
    fold = Fold(np.where(panel.frame["unique_id"] == "a", TRAIN, TEST).astype(np.int8), "without b")
    assert "No cell is held out" in task(configure, "split.validation=4").facts(panel, [fold]).notes[-1]
    assert len(task(configure, "split.validation=0").facts(panel, [fold]).notes) == 1


@pytest.mark.parametrize("word", ["task.filter=forever", "task.filter_cycles=[]", "task.filter_cycles=[-1]"])
def test_a_filter_that_cannot_be_is_refused(configure, word):
    with pytest.raises(ConfigError, match=word.split("=")[0]):
        task(configure, word)
