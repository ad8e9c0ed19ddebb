"""Ensembles and quantiles are networks of their own whose forecasts become one, with intervals that hold."""

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from data.contracts import Batch, Windows
from data.datamodule import FoldData
from data.scaling import Standard
from models.allocation import Branches, Ensemble, Joint, Quantiles, Separate
from models.best_weights import BestWeights
from models.forecaster import Forecaster
from models.model import Inputs
from runtime.build import build
from tests.conftest import choices
from tests.test_networks import compose_model

LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]
SCALING = Standard().fit(Windows(np.ones((2, 1, 1)), np.ones((2, 1, 1)), np.array([[5.0], [10.0]]), np.arange(2)))
SIX = ["model.network.hidden=[6]", "model.network.zero_head=false"]
NOTHING = Windows(np.empty((4, 1, 1)), np.empty((4, 2, 1)), np.empty((4, 2)), np.arange(4))

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*`LeafSpec"),
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def train(model, data, max_epochs, batch_size=50):
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=max_epochs, logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, callbacks=[BestWeights(None)],
    )  # fmt: skip
    trainer.fit(model, FoldData(data, data, batch_size, seed=0))


# What every model/component/*.yaml promises


@pytest.mark.parametrize("name", choices("model/component"))
def test_every_component_shares_windows_out_and_brings_forecasts_together(name):
    component = build(compose_model("bilstm", f"model/component={name}").component)
    k, f = component.n_networks(3), component.n_features(3)
    past, target = torch.randn(4, 6, 3), torch.randn(4, 2, 4)
    assert component.inputs(past).shape == (k, 4, 6, f)
    assert component.inputs(past.numpy()).shape == (k, 4, 6, f)
    learnt = component.targets(target)
    assert learnt.shape == (k, 4, 2)
    assert (component.losses(learnt, learnt, torch.square) == torch.zeros(k)).all()
    off = torch.zeros(k, 1, 1)
    off[-1] = 1.0  # the last network alone
    shared = isinstance(component, Branches)  # they end together, each with the gradients of its own
    assert (component.losses(learnt + off, learnt, torch.square) > 0).tolist() == [shared] * (k - 1) + [True]
    windows = NOTHING._replace(target=np.empty((4, 2, 3)))
    assert component.restore(learnt.numpy(), windows, SCALING).shape == (4, 2)
    for ends in component.intervals(learnt.numpy(), windows, SCALING).values():  # none where means are learnt
        assert [end.shape for end in ends] == [(4, 2)] * 2


def test_a_branch_sees_every_component_and_learns_its_own():
    past, target = torch.randn(4, 6, 3), torch.randn(4, 2, 4)
    branches = zip(Branches().inputs(past), Branches().targets(target), strict=True)
    for number, (seen, learnt) in enumerate(branches):
        assert torch.equal(seen, past)
        assert torch.equal(learnt, target[..., number])
    forecast = torch.randn(3, 4, 2, requires_grad=True)
    gradients = [
        torch.autograd.grad(one.losses(forecast, one.targets(target), torch.square).sum(), forecast)[0]
        for one in (Branches(), Separate())
    ]
    torch.testing.assert_close(*gradients)


# Ensemble


def test_members_see_everything_and_their_mean_is_the_forecast():
    component, past = Ensemble(3), np.random.default_rng(0).standard_normal((4, 6, 2))
    for seen in component.inputs(past):
        np.testing.assert_array_equal(seen, past)
    forecast = np.arange(24.0).reshape(3, 4, 2)
    np.testing.assert_allclose(component.restore(forecast, NOTHING, SCALING), 10 * forecast.mean(axis=0))


def test_members_differ_before_and_after_training():
    model = build(
        compose_model("bilstm", "model/component=ensemble", "model.component.n_members=3", *SIX),
        n_components=2, lookback=5, horizon=1,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    data = Batch(rng.standard_normal((60, 5, 2)), rng.standard_normal((60, 1, 2)))
    past = torch.tensor(data.past, dtype=torch.float32)
    for _ in range(2):
        forecast = model.eval()(past).detach()
        apart = (forecast[:, None] - forecast).abs().mean(dim=(2, 3))  # (K, K)
        assert (apart[~torch.eye(3, dtype=torch.bool)] > 1e-3).all()
        train(model.train(), data, max_epochs=2)


def test_an_ensemble_without_dropout_is_its_members_alone():
    """Member k takes the steps that a single network with its start would take."""
    sizes = ["model.network.hidden=[4]", "model.network.dropout=0.0", "model.network.noise=0.0"]
    live = {"n_components": 2, "lookback": 5, "horizon": 1}
    rng = np.random.default_rng(0)
    data = Batch(rng.standard_normal((60, 5, 2)), rng.standard_normal((60, 1, 2)))
    together = build(compose_model("bilstm", "model/component=ensemble", *sizes), **live)
    alone = build(compose_model("bilstm", "model/component=joint", *sizes), **live)
    alone.load_state_dict({name: p[2:3] for name, p in together.state_dict().items()})
    train(together, data, 2)
    train(alone, data, 2)
    for name, p in alone.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name][2:3], p, atol=1e-6, rtol=0)


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(ValueError, match=r"n_members=0 leaves no network"):
        Ensemble(0)


# Quantiles


@given(levels=st.sampled_from(LEVELS), draws=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_pinball_loss_is_least_at_the_quantile(levels, draws):
    sample = np.sort(np.random.default_rng(draws).gamma(2.0, size=399))  # (n - 1) q is no whole number
    component = Quantiles(LEVELS)
    k = LEVELS.index(levels)

    def loss(value):
        forecast = torch.full((5, 399, 1), float(value), dtype=torch.float64)
        target = torch.tensor(sample)[None, :, None].expand(5, -1, -1)
        return float(component.losses(forecast, target, torch.square)[k])

    best = min(sample, key=loss)
    assert np.mean(sample < best) <= levels <= np.mean(sample <= best)


class Constant(nn.Module):
    """Forecasts the same whatever it sees: what it learns is the quantile of the target."""

    def __init__(self, n_networks, n_features, lookback, horizon):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(n_networks, horizon))

    def forward(self, past):
        return self.value[:, None].expand(-1, past.shape[1], -1)


def test_intervals_cover_what_they_promise():
    y = np.random.default_rng(0).gamma(2.0, size=(2000, 1)) / 10
    data = Batch(np.zeros((2000, 1, 1)), y[:, :, None].repeat(2, axis=2))
    windows = Windows(data.past, 10 * data.target[..., :1], 10 * y, np.arange(2000))
    make = lambda parameters: torch.optim.Adam(parameters, lr=0.01)  # noqa: E731
    model = Forecaster("q", Constant, make, Quantiles(LEVELS), 1, 1, 1, decay=0.9)
    train(model, data, max_epochs=20)
    forecast = model(torch.zeros(2000, 1, 1)).detach().double().numpy()
    intervals = model.component.intervals(forecast, windows, SCALING)
    assert list(intervals) == [0.95, 0.8]
    for promised, (lower, upper) in intervals.items():
        assert np.mean((lower <= windows.y) & (windows.y <= upper)) == pytest.approx(promised, abs=0.02)
    median = model.component.restore(forecast, windows, SCALING)
    assert np.mean(windows.y < median) == pytest.approx(0.5, abs=0.03)


@given(arrays(np.float64, (5, 4, 2), elements=st.floats(-2, 2)))
@settings(max_examples=30, deadline=None)
def test_quantiles_that_cross_are_put_in_order(forecast):
    component = Quantiles(LEVELS)
    wide, narrow = component.intervals(forecast, NOTHING, SCALING).values()
    median = component.restore(forecast, NOTHING, SCALING)
    for low, high in [(wide[0], narrow[0]), (narrow[0], median), (median, narrow[1]), (narrow[1], wide[1])]:
        assert (low <= high).all()
    np.testing.assert_allclose(wide[1], 10 * forecast.max(axis=0))


def test_levels_that_make_no_interval_are_refused_with_every_reason():
    with pytest.raises(ValueError, match=r"levels=\[0\.9, 0\.2\] must ascend, must contain 0\.5.*must be symmetric"):
        Quantiles([0.9, 0.2])
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        Quantiles([0.0, 0.5, 1.0])


def test_a_model_that_learns_means_is_refused_quantiles():
    model = build(compose_model("ridge", "model/component=quantiles"), n_components=1, lookback=1, horizon=1)
    with pytest.raises(ValueError, match="quantiles needs a network"):
        model.fit(*[Inputs(NOTHING, Batch(np.zeros((3, 1, 1)), np.zeros((3, 1, 2))), pd.DataFrame())] * 2)


def test_one_network_for_all_is_an_ensemble_of_one():
    past, target = np.random.default_rng(0).standard_normal((2, 4, 3, 2))
    np.testing.assert_array_equal(Joint().inputs(past), Ensemble(1).inputs(past))
    np.testing.assert_array_equal(Joint().targets(target), Ensemble(1).targets(target))
