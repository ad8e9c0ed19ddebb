"""Windows that are made when they are looked at are those that are held, to the bit."""

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from data import gathered
from data.contracts import TEST, TRAIN, Panel, Windows
from data.datamodule import FoldData
from data.decomposition.emd import Emd
from data.decomposition.identity import Identity
from data.decomposition.modwt import MODWT
from data.gathered import Gathered, behind, newest_steps, sliding
from data.scaling import LastValue, MinMax, Standard, WindowMinMax, WithCovariates
from data.splits import ByTime
from data.windows import RollingWindow, cut, select
from models.allocation import Separate
from models.classical import Ridge
from models.model import Inputs
from pipeline.audit import audit
from pipeline.fitting import digest_of
from pipeline.run import opened
from pipeline.work import outcomes, work_units
from runtime.build import build
from tests.conftest import ROOT, panel_of


@pytest.fixture
def whole(monkeypatch):
    """Choose up to which size rows are held, and of what size blocks are [bytes]."""

    def _whole(most: int, block: int = 1 << 24) -> None:
        monkeypatch.setattr(gathered, "WHOLE", most)
        monkeypatch.setattr(gathered, "BLOCK", block)

    return _whole


def panel() -> Panel:
    rng = np.random.default_rng(0)
    plain = panel_of(*(100 + rng.standard_normal(size).cumsum() for size in (150, 201, 120)))
    frame = plain.frame.assign(a=rng.standard_normal(len(plain.frame)), day=plain.frame["ds"].dt.day_of_week * 1.0)
    return Panel(frame, "three", "points", covariates={"a": "points"}, known={"day": "day of the week"})


def windows_of(decomposition, horizon=2, stride=1) -> Windows:
    return cut(panel(), decomposition, RollingWindow(90), 10, horizon, stride=stride)


def emd() -> Emd:
    return build(OmegaConf.load(ROOT / "conf" / "decomposition" / "emd.yaml"))


def same(one: Windows, other: Windows) -> None:
    for name, before, now in zip(Windows._fields, one, other, strict=True):
        np.testing.assert_array_equal(np.asarray(now), np.asarray(before), err_msg=name)


@pytest.mark.parametrize("decomposition", [MODWT("haar", 3), emd(), Identity()], ids=["lines", "windows", "identity"])
@pytest.mark.parametrize("stride", [1, 3])
def test_they_are_the_windows_that_are_held(decomposition, stride, whole):
    whole(0, block=900)
    found = windows_of(decomposition, stride=stride)
    assert isinstance(found.past, Gathered)
    whole(1 << 26)
    held = windows_of(decomposition, stride=stride)
    assert isinstance(held.past, np.ndarray)
    whole(0, block=900)
    same(held, found)
    rows = np.array([7, len(held.y) - 1, 3])
    same(held.take(rows), found.take(rows))
    same(held.take(slice(50, 60)), found.take(slice(50, 60)))
    assert sum(len(part.y) for part in found.blocks()) == len(held.y)


def test_a_part_of_them_is_the_part_of_an_array(whole):
    whole(0, block=200)
    lines = np.random.default_rng(0).standard_normal((3, 40))
    one = sliding(lines, np.array([0, 5, 6, 20, 31]), 8)
    array = np.asarray(one)
    np.testing.assert_array_equal(array[3], lines[:, 20:28].T)
    every = (slice(None), slice(None, None, 2), [3, 1], np.array([True, False, True, True, False]), 2, Ellipsis, None)
    for rows in every:
        np.testing.assert_array_equal(one[rows], array[rows])
    for rest in (
        (-1,),
        (slice(-3, None),),
        (slice(2, 5), 1),
        (slice(None, None, 3),),
        ([0, -1],),
        (Ellipsis, 2),
        (0, 2),
    ):
        np.testing.assert_array_equal(one[(slice(1, None), *rest)], array[(slice(1, None), *rest)])
    np.testing.assert_array_equal(one[..., -1], array[..., -1])
    np.testing.assert_array_equal(1 - 2 * one, 1 - 2 * array)
    np.testing.assert_array_equal(one.sum(axis=2), array.sum(axis=2))
    np.testing.assert_array_equal(newest_steps(newest_steps(one, 5), 2), array[:, -2:])
    np.testing.assert_array_equal(behind(one, array[:2])[4:6], array[[4, 0]])
    assert not len(one[:0])


