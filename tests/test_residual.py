"""A classical model first, then a network on what it leaves unexplained."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from data.contracts import Batch
from data.datamodule import FoldData
from data.scaling import LastValue, MinMax
from models.best_weights import BestWeights
from models.model import Inputs
from runtime.build import ConfigError, build
from tests.test_classical import COMPONENTS, LIVE, LOOKBACK, parts, waves
from tests.test_forecaster import trainer
from tests.test_networks import compose_model


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def residual(*overrides):
    return build(compose_model("residual", "model.network.hidden=6", *overrides), **LIVE)


def inputs_of(windows, scaling):
    rows = pd.DataFrame({"unique_id": "a", "ds": windows.origin, "y": windows.past[:, -1].sum(axis=1)})
    return Inputs(windows, scaling.transform(windows), rows.set_index(windows.origin), scaling)


def halves(scaling, n_train=120):
    train, held_out = parts(waves(noise=0.3), n_train)
    scaling.fit(train)
    return inputs_of(train, scaling), inputs_of(held_out, scaling)


def total(model, inputs):
    return model.component.restore(model.predict(inputs), inputs.windows, inputs.scaling)


@pytest.mark.parametrize("scaling", [LastValue, MinMax])
@pytest.mark.parametrize("core", ["ridge", "svr", "har"])
def test_untrained_it_forecasts_what_its_core_does(core, scaling):
    overrides = [f"model@model.core={core}"] + (["model.core.lags=[1,5]"] if core == "har" else [])
    model, (train, held_out) = residual(*overrides), halves(scaling())
    model.before(train, held_out)
    alone = model._made_core()
    alone.fit(train, held_out)
    found = alone.predict(held_out)
    if alone.component is not None:
        found = alone.component.restore(found, held_out.windows, held_out.scaling)
    np.testing.assert_allclose(total(model, held_out), found, rtol=1e-9)


def test_the_network_learns_residuals_of_blocks_whose_core_has_not_seen_them(monkeypatch):
    model, (train, held_out) = residual("model.blocks=3"), halves(LastValue())
    fits, made = [], model._made_core

    def spied():
        core = made()
        fit = core.fit
        monkeypatch.setattr(core, "fit", lambda seen, validation: (fits.append(seen), fit(seen, validation)))
        return core

    monkeypatch.setattr(model, "_made_core", spied)
    learnt, left = model.before(train, held_out)
    assert [len(seen.windows.origin) for seen in fits] == [29, 59, 89], "a step of the horizon short of 30, 60, 90"
    assert learnt.past.shape == (90, LOOKBACK, COMPONENTS + 1)
    assert all(
        seen.rows["ds"].max() <= train.windows.origin[stop] for seen, stop in zip(fits, (30, 60, 90), strict=True)
    )
    in_sample = train.batch.target[..., -1] - model.core.predict(train)[0]
    assert np.square(learnt.target).mean() == pytest.approx(1)
    assert np.square(in_sample[30:]).mean() < float(model._size[0]) ** 2
    expected = (held_out.batch.target[..., -1] - model.core.predict(held_out)[0]) / model._size
    np.testing.assert_allclose(left.target[..., 0], expected, rtol=1e-6, atol=1e-9)


def test_the_network_sees_its_newest_steps_and_the_core_all():
    model, (train, held_out) = residual("model.sees=5"), halves(LastValue())
    learnt, left = model.before(train, held_out)
    assert (learnt.past.shape[1], left.past.shape[1]) == (5, 5)
    torch.nn.init.normal_(model.network.head.weight)
    earlier = held_out.batch.past.copy()
    earlier[:, :-5] += 1.0
    other = held_out._replace(batch=held_out.batch._replace(past=earlier))
    added = [model.predict(one)[0] - model.core.predict(one)[0] for one in (held_out, other)]
    assert np.abs(added[0]).max() > 0.01
    np.testing.assert_allclose(*added, atol=1e-9)
    assert np.abs(model.core.predict(other) - model.core.predict(held_out)).max() > 0.01


def test_what_the_core_cannot_tell_is_learnt_and_kept():
    model, (train, held_out) = residual("model@model.core=ridge", "model.core.alpha=1e9"), halves(LastValue())
    learnt, left = model.before(train, held_out)
    model.train().make_optimizer = partial(torch.optim.Adam, lr=0.01)
    before = np.abs(total(model, held_out) - held_out.windows.y).mean()
    trainer(BestWeights(None), max_epochs=8).fit(model, FoldData(learnt, left, 16, seed=0))
    after = np.abs(total(model, held_out) - held_out.windows.y).mean()
    assert after < 0.8 * before
    other = residual("model@model.core=ridge", "model.core.alpha=1e9")
    other.load_state(model.state())
    np.testing.assert_array_equal(other.predict(held_out), model.predict(held_out))
    one = held_out._replace(windows=held_out.windows.take(slice(3, 4)), batch=held_out.batch.take(slice(3, 4)))
    np.testing.assert_array_equal(model.predict(one)[:, 0], model.predict(held_out)[:, 3])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.blocks=0", "model.sees=0"], r"model\.blocks=0 must be at least 1\.  model\.sees=0 must be at least 1"),
        (["model@model.core=mlp"], "model.core=MLP is a network"),
        (["model/component=separate"], "forecasts the sum"),
    ],
)
def test_what_cannot_work_is_refused(overrides, said):
    with pytest.raises(ConfigError, match=said):
        residual(*overrides)


def test_too_few_windows_and_synthetic_ones_are_refused():
    model, (train, held_out) = residual("model.blocks=60"), halves(LastValue())
    with pytest.raises(ValueError, match=r"120 training windows for model\.blocks=60"):
        model.before(train, held_out)
    doubled = train._replace(batch=Batch(*(np.concatenate([a, a]) for a in train.batch[:2])))
    with pytest.raises(ValueError, match="set augmentation=identity"):
        residual().before(doubled, held_out)
