"""Windows hold what was known, and nothing that came later."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from data.contracts import TRAIN
from data.decomposition.emd import Emd
from data.decomposition.identity import Identity
from data.panel import DataError
from data.scaling import Anchored, MinMax
from data.splits import ByTime
from data.windows import Expanding, Overall, Rolling, cut, latest, select
from runtime.build import build
from tests.conftest import ROOT, choices, panel_of


def identity_windows(panel, lookback, horizon):
    return cut(panel, Identity(), Overall(), lookback, horizon)


def emd():
    return build(OmegaConf.load(ROOT / "conf" / "decomposition" / "emd.yaml"))


@pytest.mark.parametrize("scope", [Rolling(64), Expanding(64), Overall()])
@pytest.mark.parametrize("horizon", [1, 4])
def test_past_target_and_y_are_the_series_in_order(scope, horizon, walk):
    panel = panel_of(walk, walk[:100] + 50)
    windows = cut(panel, Identity(), scope, 10, horizon)
    y = panel.frame["y"].to_numpy()
    for past, target, truth, origin in zip(*windows, strict=True):
        np.testing.assert_array_equal(past[:, 0], y[origin - 9 : origin + 1])
        np.testing.assert_array_equal(truth, y[origin + 1 : origin + 1 + horizon])
        np.testing.assert_array_equal(target[:, 0], truth)
    ids = panel.frame["unique_id"].to_numpy()
    assert (ids[windows.origin - 9] == ids[windows.origin + horizon]).all()  # no window spans two series


@pytest.mark.parametrize("scope", [Rolling(64), Expanding(64), Overall()])
def test_components_of_a_target_sum_to_it(scope, walk):
    windows = cut(panel_of(walk), emd(), scope, 10, 2)
    np.testing.assert_allclose(windows.target.sum(axis=2), windows.y, rtol=1e-9)
    np.testing.assert_allclose(windows.past[1:, -1].sum(axis=1), windows.y[:-1, 0], rtol=1e-9)


@given(at=st.integers(80, 149), by=st.floats(0.5, 20), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("scope", [Rolling(64), Expanding(64)])
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
    before, after = (cut(panel_of(s), emd(), Overall(), 10, 1) for s in (walk, changed))
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
    windows = cut(panel_of(walk), emd(), Rolling(64), 10, horizon)
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
    windows = cut(panel_of(walk), emd(), Rolling(64), 10, 3)
    scaling = Anchored().fit(windows)
    last = np.repeat(windows.past[:, -1].sum(axis=1)[:, None], 3, axis=1)
    np.testing.assert_allclose(scaling.restore_components(np.zeros_like(windows.target), windows), last)
    np.testing.assert_allclose(scaling.restore_total(np.zeros_like(windows.y), windows), last)


@pytest.mark.parametrize("scope", [Rolling(64), Expanding(64), Overall()])
def test_the_latest_window_is_the_one_a_longer_series_would_cut_there(scope, walk):
    newest = latest(panel_of(walk[:200]), emd(), scope, 10)
    assert newest.origin.tolist() == [199]
    if scope.causal:
        longer = cut(panel_of(walk[:220]), emd(), scope, 10, 1)
        np.testing.assert_array_equal(newest.past[0], longer.past[longer.origin == 199][0])


@pytest.mark.parametrize(
    "take",
    [lambda p: cut(p, Identity(), Rolling(64), 10, 1), lambda p: latest(p, Identity(), Rolling(64), 10)],
)
def test_a_series_shorter_than_one_window_is_told(take, walk):
    with pytest.raises(DataError, match=r"has 40 steps, but .* 6[45]"):
        take(panel_of(walk[:40]))


def test_a_lookback_beyond_the_history_is_told(walk):
    with pytest.raises(DataError, match=r"lookback=70 is longer than scope\.history=64"):
        cut(panel_of(walk), Identity(), Rolling(64), 70, 1)


def test_emd_is_a_decomposition_of_more_than_one_component():
    assert isinstance(emd(), Emd)
    assert emd().n_components > 1
