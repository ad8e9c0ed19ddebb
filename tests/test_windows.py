"""Windows hold what was known, and nothing that came later."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from data.contracts import TEST, TRAIN, VALIDATION
from data.decomposition.emd import Emd
from data.decomposition.identity import Identity
from data.decomposition.modwt import MODWT
from data.decomposition.moving_average import MovingAverage
from data.panel import DataError
from data.scaling import LastValue, MinMax
from data.splits import ByTime
from data.windows import (
    EveryEnd,
    Expanding,
    RollingWindow,
    SplitOnce,
    WholeSeries,
    cut,
    cut_at,
    first_end,
    latest,
    origins,
    select,
)
from runtime.build import build
from tests.conftest import ROOT, choices, panel_of


def identity_windows(panel, lookback, horizon):
    return cut(panel, Identity(), WholeSeries(), lookback, horizon)


def emd():
    return build(OmegaConf.load(ROOT / "conf" / "decomposition" / "emd.yaml"))


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64), WholeSeries()])
@pytest.mark.parametrize("horizon", [1, 4])
def test_past_target_and_y_are_the_series_in_order(scope, horizon, walk):
    panel = panel_of(walk, walk[:100] + 50)
    windows = cut(panel, Identity(), scope, 10, horizon)
    y = panel.frame["y"].to_numpy()
    for past, target, truth, origin in zip(*windows[:4], strict=True):
        np.testing.assert_array_equal(past[:, 0], y[origin - 9 : origin + 1])
        np.testing.assert_array_equal(truth, y[origin + 1 : origin + 1 + horizon])
        np.testing.assert_array_equal(target[:, 0], truth)
    ids = panel.frame["unique_id"].to_numpy()
    assert (ids[windows.origin - 9] == ids[windows.origin + horizon]).all()  # no window spans two series


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64), WholeSeries()])
def test_components_of_a_target_sum_to_it(scope, walk):
    windows = cut(panel_of(walk), emd(), scope, 10, 2)
    np.testing.assert_allclose(windows.target.sum(axis=2), windows.y, rtol=1e-9)
    np.testing.assert_allclose(windows.past[1:, -1].sum(axis=1), windows.y[:-1, 0], rtol=1e-9)


@given(at=st.integers(80, 149), by=st.floats(0.5, 20), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64)])
def test_what_comes_after_an_origin_changes_no_input_before_it(scope, at, by, seed):
    series = np.cumsum(np.random.default_rng(seed).standard_normal(150))
    changed = series.copy()
    changed[at] += by
    before, after = (cut(panel_of(s), emd(), scope, 10, 1) for s in (series, changed))
    earlier = before.origin < at
    np.testing.assert_array_equal(before.past[earlier], after.past[earlier])
    if not earlier.all():
        assert not np.array_equal(before.past[~earlier], after.past[~earlier])


def test_under_overall_the_future_shapes_the_past(walk):
    changed = walk.copy()
    changed[200] += 15
    before, after = (cut(panel_of(s), emd(), WholeSeries(), 10, 1) for s in (walk, changed))
    earlier = before.origin < 200
    assert not np.array_equal(before.past[earlier], after.past[earlier])


@pytest.mark.parametrize("name", choices("scaling"))
def test_the_scaler_has_seen_train_only(name, walk):
    changed = walk.copy()
    changed[250:] *= 3
    states = []
    for series in (walk, changed):
        panel = panel_of(series)
        (fold,) = ByTime(0.0, 0.2).folds(panel, 1)
        train = select(identity_windows(panel, 10, 1), fold, TRAIN)
        states.append(build(OmegaConf.load(ROOT / "conf" / "scaling" / f"{name}.yaml")).fit(train).state())
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])


@pytest.mark.parametrize("name", choices("scaling"))
@pytest.mark.parametrize("horizon", [1, 3])
def test_scaling_is_undone(name, horizon, walk):
    windows = cut(panel_of(walk), emd(), RollingWindow(64), 10, horizon)
    scaling = build(OmegaConf.load(ROOT / "conf" / "scaling" / f"{name}.yaml")).fit(windows)
    batch = scaling.transform(windows)
    np.testing.assert_allclose(scaling.restore_components(batch.target[..., :-1], windows), windows.y)
    np.testing.assert_allclose(scaling.restore_total(batch.target[..., -1], windows), windows.y)
    again = type(scaling)().load_state(scaling.state())
    np.testing.assert_array_equal(again.transform(windows).past, batch.past)


def test_min_max_maps_training_values_to_the_unit_interval(walk):
    windows = identity_windows(panel_of(walk), 10, 1)
    past = MinMax().fit(windows).transform(windows).past
    assert (past.min(), past.max()) == (0, 1)


def test_zero_is_persistence_under_anchored_scaling(walk):
    windows = cut(panel_of(walk), emd(), RollingWindow(64), 10, 3)
    scaling = LastValue().fit(windows)
    last = np.repeat(windows.past[:, -1].sum(axis=1)[:, None], 3, axis=1)
    np.testing.assert_allclose(scaling.restore_components(np.zeros_like(windows.target), windows), last)
    np.testing.assert_allclose(scaling.restore_total(np.zeros_like(windows.y), windows), last)


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64), WholeSeries()])
def test_the_latest_window_is_the_one_a_longer_series_would_cut_there(scope, walk):
    newest = latest(panel_of(walk[:200]), emd(), scope, 10)
    assert newest.origin.tolist() == [199]
    if scope.causal:
        longer = cut(panel_of(walk[:220]), emd(), scope, 10, 1)
        np.testing.assert_array_equal(newest.past[0], longer.past[longer.origin == 199][0])


@pytest.mark.parametrize(
    ("take", "needed"),
    [
        (lambda p: cut(p, emd(), RollingWindow(64), 10, 1), r"65 \(scope\.history.*lower scope\.history"),
        (lambda p: latest(p, emd(), RollingWindow(64), 10), r"64 \(scope\.history"),
        (lambda p: cut(p, Identity(), RollingWindow(64), 50, 1), r"51 \(lookback.*lower lookback"),
        (lambda p: latest(p, Identity(), RollingWindow(64), 50), r"50 \(lookback"),
        (lambda p: cut(p, Identity(), RollingWindow(64), 10, 1, first=63), r"65 \(scope\.history"),
    ],
)
def test_a_series_shorter_than_one_window_is_told_with_what_to_lower(take, needed, walk):
    with pytest.raises(DataError, match=rf"has 40 steps, but .* {needed}"):
        take(panel_of(walk[:40]))


def test_a_lookback_beyond_the_history_is_told(walk):
    with pytest.raises(DataError, match=r"lookback=70 is longer than scope\.history=64"):
        cut(panel_of(walk), emd(), RollingWindow(64), 70, 1)


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64), SplitOnce(64, 0.5)])
def test_history_counts_only_where_a_decomposition_needs_it(scope, walk):
    panel = panel_of(walk, walk[:100] + 50)
    assert cut(panel, emd(), scope, 10, 2).origin[0] == 63
    free = cut(panel, Identity(), scope, 10, 2)
    assert free.origin[0] == 9
    np.testing.assert_array_equal(free.origin, origins(panel, 2, first_end(scope, Identity(), 10)))
    long = cut(panel, Identity(), scope, 80, 2)  # a lookback beyond the history is no contradiction either
    np.testing.assert_array_equal(long.past[0, :, 0], walk[:80])


def test_all_that_are_compared_start_at_the_first_end_of_the_most_demanding(walk):
    scope, panel = RollingWindow(64), panel_of(walk, walk[:100] + 50)
    first = max(first_end(scope, decomposition, 10) for decomposition in (Identity(), emd()))
    plain, decomposed = (cut(panel, d, scope, 10, 2, first=first) for d in (Identity(), emd()))
    np.testing.assert_array_equal(plain.origin, decomposed.origin)
    np.testing.assert_array_equal(plain.y, decomposed.y)
    some = cut_at(panel, Identity(), scope, 10, 2, np.arange(300), first)
    np.testing.assert_array_equal(some.origin, plain.origin[plain.origin < 300])


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64), WholeSeries()])
@pytest.mark.parametrize("decomposition", [Identity(), MODWT(level=3), Emd()])
def test_windows_at_some_origins_are_those_of_all(scope, decomposition, walk):
    panel = panel_of(walk, walk[:100] + 50)
    every = cut(panel, decomposition, scope, 10, 2)
    asked = np.array([5, 70, 71, 150, 297, 298, 310, 380, 397])  # some without a window
    some = cut_at(panel, decomposition, scope, 10, 2, asked)
    chosen = np.isin(every.origin, asked)
    assert 0 < len(some.y) < len(asked)
    for found, wanted in zip(some[:4], every[:4], strict=True):
        np.testing.assert_array_equal(found, wanted[chosen])


@pytest.mark.parametrize("decomposition", [MODWT(level=3), MODWT(level=5), MovingAverage(9), Identity()])
@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64)])
def test_a_causal_decomposition_is_computed_once_with_the_bits_of_single_windows(scope, decomposition, walk):
    ends = np.arange(63, 300)
    windows = [walk[max(end - 63, 0) if isinstance(scope, RollingWindow) else 0 : end + 1] for end in ends]
    alone = np.array([decomposition(window)[:, -40:] for window in windows])
    np.testing.assert_array_equal(scope.at(decomposition, walk, 40, ends), alone)


class Boaster:
    """Says that it is causal, and is not."""

    n_components = 2
    causal = True
    memory = 3

    def __call__(self, series):
        return np.stack([series - series.mean(), np.full(series.size, series.mean())])


@pytest.mark.parametrize("scope", [RollingWindow(64), Expanding(64)])
def test_a_decomposition_that_is_not_causal_though_it_says_so_is_refused(scope, walk):
    with pytest.raises(ValueError, match=r"Boaster says that it is causal.*Set causal = False"):
        cut(panel_of(walk), Boaster(), scope, 10, 1)


def test_training_validation_and_test_windows_of_one_series_are_views_of_all(walk):
    windows = cut(panel_of(walk), emd(), RollingWindow(64), 10, 1)
    (fold,) = ByTime(0.1, 0.2).folds(panel_of(walk), 1)
    for role in (TRAIN, VALIDATION, TEST):
        assert np.shares_memory(select(windows, fold, role).past, windows.past)


@pytest.mark.parametrize("scope", [RollingWindow(64), WholeSeries()])
@pytest.mark.parametrize("series", [1, 3])
def test_windows_lie_in_memory_the_same_way_however_they_were_cut(scope, series, walk):
    """The last bits of a sum over components depend on it."""
    windows = cut(panel_of(*[walk] * series), MODWT(level=3), scope, 10, 1)
    assert windows.past.transpose(0, 2, 1).flags.c_contiguous


def test_emd_is_a_decomposition_of_more_than_one_component():
    assert isinstance(emd(), Emd)
    assert emd().n_components > 1


@pytest.mark.parametrize("decomposition", [Identity(), emd()])
@pytest.mark.parametrize(("stride", "horizon"), [(2, 5), (7, 3), (5, 5)])
def test_a_stride_cuts_the_same_windows_at_fewer_origins(decomposition, stride, horizon, walk):
    panel, scope = panel_of(walk[:120], walk[100:190]), RollingWindow(64)
    every = cut(panel, decomposition, scope, 10, horizon)
    some = cut(panel, decomposition, scope, 10, horizon, stride=stride)
    kept = np.isin(every.origin, some.origin)
    np.testing.assert_array_equal(some.origin, origins(panel, horizon, first_end(scope, decomposition, 10), stride))
    step = np.where(some.origin < 120, some.origin, some.origin - 120)  # within its series
    assert (step % stride == stride - 1).all()
    assert kept.sum() == len(some.origin) >= 2 * ((90 - 64 - horizon) // stride)
    for one, other in zip(some[:3], every[:3], strict=True):
        np.testing.assert_array_equal(one, other[kept])


def test_a_stride_decomposes_no_more_than_the_steps_behind_its_origins():
    ends = EveryEnd(RollingWindow(64), Identity(), 10, 63, stride=24, horizon=2).ends(150)
    np.testing.assert_array_equal(ends, [71, 72, 73, 95, 96, 97, 119, 120, 121, 143, 144, 145])


def test_the_origins_of_a_stride_are_moved_neither_by_the_first_window_nor_by_what_comes_later(walk):
    early, late = (origins(panel_of(walk), 2, first, 24) for first in (9, 63))
    np.testing.assert_array_equal(early[early >= 63], late)
    shorter = origins(panel_of(walk[:200]), 2, 9, 24)
    np.testing.assert_array_equal(shorter, early[: shorter.size])


def test_a_series_too_short_for_one_origin_of_a_stride_is_told_how_many_steps_it_needs(walk):
    with pytest.raises(DataError, match="has 70 steps, but one window needs 98"):
        cut(panel_of(walk[:70]), Identity(), RollingWindow(64), 50, 2, stride=96)


@pytest.mark.parametrize("n_series", [1, 2])
def test_covariates_stand_beside_the_lookback_step_by_step(walk, n_series):
    plain = panel_of(*[walk, walk[:100] + 50][:n_series])
    rows = np.arange(len(plain.frame), dtype=float)
    panel = replace(plain, frame=plain.frame.assign(a=rows, b=-2 * rows), covariates={"a": "rows", "b": "rows"})
    every = cut(panel, Identity(), RollingWindow(64), 10, 2)
    steps = every.origin[:, None] + np.arange(-9, 1)  # rows of the lookback, the origin last
    np.testing.assert_array_equal(every.covariates, np.stack([steps, -2 * steps], axis=2))
    some = cut_at(panel, Identity(), RollingWindow(64), 10, 2, every.origin[[3, 90]])
    np.testing.assert_array_equal(some.covariates, every.covariates[[3, 90]])
    np.testing.assert_array_equal(every.take(np.array([3, 90])).covariates, some.covariates)
    ends = latest(panel, Identity(), RollingWindow(64), 10)
    np.testing.assert_array_equal(ends.covariates[:, -1, 0], ends.origin)
    assert cut(plain, Identity(), RollingWindow(64), 10, 2).covariates is None
