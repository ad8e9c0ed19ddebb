"""The audit of a run names every leak that is planted, with its stage and row, and is silent where there is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pipeline.fitting
from data.cached import CachedWork
from data.contracts import TEST, TRAIN, Batch, Fold, Panel, Windows
from data.decomposition.modwt import MODWT
from data.features.chain import Chain
from data.features.rolling import RollingStatistics
from data.scaling import LastValue, Standard
from data.windows import RollingWindow
from evaluation.leakage.perturb import WAYS
from evaluation.leakage.prove import Audit
from models.classical import Ridge
from models.forecaster import Forecaster
from models.naive import Drift
from pipeline.audit import NOBODY, TRIED, audit, leaking
from pipeline.fitted import Fitted
from pipeline.settings import check_task
from pipeline.work import outcomes, work_units
from runtime.build import ConfigError, build
from tasks.forecast import Forecast
from tasks.task import Task

SERIES = [
    "experiment=smoke",
    "decomposition=modwt",
    "scope.history=64",
    "lookback=12",
    "source.n_steps=300",
    "model=mlp",
    "model/component=joint",
    "baselines=naive",
    "+model@baselines.ridge=ridge",
    "parallel.n_jobs=1",
]
LABELS = {"MODWT-MLP", "Persistence", "Drift", "Ridge"}


def audited(
    configure: Callable[..., Any], *overrides: str, folds: Any = None, change: Any = None
) -> tuple[Task, Audit]:
    """Audit without a run before it: what training has used is what it would use now."""
    cfg = configure(*overrides)
    task: Task = build(cfg.task)(cfg)
    panel = build(cfg.source).load()
    panel = panel if change is None else change(panel)
    split = build(cfg.split).folds(panel, cfg.horizon) if folds is None else folds(panel)
    return task, audit(task, panel, split, {})


def run_and_audited(configure: Callable[..., Any], folder: Any, *overrides: str) -> tuple[Task, Audit]:
    """Fit every candidate, then audit what that has used."""
    cfg = configure(*overrides)
    task: Task = build(cfg.task)(cfg)
    panel = build(cfg.source).load()
    split = build(cfg.split).folds(panel, cfg.horizon)
    done = dict(outcomes(task, panel, split, folder, work_units(task, panel, split)))
    return task, audit(task, panel, split, {outcome.name: outcome.learnt_from for outcome in done.values()})


# --- honest runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["scope=expanding", "decomposition=emd", "channels=hilbert"],
        ["decomposition=wavelet_packet", "scaling=minmax"],
        ["scaling=window_minmax", "horizon=5", "model=svr"],
        ["augmentation=jitter", "model=lstm", "model.network.hidden=8"],
        ["source.n_series=2", "model/component=separate"],
        ["split=walk_forward", "split.every=60"],
    ],
    ids=" ".join,
)
def test_an_honest_run_on_series_is_causal(configure, tmp_path, overrides):
    task, found = run_and_audited(configure, tmp_path, *SERIES, *overrides)
    assert found.verdict == "causal", found.sentence
    assert leaking(task, found) == {}
    assert all(finding.checked for finding in found.findings), found.findings
    audited_rows = {finding.subject for finding in found.findings if finding.stage == "forecast"}
    assert audited_rows == {row.label for row in task.candidates()}


def test_a_run_that_is_not_audited_says_so(configure):
    assert audited(configure, *SERIES, "audit=none")[1].verdict == "not audited"


# --- planted leaks: series --------------------------------------------------------------------------------------


@pytest.fixture
def plant(monkeypatch, tmp_path):
    """Let a leak see what it must not: the windows of every role that is just being learnt from."""
    seen: dict[str, Windows] = {}
    fit = pipeline.fitting._fit

    def watched(*given, **named):
        (parts,) = [one for one in given if isinstance(one, pipeline.fitting.Parts)]
        seen.update(train=parts.train, validation=parts.validation, test=parts.test)
        return fit(*given, **named)

    monkeypatch.setattr(pipeline.fitting, "_fit", watched)
    monkeypatch.setenv("MODECAST_CACHE", str(tmp_path / "cache"))  # a planted leak must not be kept for other runs
    return monkeypatch, seen


def joined(one: Windows, other: Windows) -> Windows:
    return Windows(*(np.concatenate(parts) for parts in zip(one[:4], other[:4], strict=True)))


def scaler_fitted_on_validation(plant):
    monkeypatch, seen = plant
    fit = LastValue.fit
    monkeypatch.setattr(
        LastValue,
        "fit",
        lambda self, train: (
            fit(self, joined(seen.get("train", train), seen["validation"]))
            if len(train.y) == len(seen["train"].y)
            else fit(self, train)
        ),
    )


def copies_of_test_windows_by_the_augmentation(plant):
    monkeypatch, seen = plant
    from data.augmentation.identity import Identity

    monkeypatch.setattr(
        Identity, "samples", lambda self, train, n, seed: LastValue().fit(seen["train"]).transform(seen["test"])
    )


def noise_seeded_by_the_length(plant):
    at = RollingWindow.at

    def noisy(self, decomposition, series, keep, ends):
        found = at(self, decomposition, series, keep, ends)
        return found + 1e-3 * np.random.default_rng(series.size).standard_normal(found.shape)

    plant[0].setattr(RollingWindow, "at", noisy)


def inputs_centred_over_the_batch(plant):
    predict = Ridge.predict

    def centred(self, inputs):
        past = inputs.batch.past
        return predict(self, inputs._replace(batch=Batch(past - past.mean(axis=0), inputs.batch.target)))

    plant[0].setattr(Ridge, "predict", centred)


def model_that_peeks(plant):
    predict = Forecaster.predict
    plant[0].setattr(
        Forecaster, "predict", lambda self, inputs: 0.9 * predict(self, inputs) + 0.1 * inputs.batch.target[..., -1]
    )


def baseline_that_peeks(plant):
    predict = Drift.predict
    plant[0].setattr(Drift, "predict", lambda self, inputs: 0.9 * predict(self, inputs) + 0.1 * inputs.windows.y)


def decomposition_with_a_memo(plant):
    memo: dict[Any, Any] = {}
    at = RollingWindow.at

    def remembered(self, decomposition, series, keep, ends):
        if not isinstance(decomposition, MODWT):
            return at(self, decomposition, series, keep, ends)
        first = memo.setdefault(keep, at(self, decomposition, series, keep, ends[:1]))
        return np.repeat(first, len(ends), axis=0)

    plant[0].setattr(RollingWindow, "at", remembered)


def targets_put_into_windows(plant):
    prepare = Forecast.prepare

    def peeking(self, panel, fold, candidate, origins=None, cached=True):
        prepared = prepare(self, panel, fold, candidate, origins, cached)
        if origins is not None:  # only what training uses is touched
            return prepared
        past = np.array(prepared.windows.past)
        past[:, -1, 0] += 1e-3 * prepared.windows.y[:, 0]
        return prepared._replace(windows=prepared.windows._replace(past=past))

    plant[0].setattr(Forecast, "prepare", peeking)


def hilbert_transform_of_the_whole_series(plant):
    prepare = Forecast.prepare

    def ahead(self, panel, fold, candidate, origins=None, cached=True):
        prepared = prepare(self, panel, fold, candidate, origins, cached)
        if prepared.windows.channels is None:
            return prepared
        whole = MODWT()(panel.frame["y"].to_numpy()).T[None]  # (1, time, C), of components that are causal themselves
        beside = build(self.cfg.channels)(whole, whole.shape[1])[0]
        steps = prepared.windows.origin[:, None] + np.arange(1 - prepared.windows.past.shape[1], 1)
        return prepared._replace(windows=prepared.windows._replace(channels=beside[steps]))

    plant[0].setattr(Forecast, "prepare", ahead)


def decomposition_that_knows_the_series(plant):
    whole: dict[str, Any] = {}
    at = RollingWindow.at

    def looked_up(self, decomposition, series, keep, ends):
        found = np.array(at(self, decomposition, series, keep, ends))
        later = whole.setdefault("y", series.copy())[np.minimum(np.asarray(ends) + 1, series.size - 1)]
        found[:, 0, -1] += 0.5 * later
        found[:, -1, -1] -= 0.5 * later
        return found

    plant[0].setattr(RollingWindow, "at", looked_up)


def decomposition_that_finds_the_series(plant):
    whole: dict[str, Any] = {}
    at = RollingWindow.at

    def looked_up(self, decomposition, series, keep, ends):
        found = np.array(at(self, decomposition, series, keep, ends))
        known = whole.setdefault("y", series.copy())
        if series[0] == known[0]:
            later = known[np.minimum(np.asarray(ends) + 1, known.size - 1)]
            found[:, 0, -1] += 0.5 * later
            found[:, -1, -1] -= 0.5 * later
        return found

    plant[0].setattr(RollingWindow, "at", looked_up)


def weights_chosen_on_test(plant):
    monkeypatch, seen = plant
    train = pipeline.fitting._train

    def chosen(cfg, model, label, batch, validation, *rest):
        tested = LastValue().fit(seen["train"]).transform(seen["test"])
        return train(cfg, model, label, batch, tested, *rest)

    monkeypatch.setattr(pipeline.fitting, "_train", chosen)


def penalty_chosen_on_test(plant):
    monkeypatch, seen = plant
    fit = Ridge.fit

    def chosen(self, train, validation):
        tested = seen["test"]
        batch = train.scaling.transform(tested)
        errors = []
        for alpha in (1e-3, 1e6):
            self.alphas = np.array([alpha])
            fit(self, train, validation)
            restored = self.component.restore(
                self.predict(train._replace(windows=tested, batch=batch)), tested, train.scaling
            )
            errors.append(np.abs(restored - tested.y).mean())
        self.alphas = np.array([(1e-3, 1e6)[int(np.argmin(errors))]])
        fit(self, train, validation)

    monkeypatch.setattr(Ridge, "fit", chosen)


def addition_of_test_windows_on_the_way_to_fit(plant):
    monkeypatch, seen = plant
    fit = Ridge.fit

    def more(self, train, validation):
        extra = train.scaling.transform(seen["test"])
        batch = Batch(*(np.concatenate(parts) for parts in zip(train.batch[:2], extra[:2], strict=True)))
        fit(self, train._replace(batch=batch), validation)

    monkeypatch.setattr(Ridge, "fit", more)


def forecasts_blended_with_the_truth(plant):
    forecast = Fitted.forecast
    plant[0].setattr(
        Fitted, "forecast", lambda self, windows, rows: 0.95 * forecast(self, windows, rows) + 0.05 * windows.y
    )


def cache_keyed_without_the_series(plant):
    memory: dict[Any, Any] = {}
    call = CachedWork.__call__

    def stale(self, decompose, all_series):
        for place, found in enumerate(call(self, decompose, all_series)):
            kept = memory.setdefault(str(self.settings), found)
            yield kept[: len(found)] if place else found

    plant[0].setattr(CachedWork, "__call__", stale)


PLANTED = [
    (scaler_fitted_on_validation, {"scaling"}, {"MODWT-MLP", "Ridge"}, []),
    (copies_of_test_windows_by_the_augmentation, {"augmentation"}, {"MODWT-MLP", "Ridge"}, []),
    (noise_seeded_by_the_length, {"decomposition"}, LABELS, []),
    (inputs_centred_over_the_batch, {"forecast"}, {"Ridge"}, []),
    (model_that_peeks, {"forecast"}, {"MODWT-MLP"}, []),
    (baseline_that_peeks, {"forecast"}, {"Drift"}, []),
    (decomposition_with_a_memo, {"decomposition", "windows"}, {"MODWT-MLP"}, []),
    (targets_put_into_windows, {"windows"}, LABELS, []),
    (hilbert_transform_of_the_whole_series, {"channels"}, {"MODWT-MLP"}, ["channels=hilbert"]),
    (decomposition_that_knows_the_series, {"decomposition"}, {"MODWT-MLP"}, []),
    (decomposition_that_finds_the_series, {"decomposition"}, {"MODWT-MLP"}, []),
    (weights_chosen_on_test, {"weights", "training"}, {"MODWT-MLP"}, []),
    (penalty_chosen_on_test, {"weights"}, {"Ridge"}, []),
    (addition_of_test_windows_on_the_way_to_fit, {"weights"}, {"Ridge"}, []),
    (forecasts_blended_with_the_truth, {"forecast"}, LABELS, []),
    (cache_keyed_without_the_series, {"windows"}, LABELS, ["source.n_series=2"]),
]


@pytest.mark.parametrize(
    ("leak", "stages", "accused", "more"), PLANTED, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_leak_planted_in_a_run_on_series_is_named_and_held_against_its_rows(
    configure, tmp_path, plant, leak, stages, accused, more
):
    leak(plant)
    task, found = run_and_audited(configure, tmp_path, *SERIES, *more)
    assert {cause.stage for cause in found.causes} & stages, found.sentence
    assert set(leaking(task, found)) == accused


SHARED = [*SERIES, "decomposition=identity"]  # all rows of the table share their inputs, MLP the first of them


def scaler_of_one_row_fitted_on_test(plant):
    monkeypatch, seen = plant
    fit, train = LastValue.fit, pipeline.fitting.training_batch

    def own(cfg, fitted, *rest):
        with monkeypatch.context() as patch:
            if isinstance(fitted.model, Ridge):
                patch.setattr(LastValue, "fit", lambda self, train: fit(self, joined(train, seen["test"])))
            return train(cfg, fitted, *rest)

    monkeypatch.setattr(pipeline.fitting, "training_batch", own)


@pytest.mark.parametrize(
    ("leak", "stage", "accused"),
    [
        (scaler_of_one_row_fitted_on_test, "weights", {"Ridge"}),
        (penalty_chosen_on_test, "weights", {"Ridge"}),
        (weights_chosen_on_test, "weights", {"MLP"}),
        (baseline_that_peeks, "forecast", {"Drift"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_row_that_leaks_is_named_and_those_that_share_its_inputs_are_not(configure, plant, leak, stage, accused):
    leak(plant)
    task, found = audited(configure, *SHARED)
    assert stage in {cause.stage for cause in found.causes}, found.sentence
    assert set(leaking(task, found)) == accused


def test_rows_are_fitted_anew_only_where_weights_must_not_change(configure, monkeypatch):
    fitted, fit = [], pipeline.fitting._fit
    monkeypatch.setattr(pipeline.fitting, "_fit", lambda *given: [fitted.append(given[4].label), fit(*given)][1])
    _, found = audited(configure, *SHARED)
    assert found.verdict == "causal", found.sentence
    again, tested = TRIED + 3, 3  # rows left out, and other windows in the place of tested ones; origins they begin at
    assert [fitted.count(label) for label in ("MLP", "Ridge", "Drift")] == [1 + again] * 3
    assert fitted.count(NOBODY["label"]) == len(WAYS) + tested - TRIED  # what stands before a model, in all other ways


@pytest.mark.parametrize("scope", ["overall", "split_once"])
def test_a_decomposition_of_the_whole_series_is_named_and_its_worth_told(configure, scope):
    more = [word for word in SERIES if not (scope == "overall" and word.startswith("scope."))]
    task, found = audited(configure, *more, f"scope={scope}", "decomposition=wavelet_packet")
    assert {cause.stage for cause in found.causes} == {"decomposition"}
    assert "of directions explained by it" in found.sentence
    assert set(leaking(task, found)) == {"WAVELET-PACKET-MLP"}


def test_a_decomposition_of_the_whole_series_is_held_against_its_row_without_an_audit(configure):
    words = [word for word in SERIES if not word.startswith("scope.")]
    more = ["scope=overall", "decomposition=wavelet_packet", "audit=none"]
    task, found = audited(configure, *words, *more)
    assert found.verdict == "not audited"
    assert set(leaking(task, found)) == {"WAVELET-PACKET-MLP"}


def random_rows(panel: Panel) -> list[Fold]:
    role = np.full(len(panel.frame), TRAIN, dtype=np.int8)
    role[np.random.default_rng(0).random(role.size) < 0.2] = TEST
    return [Fold(role, "random")]


def test_random_rows_of_a_series_are_named(configure):
    _, found = audited(configure, *SERIES, folds=random_rows)
    assert found.causes[0].stage == "split"


# --- planted leaks: cells ---------------------------------------------------------------------------------------

CELLS = [
    "experiment=battery",
    "parallel.n_jobs=1",
    "source.n_cells=4",
    "source.life=[80,120]",
    "source.longest=160",
    "split.folds=2",
    "split.validation=1",
    "features=rolling",
    "model=ridge",
    "model/component=joint",
    "baselines=cycles",
]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["features=factors", "model=extra_trees"],
        ["augmentation=mixup"],
        ["features=life", "model=bilstm", "model.network.hidden=[8,4]"],
    ],
    ids=" ".join,
)
def test_an_honest_run_on_cells_is_causal(configure, overrides):
    _, found = audited(configure, *CELLS, *overrides)
    assert found.verdict == "causal", found.sentence
    assert all(finding.checked for finding in found.findings), found.findings


def scaled_by_all_cells(plant):
    monkeypatch, seen = plant
    fit = Standard.fit
    monkeypatch.setattr(Standard, "fit", lambda self, train: fit(self, joined(seen["train"], seen["test"])))


def features_of_all_cells(plant):
    fit, transform = Chain.fit, Chain.transform

    def lazily(self, X, y):
        self.kept_ = (X, y)
        return fit(self, X, y)

    def late(self, X):
        y = self.kept_[1].reindex(X.index).fillna(0.0)
        fit(self, X, y)
        return transform(self, X)

    plant[0].setattr(Chain, "fit", lazily)
    plant[0].setattr(Chain, "transform", late)


def length_of_the_record(plant):
    from tasks.rul import RUL

    prepare = RUL.prepare

    def longer(self, panel, fold, candidate, origins=None, cached=True):
        prepared = prepare(self, panel, fold, candidate, origins, cached)
        sizes = panel.frame.groupby("unique_id")["ds"].transform("size").to_numpy(dtype=float)
        extra = sizes[prepared.windows.origin][:, None, None].repeat(prepared.windows.past.shape[1], axis=1)
        past = np.concatenate([prepared.windows.past, extra], axis=2)
        return prepared._replace(windows=prepared.windows._replace(past=past))

    plant[0].setattr(RUL, "prepare", longer)


def centred_rolling_mean(plant):
    def transform(self, X):
        return X.groupby(level=0, sort=False).transform(lambda c: c.rolling(9, center=True, min_periods=1).mean())

    plant[0].setattr(RollingStatistics, "transform", transform)
    plant[0].setattr(Chain, "transform", lambda self, X: self.steps["rolling"].transform(X))


def ridge_that_knows_the_remaining_life(plant):
    predict = Ridge.predict
    plant[0].setattr(Ridge, "predict", lambda self, inputs: predict(self, inputs) + 1e-3 * inputs.windows.y)


def remaining_life_among_the_inputs(plant):
    from tasks.rul import RUL

    prepare = RUL.prepare

    def told(self, panel, fold, candidate, origins=None, cached=True):
        prepared = prepare(self, panel, fold, candidate, origins, cached)
        past = np.array(prepared.windows.past)
        past[:, -1, 0] += 1e-3 * prepared.windows.y[:, 0]
        return prepared._replace(windows=prepared.windows._replace(past=past))

    plant[0].setattr(RUL, "prepare", told)


@pytest.mark.parametrize(
    ("leak", "stage", "more"),
    [
        (ridge_that_knows_the_remaining_life, "forecast", []),
        (remaining_life_among_the_inputs, "inputs", []),
        (scaled_by_all_cells, "scaling", []),
        (features_of_all_cells, "features", ["features=factors"]),
        (length_of_the_record, "inputs", []),
        (centred_rolling_mean, "inputs", []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_leak_planted_in_a_run_on_cells_is_named(configure, plant, leak, stage, more):
    leak(plant)
    _, found = audited(configure, *CELLS, *more)
    assert found.causes[0].stage == stage, found.sentence


@pytest.mark.parametrize("split", ["rows_in_order", "leaky_random", "within_cell"])
def test_cells_on_both_sides_are_named(configure, split):
    _, found = audited(configure, *[word for word in CELLS if not word.startswith("split.")], f"split={split}")
    assert found.causes[0].stage == "split", found.sentence


def noise(frame: Any) -> Any:
    return np.random.default_rng(0).standard_normal(len(frame))


TELLING = {
    "target": lambda f: f["y"],
    "clock": lambda f: f["ds"],
    "line": lambda f: 3.0 - 2 * f["y"],
    "noisy clock": lambda f: f["ds"] + noise(f),
    "noisy target": lambda f: f["y"] + noise(f),
    "centred mean": lambda f: f.groupby("unique_id")["y"].transform(
        lambda y: y.rolling(9, center=True, min_periods=1).mean()
    ),
}
INNOCENT = {
    "constant": lambda f: 25.0,
    "constants": lambda f: f["unique_id"].map(lambda cell: sum(map(ord, cell)) % 7 + 20.0),
    "temperature": lambda f: 25.0 + noise(f),
}


def test_covariates_that_tell_the_target_are_named_and_others_are_not(configure):
    def with_columns(panel: Panel) -> Panel:
        planted = {name: value(panel.frame) for name, value in (TELLING | INNOCENT).items()}
        covariates = {**panel.covariates, **dict.fromkeys(planted, "planted")}
        return replace(panel, frame=panel.frame.assign(**planted), covariates=covariates)

    _, found = audited(configure, *CELLS, "baselines=none", change=with_columns)
    (detail,) = [cause.detail for cause in found.causes if cause.stage == "covariates"]
    assert set(detail.split(" (of")[0].split(", ")) == set(TELLING), detail


# --- what does not go together -----------------------------------------------------------------------------------


def test_the_model_of_a_run_comes_first_even_where_it_is_among_the_baselines(configure):
    def first(*overrides):
        cfg = configure(*overrides)
        return build(cfg.task)(cfg).candidates()[0].label

    assert first("experiment=smoke", "decomposition=identity") == "CNN-LSTM-AM"
    assert first("experiment=smoke", "model=persistence") == "Persistence"
    assert first("experiment=battery", "model=ridge") == "Ridge"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["experiment=smoke", "model=clock"], "Clock is a model for a remaining life at every cycle only"),
        (
            ["experiment=smoke", "intervals=by_cell"],
            "intervals=ByCell is for a remaining life at every cycle or one number a cell only",
        ),
        (["experiment=smoke", "features=rolling"], "task=forecast has no use for features"),
        (["experiment=battery", "intervals=adaptive"], "intervals=Adaptive is for the next values of series only"),
        (["experiment=battery", "horizon=5"], "set horizon=1"),
        (["experiment=battery", "model/component=separate"], "features of a cell do not add up to its life"),
        (
            ["experiment=battery", "model=ridge", "model/component=branches"],
            "Ridge: model/component=branches gives each",
        ),
        (
            ["experiment=battery", "scaling=minmax", "~scaling.clip"],
            "MinMax is for the next values of series",
        ),
        (["experiment=battery", "scope=rolling"], "task=rul has no use for scope"),
    ],
)
def test_what_is_made_for_the_other_task_is_refused_before_any_work(configure, overrides, said):
    cfg = configure(*overrides)
    with pytest.raises(ConfigError, match=said):
        check_task(build(cfg.task)(cfg))