def test_what_is_made_of_many_windows_is_made_a_few_at_a_time(whole):
    whole(0, block=8 * 40 * 10)
    found, asked = windows_of(MODWT("haar", 3)), []
    ends = found.each(lambda some: asked.append(len(some.y)) or some.y[:, -1])
    assert ends.shape == found.y[:, -1].shape
    np.testing.assert_array_equal(np.asarray(ends), found.y[:, -1])
    assert max(asked) == 10  # windows of 40 numbers, whatever comes of them


def test_what_is_looked_at_lies_in_memory_as_what_is_held(whole):
    whole(0, block=200)
    one = sliding(np.zeros((3, 40)), np.arange(20), 8)
    assert np.asarray(one).strides == one[3:9].strides == (192, 8, 64)
    assert newest_steps(one, 3)[:].strides == (72, 8, 24)


@pytest.mark.parametrize("scaling", [LastValue, MinMax, WindowMinMax, Standard])
def test_scaled_and_learnt_from_they_give_the_same_numbers(scaling, whole):
    def learnt():
        fold = ByTime(0.1, 0.2).folds(panel(), 2)[0]
        found = windows_of(MODWT("haar", 3))
        train, test = select(found, fold, TRAIN), select(found, fold, TEST)
        scaler = WithCovariates(scaling()).fit(train)
        batch = scaler.transform(train)
        state = scaler.state()
        model = Ridge("ridge", Separate(), 1.0, n_components=4, lookback=10, horizon=2)
        rows = pd.DataFrame()
        model.fit(Inputs(train, batch, rows, scaler), Inputs(test, scaler.transform(test), rows, scaler))
        scaled = model.predict(Inputs(test, scaler.transform(test), rows, scaler))
        total = scaler.restore_total(scaled[0], test)
        batches = list(FoldData(batch, scaler.transform(test), 16, seed=0).train_dataloader())
        return state, digest_of(batch), digest_of(train), scaled, total, [array.numpy() for array in batches[3]]

    whole(0)
    state, *told, scaled, total, third = learnt()
    whole(0, block=3000)
    in_blocks, _, _, of_blocks, _, _ = learnt()
    whole(1 << 26)
    held, *told_held, scaled_held, total_held, third_held = learnt()
    assert told == told_held  # digests
    for name, value in held.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)
        np.testing.assert_allclose(in_blocks[name], value, rtol=1e-12)
    np.testing.assert_array_equal(scaled, scaled_held)
    np.testing.assert_array_equal(total, total_held)
    np.testing.assert_allclose(of_blocks, scaled_held, atol=1e-5)
    for one, other in zip(third, third_held, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_on_them_ends_with_the_same_bits_and_an_honest_audit(configure, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("MODECAST_CACHE", str(tmp_path / "cache"))
    small = ["source.n_series=2", "source.n_steps=260", "scope.history=100", "known=[weekday]", "lookback=8"]
    cfg = configure(
        "experiment=smoke", *small, "model=mlp", "decomposition=modwt", "decomposition.level=2", "parallel.n_jobs=1"
    )
    task, panel, folds = opened(cfg)

    def made():
        found = [outcome for _, outcome in outcomes(task, panel, folds, tmp_path / str(gathered.WHOLE), units)]
        return found, audit(task, panel, folds, {outcome.name: outcome.learnt_from for outcome in found})

    units = [
        unit for unit in work_units(task, panel, folds) if unit.candidate in (0, 2)
    ]  # the network, and a naive one
    held, verdict = made()
    whole(0)
    now, verdict_now = made()
    for one, other in zip(held, now, strict=True):
        pd.testing.assert_frame_equal(one.forecasts, other.forecasts, check_exact=True)
        assert one.learnt_from == other.learnt_from
    assert verdict.verdict == verdict_now.verdict == "causal"
    assert verdict.sentence == verdict_now.sentence
