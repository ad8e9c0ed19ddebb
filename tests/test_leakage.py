"""The audit of a run names every leak that is planted and is silent where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from data.contracts import TEST, TRAIN, Batch, Fold, Panel
from data.features.chain import Chain
from data.features.rolling import RollingStatistics
from data.windows import select
from evaluation.leakage.prove import Audit
from pipeline.life import Life, told_by_covariates
from pipeline.series import Series
from runtime.build import ConfigError, build

# --- the job on series ----------------------------------------------------------------------------

SMALL = ["experiment=smoke", "decomposition=wavelet_packet", "baselines=naive", "source.n_steps=700"]
SHORT = "scope.history=128"


def series_audit(configure, *overrides, job=Series) -> Audit:
    short = [] if "scope=overall" in overrides else [SHORT]
    cfg = configure(*SMALL, *overrides, *short)
    panel = build(cfg.source).load()
    return job(cfg).audit(panel, build(cfg.split).folds(panel, cfg.horizon), Path("nowhere"))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["scope=expanding"],
        ["decomposition=modwt"],
        ["decomposition=emd"],
        ["scaling=minmax"],
        ["scaling=window_minmax", "horizon=5"],
        ["augmentation=jitter"],
        ["source.n_series=2"],
        ["split=walk_forward"],
    ],
)
def test_an_honest_series_run_is_causal(configure, overrides):
    found = series_audit(configure, *overrides)
    assert found.verdict == "causal", found.sentence
    assert all(finding.checked for finding in found.findings), found.findings


@pytest.mark.parametrize("scope", ["overall", "split_once"])
def test_a_decomposition_of_the_whole_series_is_named(configure, scope):
    found = series_audit(configure, f"scope={scope}")
    assert [finding.stage for finding in found.causes] == ["decomposition"]
    assert "of directions explained by it" in found.sentence


class ScaledByEverything(Series):
    def training_batch(self, cfg, fitted, windows, fold):
        super().training_batch(cfg, fitted, windows, fold)
        fitted.scaling.fit(windows)
        return fitted.scaling.transform(select(windows, fold, TRAIN))


class SyntheticBeforeSplit(Series):
    def training_batch(self, cfg, fitted, windows, fold):
        train = super().training_batch(cfg, fitted, windows, fold)
        extra = build(cfg.augmentation).samples(fitted.scaling.transform(windows), 0, cfg.seed)
        return Batch(np.concatenate([train.past, extra.past]), np.concatenate([train.target, extra.target]))


class TestedInBetween:
    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        role = np.full(len(panel.frame), TRAIN, dtype=np.int8)
        role[np.random.default_rng(0).random(role.size) < 0.2] = TEST
        return [Fold(role, "random")]


@pytest.mark.parametrize(
    ("job", "stage", "more"),
    [(ScaledByEverything, "scaling", []), (SyntheticBeforeSplit, "augmentation", ["augmentation=mixup"])],
)
def test_a_leak_planted_in_a_series_run_is_named(configure, job, stage, more):
    found = series_audit(configure, *more, job=job)
    assert [finding.stage for finding in found.causes] == [stage], found.sentence


def test_random_rows_of_a_series_are_named(configure):
    cfg = configure(*SMALL)
    panel = build(cfg.source).load()
    found = Series(cfg).audit(panel, TestedInBetween().folds(panel, 1), Path("nowhere"))
    assert found.causes[0].stage == "split"


def test_a_run_that_is_not_audited_says_so(configure):
    assert series_audit(configure, "audit=none").verdict == "not audited"


# --- the job on cells -----------------------------------------------------------------------------

CELLS = [
    "experiment=battery",
    "parallel=local",
    "source.n_cells=4",
    "source.life=[80,120]",
    "source.longest=160",
    "split.folds=2",
    "split.validation=1",
    "features=rolling",
]


class SyntheticBeforeSplitOfCells(Life):
    def training_batch(self, cfg, fitted, prepared, fold):
        train = super().training_batch(cfg, fitted, prepared, fold)
        extra = build(cfg.augmentation).samples(fitted.scaling.transform(prepared.windows), 0, cfg.seed)
        return Batch(np.concatenate([train.past, extra.past]), np.concatenate([train.target, extra.target]))


class ScaledByAllCells(Life):
    def training_batch(self, cfg, fitted, prepared, fold):
        super().training_batch(cfg, fitted, prepared, fold)
        fitted.scaling.fit(prepared.windows)
        return fitted.scaling.transform(self.training(prepared.windows, fold))


class FeaturesOfValidationCells(Life):
    def learnt_rows(self, fold):
        return np.asarray(fold.role != TEST)


class KnowsHowLongTheRecordIs(Life):
    def prepared(self, panel, fold):
        prepared = super().prepared(panel, fold)
        sizes = panel.frame.groupby("unique_id")["ds"].transform("size").to_numpy()
        extra = sizes[prepared.windows.origin][:, None, None].repeat(prepared.windows.past.shape[1], axis=1)
        past = np.concatenate([prepared.windows.past, extra], axis=2)
        return prepared._replace(windows=prepared.windows._replace(past=past))


class FeaturesOfAllCells(Life):
    def learnt_rows(self, fold):
        return np.ones(fold.role.size, dtype=bool)


class Centred(RollingStatistics):
    def transform(self, X):
        return X.groupby(level=0, sort=False).transform(lambda c: c.rolling(9, center=True, min_periods=1).mean())


def life_audit(configure, *overrides, job=Life, change=lambda panel: panel) -> Audit:
    cfg = configure(*CELLS, *overrides)
    panel = change(build(cfg.source).load())
    return job(cfg).audit(panel, build(cfg.split).folds(panel, cfg.horizon), Path("nowhere"))


@pytest.mark.parametrize("overrides", [[], ["features=factors"], ["augmentation=mixup"], ["features=life"]])
def test_an_honest_run_on_cells_is_causal(configure, overrides):
    found = life_audit(configure, *overrides)
    assert found.verdict == "causal", found.sentence
    assert all(finding.checked for finding in found.findings), found.findings


@pytest.mark.parametrize(
    ("job", "stage", "more"),
    [
        (ScaledByAllCells, "scaling", []),
        (FeaturesOfAllCells, "features", ["features=factors"]),
        (FeaturesOfValidationCells, "features", ["features=factors"]),
        (KnowsHowLongTheRecordIs, "inputs", []),
        (SyntheticBeforeSplitOfCells, "augmentation", ["augmentation=mixup"]),
    ],
)
def test_a_leak_planted_in_a_run_on_cells_is_named(configure, job, stage, more):
    found = life_audit(configure, *more, job=job)
    assert found.causes[0].stage == stage, found.sentence


def test_a_centred_rolling_window_is_named(configure, monkeypatch):
    monkeypatch.setattr(RollingStatistics, "transform", Centred.transform)
    monkeypatch.setattr(Chain, "transform", lambda self, X: self.steps["rolling"].transform(X))
    found = life_audit(configure)
    assert found.causes[0].stage == "inputs", found.sentence


@pytest.mark.parametrize("split", ["rows_in_order", "leaky_random", "within_cell"])
def test_cells_on_both_sides_are_named(configure, split):
    cfg = configure(*[o for o in CELLS if not o.startswith("split.")], f"split={split}")
    panel = build(cfg.source).load()
    found = Life(cfg).audit(panel, build(cfg.split).folds(panel, cfg.horizon), Path("nowhere"))
    assert found.causes[0].stage == "split", found.sentence


def with_column(name, value):
    def change(panel):
        frame = panel.frame.assign(**{name: value(panel.frame)})
        return replace(panel, frame=frame, covariates={**panel.covariates, name: "planted"})

    return change


@pytest.mark.parametrize(
    "value",
    [lambda f: f["y"], lambda f: f["ds"], lambda f: 3.0 - 2 * f["y"], lambda f: np.sqrt(f["ds"]) + f["ds"] % 2 / 1e6],
    ids=["target", "clock", "line", "counter"],
)
def test_the_target_or_a_clock_among_the_covariates_is_named(configure, value):
    found = life_audit(configure, change=with_column("innocent", value))
    assert found.causes[0].stage == "covariates"
    assert "innocent" in found.sentence


def test_measured_covariates_are_no_clock(configure):
    panel = build(configure(*CELLS).source).load()
    assert told_by_covariates(panel).verdict == "causal"


def test_a_leak_in_training_itself_is_what_the_audit_sees(configure, tmp_path):
    """The audit rebuilds what training learns from by the very method that training calls."""
    cfg = configure(*SMALL, SHORT, "model=ridge", "model/component=joint")
    panel = build(cfg.source).load()
    folds = build(cfg.split).folds(panel, 1)
    called = []

    class Watched(Series):
        def training_batch(self, cfg, fitted, windows, fold):
            called.append(len(windows.y))
            return super().training_batch(cfg, fitted, windows, fold)

    list(Watched(cfg).outcomes(panel, folds, tmp_path))
    trained = len(called)
    Watched(cfg).audit(panel, folds, tmp_path)
    assert trained == 1
    assert len(called) > trained


def test_the_model_of_a_run_comes_first_even_where_it_is_among_the_baselines(configure):
    assert Series(configure("experiment=smoke", "decomposition=identity")).contenders()[0].label == "CNN-LSTM-AM"
    assert Series(configure("experiment=smoke", "model=persistence")).contenders()[0].label == "Persistence"
    assert Life(configure("experiment=battery", "model=ridge")).contenders()[0].label == "Ridge"


@pytest.mark.parametrize(
    ("job", "overrides", "said"),
    [
        (Series, ["model=clock"], "counts the cycles of cells"),
        (Series, ["intervals=by_cell"], "intervals=by_cell is for cells"),
        (Life, ["intervals=adaptive"], "is known at the end only"),
        (Life, ["horizon=5"], "set horizon=1"),
        (Life, ["scaling=minmax", "~scaling.clip"], "needs scaling=standard"),
    ],
)
def test_what_is_made_for_the_other_job_is_refused_before_any_work(configure, job, overrides, said):
    experiment = "experiment=smoke" if job is Series else "experiment=battery"
    with pytest.raises(ConfigError, match=said):
        job(configure(experiment, *overrides))


def test_settings_of_the_other_job_are_refused():
    with pytest.raises(ValueError, match="job=life has no use for scope"):
        Life(OmegaConf.create({"scope": {"_target_": "data.windows.WholeSeries"}}))
