"""Models of other projects: kept to the same promises, and asked for by name where they are not installed."""

import numpy as np
import pandas as pd
import pytest
import torch

from data.contracts import Windows
from models.model import Inputs
from models.neuralforecast import NeuralForecast
from models.statsforecast import StatsForecast

HORIZON = 3


def rows_of(**series):
    return pd.concat([pd.DataFrame({"unique_id": name, "ds": range(len(y)), "y": y}) for name, y in series.items()])


def inputs_of(names, pasts):
    past = np.array(pasts, dtype=np.float64)[:, :, None]
    windows = Windows(past, past[:, :0], past[:, :0, 0], np.arange(len(past)))
    return Inputs(windows, None, pd.DataFrame({"unique_id": names, "ds": range(len(names))}))


def fitted(name="AutoETS", season=None, most=None, **series):
    model = StatsForecast("M", name, season, 60, most, {}, 1, 60, HORIZON)
    train = rows_of(**series)
    assert model.applies(train, train[["unique_id", "ds"]])
    model.fit(Inputs(inputs_of([], np.empty((0, 60))).windows, None, train), inputs_of([], np.empty((0, 60))))
    return model


def wave(n, level=0.0, seed=0):
    return level + 5 * np.sin(2 * np.pi * np.arange(n) / 12) + 0.1 * np.random.default_rng(seed).standard_normal(n)


def test_a_package_that_is_not_installed_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setattr("models.peers.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"package statsforecast, which is not installed: pip install -e '\.\[stats"):
        StatsForecast("M", "AutoETS", None, 60, None, {}, 1, 60, 1).applies(pd.DataFrame(), pd.DataFrame())


def test_a_model_that_statsforecast_cannot_apply_to_another_past_is_refused():
    with pytest.raises(ValueError, match=r"model\.name=AutoMFLES is not known; it is one of AutoARIMA, AutoETS"):
        StatsForecast("M", "AutoMFLES", None, 60, None, {}, 1, 60, 1)


def test_without_a_fit_nothing_is_forecast_and_nothing_is_loaded():
    model = StatsForecast("M", "AutoETS", None, 60, None, {}, 1, 60, 1)
    with pytest.raises(ValueError, match="M is fitted with its run and kept in no file; train it again"):
        model.predict(inputs_of(["a"], [wave(60)]))
    with pytest.raises(ValueError, match="kept in no file"):
        model.load_state({})


@pytest.mark.parametrize(
    ("name", "season"), [("AutoETS", 12), ("AutoETS", "auto"), ("AutoTheta", 12), ("AutoARIMA", 12)]
)
def test_a_season_is_forecast_from_any_origin_with_parameters_of_the_training_rows(name, season):
    pytest.importorskip("statsforecast", reason="needs the extra: pip install -e .[statsforecast]")
    model = fitted(name, season, a=wave(240), b=wave(240, 100.0, 1))
    later = wave(300)
    found = model.predict(inputs_of(["a", "b"], [later[227:287], 100 + later[231:291]]))
    np.testing.assert_allclose(found, [later[287:290], 100 + later[291:294]], atol=0.6)


def test_each_series_has_parameters_of_its_own_and_a_stranger_is_left_out():
    pytest.importorskip("statsforecast", reason="needs the extra: pip install -e .[statsforecast]")
    rng = np.random.default_rng(0)
    walk, noise = np.cumsum(rng.standard_normal(300)), rng.standard_normal(300)
    model = fitted(walk=walk, noise=noise)
    past = np.r_[np.zeros(59), 9.0]
    after = model.predict(inputs_of(["walk", "noise"], [past, past]))
    assert after[0, 0] > 7, "a random walk stays where it is"
    assert after[1, 0] < 3, "noise returns to its mean"
    assert not model.applies(rows_of(walk=walk), rows_of(other=walk))


def test_no_more_than_the_latest_training_rows_are_learnt_from():
    pytest.importorskip("statsforecast", reason="needs the extra: pip install -e .[statsforecast]")
    series, past = wave(300), inputs_of(["a"], [wave(60)])
    other = np.r_[1000 * np.ones(100), series[100:]]
    one, two = (fitted(season=12, most=200, a=values).predict(past) for values in (series, other))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, fitted(season=12, a=other).predict(past))


SMALL = {"max_steps": 3, "scaler_type": "standard", "windows_batch_size": 32}


def network(name="NHITS", settings=SMALL, seed=0, **series):
    pytest.importorskip("neuralforecast", reason="needs the extra: pip install -e .[neuralforecast]")
    torch.manual_seed(seed)
    model = NeuralForecast("M", name, settings, 1, 24, HORIZON)
    model.fit(
        Inputs(inputs_of([], np.empty((0, 24))).windows, None, rows_of(**series)), inputs_of([], np.empty((0, 24)))
    )
    return model


@pytest.mark.parametrize("name", ["NHITS", "PatchTST", "TSMixer"])
def test_a_network_forecasts_what_its_package_forecasts_from_the_same_past(name):
    model, past = network(name, a=wave(200, 50.0)), wave(260, 50.0)[200:224]
    from neuralforecast import NeuralForecast as Peer

    peer = Peer(models=[model._built(1, seed=0)], freq=1)
    peer.fit(rows_of(a=wave(200, 50.0).astype(np.float32)), val_size=0)
    frame = pd.DataFrame({"unique_id": "a", "ds": range(24), "y": past.astype(np.float32)})
    theirs = peer.predict(df=frame)[name].to_numpy()
    ours = model.predict(inputs_of(["a"], [past]))
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-4)
    assert np.ptp(ours) > 0


def test_another_seed_trains_another_network_and_the_same_seed_the_same():
    past = inputs_of(["a"], [wave(24)])
    one, again, other = (network(seed=seed, a=wave(100)).predict(past) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Oracle", "Oracle is no network of neuralforecast"),
        ("TimeLLM", "TimeLLM is no network"),
        ("TSMixer", "forecasts all 2 series at once"),
    ],
)
def test_a_network_that_is_none_or_sees_all_series_at_once_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        network(name, a=wave(100), b=wave(100, 9.0))
