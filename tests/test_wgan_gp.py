"""The conditional WGAN-GP: its loss by hand, its discrepancy by a double loop, and that it learns."""

import numpy as np
import pytest
import torch
from torch import nn

import evaluation.augmentation_quality
import models.wgan_gp
from data.contracts import TooFewWindows
from models.wgan_gp import ConditionalWganGP, gradient_penalty, inverse_width

SETTINGS = {
    "noise": 8,
    "hidden": [64, 64],
    "batch_size": 64,
    "epochs": 1000,
    "max_steps": 600,
    "critic_steps": 2,
    "penalty": 10.0,
    "lr": 1e-3,
    "betas": [0.5, 0.9],
    "held_out": 0.2,
    "check_every": 50,
    "patience": 20,
}


def wgan(**settings):
    return ConditionalWganGP(**(SETTINGS | settings))


def two_clusters(n=400, seed=0):
    """Rows about (10, 0) and (30, 5), narrow in the second number; the condition tells which."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % 2
    rows = np.array([[10.0, 0.0], [30.0, 5.0]])[cluster] + rng.standard_normal((n, 2)) * [2.0, 0.5]
    return rows, np.eye(2)[cluster]


# The loss


def test_the_penalty_of_a_linear_critic_is_its_slope_less_one_squared():
    critic = nn.Linear(5, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 0.0, 4.0, 7.0, -7.0]]))  # the last two are conditions
    real, fake, conditions = torch.randn(6, 3), torch.randn(6, 3), torch.eye(2)[torch.arange(6) % 2]
    penalty = gradient_penalty(critic, real, fake, conditions, torch.rand(6, 1))
    assert penalty.item() == pytest.approx((5.0 - 1.0) ** 2)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(critic.weight.grad[0], torch.tensor([4.8, 0.0, 6.4, 0.0, 0.0]))


def test_the_penalty_is_taken_between_real_and_generated_rows():
    def square(rows):
        return rows.square().sum(dim=1, keepdim=True) / 2  # slope at x is x itself

    real, fake = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    penalty = gradient_penalty(square, real, fake, torch.empty(1, 0), torch.tensor([[0.25]]))
    assert penalty.item() == pytest.approx((np.hypot(0.75, 3.0) - 1) ** 2, rel=1e-6)


def test_the_penalty_is_that_of_the_condition_of_the_row():
    def product(rows):
        return rows[:, :1] * rows[:, 1:]  # slope along the row: the condition

    row = torch.ones(2, 1)
    penalty = gradient_penalty(product, row, row, torch.tensor([[3.0], [1.0]]), torch.rand(2, 1))
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + 0) / 2)


# The discrepancy; both packages have it, as neither imports the other


@pytest.fixture(params=[models.wgan_gp, evaluation.augmentation_quality], ids=lambda module: module.__name__)
def squared_mmd(request):
    return request.param.squared_mmd


def test_the_discrepancy_is_that_of_a_double_loop(squared_mmd):
    rng = np.random.default_rng(0)
    real, made = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 1

    def kernel(x, y):
        return np.mean([np.exp(-0.3 / width * sum((x - y) ** 2)) for width in (0.25, 1.0, 4.0)])

    def mean(a, b):
        return sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))

    by_hand = mean(real, real) + mean(made, made) - 2 * mean(real, made)
    assert squared_mmd(real, made, 0.3) == pytest.approx(by_hand, abs=1e-12)


def test_the_discrepancy_of_a_sample_and_itself_is_zero(squared_mmd):
    rows = np.random.default_rng(0).standard_normal((50, 4))
    assert squared_mmd(rows, rows[::-1], 0.5) == pytest.approx(0.0, abs=1e-12)


def test_the_discrepancy_grows_with_the_distance_of_two_samples(squared_mmd):
    rows = np.random.default_rng(0).standard_normal((100, 2))
    found = [squared_mmd(rows[:50], rows[50:] + shift, inverse_width(rows)) for shift in (0.0, 0.5, 1.0, 3.0)]
    assert found == sorted(found)
    assert found[0] < 0.05 < 0.5 < found[-1]


def test_the_kernel_is_as_wide_as_rows_lie_apart():
    assert inverse_width(np.array([[0.0], [1.0], [3.0]])) == pytest.approx(1 / 4)  # 1, 4 and 9
    assert inverse_width(np.ones((4, 2))) == 1.0


# Learning and drawing


@pytest.fixture(scope="module")
def learnt():
    return wgan().fit(*two_clusters(), seed=0)


def test_each_condition_is_learnt(learnt):
    rows, conditions = two_clusters()
    asked = np.eye(2)[[0] * 200 + [1] * 200]
    drawn = learnt.sample(asked, seed=1)
    for cluster, own in enumerate((drawn[:200], drawn[200:])):
        real = rows[conditions[:, cluster] == 1]
        assert np.all(np.abs(own.mean(axis=0) - real.mean(axis=0)) < 0.2 * np.array([20.0, 5.0]))  # how far apart
        assert np.all(own.std(axis=0) < 3 * real.std(axis=0))


def test_the_weights_kept_are_those_of_the_smallest_discrepancy_and_better_than_at_first(learnt):
    found = [check.mmd for check in learnt.history]
    assert [check.step for check in learnt.history] == list(range(50, 601, 50))
    assert min(found) < 0.1 * found[0]


def test_drawn_rows_are_less_wrong_than_noise(learnt):
    rows, conditions = two_clusters(seed=5)
    drawn = learnt.sample(conditions, seed=1)
    noise = rows.mean(axis=0) + rows.std(axis=0) * np.random.default_rng(0).standard_normal(rows.shape)
    for cluster in (0, 1):
        own = conditions[:, cluster] == 1
        gamma = inverse_width(rows)
        ours, theirs = (models.wgan_gp.squared_mmd(rows[own], made[own], gamma) for made in (drawn, noise))
        assert ours < 0.3 * theirs


def test_one_seed_gives_the_same_rows_for_any_number_of_threads_and_touches_no_other_random_number():
    rows, conditions = two_clusters(100)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    drawn = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            model = wgan(max_steps=5).fit(rows, conditions, seed=4)
            drawn.append(model.sample(conditions, seed=1))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(model.sample(conditions, seed=2), drawn[0])
    assert not np.array_equal(wgan(max_steps=5).fit(rows, conditions, seed=5).sample(conditions, seed=1), drawn[0])


def test_training_stops_when_the_discrepancy_has_not_fallen_for_long():
    rows, conditions = two_clusters(100)
    model = wgan(lr=1e-12, check_every=1, patience=3, max_steps=100).fit(rows, conditions, seed=0)
    assert len(model.history) < 60
    assert min(check.mmd for check in model.history[-3:]) >= min(check.mmd for check in model.history[:-3])


def test_an_epoch_is_a_pass_of_the_critic_over_the_rows():
    rows, conditions = two_clusters(200)  # 160 of them learnt from
    model = wgan(epochs=4, batch_size=32, critic_steps=2, max_steps=None, check_every=1).fit(rows, conditions, seed=0)
    assert model.history[-1].step == 4 * 160 // (32 * 2)


def test_a_number_that_never_moves_is_drawn_as_it_is():
    rows, conditions = two_clusters(100)
    rows[:, 1] = 0.1
    drawn = wgan(max_steps=3).fit(rows, conditions, seed=0).sample(conditions, seed=0)
    np.testing.assert_allclose(drawn[:, 1], 0.1, rtol=1e-12)


def test_rows_without_conditions_are_learnt_too():
    rows, _ = two_clusters(100)
    drawn = wgan(max_steps=3).fit(rows, np.empty((100, 0)), seed=0).sample(np.empty((7, 0)), seed=0)
    assert drawn.shape == (7, 2)


# Refusals


def test_too_few_rows_are_refused_with_a_way_out():
    with pytest.raises(TooFewWindows, match=r"7 rows were given.*at least 20.*augmentation=gaussian"):
        wgan().fit(np.zeros((7, 2)), np.ones((7, 1)), seed=0)


def test_conditions_of_a_row_each_leave_nothing_to_watch():
    with pytest.raises(TooFewWindows, match="leaves 0 to watch"):
        wgan().fit(np.random.default_rng(0).standard_normal((20, 2)), np.eye(20), seed=0)


def test_rows_that_are_not_finite_are_refused():
    rows, conditions = two_clusters(40)
    rows[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        wgan().fit(rows, conditions, seed=0)


def test_a_training_that_diverges_says_so():
    with pytest.raises(ValueError, match=r"diverged.*generator\.lr"):
        wgan(lr=1e30, check_every=5).fit(*two_clusters(100), seed=0)


def test_rows_and_conditions_must_be_as_many():
    with pytest.raises(ValueError, match=r"\(40, 2\) and conditions \(39, 2\)"):
        wgan().fit(two_clusters(40)[0], two_clusters(39)[1], seed=0)


def test_a_condition_that_was_never_seen_is_not_drawn(learnt):
    with pytest.raises(ValueError, match=r"\[1\.0, 1\.0\] was in no row"):
        learnt.sample(np.ones((3, 2)), seed=0)
    with pytest.raises(ValueError, match=r"\(3, 4\) were given"):
        learnt.sample(np.ones((3, 4)), seed=0)


def test_drawing_before_learning_is_refused():
    with pytest.raises(ValueError, match="call fit"):
        wgan().sample(np.eye(2), seed=0)


def test_all_faults_of_the_settings_are_told_at_once():
    wrong = {"noise": 0, "hidden": [], "penalty": -1.0, "lr": 0.0, "betas": [0.5], "held_out": 0.9, "max_steps": 0}
    with pytest.raises(ValueError, match="must be") as refusal:
        wgan(**wrong)
    assert all(f"generator.{name}=" in str(refusal.value) for name in wrong)


def smooth(n=300, seed=0):
    """Rows of 40 numbers that three waves make, as the steps of a window hang together."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.outer([1, 2, 3], np.linspace(0, 3, 40)))
    return 5 + rng.standard_normal((n, 3)) @ waves


