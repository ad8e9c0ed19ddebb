"""Beside a decomposed row stands the same model undecomposed, which may look back as far as the decomposition saw."""

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from evaluation.judge import Evaluation
from pipeline.audit import _groups, _used, audit
from pipeline.fitting import evaluated, learn, parts_of
from pipeline.outcome import Outcome
from pipeline.results import memory_sentences
from runtime.build import build
from tasks.task import SAME_MEMORY, Candidate
from tests.conftest import panel_of

SMALL = ["experiment=smoke", "model=ridge", "baselines=naive", "lookback=4", "parallel.n_jobs=1"]
MODWT = ["decomposition=modwt", "decomposition.level=2", "scope.history=16"]


@pytest.fixture
def task(configure):
    def made(*overrides):
        cfg = configure(*SMALL, *(overrides or MODWT))
        return build(cfg.task)(cfg)

    return made


def twin_of(task):
    found = [row for row in task.candidates() if row.beside]
    return found[0] if found else None


def long_memory(n=400, lag=7):
    """A series whose next value is that of some steps ago and noise: four steps tell nothing of it."""
    rng, y = np.random.default_rng(0), np.zeros(n)
    for t in range(n):
        y[t] = 0.9 * y[t - lag] + rng.standard_normal() if t >= lag else rng.standard_normal()
    return 100 + y


@pytest.mark.parametrize(
    ("overrides", "lookbacks"),
    [
        ([], (4, 7)),  # 4 steps and a memory of 3
        (["decomposition=emd", "scope.history=16"], (4, 8, 16)),  # all that is decomposed
        (["decomposition=modwt", "decomposition.level=3", "scope.history=16"], (4, 8, 11)),
    ],
)
def test_the_twin_may_look_back_as_far_as_the_decomposition_has_seen(overrides, lookbacks, task):
    made = task(*overrides)
    first, twin = made.candidates()[:2]
    assert twin.lookbacks == lookbacks
    assert twin.lookback == lookbacks[-1]
    assert twin.beside == first.label
    assert twin.label == f"Ridge ({SAME_MEMORY}, {lookbacks[-1]} steps)"
    plain = {key: value for key, value in first.model.items() if key != "label"}
    assert {key: value for key, value in twin.model.items() if key != "label"} == plain


@pytest.mark.parametrize(
    ("overrides", "there"),
    [
        (["decomposition=identity"], False),
        (["scope=overall"], False),
        (["model=drift"], False),
        (["equal_memory=none"], False),
        (["model=mlp"], False),
        (["model=mlp", "equal_memory=all"], True),
    ],
)
def test_who_has_a_twin(overrides, there, task):
    assert (twin_of(task(*overrides)) is not None) == there


def fold_of(task, panel):
    return build(task.cfg.split).folds(panel, task.cfg.horizon)[0]


def test_validation_chooses_the_lookback_and_rows_stay_comparable(task, tmp_path):
    made, panel = task("blend=none", *MODWT), panel_of(long_memory())
    fold, twin = fold_of(made, panel), twin_of(made)
    made_of = {}
    for row in made.candidates()[:2]:
        prepared = made.prepare(panel, fold, row)
        outcome, fitted = evaluated(made, panel, fold, row, prepared, tmp_path / "a.ckpt")
        made_of[row.label] = outcome, fitted, prepared
    outcome, fitted, prepared = made_of[twin.label]
    assert (outcome.lookback, fitted.lookback) == (7, 7)
    assert fitted.weights()["chosen/lookback"] == 7
    assert prepared.windows.past.shape[1:] == (7, 1)
    first = made_of[made.candidates()[0].label][0]
    for name in ("forecasts", "calibration"):
        ours, theirs = getattr(outcome, name), getattr(first, name)
        pd.testing.assert_frame_equal(ours[["ds", "origin", "y"]], theirs[["ds", "origin", "y"]])
    tried = {}
    parts = parts_of(made, panel, fold, prepared)
    for lookback in (4, 7):
        alone = twin._replace(lookbacks=(lookback,))
        own = learn(made, panel, fold, alone, prepared, parts, tmp_path / "b.ckpt").fitted
        tried[lookback] = np.abs(own.forecast(parts.validation, None) - parts.validation.y).mean()
    assert tried[7] < tried[4] == max(tried.values())
    assert outcome.validation_mae == pytest.approx(tried[7])


def test_with_nothing_held_out_it_looks_back_as_far_as_it_may(task, tmp_path):
    made, panel = task("split.validation=0", *MODWT), panel_of(long_memory())
    fold, twin = fold_of(made, panel), twin_of(made)
    outcome, _ = evaluated(made, panel, fold, twin, made.prepare(panel, fold, twin), tmp_path / "a.ckpt")
    assert outcome.lookback == twin.lookback


def test_the_audit_makes_the_choice_again(task, tmp_path):
    made, panel = task(), panel_of(long_memory(260))
    fold, twin = fold_of(made, panel), twin_of(made)
    assert [twin.label] in _groups(made, panel, fold), "its windows are its own"
    outcome, _ = evaluated(made, panel, fold, twin, made.prepare(panel, fold, twin), tmp_path / "a.ckpt")
    used = {outcome.name: outcome.learnt_from}
    prepared = made.prepare(panel, fold, twin)
    assert _used(made, panel, fold, [twin], prepared, prepared.windows, used)[-1].verdict == "causal"
    found = audit(made, panel, [fold], used)
    assert found.verdict == "causal", [finding for finding in found.findings if finding.verdict != "causal"]
    assert ("weights", twin.label) in {(finding.stage, finding.subject) for finding in found.findings}


def outcome_of(label, lookback=None):
    return Outcome(label, "all", None, None, 1.0, [], 0, 1.0, "", lookback=lookback)


def test_the_gain_is_shared_out_between_memory_and_decomposition():
    node = OmegaConf.create({"label": "Ridge"})
    twin = Candidate(f"Ridge ({SAME_MEMORY}, 7 steps)", node, node, 7, (4, 7), "MODWT-Ridge")
    rows = [Candidate("MODWT-Ridge", node, node), twin, Candidate("Ridge", node, node)]
    scores = pd.DataFrame({"model": [row.label for row in rows], "mae": [9.0, 8.0, 10.0]})
    pairs = pd.DataFrame({"model": ["MODWT-Ridge"], "other": [twin.label], "p": [0.04]})
    told = memory_sentences(rows, Evaluation(scores, {}, None, pairs, [], []), [outcome_of(twin.label, 7)])
    assert told == [
        "At equal memory MODWT-Ridge errs 12.5 % more than without its decomposition (p = 0.040); the same model "
        "undecomposed chose 7 of up to 7 steps on validation, and errs 20.0 % less than Ridge, which sees the lookback "
        "of the run."
    ]
