"""The optimiser that learns its own rates, and the autoencoder that it trains."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.meta_autoencoder import AutoencoderNetwork, MetaAutoencoder
from models.meta_optimizer import MetaOptimizer, hypergradients

OPTIMIZERS = {
    "adam": partial(torch.optim.Adam, lr=3e-3),
    "momentum": partial(torch.optim.SGD, lr=0.5, momentum=0.9, dampening=0.9),
    "meta": partial(MetaOptimizer, eta=0.5, beta=0.9, alpha=0.5, eta_rate=0.05, beta_rate=0.05),
}


def meta(parameters, eta=0.1, beta=0.9, alpha=0.5, eta_rate=0.05, beta_rate=0.05):
    return MetaOptimizer(parameters, eta, beta, alpha, eta_rate, beta_rate)


def small(optimizer="meta", **settings):
    chosen = {"hidden": [32, 16], "code": 3, "epochs": 12, "rows": 400, "batch_size": 50} | settings
    return MetaAutoencoder(OPTIMIZERS[optimizer], **chosen)


@pytest.fixture(scope="module")
def rows():
    """Rows of 12 features that three numbers decide."""
    draw = np.random.default_rng(0)
    hidden = draw.standard_normal((600, 3))
    return np.tanh(hidden @ draw.standard_normal((3, 12))) + 0.05 * draw.standard_normal((600, 12))


def curved(theta):
    """A loss whose gradient is not linear."""
    return (theta[0].exp().sum() + (theta[1] ** 4).sum() + (theta[0].sum() * theta[1].sum()).sin()) / 3


def an_update(seed):
    """Parameters, velocity and gradient of an update between random points, in double precision."""
    draw = torch.Generator().manual_seed(seed)
    return ([torch.randn(size, generator=draw, dtype=torch.float64) for size in (4, 3)] for _ in range(3))


def updated(theta, velocity, gradient, eta, beta):
    after = [beta * v + (1 - beta) * g for v, g in zip(velocity, gradient, strict=True)]
    return [t - eta * v for t, v in zip(theta, after, strict=True)], after


@given(st.integers(0, 10**6), st.floats(1e-3, 1.0), st.floats(0.05, 0.99))
@settings(max_examples=25, deadline=None)
def test_hypergradients_are_those_of_autograd_through_the_update(seed, eta, beta):
    theta, velocity, gradient = an_update(seed)
    rates = [torch.tensor(rate, dtype=torch.float64, requires_grad=True) for rate in (eta, beta)]
    there, _ = updated(theta, velocity, gradient, *rates)
    expected = torch.autograd.grad(curved(there), rates)

    there, after = updated(theta, velocity, gradient, eta, beta)
    there = [t.requires_grad_() for t in there]
    change = [v - g for v, g in zip(velocity, gradient, strict=True)]
    found = hypergradients(torch.autograd.grad(curved(there), there), after, change, eta)
    np.testing.assert_allclose(found, [float(e) for e in expected], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_hypergradients_are_those_of_central_differences(seed):
    theta, velocity, gradient = an_update(seed)
    eta, beta, by = 0.05, 0.8, 1e-6

    def loss(eta, beta):
        return float(curved(updated(theta, velocity, gradient, eta, beta)[0]))

    there, after = updated(theta, velocity, gradient, eta, beta)
    there = [t.requires_grad_() for t in there]
    change = [v - g for v, g in zip(velocity, gradient, strict=True)]
    found = hypergradients(torch.autograd.grad(curved(there), there), after, change, eta)
    assert found.eta == pytest.approx((loss(eta + by, beta) - loss(eta - by, beta)) / (2 * by), rel=1e-6, abs=1e-8)
    assert found.beta == pytest.approx((loss(eta, beta + by) - loss(eta, beta - by)) / (2 * by), rel=1e-6, abs=1e-8)


def test_a_step_is_the_formula_of_the_paper():
    theta, _, _ = an_update(0)
    parameters = [nn.Parameter(t.clone()) for t in theta]
    optimizer = meta(parameters, eta=0.3, beta=0.7)
    velocity = [torch.zeros_like(t) for t in theta]
    for _ in range(4):
        optimizer.zero_grad()
        curved(parameters).backward()
        theta, velocity = updated(theta, velocity, [p.grad.clone() for p in parameters], 0.3, 0.7)
        optimizer.step()
        for parameter, expected in zip(parameters, theta, strict=True):
            torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-12)


def test_rates_move_against_their_hypergradients_and_no_further_than_they_may():
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = meta([parameter], eta=0.1, beta=0.5, alpha=0.0, eta_rate=0.2, beta_rate=0.3)
    parameter.grad = torch.tensor([1.0, 0.0], dtype=torch.float64)
    optimizer.step()
    optimizer.adapt([torch.tensor([2.0, 0.0], dtype=torch.float64)])  # the next gradient agrees: go faster
    assert optimizer.eta == pytest.approx(0.1 * np.exp(0.2))
    assert np.log(optimizer.beta / (1 - optimizer.beta)) == pytest.approx(-0.3)  # v - g = -g: less inertia
    optimizer.adapt([torch.tensor([-2.0, 0.0], dtype=torch.float64)])  # it went too far
    assert optimizer.eta == pytest.approx(0.1)
    assert optimizer.beta == pytest.approx(0.5)


def test_the_common_loss_is_the_weighted_sum_of_both():
    etas = []
    for alpha in (0.0, 1.0):
        parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = meta([parameter], alpha=alpha)
        parameter.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        optimizer.adapt([-torch.ones(1, dtype=torch.float64)])
        etas.append(optimizer.eta)
    assert etas[0] < 0.1 < etas[1]


def test_before_the_first_step_there_is_nothing_to_adapt():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = meta([parameter])
    optimizer.adapt([torch.ones(1)])
    assert (optimizer.eta, optimizer.beta) == (0.1, 0.9)


@pytest.mark.parametrize("eta", [1e-3, 0.05, 0.5])
def test_on_a_quadratic_it_converges_from_any_learning_rate(eta):
    curvature = torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64)
    parameter = nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = meta([parameter], eta=eta, eta_rate=0.1, beta_rate=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        (curvature * parameter**2).sum().backward()
        optimizer.adapt([parameter.grad.clone()])
        optimizer.step()
        assert optimizer.eta > 0
        assert 0 < optimizer.beta < 1
    assert float((curvature * parameter.detach() ** 2).sum()) < 1e-6


def test_every_setting_that_cannot_work_is_named():
    with pytest.raises(ValueError, match=r"eta=0 .*beta=1 .*alpha=2 .*beta_rate=-1"):
        MetaOptimizer([nn.Parameter(torch.zeros(1))], eta=0, beta=1, alpha=2, eta_rate=0, beta_rate=-1)
    with pytest.raises(ValueError, match=r"code=0 .*batch_size=1 .*penalty=-1"):
        MetaAutoencoder(OPTIMIZERS["adam"], code=0, batch_size=1, penalty=-1)


def test_the_network_is_mirrored_about_its_code():
    network = AutoencoderNetwork(30, [1024, 512], 8)
    widths = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
    assert widths == [(30, 1024), (1024, 512), (512, 8), (8, 512), (512, 1024), (1024, 30)]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in network.modules()) == 4
    assert sum(isinstance(m, nn.LeakyReLU) for m in network.modules()) == 4


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_numbers_tell_what_three_numbers_decide(optimizer, rows):
    autoencoder = small(optimizer, epochs=40, patience=40).fit(rows[:400], rows[400:], seed=0)
    error = np.square(autoencoder.reconstruct(rows[400:]) - rows[400:]).mean()
    assert error < 0.3 * rows[400:].var()
    assert autoencoder.encode(rows).shape == (600, 3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_seed_gives_the_same_codes_whatever_the_number_of_threads(optimizer, rows):
    before = torch.get_num_threads()
    codes = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            codes.append(small(optimizer, epochs=3, hidden=[256, 128]).fit(rows[:400], rows[400:], seed=1).encode(rows))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*codes)
    other = small(optimizer, epochs=3, hidden=[256, 128]).fit(rows[:400], rows[400:], seed=2).encode(rows)
    assert np.abs(other - codes[0]).max() > 1e-3


def test_a_fit_leaves_the_random_numbers_of_others_alone(rows):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small(epochs=1).fit(rows[:100], rows[100:200], seed=0)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_the_weights_of_the_best_epoch_stay_and_patience_ends_the_training(rows):
    draw = np.random.default_rng(1)
    noise = draw.standard_normal((400, 12))  # nothing in it carries over
    autoencoder = small("adam", epochs=60, patience=4, rows=40, batch_size=10).fit(noise[:40], noise[40:], seed=0)
    losses = [epoch["val/loss"] for epoch in autoencoder.history]
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 5
    error = np.square(autoencoder.reconstruct(noise[40:]) - noise[40:]).mean()
    assert error == pytest.approx(min(losses), rel=1e-4)


def test_the_history_tells_losses_and_rates(rows):
    history = small("meta", epochs=3).fit(rows[:400], rows[400:], seed=0).history
    assert [set(epoch) for epoch in history] == [{"epoch", "train/loss", "val/loss", "eta", "beta"}] * 3
    assert history[0]["eta"] != history[-1]["eta"]
    assert set(small("adam", epochs=1).fit(rows[:400], rows[400:], seed=0).history[0]) == {
        "epoch",
        "train/loss",
        "val/loss",
    }


def test_validation_rows_do_not_move_the_normalisation(rows):
    fits = [
        small("meta", epochs=1, rows=400).fit(rows[:400], rows[400:] + shift, seed=0).state() for shift in (0.0, 100.0)
    ]
    # The first step precedes any adaptation, so that the same rows have gone through the same first layer.
    means = [state["encoder.1.running_mean"] for state in fits]
    assert np.abs(means[0]).max() < 5
    assert np.abs(means[1]).max() < 5


def test_a_penalty_shrinks_the_weights(rows):
    sizes = [
        sum(float(np.square(w).sum()) for name, w in state.items() if name.endswith("weight"))
        for state in (
            small("adam", penalty=penalty, epochs=10, patience=10).fit(rows[:400], rows[400:], seed=0).state()
            for penalty in (0.0, 1e-2)
        )
    ]
    assert sizes[1] < 0.8 * sizes[0]


def test_weights_come_back_from_arrays(rows):
    autoencoder = small().fit(rows[:400], rows[400:], seed=0)
    state = autoencoder.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())
    again = small().load_state(state)
    np.testing.assert_array_equal(again.encode(rows), autoencoder.encode(rows))
    with pytest.raises(ValueError, match=r"hidden=\[32, 8\]"):
        small(hidden=[32, 8]).load_state(state)


def test_what_cannot_be_learned_from_is_refused(rows):
    with pytest.raises(ValueError, match="needs 2 rows to learn from and 2 for validation; there are 600 and 1"):
        small().fit(rows, rows[:1], seed=0)
    with pytest.raises(ValueError, match="Standardise its inputs"):
        small("momentum").fit(rows * 1e30, rows * 1e30, seed=0)
    with pytest.raises(ValueError, match="has learned nothing yet"):
        small().encode(rows)
