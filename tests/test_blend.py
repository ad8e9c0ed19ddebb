"""The share of a model in its forecasts: how it is fitted, kept and told."""

from dataclasses import replace

import numpy as np
import pytest

from data.contracts import TEST, VALIDATION
from models.blend import blended, blending_weight
from models.model import Inputs
from pipeline.fitted import below, reference_of, rows_of
from pipeline.fitting import learn, parts_of
from pipeline.outcome import Outcome
from pipeline.predict import _loaded
from pipeline.results import blend_notes
from runtime.build import build
from tests.conftest import choices, panel_of

SEED = 9
SMALL = ["experiment=smoke", "baselines=naive", "decomposition=identity", "lookback=5", "scope.history=8"]


@pytest.fixture
def walk():
    """A random walk on whose validation rows a ridge regression is worth something, and not all."""
    return 100 + np.cumsum(np.random.default_rng(SEED).standard_normal(300))


@pytest.fixture
def task(configure):
    def made(*overrides):
        cfg = configure(*SMALL, *overrides)
        return build(cfg.task)(cfg)

    return made


def learnt(task, panel, tmp_path, place=0):
    fold = build(task.cfg.split).folds(panel, task.cfg.horizon)[0]
    row = task.candidates()[place]
    prepared = task.prepare(panel, fold, row)
    parts = parts_of(task, panel, fold, prepared)
    return fold, parts, learn(task, panel, fold, row, prepared, parts, tmp_path / "a.ckpt").fitted


@pytest.mark.parametrize("seed", range(4))
def test_the_weight_has_the_smallest_absolute_error(seed):
    rng = np.random.default_rng(seed)
    y, forecast, reference = rng.standard_normal((3, 40, 2))
    forecast += [0.5, 0.2, -1.0, 3.0][seed] * y
    found = blending_weight(y, forecast, reference)
    tried = np.linspace(0, 1, 2001)
    errors = [np.abs(y - blended(forecast, reference, weight)).mean() for weight in tried]
    assert np.abs(y - blended(forecast, reference, found)).mean() <= min(errors) + 1e-12
    assert abs(found - tried[np.argmin(errors)]) < 1e-3


def test_where_forecasts_do_not_differ_or_are_not_finite_the_model_stands_alone():
    y, forecast = np.random.default_rng(0).standard_normal((2, 9, 1))
    assert blending_weight(y, forecast, forecast) == 1.0
    assert blending_weight(y, np.full_like(y, np.nan), forecast) == 1.0
    assert blending_weight(y[:0], forecast[:0], forecast[:0]) == 1.0


def test_at_both_ends_a_blend_is_one_of_its_forecasts_to_the_bit():
    forecast, reference = np.random.default_rng(0).standard_normal((2, 50, 3)) * 1e3
    np.testing.assert_array_equal(blended(forecast, reference, 1.0), forecast)
    np.testing.assert_array_equal(blended(forecast, reference, 0.0), reference)


def test_a_model_is_weighed_on_validation_rows_and_loaded_with_its_weight(task, walk, tmp_path):
    ridge = task("model=ridge", "model.alpha=1e-3")
    _, parts, fitted = learnt(ridge, panel_of(walk), tmp_path)
    alone = fitted._replace(blend=None)
    held_out, asked = parts.validation, rows_of(panel_of(walk), parts.validation)
    naive = reference_of(ridge).predict(Inputs(held_out, None, asked))
    weight = blending_weight(held_out.y, alone.forecast(held_out, asked), naive)
    assert 0 < weight < 1, "or the case tells nothing"
    assert fitted.blend.weight == weight
    tested, rows = parts.test, rows_of(panel_of(walk), parts.test)
    last = tested.past[:, -1].sum(axis=1)[:, None]
    np.testing.assert_allclose(
        fitted.forecast(tested, rows), last + weight * (alone.forecast(tested, rows) - last), rtol=1e-12
    )
    again = _loaded(ridge, fitted.state())
    np.testing.assert_array_equal(again.forecast(tested, rows), fitted.forecast(tested, rows))
    older = {name: value for name, value in fitted.state().items() if not name.startswith(("blend/", "reference/"))}
    np.testing.assert_array_equal(_loaded(ridge, older).forecast(tested, rows), alone.forecast(tested, rows))
    assert below("reference", fitted.state()) == {}


def test_test_rows_do_not_move_the_weight_and_validation_rows_do(task, walk, tmp_path):
    ridge, panel = task("model=ridge", "model.alpha=1e-3"), panel_of(walk)
    fold, _, fitted = learnt(ridge, panel, tmp_path)
    weights = {}
    for role in (TEST, VALIDATION):
        y = panel.frame["y"].to_numpy().copy()
        y[fold.role == role] = np.random.default_rng(1).permutation(y[fold.role == role])
        moved = replace(panel, frame=panel.frame.assign(y=y))
        weights[role] = learnt(ridge, moved, tmp_path)[2].blend.weight
    assert weights[TEST] == fitted.blend.weight
    assert weights[VALIDATION] != fitted.blend.weight


@pytest.mark.parametrize(
    "overrides",
    [["model=drift"], ["model=ridge", "blend=none"], ["model=ridge", "split.validation=0"]],
    ids=["naive", "not asked for", "nothing held out"],
)
def test_some_forecasts_are_the_models_alone(overrides, task, walk, tmp_path):
    assert learnt(task(*overrides), panel_of(walk), tmp_path)[2].blend is None


def outcome(model, weight, validation_mae=1.0):
    return Outcome(model, "all", None, None, validation_mae, [], 0, 1.0, "", weight=weight)


def test_shares_are_told_and_so_is_that_nothing_is_held_out(task):
    told = blend_notes(task(), [outcome("Ridge", 0.25), outcome("Ridge", 0.35), outcome("Drift", None)])
    assert len(told) == 1
    assert told[0].endswith("Ridge 0.30.")
    assert "Nothing is held out" in blend_notes(task(), [outcome("Ridge", None, None)])[0]
    assert blend_notes(task("blend=none"), [outcome("Ridge", None, None)]) == []


@pytest.mark.parametrize(
    "experiment", [name for name in choices("experiment") if name.startswith("csi") and "paper" in name]
)
def test_papers_are_as_published(experiment, configure):
    cfg = configure(f"experiment={experiment}")
    assert cfg.blend == "none"
    for node in (cfg.model, cfg.baselines.undecomposed):
        assert node.component._target_ == "models.allocation.Separate"
        assert node.network.zero_head is False


@pytest.mark.parametrize("name", choices("model"))
def test_by_default_each_model_sees_all_components_and_networks_start_from_the_naive_forecast(name, configure):
    cfg = configure("experiment=sp500", f"model={name}")
    assert cfg.model.get("component", {}).get("_target_") in (
        None,
        "models.allocation.Joint",
        "models.allocation.Ensemble",
    )
    assert cfg.model.get("network", {}).get("zero_head", True) is True
