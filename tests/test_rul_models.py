"""Models of the cycle number, trees, and the scaling of cells."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from data.contracts import REMAINING, Batch, Windows
from data.scaling import Standard
from models.model import Inputs
from models.rul import Clock, CycleRidge, LastRul
from runtime.build import build
from tests.conftest import choices
from tests.test_classical import BUILT, LEARNED, LIVE, of_batch
from tests.test_networks import compose_model

CLOCKS = [name for name, model in BUILT.items() if model.needs.kinds == (REMAINING,)]
TREES = [name for name in LEARNED if not BUILT[name].needs.state]
NO_WINDOWS = Windows(*[np.empty((0, 1, 1))] * 4)


def rows(**lives):
    """Every second cycle of cells, by their lives."""
    parts = [
        pd.DataFrame({"unique_id": key, "ds": np.arange(1, life + 1, 2)}).assign(y=lambda f, life=life: life - f["ds"])
        for key, life in lives.items()
    ]
    return pd.concat(parts, ignore_index=True).astype({"y": float})


def seen(frame):
    return Inputs(NO_WINDOWS, None, frame)


def fit(model, frame):
    model.fit(seen(frame), seen(frame[:0]))
    return model


@pytest.fixture(params=CLOCKS)
def clock(request):
    return build(compose_model(request.param), **LIVE)


# Clocks


def test_clocks_forecast_from_cells_and_cycles_alone_and_never_below_zero(clock):
    train, test = rows(a=100, b=120), rows(a=160)
    found = fit(clock, train).predict(seen(test[["unique_id", "ds"]]))
    assert not clock.needs.scaled
    assert clock.component is None
    assert found.shape == (len(test), 1)
    assert (found[1:] >= 0).all()
    shuffled = test.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(clock.predict(seen(shuffled)), found[shuffled.index])


def test_a_clock_that_is_loaded_forecasts_the_same(clock):
    state = fit(clock, rows(a=100, b=120)).state()
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in state.values())
    other = type(clock)(*([clock.label] + [1.0] * (type(clock) is CycleRidge)), **LIVE)
    other.load_state(state)
    asked = seen(rows(a=130, c=99))
    np.testing.assert_array_equal(other.predict(asked), clock.predict(asked))


def test_the_clock_gives_every_cell_the_mean_life_whatever_its_number_of_rows():
    clock = fit(Clock("C", **LIVE), rows(a=100, b=200).drop(index=range(1, 40)))
    asked = seen(pd.DataFrame({"unique_id": "c", "ds": [1, 150, 151]}))
    np.testing.assert_allclose(clock.predict(asked), [[149], [0], [0]])


def test_the_line_finds_a_linear_law():
    line = fit(CycleRidge("R", 1e-6, **LIVE), rows(a=100))
    np.testing.assert_allclose(line.predict(seen(rows(b=80))), 100 - rows(b=80)[["ds"]])


def test_the_last_rul_known_goes_on_within_a_cell():
    known, asked = rows(a=100, b=90).query("ds < 30"), rows(a=100, b=90).query("ds > 30")
    model = fit(LastRul("L", **LIVE), known)
    assert model.applies(known, asked)
    np.testing.assert_allclose(model.predict(seen(asked))[:, 0], asked["y"])


def test_the_last_rul_is_that_of_earlier_rows_alone():
    train = rows(a=100).query("ds > 30")
    model = fit(LastRul("L", **LIVE), train)
    early = rows(a=100).query("ds <= 31")
    assert np.isnan(model.predict(seen(early))).all()
    assert not model.applies(train, early)
    assert not model.applies(train, rows(b=100))
    assert model.applies(train, pd.DataFrame({"unique_id": ["a"], "ds": [32]}))


# Trees


def noisy(seed=0, n=400):
    """Windows whose target is a bent function of the newest step."""
    rng = np.random.default_rng(seed)
    past = rng.standard_normal((n, 5, 3))
    target = np.abs(past[:, -1:, 0]) + (past[:, -1:, 1] > 0)
    return Batch(past, np.stack([target, target], axis=2))


def learn(model, batch):
    model.fit(of_batch(batch), of_batch(Batch(batch.past[:0], batch.target[:0])))


@pytest.fixture(params=TREES)
def trees(request):
    return build(compose_model(request.param), n_components=3, lookback=5, horizon=1)


def test_trees_learn_what_no_line_can(trees):
    train, test = noisy(), noisy(1)
    learn(trees, train)
    error = trees.predict(of_batch(test))[0] - test.target[..., -1]
    assert np.abs(error).mean() < 0.5 * np.abs(test.target - test.target.mean()).mean()


def test_trees_look_at_the_newest_step(trees):
    learn(trees, noisy())
    changed = noisy(1)
    changed.past[:, :-1] += 1
    np.testing.assert_array_equal(trees.predict(of_batch(changed)), trees.predict(of_batch(noisy(1))))


def test_trees_grow_the_same_again_and_on_one_thread(trees, monkeypatch):
    found, trees.n_trees, threads = [], 5, []
    grow = type(trees)._forest

    def counted(model):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")
        return grow(model)

    monkeypatch.setattr(type(trees), "_forest", counted)
    for _ in range(2):
        with threadpool_limits(2):
            learn(trees, noisy())
        found.append(trees.predict(of_batch(noisy(1))))
    np.testing.assert_array_equal(*found)
    assert set(threads) == {1}


def test_the_seed_matters_to_random_trees():
    found = []
    for seed in (0, 1):
        model = build(compose_model("extra_trees", f"model.seed={seed}"), n_components=3, lookback=5, horizon=1)
        learn(model, noisy())
        found.append(model.predict(of_batch(noisy(1))))
    assert not np.array_equal(*found)


def test_trees_are_not_kept_and_say_so(trees):
    learn(trees, noisy())
    assert trees.state() == {}
    with pytest.raises(ValueError, match=r"was fitted for its row of the table and not kept.*another model"):
        trees.load_state({})


def test_baselines_of_a_life_are_all_there_and_see_all_features(configure):
    nodes = configure("experiment=battery").baselines
    assert set(nodes) == {"clock", "cycle_ridge", "last_rul", "ridge", "extra_trees", "hist_boosting", "mlp"}
    assert set(nodes) <= set(choices("model"))
    for name in ("ridge", "extra_trees", "hist_boosting"):
        assert nodes[name].component._target_ == "models.allocation.Joint"


# Scaling


def windows(past, y):
    y = np.asarray(y, dtype=float)[:, None]
    return Windows(np.asarray(past, dtype=float), y[:, :, None], y, np.arange(len(y)))


def test_standard_scaling_gives_channels_mean_zero_and_deviation_one():
    past = np.random.default_rng(0).gamma(2.0, [1, 100, 1e-6], size=(500, 4, 3))
    train = windows(past, np.arange(500))
    batch = Standard().fit(train).transform(train)
    np.testing.assert_allclose(batch.past.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(batch.past.std(axis=(0, 1)), 1)
    assert batch.target.shape == (500, 1, 2)
    assert (batch.target[..., -1].min(), batch.target[..., -1].max()) == (0, 1)


def test_channels_of_zeros_and_ones_stay_and_still_ones_become_zero():
    past = np.zeros((300, 2, 3))
    past[0, 0, 0] = 1  # a rare cluster
    past[:, :, 1] = 0.1 + 1e-17
    past[:, :, 2] = np.random.default_rng(0).standard_normal((300, 2))
    scaling = Standard().fit(windows(past, np.arange(300)))
    later = past + np.array([0, 5, 0])
    found = scaling.transform(windows(later, np.arange(300))).past
    np.testing.assert_array_equal(found[..., 0], past[..., 0])
    np.testing.assert_array_equal(found[..., 1], 0)


def test_a_gross_outlier_of_a_later_window_is_cut_off():
    past = np.random.default_rng(0).standard_normal((100, 2, 1))
    scaling = Standard(clip=6.0).fit(windows(past, np.arange(100)))
    outlier = np.array([[[958320.0], [-958320.0]], [[0.5], [0.0]]])
    found = scaling.transform(windows(outlier, [1, 1])).past[..., 0]
    np.testing.assert_array_equal(found[0], [6, -6])
    assert np.abs(found[1]).max() < 1


def test_no_room_for_a_channel_is_refused():
    with pytest.raises(ValueError, match=r"scaling\.clip=0\.0 leaves nothing"):
        Standard(clip=0.0)
