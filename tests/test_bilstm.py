"""Bidirectional layers and the two attentions compute what they say, and their weights can be read."""

import pytest
import torch
from torch import nn

from models.attention import AdaptiveAttention, HierarchicalAttention
from models.bilstm import BiLSTMForecast, BiLSTMStates
from models.bilstm_attention import BiLSTMAttention
from models.layers import BiLSTM, NonNegativeLinear
from runtime.build import ConfigError, build
from tests.test_networks import assert_same_outputs_and_gradients, compose_model

LIFE = {"n_components": 11, "lookback": 15, "horizon": 1}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def life(name, *overrides):
    return build(compose_model(name, "model.network.zero_head=false", *overrides), **LIFE)


@pytest.mark.parametrize(("n_inputs", "hidden", "n_steps"), [(1, 5, 7), (6, 4, 3), (3, 1, 1), (1, 1, 4)])
@pytest.mark.usefixtures("double")
def test_a_bidirectional_layer_is_that_of_torch(n_inputs, hidden, n_steps):
    alone = [nn.LSTM(n_inputs, hidden, bidirectional=True, batch_first=True) for _ in range(3)]
    inputs = torch.randn(3, 5, n_steps, n_inputs)
    assert_same_outputs_and_gradients(BiLSTM(3, n_inputs, hidden), inputs, alone, lambda m, x: m(x)[0])


def test_a_bidirectional_layer_is_that_of_torch_in_single_precision():
    layer, alone = BiLSTM(2, 30, 64), nn.LSTM(30, 64, bidirectional=True, batch_first=True)
    alone.load_state_dict({name: p[1] for name, p in layer.state_dict().items()}, strict=True)
    past = torch.randn(2, 64, 15, 30)
    torch.testing.assert_close(layer(past)[1], alone(past[1])[0], atol=1e-6, rtol=0)


def test_a_bidirectional_layer_starts_as_that_of_torch_does():
    ours, theirs = BiLSTM(50, 3, 20).state_dict(), nn.LSTM(3, 20, bidirectional=True).state_dict()
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert values.abs().max() == pytest.approx(20**-0.5, rel=0.02), name
        assert not torch.equal(values[0], values[1]), name


@pytest.mark.usefixtures("double")
def test_the_forecast_is_read_where_each_direction_has_seen_everything():
    network = BiLSTMForecast(1, 3, 15, 1, hidden=[5, 4], dropout=0.1, head="linear").eval()
    layers = [nn.LSTM(3, 5, bidirectional=True, batch_first=True), nn.LSTM(10, 4, bidirectional=True, batch_first=True)]
    for alone, ours in zip(layers, network.states.layers, strict=True):
        alone.load_state_dict({name: p[0] for name, p in ours.state_dict().items()})
    past = torch.randn(6, 15, 3)
    _, (last, _) = layers[1](layers[0](past)[0])  # (2, B, D): forward, backward
    expected = torch.cat([last[0], last[1]], dim=1) @ network.head.weight[0].T + network.head.bias[0]
    torch.testing.assert_close(network(past[None])[0], expected)


def test_dropout_leaves_out_states_of_training_only_and_of_each_network_its_own():
    states = BiLSTMStates(2, 3, [8, 6], 0.5)
    past = torch.randn(1, 4, 15, 3).expand(2, -1, -1, -1)
    zero = states(past) == 0
    assert 0.4 < zero.float().mean() < 0.6
    assert not torch.equal(zero[0], zero[1])
    assert (states.eval()(past) != 0).all()


def test_paper_sizes_are_the_defaults():
    network = life("bilstm_hybrid").network
    assert [layer.hidden for layer in network.states.layers] == [64, 32]
    assert network.states.dropout.p == 0.1
    assert list(network.contexts) == ["adaptive", "hierarchical"]
    assert network.head.weight.shape == (3, 1, 2 * 64)


# Attention


@pytest.mark.usefixtures("double")
def test_adaptive_attention_is_what_its_equations_say():
    attention = AdaptiveAttention(2, 5, 3)
    h = torch.randn(2, 1, 5, 3)
    w, b, v = attention.dense.weight[1], attention.dense.bias[1], attention.score[1]
    scores = torch.stack([v @ torch.tanh(w @ h[1, 0, t] + b) for t in range(5)])
    alpha = scores.exp() / scores.exp().sum()
    torch.testing.assert_close(attention.weights(h)[1, 0], alpha)
    torch.testing.assert_close(attention(h)[1, 0], sum(a * step for a, step in zip(alpha, h[1, 0], strict=True)))