def test_what_is_drawn_by_principal_components_lies_among_them():
    rows, nothing = smooth(), np.empty((300, 0))
    drawn = wgan(variance=0.999, max_steps=20).fit(rows, nothing, seed=0).sample(np.empty((50, 0)), seed=0)
    waves = np.sin(np.outer([1, 2, 3], np.linspace(0, 3, 40)))
    rest = (drawn - 5) - (drawn - 5) @ np.linalg.pinv(waves) @ waves
    assert np.abs(rest).max() < 0.05 * np.abs(drawn - 5).std() + 0.05
    plain = wgan(max_steps=20).fit(rows, nothing, seed=0).sample(np.empty((50, 0)), seed=0)
    rough = (plain - 5) - (plain - 5) @ np.linalg.pinv(waves) @ waves
    assert rough.std() > 5 * rest.std()


def test_components_times_axes_are_the_rows():
    rows = smooth()
    rows = rows - rows.mean(axis=0)
    components, axes = models.wgan_gp._principal(rows, 0.9999999)
    np.testing.assert_allclose(components @ axes, rows, atol=1e-2)
    np.testing.assert_allclose(components.std(axis=0), 1.0, rtol=0.05)
    few, _ = models.wgan_gp._principal(rows, 0.5)
    assert 1 <= few.shape[1] < components.shape[1]


@pytest.mark.parametrize("variance", [0.0, 1.1])
def test_a_share_of_the_variance_that_cannot_be_is_refused(variance):
    with pytest.raises(ValueError, match=r"generator\.variance"):
        wgan(variance=variance)
