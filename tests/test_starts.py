"""Cells as if their record began later, or as if they had aged slower or faster."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from data.cells.starts import later_windows
from data.cells.stretched import stretched
from data.contracts import TEST, TRAIN, VALIDATION, Fold
from data.features.chain import Chain
from data.features.drift import Displacement
from data.features.early_life import EarlyLife
from data.sources.synthetic_cells import SyntheticCells
from pipeline.fitted import rows_of
from report.run_folder import RunFolder
from report.table import print_table, start_table
from runtime.build import ConfigError, build
from tasks.cells import as_table
from tests.commands import run

LOOKBACK = 5


def panel_of(n_cells=3, life=(120, 200)):
    return SyntheticCells(
        n_cells=n_cells,
        life=list(life),
        longest=2 * life[1],
        spread=0.02,
        noise=0.003,
        missing=0.02,
        outliers_in=0.0,
        outliers="replace",
        eol=0.8,
        seed=1,
    ).load()


@pytest.fixture(scope="module")
def panel():
    return panel_of()


@pytest.fixture
def features(panel):
    """Features that count since the beginning of a cell."""
    chain = Chain({"level": EarlyLife(cycles=10), "drift": Displacement(windows=[20, 40], smoothing=3)})
    return chain.fit(as_table(panel), panel.frame["y"])


def later(panel, features, hidden=(40,)):
    everything = np.ones(len(panel.frame), dtype=bool)
    return list(later_windows(panel, as_table(panel), features, everything, hidden, LOOKBACK))


def test_windows_are_those_of_a_file_that_begins_later(panel, features):
    (found,) = later(panel, features)
    age = panel.frame["ds"] - panel.frame.groupby("unique_id")["ds"].transform("min")
    rest = replace(panel, frame=panel.frame[age >= 40].reset_index(drop=True))
    everything = np.ones(len(rest.frame), dtype=bool)
    (expected,) = later_windows(rest, as_table(rest), features, everything, [0], LOOKBACK)
    np.testing.assert_array_equal(found.past, expected.past)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(panel.frame["ds"].to_numpy()[found.origin], rest.frame["ds"][expected.origin])
    assert (found.start == 40).all()


def test_nothing_of_what_is_hidden_is_seen(panel, features):
    age = panel.frame["ds"] - panel.frame.groupby("unique_id")["ds"].transform("min")
    other = panel.frame.copy()
    other.loc[age < 40, list(panel.covariates)] *= 3
    (found,), (expected,) = later(replace(panel, frame=other), features), later(panel, features)
    np.testing.assert_array_equal(found.past, expected.past)


def test_cells_that_are_over_by_then_are_left_out(panel, features):
    lives = panel.frame.groupby("unique_id")["ds"].max()
    hidden = int(lives.sort_values().iloc[1])  # longer than two of three
    (found,) = later(panel, features, (hidden, 10_000))
    assert set(panel.frame["unique_id"].iloc[found.origin]) == {lives.idxmax()}


def task(configure, *words):
    cfg = configure("experiment=smoke_battery", f"lookback={LOOKBACK}", *words)
    return build(cfg.task)(cfg)


def fold_of(panel, *roles):
    codes = pd.factorize(panel.frame["unique_id"])[0]
    return Fold(np.array(roles, dtype=np.int8)[codes], "cells")


def test_training_learns_from_copies_and_nobody_is_judged_by_them(configure, panel):
    fold = fold_of(panel, TRAIN, VALIDATION, TEST)
    words = "task.hidden=[30,60]", "task.train_every=4"
    own, birth = task(configure, *words), task(configure, *words, "task.start=birth")
    windows = own.prepare(panel, fold, own.candidates()[0]).windows
    plain = birth.prepare(panel, fold, birth.candidates()[0]).windows
    assert plain.start is None
    for role in (VALIDATION, TEST):
        np.testing.assert_array_equal(own.select(windows, fold, role).past, birth.select(plain, fold, role).past)
    train, before = own.select(windows, fold, TRAIN), birth.select(plain, fold, TRAIN)
    assert sorted(set(train.start)) == [0, 30, 60]
    np.testing.assert_array_equal(train.past[train.start == 0], before.past)
    assert set(panel.frame["unique_id"].iloc[train.origin]) == {panel.frame["unique_id"].iloc[0]}


def test_a_stretched_cell_has_its_life_and_its_factors_at_another_speed(panel):
    first = (panel.frame["unique_id"] == panel.frame["unique_id"].iloc[0]).to_numpy()
    faster, newest = stretched(panel, first, 0.5)
    columns = list(panel.covariates)
    own, copy = panel.frame[first].reset_index(drop=True), faster.frame
    assert len(copy) == len(own) // 2
    np.testing.assert_array_equal(copy[columns], own[columns].iloc[1::2][: len(copy)])  # recorded rows, every other
    np.testing.assert_array_equal(newest, np.arange(len(own))[1::2][: len(copy)])
    np.testing.assert_allclose(copy["y"], own["y"].iloc[1::2][: len(copy)] / 2)
    slower, _ = stretched(panel, first, 1.5)
    np.testing.assert_allclose(slower.frame["y"].iloc[-1], 1.5 * own["y"].iloc[-1])
    assert len(slower.frame) == int(1.5 * len(own))


@pytest.mark.parametrize("longer", [0.7, 1.3])
def test_no_row_of_a_stretched_cell_knows_a_later_one(panel, longer):
    everything, cut = np.ones(len(panel.frame), dtype=bool), 50
    other = panel.frame.copy()
    other.loc[cut:, list(panel.covariates)] *= 3
    copy, newest = stretched(panel, everything, longer)
    changed, _ = stretched(replace(panel, frame=other), everything, longer)
    same = (copy.frame[list(panel.covariates)] == changed.frame[list(panel.covariates)]).all(axis=1).to_numpy()
    np.testing.assert_array_equal(same, newest < cut)


def test_training_learns_from_stretched_copies_and_nobody_is_judged_by_them(configure, panel):
    fold = fold_of(panel, TRAIN, TRAIN, VALIDATION)
    words = "task.hidden=[30]", "task.train_every=4"
    own, without = task(configure, *words, "task.stretched=[0.1]"), task(configure, *words)
    windows = own.prepare(panel, fold, own.candidates()[0]).windows
    plain = without.prepare(panel, fold, without.candidates()[0]).windows
    judged = own.select(windows, fold, VALIDATION)
    np.testing.assert_array_equal(judged.past, without.select(plain, fold, VALIDATION).past)
    train, before = own.select(windows, fold, TRAIN), without.select(plain, fold, TRAIN)
    added = train.take(slice(len(before.origin), None))
    assert set(added.start) == {1, 30}
    assert set(fold.role[added.origin]) == {TRAIN}
    lives = sorted(list(panel.lives().values())[:2])
    assert added.y.max() == pytest.approx(lives[1] * lives[0] / lives[1], abs=LOOKBACK + 3)  # not a tenth: the spread


def test_tested_cells_are_asked_from_later_on_unless_they_were_learnt_from(configure, panel):
    own = task(configure, "task.tested_from=[40]")
    fold = fold_of(panel, TRAIN, VALIDATION, TEST)
    prepared = own.prepare(panel, fold, own.candidates()[0])
    (asked,) = own.later(panel, fold, prepared)
    last = panel.frame["unique_id"].iloc[-1]
    assert set(panel.frame["unique_id"].iloc[asked.origin]) == {last}
    counted = rows_of(panel, asked)["ds"] + 40
    np.testing.assert_array_equal(counted, panel.frame["ds"].iloc[asked.origin])  # a counter that began later
    role = np.where(np.arange(len(panel.frame)) % 3, TRAIN, TEST).astype(np.int8)  # rows of every cell on both sides
    assert not list(own.later(panel, Fold(role, "mixed"), prepared))


def test_the_filter_takes_a_copy_for_a_record_of_its_own(configure, panel):
    own = task(configure, "task.hidden=[30]", "task.train_every=1")
    fold = fold_of(panel, TRAIN, TRAIN, TEST)
    windows = own.prepare(panel, fold, own.candidates()[0]).windows
    noisy = windows.y + np.random.default_rng(0).normal(0, 20, windows.y.shape)
    whole = own.finish(panel, windows, noisy, 200.0)
    copy = windows.start == 30
    np.testing.assert_array_equal(whole[copy], own.finish(panel, windows.take(copy), noisy[copy], 200.0))


def test_a_model_that_saw_copies_errs_less_on_used_cells(tmp_path):
    errors = {}
    for start in ("any", "birth"):
        folder = tmp_path / start
        words = ["experiment=smoke_battery", "model=extra_trees", "baselines=cycles", f"task.start={start}"]
        words += ["source.n_cells=6", "source.life=[300,400]", "source.longest=500", "intervals=none"]
        words += ["task.hidden=[50,150]", "task.tested_from=[100]"]
        done = run("train.py", *words, "audit=none", "parallel.n_jobs=1", f"hydra.run.dir={folder}")
        assert done.returncode == 0, done.stderr
        rows = json.loads((folder / "metrics.json").read_text())["groups"]["start"]
        errors[start] = next(row["mae"] for row in rows if row["start"] == 100 and row["model"] == "Extra trees")
        assert "100 cycles hidden" in done.stdout
        assert "100 cycles hidden" in (folder / "table.md").read_text()
        assert "Used cells: with 100 cycles hidden Extra trees" in (folder / "report.html").read_text()
    assert errors["any"] < 0.8 * errors["birth"]
    metrics = RunFolder(tmp_path / "any").metrics
    table = start_table(metrics)
    assert [row.cells[0].text for row in table.rows] == ["from the first cycle on", "100 cycles hidden"]
    console = Console(width=200, record=True)
    print_table(console, metrics)
    assert "where the beginning of a record is hidden" in console.export_text()


@pytest.mark.parametrize(
    ("start", "first", "told"),
    [
        ("any", 100, r"may have been used before"),
        ("birth", 1, r"takes the first cycle of the file for the first"),
        ("birth", 100, r"none of the first cycles of cell 01.*far too long.*task.start=any"),
    ],
)
def test_predict_says_which_protocol_it_rests_on(configure, panel, start, first, told):
    own = task(configure, f"task.start={start}")
    frame = panel.frame[panel.frame["unique_id"] == "cell 01"].assign(y=np.nan)
    file = replace(panel, frame=frame[frame["ds"] >= first].reset_index(drop=True))
    windows = own.prepare(panel, fold_of(panel, TRAIN, TRAIN, TRAIN), own.candidates()[0]).windows
    some = windows.take(slice(0, len(file.frame) - LOOKBACK))
    card = {"longest_life": 400}
    notes = own.predicted(file, some, {"Ridge": np.zeros_like(some.y)}, card).notes
    assert pd.Series(notes).str.contains(told).sum() == 1


@pytest.mark.parametrize(
    "word", ["task.start=middle", "task.hidden=[0]", "task.tested_from=[-1]", "task.stretched=[0]"]
)
def test_a_start_that_cannot_be_is_refused(configure, word):
    with pytest.raises(ConfigError, match=word.split("=")[0]):
        task(configure, word)
