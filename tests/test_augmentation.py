"""What every augmentation promises, what each makes of windows, and how synthetic windows are judged."""

import json

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from data.augmentation import conditions_of
from data.augmentation.auto import Auto
from data.augmentation.gaussian import ConditionalGaussian
from data.augmentation.jitter import Jitter
from data.augmentation.mixup import Mixup
from data.augmentation.synthetic import SyntheticWindows
from data.contracts import Batch, TooFewWindows
from evaluation.augmentation_quality import augmentation_quality
from runtime.build import build, check
from runtime.command_line import CONF
from tests.conftest import choices

LOOKBACK, CHANNELS, CLUSTERS = 6, 4, 3


def windows(n=120, n_conditions=CLUSTERS, targets=2, horizon=1, seed=0):
    """Windows about the number of their cluster, which is also their target; the first one changes its cluster."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % max(n_conditions, 1)
    past = cluster[:, None, None] + 0.1 * rng.standard_normal((n, LOOKBACK, CHANNELS))
    flags = np.broadcast_to(
        np.eye(n_conditions)[cluster, None] if n_conditions else np.empty((n, 1, 0)), (n, LOOKBACK, n_conditions)
    ).copy()
    if n_conditions > 1:
        flags[0, 0] = flags[1, 0]
    target = np.tile(past[:, -1:, :1], (1, horizon, targets))
    return Batch(np.concatenate([past, flags], axis=2), target)


def compose_augmentation(name):
    """Return the configuration of a choice, its network cut down to a few steps."""
    with initialize_config_dir(CONF, version_base="1.3"):
        node = compose(f"augmentation/{name}").augmentation
    for owner in (node, node.get("inner") or {}):
        if "max_steps" in owner.get("generator", {}):
            owner.generator.max_steps = 3
    return node


@pytest.fixture(params=choices("augmentation"))
def augmentation(request):
    return build(compose_augmentation(request.param))


@pytest.fixture(params=[(CLUSTERS, 2, 1), (0, 5, 3)], ids=["cells", "series"])
def job(request):
    """Windows of cells (clusters, target twice), and of a series (no clusters, components and their sum)."""
    n_conditions, targets, horizon = request.param
    return windows(n_conditions=n_conditions, targets=targets, horizon=horizon), n_conditions


# What every conf/augmentation/*.yaml promises


@pytest.mark.parametrize("name", choices("augmentation"))
def test_every_configuration_is_sound(name):
    with initialize_config_dir(CONF, version_base="1.3"):
        check(compose(f"augmentation/{name}"), {})


def test_synthetic_windows_have_the_shape_of_real_ones_and_are_finite(augmentation, job):
    train, n_conditions = job
    extra = augmentation.samples(train, n_conditions, 0)
    assert len(extra.past) == len(extra.target)
    for made, real in zip(extra[:2], train[:2], strict=True):
        assert made.shape[1:] == real.shape[1:]
        assert made.dtype == real.dtype
        assert np.isfinite(made).all()


def test_real_windows_are_untouched(augmentation, job):
    train, n_conditions = job
    before = Batch(train.past.copy(), train.target.copy())
    extra = augmentation.samples(train, n_conditions, 0)
    extra.past[...] = 99.0  # nor do synthetic ones share their memory
    extra.target[...] = 99.0
    np.testing.assert_array_equal(train.past, before.past)
    np.testing.assert_array_equal(train.target, before.target)


def test_same_seed_gives_the_same_windows(augmentation, job):
    train, n_conditions = job
    once, again = (augmentation.samples(train, n_conditions, 7) for _ in range(2))
    np.testing.assert_array_equal(once.past, again.past)
    np.testing.assert_array_equal(once.target, again.target)
    other = augmentation.samples(train, n_conditions, 8)
    assert len(other.past) == 0 or not np.array_equal(once.past, other.past)


def test_every_step_is_of_one_cluster_and_only_of_clusters_that_are_there(augmentation):
    train = windows()
    there = conditions_of(train.past, CLUSTERS) != 1
    extra = augmentation.samples(Batch(train.past[there], train.target[there]), CLUSTERS, 0)
    assert set(conditions_of(extra.past, CLUSTERS).tolist()) <= {0, 2}


@pytest.mark.parametrize("n", [1, 3, 10, 24])
def test_few_windows_give_windows_or_are_refused_by_name(augmentation, n):
    few = windows().take(slice(n))
    try:
        extra = augmentation.samples(few, CLUSTERS, 0)
    except TooFewWindows as refusal:
        assert f"{n} rows" in str(refusal)  # noqa: PT017
        assert "augmentation=" in str(refusal)  # noqa: PT017
    else:
        assert np.isfinite(extra.past).all()
        assert extra.past.shape[1:] == few.past.shape[1:]


# Each of them


def test_jitter_moves_a_share_of_the_windows_by_its_noise_and_nothing_else():
    train = windows(400)
    extra = Jitter(std=0.01, share=0.25).samples(train, CLUSTERS, 0)
    assert len(extra.past) == 100
    nearest = [np.abs(train.past - made).max(axis=(1, 2)).argmin() for made in extra.past]
    assert len(set(nearest)) == 100  # each window at most once
    noise = extra.past - train.past[nearest]
    assert noise[:, :, :CHANNELS].std() == pytest.approx(0.01, rel=0.05)
    np.testing.assert_array_equal(noise[:, :, CHANNELS:], 0.0)
    np.testing.assert_array_equal(extra.target, train.target[nearest])


@settings(max_examples=25, deadline=None)
@given(alpha=st.floats(0.05, 5), share=st.floats(0.1, 1), seed=st.integers(0, 2**32 - 1))
def test_a_mixture_lies_between_windows_of_one_cluster_and_so_does_its_target(alpha, share, seed):
    train = windows(60)
    extra = Mixup(alpha, share).samples(train, CLUSTERS, seed)
    assert len(extra.past) == round(share * 60)
    real, made = conditions_of(train.past, CLUSTERS), conditions_of(extra.past, CLUSTERS)
    for cluster in np.unique(made):
        for mixed, whole in zip(extra[:2], train[:2], strict=True):
            own = whole[real == cluster]
            assert (mixed[made == cluster] >= own.min(axis=0) - 1e-12).all()
            assert (mixed[made == cluster] <= own.max(axis=0) + 1e-12).all()
    # the target is the first channel of the newest step, and must remain so
    np.testing.assert_allclose(extra.target[:, 0, 0], extra.past[:, -1, 0], atol=1e-12)


class Recorder:
    """A generator that keeps what it was given and draws counting numbers."""

    def fit(self, rows, conditions, seed):
        self.rows, self.conditions = rows, conditions
        return self

    def sample(self, conditions, seed):
        self.asked = conditions
        width = self.rows.shape[1]
        return np.arange(len(conditions) * width, dtype=np.float64).reshape(-1, width)


def test_a_generator_of_windows_sees_windows_without_clusters_and_the_target_beside():
    train, recorder = windows(), Recorder()
    extra = SyntheticWindows(recorder, 5, "joint", "window").samples(train, CLUSTERS, 0)
    np.testing.assert_array_equal(
        recorder.rows, np.hstack([train.past[:, :, :CHANNELS].reshape(120, -1), train.target.reshape(120, -1)])
    )
    np.testing.assert_array_equal(recorder.conditions, train.past[:, -1, CHANNELS:])
    np.testing.assert_array_equal(recorder.asked, np.repeat(np.eye(3), 5, axis=0))
    drawn = recorder.sample(recorder.asked, 0)
    np.testing.assert_array_equal(extra.past[:, :, :CHANNELS].reshape(15, -1), drawn[:, :-2])
    np.testing.assert_array_equal(extra.past[7, :, CHANNELS:], np.tile([0.0, 1.0, 0.0], (LOOKBACK, 1)))


def test_a_drawn_target_is_cut_off_where_no_training_target_ever_was():
    train = windows()
    extra = SyntheticWindows(Recorder(), 5, "joint", "window").samples(train, CLUSTERS, 0)
    assert extra.target.max() == train.target.max()


def test_median_labels_are_the_median_of_the_cluster():
    train = windows()
    extra = SyntheticWindows(Recorder(), 5, "median", "window").samples(train, CLUSTERS, 0)
    cluster = conditions_of(train.past, CLUSTERS)
    for k in range(CLUSTERS):
        median = np.median(train.target[cluster == k], axis=0)
        np.testing.assert_array_equal(extra.target[5 * k : 5 * (k + 1)], np.tile(median, (5, 1, 1)))


@pytest.mark.parametrize("labels", ["joint", "median"])
def test_windows_are_slid_over_the_drawn_rows_of_one_cluster(labels):
    train, recorder = windows(), Recorder()
    train.target[...] = np.linspace(0, 1e6, 120)[:, None, None]  # so that nothing is cut off
    extra = SyntheticWindows(recorder, 10, labels, "row").samples(train, CLUSTERS, 0)
    n_each = 10 - LOOKBACK + 1
    assert len(extra.past) == CLUSTERS * n_each
    np.testing.assert_array_equal(recorder.rows[:, :CHANNELS], train.past[:, -1, :CHANNELS])
    drawn = recorder.sample(recorder.asked, 0)  # 10 rows of each cluster
    for k in range(CLUSTERS):
        for place in range(n_each):
            start = 10 * k + place
            made = extra.past[k * n_each + place]
            np.testing.assert_array_equal(made[:, :CHANNELS], drawn[start : start + LOOKBACK, :CHANNELS])
            np.testing.assert_array_equal(made[:, CHANNELS + k], 1.0)
            if labels == "joint":
                newest = drawn[start + LOOKBACK - 1, CHANNELS:]
                np.testing.assert_array_equal(extra.target[k * n_each + place].ravel(), newest)


def test_a_gaussian_has_the_mean_and_the_covariance_of_its_cluster():
    rng = np.random.default_rng(0)
    cluster = np.arange(900) % 3
    rows = rng.standard_normal((900, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) * (1 + cluster[:, None])
    rows += 10.0 * cluster[:, None]
    drawn = ConditionalGaussian().fit(rows, np.eye(3)[cluster], 0).sample(np.eye(3).repeat(20000, axis=0), 1)
    for k in range(3):
        own, made = rows[cluster == k], drawn[20000 * k : 20000 * (k + 1)]
        np.testing.assert_allclose(made.mean(axis=0), own.mean(axis=0), atol=0.05 * own.std())
        np.testing.assert_allclose(np.cov(made.T), np.cov(own.T), rtol=0.05)


def test_a_cluster_with_one_row_has_the_spread_of_the_others():
    rows = np.r_[np.random.default_rng(0).normal(5.0, 2.0, (400, 1)), [[100.0]]]
    conditions = np.eye(2)[np.r_[np.zeros(400, dtype=int), 1]]
    drawn = ConditionalGaussian().fit(rows, conditions, 0).sample(np.tile([0.0, 1.0], (20000, 1)), 1)
    assert drawn.mean() == pytest.approx(100.0, abs=0.1)
    assert drawn.std() == pytest.approx(rows[:400].std(ddof=1), rel=0.05)


def test_a_gaussian_of_a_cluster_never_seen_is_not_drawn():
    model = ConditionalGaussian().fit(np.zeros((4, 2)), np.eye(2)[[0, 0, 1, 1]], 0)
    with pytest.raises(ValueError, match=r"\[1\.0, 1\.0\] was in no row"):
        model.sample(np.ones((3, 2)), 0)


def test_auto_makes_the_windows_of_the_one_on_trial():
    inner, train = Jitter(0.1, 0.5), windows()
    expected = inner.samples(train, CLUSTERS, 3)
    np.testing.assert_array_equal(Auto(inner).samples(train, CLUSTERS, 3).past, expected.past)


# Refusals


@pytest.mark.parametrize("name", sorted(set(choices("augmentation")) - {"identity"}))  # which reads no window
def test_channels_that_do_not_tell_a_cluster_are_refused(name):
    augmentation, train = build(compose_augmentation(name)), windows()
    train.past[5, 2, -1] += 0.5
    with pytest.raises(ValueError, match="single 1 among zeros"):
        augmentation.samples(train, CLUSTERS, 0)


@pytest.mark.parametrize("n_conditions", [-1, CHANNELS + CLUSTERS])
def test_some_channel_must_be_left_to_augment(n_conditions):
    with pytest.raises(ValueError, match="at least one must remain"):
        conditions_of(windows().past, n_conditions)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Jitter(0.0, 1.5), ["augmentation.std=0.0", "augmentation.share=1.5"]),
        (lambda: Mixup(-1.0, 0.0), ["augmentation.alpha=-1.0", "augmentation.share=0.0"]),
        (
            lambda: SyntheticWindows(Recorder(), 0, "mean", "cell"),
            ["augmentation.n_per_condition=0", "augmentation.labels=mean", "augmentation.unit=cell"],
        ),
    ],
    ids=["jitter", "mixup", "synthetic windows"],
)
def test_all_faults_of_the_settings_are_told_at_once(make, told):
    with pytest.raises(ValueError, match="augmentation") as refusal:
        make()
    assert all(part in str(refusal.value) for part in told)


def test_fewer_rows_than_a_window_needs_are_refused():
    with pytest.raises(ValueError, match=r"n_per_condition=5 rows.*lookback=6"):
        SyntheticWindows(Recorder(), 5, "median", "row").samples(windows(), CLUSTERS, 0)


# The quality of synthetic windows


def quality(synthetic, train=None, n_conditions=CLUSTERS):
    train = train or windows(300, n_conditions=n_conditions)
    held_out = windows(150, n_conditions=n_conditions, seed=1)
    return augmentation_quality(train, held_out, synthetic, n_conditions, seed=0)


def test_fresh_windows_of_the_same_distribution_are_as_good_as_held_out_ones():
    found = quality(windows(200, seed=2))
    assert found["mmd"]["synthetic"] == pytest.approx(found["mmd"]["held_out"], rel=0.3)
    assert found["memory"]["distance_over_held_out"] == pytest.approx(1.0, abs=0.1)
    assert found["memory"]["share_of_near_copies"] < 0.1
    errors = found["transfer"]
    assert errors["mae_trained_on_synthetic"] == pytest.approx(errors["mae_trained_on_real"], rel=0.2)
    assert errors["mae_trained_on_real"] < 0.2 * errors["mae_of_the_median"]


def test_copies_are_found_out():
    train = windows(300)
    found = quality(Jitter(1e-3, 1.0).samples(train, CLUSTERS, 0), train)
    assert found["memory"]["share_of_near_copies"] == 1.0
    assert found["memory"]["distance_over_held_out"] < 0.1


def test_windows_from_elsewhere_are_found_out():
    made = windows(200, seed=2)
    made.past[:, :, :CHANNELS] += 0.5
    found = quality(made)
    assert found["mmd"]["synthetic"] > 3 * found["mmd"]["held_out"]
    assert found["memory"]["distance_over_held_out"] > 2
    assert found["transfer"]["mae_trained_on_synthetic"] > 2 * found["transfer"]["mae_trained_on_real"]


def test_windows_of_the_wrong_cluster_are_found_out():
    made = windows(300, seed=2)
    made.past[:, :, CHANNELS:] = np.roll(made.past[:, :, CHANNELS:], 1, axis=2)
    found = quality(made)
    assert found["mmd"]["synthetic"] > 3 * found["mmd"]["held_out"]


def test_fidelity_tells_fresh_windows_from_copies_of_one_and_from_windows_elsewhere():
    fresh = quality(windows(300, seed=2))["fidelity"]
    assert fresh["precision_of_synthetic"] > 0.7
    assert fresh["coverage_of_synthetic"] > 0.7
    assert 0.35 < fresh["told_apart_of_synthetic"] < 0.65
    one = windows(300, seed=2)
    one.past[:] = windows(300).past[np.array([0, 1, 2])][
        np.arange(300) % 3
    ]  # a window of each cluster, again and again
    collapsed = quality(one)["fidelity"]
    assert collapsed["precision_of_synthetic"] > 0.9
    assert collapsed["coverage_of_synthetic"] < 0.2
    made = windows(300, seed=2)
    made.past[:, :, :CHANNELS] += 2.0
    elsewhere = quality(made)["fidelity"]
    assert elsewhere["precision_of_synthetic"] < 0.1
    assert elsewhere["coverage_of_synthetic"] < 0.1
    assert elsewhere["told_apart_of_synthetic"] > 0.9


@pytest.mark.parametrize("n_conditions", [0, CLUSTERS])
def test_the_quality_is_plain_json_with_points_for_every_kind(n_conditions):
    found = quality(windows(200, n_conditions=n_conditions, seed=2), n_conditions=n_conditions)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name in ("train", "held_out", "synthetic"):
        assert np.shape(found["pca"][name]) == (found["n"]["compared"], 2)
        assert len(found["condition"][name]) == found["n"]["compared"] <= 500


def test_only_conditions_that_all_kinds_have_are_compared():
    made = windows(200, seed=2)
    own = conditions_of(made.past, CLUSTERS) == 1
    found = quality(Batch(made.past[own], made.target[own]))
    assert set(found["condition"]["train"]) == set(found["condition"]["synthetic"]) == {1}


def test_too_few_synthetic_windows_are_refused():
    with pytest.raises(ValueError, match=r"9 windows of each kind.*300, 150, 9 training.*20 are needed"):
        quality(windows(9, seed=2))


def test_windows_of_another_shape_are_refused():
    made = windows(100, seed=2)
    with pytest.raises(ValueError, match=r"past of a synthetic window is \(5, 7\)"):
        quality(Batch(made.past[:, 1:], made.target))