@pytest.mark.usefixtures("double")
def test_hierarchical_attention_is_what_its_equations_say():
    attention = HierarchicalAttention(2, 7, 3, segment=3)
    h = torch.randn(2, 1, 7, 3)
    w, b, v = attention.dense.weight[1], attention.dense.bias[1], attention.score[1]
    summaries, shares = [], []
    for steps in ([0], [1, 2, 3], [4, 5, 6]):  # the oldest is shorter
        scores = torch.stack([v * torch.tanh(w @ h[1, 0, t] + b) for t in steps])  # (P, D)
        shares.append(scores.exp() / scores.exp().sum(dim=0))
        summaries.append((shares[-1] * h[1, 0, steps]).sum(dim=0))
    between = attention.between
    of_segments = between.weights(torch.stack(summaries).expand(2, 1, 3, 3))[1, 0]
    expected = sum(weight * summary for weight, summary in zip(of_segments, summaries, strict=True))
    torch.testing.assert_close(attention(h)[1, 0], expected)
    steps = torch.cat([weight * share.mean(dim=1) for weight, share in zip(of_segments, shares, strict=True)])
    torch.testing.assert_close(attention.weights(h)[1, 0], steps)


@pytest.mark.parametrize("n_steps", [6, 7, 15])
@pytest.mark.parametrize("make", [AdaptiveAttention, lambda k, t, d: HierarchicalAttention(k, t, d, 5)])
def test_attention_weights_sum_to_one_over_the_steps(make, n_steps):
    weights = make(3, n_steps, 4).weights(torch.randn(3, 2, n_steps, 4))
    assert weights.shape == (3, 2, n_steps)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 2))


@pytest.mark.parametrize("segment", [1, 15, 20])
def test_segments_that_leave_nothing_to_choose_from_are_refused(segment):
    with pytest.raises(ConfigError, match=rf"segment={segment} .* less than lookback=15"):
        life("bilstm_hybrid", f"model.network.contexts.hierarchical.segment={segment}")


@pytest.mark.parametrize(
    ("name", "contexts"),
    [
        ("bilstm_adaptive", ["adaptive"]),
        ("bilstm_hierarchical", ["hierarchical"]),
        ("bilstm_hybrid", ["adaptive", "hierarchical"]),
    ],
)
def test_attention_can_be_read_from_the_network(name, contexts):
    network = life(name, "model/component=ensemble", "model.component.n_members=5").network.eval()
    weights = network.step_weights(torch.randn(1, 4, 15, 11).expand(5, -1, -1, -1))
    assert list(weights) == contexts
    for found in weights.values():
        assert found.shape == (5, 4, 15)
        torch.testing.assert_close(found.sum(dim=2), torch.ones(5, 4))


@pytest.mark.usefixtures("double")
def test_contexts_stand_side_by_side_with_a_residual():
    contexts = {"a": AdaptiveAttention, "b": AdaptiveAttention}
    network = BiLSTMAttention(1, 3, 15, 1, [4], 0.0, contexts, "linear")
    past = torch.randn(1, 6, 15, 3)
    states = network.states(past)
    c = torch.cat([network.contexts["a"](states), network.contexts["b"](states)], dim=2)[0]
    c = c + torch.relu(c @ network.dense.weight[0].T + network.dense.bias[0])
    torch.testing.assert_close(network(past)[0], c @ network.head.weight[0].T + network.head.bias[0])


def test_a_network_without_attention_or_layers_or_with_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="contexts is empty"):
        BiLSTMAttention(1, 3, 15, 1, [4], 0.0, {}, "linear")
    with pytest.raises(ValueError, match="hidden is empty"):
        BiLSTMStates(1, 3, [], 0.0)
    with pytest.raises(ConfigError, match=r"model\.network\.head=relu is not known; it is one of linear, nonnegative"):
        life("bilstm", "model.network.head=relu")


# Head


@pytest.mark.parametrize("name", ["bilstm", "bilstm_hybrid"])
def test_a_nonnegative_head_never_forecasts_below_zero_and_still_learns(name):
    model = life(name, "model.network.head=nonnegative").eval()
    nn.init.constant_(model.network.head.bias, -0.3)
    forecast = model(torch.randn(8, 15, 11))
    assert (forecast >= 0).all()
    assert forecast.max() < 0.1
    forecast.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_nonnegative_head_is_linear_well_above_zero():
    head = NonNegativeLinear(1, 1, 1)
    nn.init.constant_(head.weight, 1.0)
    nn.init.zeros_(head.bias)
    values = torch.tensor([-2.0, 0.0, 0.5, 1.0])
    wanted = torch.tensor([0.0, 0.0693, 0.5007, 1.0])
    torch.testing.assert_close(head(values.view(1, -1, 1)).flatten(), wanted, atol=1e-4, rtol=0)


def test_noise_shifts_a_feature_of_a_window_at_all_its_steps_and_in_training_only():
    network = BiLSTMForecast(1, 3, 15, 1, [4], 0.0, "linear", noise=1.0)
    seen = []
    network.states.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    past = torch.randn(1, 6, 15, 3)
    network.train()(past)
    network.eval()(past)
    moved = seen[0] - past
    torch.testing.assert_close(moved, moved[:, :, :1].expand_as(moved))
    assert moved[:, :, 0].std() > 0.3
    assert (moved[0, 0, 0] != moved[0, 1, 0]).all()
    torch.testing.assert_close(seen[1], past, rtol=0, atol=0)
