"""What every network promises, and that its layers compute what those of torch.nn compute."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, ListConfig
from torch import nn

from models.attention import MapAttention
from models.cnn_lstm_attention import CNNLSTMAttention
from models.forecaster import Forecaster
from models.layers import LSTM, Conv1d, Linear, MaxPool, tanh
from models.mlp import MLP
from runtime.build import build

CONF = Path(__file__).parents[1] / "conf"
WINDOWS, COMPONENTS = 4, 3


@cache
def composed(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(f"model/{name}", overrides=["+season=null", *overrides]).model  # a setting of the run


def compose_model(name, *overrides):
    """Return the settings of a model, to change at will."""
    return composed(name, *overrides).copy()


NETWORKS = [
    path.stem
    for path in sorted((CONF / "model").glob("*.yaml"))
    if compose_model(path.stem)._target_ == "models.forecaster.Forecaster"
]


@pytest.fixture(params=NETWORKS)
def name(request):
    torch.manual_seed(0)
    return request.param


@pytest.fixture(params=["separate", "joint"])
def model(request, name):
    return make(name, request.param, lookback=12, hidden=8)


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small gain nothing from more, and wait for them on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(name, component="separate", n_components=COMPONENTS, lookback=31, horizon=2, hidden=None, **settings):
    """Build a network that is not training; ``hidden`` is the width of its layers, None that of its file."""
    node = compose_model(name, f"model/component={component}")
    if hidden is not None and "hidden" in node.network:
        layered = isinstance(node.network.hidden, ListConfig)  # a width for each of them
        node.network.hidden = [hidden] * len(node.network.hidden) if layered else hidden
    if "zero_head" in node.network:  # or every forecast is zero
        node.network.zero_head = False
    node.network.update(settings)
    return build(node, n_components=n_components, lookback=lookback, horizon=horizon).eval()  # without dropout


def windows(lookback=31, n_components=COMPONENTS):
    return torch.randn(WINDOWS, lookback, n_components)


# What every model/*.yaml with a network promises


@pytest.mark.parametrize(("n_components", "lookback", "horizon"), [(1, 30, 1), (3, 31, 2), (10, 7, 5)])
@pytest.mark.parametrize("component", ["separate", "joint"])
def test_every_network_forecasts_every_step_of_the_horizon(name, component, n_components, lookback, horizon):
    forecast = make(name, component, n_components, lookback, horizon)(windows(lookback, n_components))
    assert forecast.shape == (n_components if component == "separate" else 1, WINDOWS, horizon)


def test_one_window_does_not_see_another(model):
    past = windows(12)
    before = model(past)
    past[1:] += 1
    torch.testing.assert_close(model(past)[:, 0], before[:, 0], atol=1e-6, rtol=0)
    torch.testing.assert_close(model(past[:1])[:, 0], before[:, 0], atol=1e-6, rtol=0)


def test_one_network_does_not_see_the_component_of_another(name):
    model, past = make(name, hidden=8), windows()
    before = model(past)
    past[..., 0] += 1
    after = model(past)
    assert not torch.allclose(after[0], before[0])
    torch.testing.assert_close(after[1:], before[1:], atol=1e-6, rtol=0)


def test_one_network_for_all_sees_every_component(name):
    model, past = make(name, "joint", hidden=8), windows().requires_grad_()
    model(past).sum().backward()
    assert past.grad.abs().sum(dim=(0, 1)).all()


def test_every_parameter_learns(model):
    model(windows(12)).square().sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.flatten(1).any(1).all()]
    assert not idle


def test_every_parameter_has_one_slice_a_network(model):
    n_networks = model.component.n_networks(COMPONENTS)
    assert {len(p) for p in model.parameters()} == {n_networks}


def steps_to_memorise(model, lookback, most):
    """Return after how many steps a twentieth of the spread of four targets is left as error."""
    past = windows(lookback)
    target = torch.randn(len(model(past)), WINDOWS, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(most):
        optimizer.zero_grad()
        loss = (model(past) - target).square().mean()
        if loss < 0.05 * target.square().mean():
            return step
        loss.backward()
        optimizer.step()
    return most


@pytest.mark.parametrize("component", ["separate", "joint"])
def test_a_handful_of_windows_can_be_memorised(name, component):
    # Of 20 seeds, the slowest of all these networks took 59 steps.
    assert steps_to_memorise(make(name, component, lookback=8, hidden=32), 8, most=250) < 250


def test_same_seed_gives_the_same_forecast(name):
    past = windows()
    torch.manual_seed(1)
    once = make(name, hidden=8)(past)
    torch.manual_seed(1)
    torch.testing.assert_close(make(name, hidden=8)(past), once, atol=0, rtol=0)


def test_paper_sizes_are_the_defaults():
    network = make("cnn_lstm_attention", n_components=1, lookback=30, horizon=1).network
    assert network.conv.weight.shape == (1, 32, 1, 3)
    assert network.lstm.n_layers == 2
    assert network.lstm.weight_hh_l1.shape == (1, 4 * 64, 64)
    for name in ("cnn_lstm", "lstm"):
        assert make(name).network.lstm.weight_hh_l1.shape[1:] == (4 * 128, 128)


@pytest.mark.parametrize("name", ["cnn_lstm_attention", "cnn_lstm"])
def test_a_lookback_that_pooling_swallows_is_refused(name):
    assert make(name, lookback=4)(windows(4)).shape == (COMPONENTS, WINDOWS, 2)
    with pytest.raises(Exception, match=r"lookback=3 leaves nothing .* at least 4"):
        make(name, lookback=3)


def test_dlinear_is_a_linear_map_of_the_moving_average_and_one_of_what_it_leaves():
    network = make("dlinear", "joint", 1, lookback=9, horizon=2, width=5).network.double()
    past = torch.randn(1, 4, 9, 1, dtype=torch.float64)
    padded = np.pad(past[0, :, :, 0].numpy(), ((0, 0), (2, 2)), mode="edge")
    trend = torch.from_numpy(np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1).mean(axis=2))  # (B, L)
    of_trend, of_remainder = network.head.weight[0].split(9, dim=1)  # (H, L) each
    wanted = (trend @ of_trend.T + (past[0, :, :, 0] - trend) @ of_remainder.T + network.head.bias[0])[None]
    torch.testing.assert_close(network(past), wanted, atol=1e-12, rtol=0)


def test_dlinear_without_a_middle_of_its_moving_average_is_refused():
    with pytest.raises(Exception, match=r"width=4 must be an odd number of steps"):
        make("dlinear", width=4)


def test_dlinear_forecasts_zero_before_it_is_trained_where_its_head_starts_at_zero():
    assert not make("dlinear", zero_head=True)(windows()).any()
    assert make("dlinear")(windows()).all()


# Layers against torch.nn, network by network, in double precision


@pytest.fixture
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def slices_into(stacked, modules):
    """Give module k the parameters of network k, by their names."""
    for k, module in enumerate(modules):
        module.load_state_dict({name: p[k] for name, p in stacked.state_dict().items()}, strict=True)


def assert_same_outputs_and_gradients(stacked, inputs, modules, alone):
    """``alone(module, inputs[k])`` is what network k must compute."""
    slices_into(stacked, modules)
    inputs.requires_grad_()
    outputs = stacked(inputs)
    expected = torch.stack([alone(module, inputs[k]) for k, module in enumerate(modules)])
    torch.testing.assert_close(outputs, expected, atol=1e-12, rtol=0)

    pull = torch.randn_like(outputs)
    names = [name for name, _ in stacked.named_parameters()]
    *found, d_inputs = torch.autograd.grad(outputs, [*stacked.parameters(), inputs], pull)
    (wanted,) = torch.autograd.grad(expected, [inputs], pull, retain_graph=True)
    torch.testing.assert_close(d_inputs, wanted, atol=1e-12, rtol=0)
    for name, gradient in zip(names, found, strict=True):
        wanted = torch.autograd.grad(expected, [m.get_parameter(name) for m in modules], pull, retain_graph=True)
        torch.testing.assert_close(gradient, torch.stack(wanted), atol=1e-11, rtol=0, msg=name)


@pytest.mark.parametrize(("n_inputs", "hidden", "n_layers", "n_steps"), [(1, 5, 2, 7), (6, 4, 1, 3), (3, 3, 3, 1)])
@pytest.mark.usefixtures("double")
def test_lstm_is_that_of_torch(n_inputs, hidden, n_layers, n_steps):
    alone = [nn.LSTM(n_inputs, hidden, n_layers, batch_first=True) for _ in range(3)]
    inputs = torch.randn(3, 5, n_steps, n_inputs)
    lstm = LSTM(3, n_inputs, hidden, n_layers)
    for batched in (True, False):
        lstm.batched = batched
        assert_same_outputs_and_gradients(lstm, inputs, alone, lambda m, x: m(x)[0])


@pytest.mark.parametrize(("n_networks", "hidden", "batched"), [(1, 16, False), (10, 16, True), (10, 17, False)])
def test_many_small_networks_take_their_steps_together(n_networks, hidden, batched):
    assert LSTM(n_networks, 1, hidden, 1).batched == batched


@pytest.mark.usefixtures("double")
def test_lstm_gradient_is_the_slope_of_its_output():
    lstm = LSTM(2, 3, 4, 2)
    lstm.batched = True  # the gradient of the other way is torch's own
    parameters = [p.detach().requires_grad_() for p in lstm.parameters()]
    names = [name for name, _ in lstm.named_parameters()]

    def run(inputs, *values):
        return torch.func.functional_call(lstm, dict(zip(names, values, strict=True)), inputs)

    inputs = torch.randn(2, 3, 4, 3, requires_grad=True)
    assert torch.autograd.gradcheck(run, (inputs, *parameters))


@pytest.mark.usefixtures("double")
def test_lstm_survives_large_inputs():
    lstm = LSTM(1, 1, 4, 2)
    for batched in (True, False):
        lstm.batched = batched
        states = lstm(torch.full((1, 1, 3, 1), 1e6))
        states.sum().backward()
        assert states.isfinite().all()
        assert all(p.grad.isfinite().all() for p in lstm.parameters())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.usefixtures("double")
def test_linear_is_that_of_torch(bias):
    alone = [nn.Linear(4, 6, bias=bias) for _ in range(3)]
    for shape in [(3, 5, 4), (3, 5, 7, 4)]:
        assert_same_outputs_and_gradients(Linear(3, 4, 6, bias), torch.randn(shape), alone, lambda m, x: m(x))


@pytest.mark.parametrize(("n_features", "kernel"), [(1, 3), (4, 3), (2, 1), (2, 4)])
@pytest.mark.usefixtures("double")
def test_convolution_is_that_of_torch(n_features, kernel):
    alone = [nn.Conv1d(n_features, 6, kernel) for _ in range(3)]
    assert_same_outputs_and_gradients(
        Conv1d(3, n_features, 6, kernel), torch.randn(3, 5, 9, n_features), alone, lambda m, x: m(x.mT).mT
    )


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.usefixtures("double")
def test_pooling_is_that_of_torch(size):
    assert_same_outputs_and_gradients(
        MaxPool(size), torch.randn(3, 5, 12, 4), [nn.MaxPool1d(size)] * 3, lambda m, x: m(x.mT).mT
    )


def test_pooling_leaves_out_the_oldest_steps():
    steps = torch.arange(7.0).view(1, 1, 7, 1)
    assert MaxPool(3)(steps).flatten().tolist() == [3, 6]


def test_tanh_is_that_of_torch():
    inputs = torch.linspace(-20, 20, 1001, dtype=torch.float64)
    torch.testing.assert_close(tanh(inputs), inputs.tanh(), atol=1e-15, rtol=0)


@pytest.mark.parametrize(
    ("stacked", "alone"),
    [
        (lambda: Linear(200, 30, 40), lambda: nn.Linear(30, 40)),
        (lambda: Conv1d(200, 3, 40, 3), lambda: nn.Conv1d(3, 40, 3)),
        (lambda: LSTM(200, 3, 20, 2), lambda: nn.LSTM(3, 20, 2)),
    ],
)
def test_parameters_start_as_those_of_torch_do(stacked, alone):
    torch.manual_seed(0)
    ours, theirs = stacked().state_dict(), [alone().state_dict() for _ in range(20)]
    for name, values in ours.items():
        bound = max(module[name].abs().max() for module in theirs)
        assert values.abs().max() == pytest.approx(float(bound), rel=0.02), name
        assert values.std() == pytest.approx(float(values.abs().max()) / 3**0.5, rel=0.05), name
        assert not torch.equal(values[0], values[1]), name


# Attention, as the paper's equations read


@pytest.mark.usefixtures("double")
def test_attention_weights_sum_to_one_over_time_and_channels():
    weights = MapAttention(3, 6).weights(torch.randn(3, 5, 14, 6))
    assert weights.shape == (3, 5, 14, 6)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=(2, 3)), torch.ones(3, 5))


@pytest.mark.usefixtures("double")
def test_the_weights_of_a_map_lie_on_the_steps_that_its_states_are_made_of():
    network = CNNLSTMAttention(2, 3, lookback=12, horizon=1, channels=4, kernel=3, pool=2, hidden=5, n_layers=1)
    found = network.step_weights(torch.randn(2, 6, 12, 3))["map"]
    assert found.shape == (2, 6, 12)
    torch.testing.assert_close(found.sum(dim=2), torch.ones(2, 6))
    with torch.no_grad():
        network.attention.score[:] = 0.0  # even weights: a fifth for each of five states, of four steps each
    even = network.step_weights(torch.randn(2, 6, 12, 3))["map"][0, 0]
    torch.testing.assert_close(even * 20, torch.tensor([1.0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]))
    late = network.step_weights(torch.randn(2, 6, 13, 3))["map"][0, 0]  # pooling leaves the oldest step out
    torch.testing.assert_close(late * 20, torch.tensor([0.0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]))


@pytest.mark.usefixtures("double")
def test_even_attention_leaves_the_states_as_they_are():
    attention = MapAttention(2, 3)
    nn.init.zeros_(attention.score)
    states = torch.randn(2, 5, 4, 3)
    torch.testing.assert_close(attention(states), states)


@pytest.mark.usefixtures("double")
def test_attention_is_what_its_equations_say():
    attention = MapAttention(2, 3)
    states = torch.randn(2, 1, 4, 3)
    w_q, w_k, v = attention.query.weight[1], attention.key.weight[1], attention.score[1]
    h = states[1, 0]  # (T, D)
    scores = torch.stack([v * torch.tanh(w_q @ h[-1] + w_k @ h[t]) for t in range(4)])
    expected = scores.exp() / scores.exp().sum() * h * 4 * 3
    torch.testing.assert_close(attention(states)[1, 0], expected)


def test_networks_that_read_the_past_differ_where_the_past_does():
    network = CNNLSTMAttention(1, 1, 8, 1, channels=4, kernel=3, pool=2, hidden=4, n_layers=1)
    past = torch.zeros(1, 1, 8, 1)
    for step in range(8):
        other = past.clone()
        other[0, 0, step] = 3.0
        assert not torch.equal(network(other), network(past)), step


def test_a_network_without_hidden_layers_is_a_line():
    network = MLP(2, 1, 5, 1, hidden=4, n_layers=0)
    past = torch.randn(2, 3, 5, 1)
    torch.testing.assert_close(network(2 * past) - network(past), network(past) - network(0 * past))


def test_networks_are_forecasters():
    assert {"cnn_lstm_attention", "cnn_lstm", "lstm", "mlp", "bilstm", "bilstm_hybrid"} <= set(NETWORKS)
    assert Forecaster.needs.gradients


def test_a_network_of_the_newest_steps_sees_no_others():
    past = torch.randn(1, 4, 15, 3)
    other = past.clone()
    other[:, :, :-2] += 1.0
    network = MLP(n_networks=1, n_features=3, lookback=15, horizon=1, hidden=8, n_layers=1, newest=2)
    assert torch.equal(network(past), network(other))
    other[:, :, -2] += 1.0
    assert not torch.equal(network(past), network(other))
    with pytest.raises(ValueError, match=r"model\.network\.newest=16"):
        MLP(n_networks=1, n_features=3, lookback=15, horizon=1, hidden=8, n_layers=1, newest=16)
