"""What every model without a training loop promises."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.svm import SVR as SklearnSVR

from data.contracts import SERIES, Batch, Windows
from data.scaling import LastValue, MinMax
from models.allocation import Joint, Separate
from models.classical import SVR, Ridge, _RidgePath
from models.model import Inputs
from models.naive import Drift, Persistence
from runtime.build import build
from tests.conftest import choices
from tests.test_networks import NETWORKS, compose_model

COMPONENTS, LOOKBACK, HORIZON = 3, 24, 2
LIVE = {"n_components": COMPONENTS, "lookback": LOOKBACK, "horizon": HORIZON}


def brief(name):
    """Return the settings of a model, of one that trains itself for a few steps only."""
    node = compose_model(name)
    if "max_steps" in node.get("settings", {}):
        node.settings.max_steps = 2
    return node


BUILT = {name: build(brief(name), **LIVE) for name in choices("model") if name not in NETWORKS}
PEERS = ("statsforecast", "neuralforecast")


def installed(name):
    """Return a model of another project marked to be skipped, with a reason, where that is not installed."""
    package = type(BUILT[name]).__module__.removeprefix("models.")
    lacking = package in PEERS and find_spec(package) is None
    return pytest.param(name, marks=pytest.mark.skipif(lacking, reason=f"needs the extra: pip install -e .[{package}]"))


OF_SERIES = {name: model for name, model in BUILT.items() if SERIES in model.needs.kinds and not model.needs.gradients}
CLASSICAL = [installed(name) for name in OF_SERIES]
LEARNED = [name for name, model in OF_SERIES.items() if model.needs.scaled]
KEPT = [name for name in LEARNED if BUILT[name].needs.state]


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
    returns = sliding_window_view(np.random.default_rng(1).standard_normal((n_steps, 1)), LOOKBACK, axis=0)
    origin = np.arange(len(cut)) + LOOKBACK - 1
    return Windows(past, target, target.sum(axis=2), origin, returns[: len(cut)].transpose(0, 2, 1))


def parts(windows, n_train):
    return windows.take(slice(n_train)), windows.take(slice(n_train, None))


def inputs_of(windows, scaling):
    rows = pd.DataFrame({"unique_id": "a", "ds": windows.origin, "y": windows.past[:, -1].sum(axis=1)})
    return Inputs(windows, scaling.transform(windows), rows, scaling)


def none_of(windows):
    return windows.take(slice(0))


def fit(model, windows, scaling, validation=None):
    """Fit the scaling and the model."""
    inputs = inputs_of(windows, scaling.fit(windows))
    model.fit(inputs, inputs_of(none_of(windows) if validation is None else validation, scaling))
    return model


def of_batch(batch):
    """Inputs of a model that reads scaled windows alone."""
    return Inputs(Windows(*[np.empty((0, 1, 1))] * 4), batch, pd.DataFrame())


def forecast(model, windows, scaling):
    found = model.predict(inputs_of(windows, scaling))
    return found if model.component is None else model.component.restore(found, windows, scaling)


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_model_forecasts_every_step_of_the_horizon(name, scaling):
    train, test = parts(waves(noise=0.1), 150)
    model = fit(build(brief(name), **LIVE), train, scaling)
    found = forecast(model, test, scaling)
    assert found.shape == test.y.shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_forecast_of_a_window_does_not_depend_on_those_around_it(name):
    train, test = parts(waves(noise=0.1), 100)
    model, scaling = build(brief(name), **LIVE), LastValue()
    fit(model, train, scaling)
    found = model.predict(inputs_of(test, scaling))  # (..., n, H)
    for chosen in ([0], [3, 1], range(7), range(1, 64), np.arange(len(test.y))[::-1], []):
        some = test.take(np.array(chosen, dtype=int))
        np.testing.assert_array_equal(model.predict(inputs_of(some, scaling)), found[..., list(chosen), :])


def test_persistence_repeats_the_last_value():
    windows = waves()
    found = forecast(Persistence("P", **LIVE), windows, LastValue().fit(windows))
    np.testing.assert_allclose(found, np.repeat(windows.past[:, -1].sum(axis=1)[:, None], HORIZON, axis=1))


def test_drift_goes_on_along_a_line():
    line = np.arange(30.0).reshape(1, 30, 1)
    windows = Windows(3 * line[:, :12], 3 * line[:, 12:14], 3 * line[:, 12:14, 0], np.array([11]))
    np.testing.assert_allclose(forecast(Drift("D", 1, 12, 2), windows, LastValue().fit(windows)), windows.y)


def test_naive_forecasts_add_components_in_the_same_order_however_an_array_lies_in_memory():
    past = np.random.default_rng(0).standard_normal((50, 9, LOOKBACK)).transpose(0, 2, 1)  # steps innermost
    for model in (Persistence("P", **LIVE), Drift("D", **LIVE)):
        found = model.predict(Inputs(Windows(past, past, past[:, :, 0], np.arange(50)), None, pd.DataFrame()))
        for k in range(50):
            alone = Windows(past[[k]].copy(), past, past[:, :, 0], np.arange(50))
            np.testing.assert_array_equal(model.predict(Inputs(alone, None, pd.DataFrame()))[0], found[k])


def test_drift_without_a_change_to_go_on_with_is_refused():
    with pytest.raises(ValueError, match="lookback=1 shows no change"):
        Drift("D", 1, 1, 1)


def test_models_learn_what_can_be_learned(learned):
    scaling, train = LastValue(), waves()
    fit(learned, train, scaling)
    seen = np.abs(forecast(learned, train, scaling) - train.y).mean()
    persistence = np.abs(forecast(Persistence("P", **LIVE), train, scaling) - train.y).mean()
    assert seen < 0.5 * persistence


@pytest.mark.parametrize("component", [Separate(), Joint()])
def test_ridge_finds_a_linear_law(component, scaling):
    train, test = parts(waves(), 150)
    model = fit(Ridge("R", component, 1e-9, **LIVE), train, scaling)
    np.testing.assert_allclose(forecast(model, test, scaling), test.y, rtol=1e-4)


def test_a_larger_penalty_gives_smaller_weights():
    sizes = []
    for alpha in (1e-3, 1.0, 1e3):
        model = fit(Ridge("R", Separate(), alpha, **LIVE), waves(noise=1.0), LastValue())
        sizes.append(np.square(model.state()["weight"]).sum())
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("component", [Separate(), Joint()])
@pytest.mark.parametrize("alpha", [1e-3, 10.0])
def test_ridge_is_that_of_scikit_learn(component, alpha):
    windows, scaling = waves(noise=0.3), MinMax()
    model = fit(Ridge("R", component, alpha, **LIVE), windows, scaling)
    batch = scaling.transform(windows)
    found = model.predict(inputs_of(windows, scaling))
    for rows, target, forecasts in zip(
        component.inputs(batch.past), component.targets(batch.target), found, strict=True
    ):
        rows = rows.reshape(len(rows), -1)
        np.testing.assert_allclose(forecasts, SklearnRidge(alpha).fit(rows, target).predict(rows), atol=1e-7)


@pytest.mark.parametrize("component", [Separate(), Joint()])
def test_of_several_penalties_the_one_is_kept_that_errs_least_on_validation_windows(component):
    train, validation = parts(waves(noise=1.0), 60)
    grid, scaling = [1e-3, 1e-1, 1e1, 1e3, 1e5], LastValue()

    def error(alpha):
        model = fit(Ridge("R", component, alpha, **LIVE), train, scaling)
        return np.abs(forecast(model, validation, scaling) - validation.y).mean()

    chosen = float(fit(Ridge("R", component, grid, **LIVE), train, scaling, validation).state()["alpha"])
    assert chosen == min(grid, key=error)
    assert chosen not in (grid[0], grid[-1]), "a test of a choice at the edge would show little"


def test_without_validation_windows_the_penalty_is_that_of_generalised_cross_validation():
    train, grid, scaling = waves(noise=1.0).take(slice(60)), [1e-2, 1.0, 1e2], LastValue()
    chosen = float(fit(Ridge("R", Joint(), grid, **LIVE), train, scaling).state()["alpha"])
    batch = scaling.transform(train)
    rows, target = batch.past.reshape(60, -1), batch.target[..., -1]

    def gcv(alpha):
        centred = rows - rows.mean(axis=0)
        hat = centred @ np.linalg.solve(centred.T @ centred + alpha * np.eye(centred.shape[1]), centred.T) + 1 / 60
        return np.square(target - hat @ target).sum() * 60 / (60 - np.trace(hat)) ** 2

    assert chosen == min(grid, key=gcv)


@pytest.mark.parametrize("alpha", [0.0, -1.0, [], [1.0, 0.0]])
def test_a_penalty_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match=r"model\.alpha=.* must be above 0"):
        Ridge("R", Joint(), alpha, **LIVE)


def test_svr_leaves_itself_out_above_its_most_windows():
    model = SVR("S", Joint(), C=1.0, epsilon=0.1, most_windows=3, **LIVE)
    rows = pd.DataFrame({"unique_id": "a", "ds": range(4), "y": 0.0})
    assert model.applies(rows[:3], rows)
    assert not model.applies(rows, rows[:1])


def test_svr_is_that_of_scikit_learn():
    windows, scaling = waves(noise=0.3), LastValue()
    model = fit(SVR("S", Separate(), C=2.0, epsilon=0.1, most_windows=1000, **LIVE), windows, scaling)
    batch = scaling.transform(windows)
    for k in range(COMPONENTS):
        for h in range(HORIZON):
            rows, target = batch.past[:, :, k], batch.target[:, h, k]
            # C and epsilon in the unit of the target.
            spread = target.std()
            theirs = SklearnSVR(gamma="scale", C=2.0 * spread, epsilon=0.1 * spread, tol=1e-6)
            found = model.predict(inputs_of(windows, scaling))[k, :, h]
            np.testing.assert_allclose(found, theirs.fit(rows, target).predict(rows), atol=0.02 * spread)


def test_a_component_that_never_moves_is_forecast_as_it_is(learned, scaling):
    train, test = parts(waves(noise=0.1), 150)
    still = [
        Windows(w.past * [1, 1, 0], w.target * [1, 1, 0], (w.target * [1, 1, 0]).sum(2), w.origin)
        for w in (train, test)
    ]
    scaled = fit(learned, still[0], scaling).predict(inputs_of(still[1], scaling))
    assert np.isfinite(scaled).all()
    if len(scaled) == COMPONENTS:
        np.testing.assert_allclose(scaled[2], 0, atol=1e-9)


@pytest.mark.parametrize("name", KEPT)
def test_a_model_that_is_loaded_forecasts_the_same(learned, name, scaling):
    train, test = parts(waves(noise=0.1), 150)
    state = fit(learned, train, scaling).state()
    assert all(isinstance(value, np.ndarray) and value.dtype == np.float64 for value in state.values())
    component = "separate" if isinstance(learned.component, Separate) else "joint"
    other = build(compose_model(name, f"model/component={component}"), **LIVE)
    other.load_state(state)
    inputs = inputs_of(test, scaling)
    np.testing.assert_array_equal(other.predict(inputs), learned.predict(inputs))


def test_joint_models_see_every_component(name):
    windows, scaling = waves(noise=0.5), MinMax()
    model = fit(build(compose_model(name, "model/component=joint"), **LIVE), windows, scaling)
    batch = scaling.transform(windows)
    before = model.predict(of_batch(batch))
    for k in range(COMPONENTS):
        past = batch.past.copy()
        past[..., k] += 0.5
        assert not np.allclose(model.predict(of_batch(Batch(past, batch.target))), before), k


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 1.0, 1e3])
def test_ridge_on_many_windows_is_that_of_one_decomposition_of_all_of_them(alpha, monkeypatch):
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.standard_normal((3000, 20)), axis=1) * 10.0 ** -np.arange(20)  # ill-conditioned
    target = rows @ rng.standard_normal((20, 3)) + rng.standard_normal((3000, 3))
    monkeypatch.setattr("models.classical.BLOCK", 700)  # the last block is smaller
    reduced = _RidgePath(rows, target)
    monkeypatch.setattr("models.classical.MANY", 1000)
    whole = _RidgePath(rows, target)
    for one, other in zip(reduced.solution(alpha), whole.solution(alpha), strict=True):
        np.testing.assert_allclose(
            rows @ one if one.ndim == 2 else one, rows @ other if one.ndim == 2 else other, atol=1e-8
        )
    assert reduced.gcv(alpha) == pytest.approx(whole.gcv(alpha), rel=1e-10)


def test_ridge_on_many_windows_decomposes_no_more_rows_than_inputs_and_outputs(monkeypatch):
    sizes, svd = [], np.linalg.svd
    monkeypatch.setattr("numpy.linalg.svd", lambda rows, **_: sizes.append(rows.shape) or svd(rows, **_))
    rng = np.random.default_rng(0)
    _RidgePath(rng.standard_normal((500, 20)), rng.standard_normal((500, 3)))
    _RidgePath(rng.standard_normal((40, 20)), rng.standard_normal((40, 3)))
    assert sizes == [(23, 20), (40, 20)]
