"""Cells: what was chosen and calibrated on validation cells is learnt again with them."""

import numpy as np
import pytest

from data.contracts import TEST, TRAIN, VALIDATION, Fold
from pipeline import fitting
from pipeline.fitting import evaluated
from runtime.build import build

SMALL = [
    "experiment=smoke_battery",
    "baselines=none",
    "source.n_cells=4",
    "task.start=birth",
    "task.tested_from=[]",
    "features=factors",
    "model=mlp",
    "trainer.max_epochs=3",
]


def done(configure, tmp_path, *words):
    """Fit the model of a run on one fold and return its outcome, what was fitted, and what it was given."""
    cfg = configure(*SMALL, *words)
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    fold = build(cfg.split).folds(panel, 1)[0]
    row = task.candidates()[0]
    prepared = task.prepare(panel, fold, row)
    return *evaluated(task, panel, fold, row, prepared, tmp_path / "a.ckpt"), (task, panel, fold, row, prepared)


@pytest.mark.parametrize("model", ["extra_trees", "mlp"])
def test_validation_forecasts_are_those_before_and_test_forecasts_those_after(configure, tmp_path, model):
    before, *_ = done(configure, tmp_path / "none", f"model={model}", "refit=none")
    after, *_ = done(configure, tmp_path / "validation", f"model={model}")
    np.testing.assert_array_equal(before.calibration["y_hat"], after.calibration["y_hat"])
    assert (before.forecasts["y_hat"] != after.forecasts["y_hat"]).mean() > 0.5
    assert before.learnt_from == after.learnt_from
    assert before.validation_mae == after.validation_mae


def test_what_is_learnt_from_is_training_and_validation_cells_alike(configure, tmp_path):
    *_, (task, _, fold, _, prepared) = done(configure, tmp_path, "model=extra_trees", "task.train_every=4")
    known = task.known(prepared.windows, fold)
    roles = fold.role[known.origin]
    assert set(roles) == {TRAIN, VALIDATION}
    assert abs((roles == VALIDATION).sum() - (fold.role == VALIDATION).sum() / 4) < 6  # as few as of training cells


@pytest.mark.parametrize("model", ["extra_trees", "mlp"])
def test_tested_cells_have_no_part(configure, tmp_path, model):
    """Each row forecasts the same whatever the tested cells hold: the learnt state rests on others alone."""
    _, fitted, (task, panel, fold, row, prepared) = done(configure, tmp_path / "one", f"model={model}")
    frame, tested = panel.frame.copy(), fold.role == TEST
    frame.loc[tested, [*panel.covariates, "y"]] *= 1.5
    other = type(panel)(**(vars(panel) | {"frame": frame}))
    again = task.prepare(other, fold, row)
    _, twin = evaluated(task, other, fold, row, again, tmp_path / "two.ckpt")
    held = task.select(prepared.windows, fold, VALIDATION)
    rows = panel.frame.iloc[held.origin][["unique_id", "ds"]]
    np.testing.assert_array_equal(fitted.forecast(held, rows), twin.forecast(held, rows))


def test_a_network_is_trained_for_as_long_as_erred_least(configure, tmp_path, monkeypatch):
    told = []
    train = fitting._train

    def noted(cfg, *rest):
        told.append((cfg.trainer.max_epochs, len(rest[3].past)))
        return train(cfg, *rest)

    monkeypatch.setattr(fitting, "_train", noted)
    outcome, *_ = done(configure, tmp_path)
    losses = [epoch["val/loss"] for epoch in outcome.losses]
    (first, n_validation), (second, nobody) = told
    assert (first, second) == (3, int(np.argmin(losses)) + 1)
    assert n_validation > 0
    assert nobody == 0
    assert not list(tmp_path.glob("*refit*"))  # nothing is left behind


def test_series_keep_their_networks(configure, tmp_path):
    cfg = configure("experiment=smoke", "refit=validation")
    assert not build(cfg.task)(cfg).retrains


def test_a_fold_without_validation_is_left_alone(configure, tmp_path):
    _, fitted, (task, panel, fold, row, prepared) = done(configure, tmp_path, "model=extra_trees")
    whole = Fold(np.where(fold.role == VALIDATION, TRAIN, fold.role).astype(np.int8), fold.name)
    learnt = fitting.Learnt(fitted, [], None, "")
    assert fitting.refit(task, panel, whole, row, prepared, learnt, tmp_path / "b.ckpt") is None
