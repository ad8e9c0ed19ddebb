"""What every model without a training loop promises."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.svm import SVR as SklearnSVR

from data.contracts import Batch, Windows
from data.scaling import LastValue, MinMax
from models.classical import SVR, Drift, Persistence, Ridge
from models.allocation import Joint, Separate
from runtime.build import build
from tests.conftest import choices
from tests.test_networks import NETWORKS, compose_model

COMPONENTS, LOOKBACK, HORIZON = 3, 12, 2
LIVE = {"n_components": COMPONENTS, "lookback": LOOKBACK, "horizon": HORIZON}
BUILT = {name: build(compose_model(name), **LIVE) for name in choices("model") if name not in NETWORKS}
CLASSICAL = [name for name, model in BUILT.items() if getattr(model, "sees", "windows") == "windows"]
LEARNED = [name for name in CLASSICAL if BUILT[name].scaled]
TREES = ["extra_trees", "hist_boosting"]
KEPT = [name for name in LEARNED if name not in TREES]


@pytest.fixture(params=[LastValue, MinMax])
def scaling(request):
    return request.param()


@pytest.fixture(params=["separate", "joint"])
def learned(request, name):
    return build(compose_model(name, f"model/component={request.param}"), **LIVE)


@pytest.fixture(params=LEARNED)
def name(request):
    return request.param


def waves(n_steps=200, noise=0.0):
    """Windows of two waves and a line, each of which is linear in its past."""
    time = np.arange(float(n_steps))
    components = np.stack([np.sin(time), 5 * np.sin(time / 7), 100 + time])
    components += noise * np.random.default_rng(0).standard_normal(components.shape)
    cut = sliding_window_view(components, LOOKBACK + HORIZON, axis=1).transpose(1, 2, 0)
    past, target = cut[:, :LOOKBACK], cut[:, LOOKBACK:]
    return Windows(past, target, target.sum(axis=2), np.arange(len(cut)) + LOOKBACK - 1)


def parts(windows, n_train):
    return Windows(*(a[:n_train] for a in windows)), Windows(*(a[n_train:] for a in windows))


def forecast(model, windows, scaling):
    if not model.scaled:
        return model.predict(windows)
    return model.component.restore(model.predict(scaling.transform(windows)), windows, scaling)


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_model_forecasts_every_step_of_the_horizon(name, scaling):
    train, test = parts(waves(noise=0.1), 150)
    model = build(compose_model(name), **LIVE)
    if model.scaled:
        model.fit(scaling.fit(train).transform(train))
    found = forecast(model, test, scaling)
    assert found.shape == test.y.shape
    assert np.isfinite(found).all()
    single = forecast(model, Windows(*(a[:1] for a in test)), scaling)
    np.testing.assert_allclose(single, found[:1], rtol=1e-9, err_msg="one window sees another")


def test_persistence_repeats_the_last_value():
    windows = waves()
    found = Persistence("P", **LIVE).predict(windows)
    np.testing.assert_allclose(found, np.repeat(windows.past[:, -1].sum(axis=1)[:, None], HORIZON, axis=1))


def test_drift_goes_on_along_a_line():
    line = np.arange(30.0).reshape(1, 30, 1)
    windows = Windows(3 * line[:, :12], 3 * line[:, 12:14], 3 * line[:, 12:14, 0], np.array([11]))
    np.testing.assert_allclose(Drift("D", 1, 12, 2).predict(windows), windows.y)


def test_drift_without_a_change_to_go_on_with_is_refused():
    with pytest.raises(ValueError, match="lookback=1 shows no change"):
        Drift("D", 1, 1, 1)


def test_models_learn_what_can_be_learned(learned):
    scaling, train = LastValue(), waves()
    learned.fit(scaling.fit(train).transform(train))
    seen = np.abs(forecast(learned, train, scaling) - train.y).mean()
    persistence = np.abs(forecast(Persistence("P", **LIVE), train, scaling) - train.y).mean()
    assert seen < 0.5 * persistence


@pytest.mark.parametrize("component", [Separate(), Joint()])
def test_ridge_finds_a_linear_law(component, scaling):
    train, test = parts(waves(), 150)
    model = Ridge("R", component, 1e-9, **LIVE)
    model.fit(scaling.fit(train).transform(train))
    np.testing.assert_allclose(forecast(model, test, scaling), test.y, rtol=1e-4)


def test_a_larger_penalty_gives_smaller_weights():
    batch = LastValue().fit(waves(noise=1.0)).transform(waves(noise=1.0))
    sizes = []
    for alpha in (1e-3, 1.0, 1e3):
        model = Ridge("R", Separate(), alpha, **LIVE)
        model.fit(batch)
        sizes.append(np.square(model.state()["weight"]).sum())
    assert sizes[0] > sizes[1] > sizes[2]


def test_svr_is_that_of_scikit_learn():
    windows = waves(noise=0.3)
    batch = LastValue().fit(windows).transform(windows)
    model = SVR("S", Separate(), cost=2.0, tube=0.1, **LIVE)
    model.fit(batch)
    for k in range(COMPONENTS):
        for h in range(HORIZON):
            rows, target = batch.past[:, :, k], batch.target[:, h, k]
            # The cost and the tube in the unit of the target.
            spread = target.std()
            theirs = SklearnSVR(gamma="scale", C=2.0 * spread, epsilon=0.1 * spread, tol=1e-6)
            found = model.predict(batch)[k, :, h]
            np.testing.assert_allclose(found, theirs.fit(rows, target).predict(rows), atol=0.02 * spread)


def test_a_component_that_never_moves_is_forecast_as_it_is(learned, scaling):
    train, test = parts(waves(noise=0.1), 150)
    still = [
        Windows(w.past * [1, 1, 0], w.target * [1, 1, 0], (w.target * [1, 1, 0]).sum(2), w.origin)
        for w in (train, test)
    ]
    learned.fit(scaling.fit(still[0]).transform(still[0]))
    scaled = learned.predict(scaling.transform(still[1]))
    assert np.isfinite(scaled).all()
    if len(scaled) == COMPONENTS:
        np.testing.assert_allclose(scaled[2], 0, atol=1e-9)


@pytest.mark.parametrize("name", KEPT)
def test_a_model_that_is_loaded_forecasts_the_same(learned, name, scaling):
    train, test = parts(waves(noise=0.1), 150)
    learned.fit(scaling.fit(train).transform(train))
    state = learned.state()
    assert all(isinstance(value, np.ndarray) and value.dtype == np.float64 for value in state.values())
    component = "separate" if isinstance(learned.component, Separate) else "joint"
    other = build(compose_model(name, f"model/component={component}"), **LIVE)
    other.load_state(state)
    batch = scaling.transform(test)
    np.testing.assert_array_equal(other.predict(batch), learned.predict(batch))


def test_joint_models_see_every_component(name):
    windows = waves(noise=0.5)
    batch = MinMax().fit(windows).transform(windows)
    model = build(compose_model(name, "model/component=joint"), **LIVE)
    model.fit(batch)
    before = model.predict(batch)
    for k in range(COMPONENTS):
        past = batch.past.copy()
        past[..., k] += 0.5
        assert not np.allclose(model.predict(Batch(past, batch.target)), before), k
