"""Settings are chosen on validation rows alone, by trials of which none is lost or repeated."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

optuna = pytest.importorskip("optuna", reason="the extra `tune` is not installed")

from optuna.trial import TrialState  # noqa: E402

import pipeline.tuning.space as space_module  # noqa: E402
import pipeline.tuning.trials as trials_module  # noqa: E402
import tune  # noqa: E402
from data.contracts import TEST  # noqa: E402
from pipeline.fitting import evaluated, validated  # noqa: E402
from pipeline.run import opened  # noqa: E402
from pipeline.tuning.plan import planned  # noqa: E402
from pipeline.tuning.record import record  # noqa: E402
from pipeline.tuning.space import Choices, Range, as_words, defaults_of, read_space, space_for  # noqa: E402
from pipeline.tuning.study import PROCESS, count, open_study, outcome, retire_killed  # noqa: E402
from pipeline.tuning.trials import Plan, Prune, on_validation, run_trials, settings_of  # noqa: E402
from report.run_folder import RunFolder  # noqa: E402
from report.sections.training import trials  # noqa: E402
from runtime.build import ConfigError  # noqa: E402
from runtime.compose import composed  # noqa: E402
from runtime.files import write_json  # noqa: E402
from runtime.overrides import parse  # noqa: E402
from runtime.processes import this_process  # noqa: E402
from tests.conftest import ROOT, choices  # noqa: E402
from tests.run_folders import series_run  # noqa: E402

SMALL = [
    "experiment=smoke",
    "blend=none",
    "source.n_steps=400",
    "decomposition=identity",
    "baselines=naive",
    "scope.history=64",
]
NETWORK = [*SMALL, "model=mlp", "model/component=joint", "model.network.hidden=4", "trainer.max_epochs=3"]
RIDGE = [*SMALL, "model=ridge", "model/component=joint"]
SPACE = {"model.alpha": Range(1e-4, 1e3, log=True), "lookback": Choices((5, 10, 20))}


def plan_in(folder: Path, trials: int, words: list[str] = RIDGE, name: str = "study") -> Plan:
    return Plan(tuple(words), SPACE, f"sqlite:///{folder / 'study.db'}", name, 0, trials)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Trials that cost nothing: the error is the lookback.  Return the settings each was run with."""
    ran: list[dict[str, Any]] = []

    def judged(cfg: Any, extra: Any, data: str = "") -> float:
        ran.append({"model.alpha": cfg.model.alpha, "lookback": cfg.lookback})
        if cfg.lookback == 20:
            raise ConfigError("lookback=20 is too long.")
        return float(cfg.lookback)

    monkeypatch.setattr(trials_module, "on_validation", judged)
    trials_module._opened.cache_clear()
    return ran


# ---- search spaces


@pytest.mark.parametrize("name", choices("search"))
def test_a_space_fits_its_models_and_holds_their_defaults(name):
    space = read_space(name)
    models = yaml.safe_load((ROOT / "conf" / "search" / f"{name}.yaml").read_text())["models"]
    assert models
    assert set(models) <= set(choices("model"))
    experiment = "battery" if models[0].startswith(("bilstm", "extra", "hist")) else "smoke"
    cfg, chosen = composed([f"experiment={experiment}", f"model={models[-1]}"])
    defaults = defaults_of(space, cfg, chosen, name)
    assert not {key: value for key, value in defaults.items() if not space[key].holds(value)}


def test_a_setting_that_is_not_there_is_told_with_the_space_that_fits():
    cfg, chosen = composed([*RIDGE])
    with pytest.raises(ConfigError, match=r"tries model.optimizer.lr, which this run does not have.*search=ridge"):
        defaults_of(read_space("default"), cfg, chosen, "default")


@pytest.mark.parametrize(
    ("search", "model", "meant"),
    [
        ("default", "ridge", "ridge"),
        ("default", "lstm", "default"),
        ("default", "extra_trees", "trees"),
        ("default", "garch", "default"),
        ("mlp", "ridge", "mlp"),
    ],
)
def test_the_default_space_is_what_fits_the_model_and_a_named_one_is_taken_as_it_is(search, model, meant):
    assert space_for(search, model) == meant


def test_all_faults_of_a_space_are_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "search").mkdir()
    content = {
        "modles": ["mlp"],
        "space": {"a": {"low": 1}, "b": {"low": 2, "high": 1}, "c": {"low": 0, "high": 1, "log": True}}
        | {"d": {"choices": [1]}, "e": {"low": 1, "high": 2, "stpe": 1}, "f": 3, "g": {"low": 0, "high": 1, "step": 2}},
    }
    (tmp_path / "search" / "own.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr(space_module, "CONF", str(tmp_path))
    monkeypatch.setattr(space_module, "choices", lambda group: ["own"])
    with pytest.raises(ConfigError) as told:
        read_space("own")
    said = str(told.value)
    assert "Did you mean 'models'?" in said
    assert "Did you mean 'step'?" in said
    assert all(f"own.yaml: {key} " in said for key in "abcdefg")


def test_values_reach_a_run_as_they_were_drawn():
    words = as_words({"model.alpha": 1.5e-07, "lookback": 5, "model.component.x": None, "seeds": True, "y": "[64, 32]"})
    assert words == ["model.alpha=1.5e-07", "lookback=5", "model.component.x=null", "seeds=true", "y=[64, 32]"]
    drawn = {"model.alpha": 1.5e-07, "lookback": 5, "model/component": "separate"}
    once = settings_of([*RIDGE, *as_words(drawn)])
    assert settings_of(RIDGE, drawn) == once
    assert (once.model.alpha, once.model.component._target_) == (1.5e-07, "models.allocation.Separate")
    assert settings_of(["experiment=battery"], {"lookback": "[64, 32]"}).lookback == [64, 32]


# ---- what a trial may see


@pytest.mark.parametrize("words", [NETWORK, ["experiment=smoke_battery", "model=extra_trees"]], ids=["series", "cells"])
def test_a_trial_is_the_same_whatever_the_test_rows_hold(words, monkeypatch):
    cfg = settings_of(words)
    error = on_validation(cfg, lambda: ())

    def replaced(cfg: Any) -> Any:
        task, panel, folds = opened(cfg)
        tested = folds[0].role == TEST
        assert tested.any()
        frame = panel.frame.copy()
        for column in ("y", *panel.covariates):
            frame.loc[tested, column] = np.random.default_rng(1).permutation(frame.loc[tested, column].to_numpy()) * 3
        return task, replace(panel, frame=frame), folds

    monkeypatch.setattr(trials_module, "opened", replaced)
    assert on_validation(cfg, lambda: ()) == error


def test_a_trial_gives_the_error_its_run_would_tell(tmp_path):
    cfg = settings_of(NETWORK)
    task, panel, folds = opened(cfg)
    row = task.candidates()[0]
    whole, _ = evaluated(task, panel, folds[0], row, task.prepare(panel, folds[0], row), tmp_path / "a.ckpt")
    assert on_validation(cfg, lambda: ()) == whole.validation_mae


def test_the_error_of_every_epoch_is_that_of_the_restored_forecast(tmp_path):
    cfg = settings_of(NETWORK)
    task, panel, folds = opened(cfg)
    row = task.candidates()[0]
    found = validated(task, panel, folds[0], row, task.prepare(panel, folds[0], row), tmp_path / "a.ckpt")
    best = min(found.losses, key=lambda epoch: epoch["val/loss"])
    assert best["val/mae"] == pytest.approx(found.mae, rel=1e-5)
    assert len({epoch["val/mae"] for epoch in found.losses}) == 3


def test_a_trial_that_is_not_worth_it_ends_early(tmp_path):
    class Trial:
        def __init__(self) -> None:
            self.reported: list[tuple[int, float]] = []

        def report(self, error: float, step: int) -> None:
            self.reported.append((step, error))

        def should_prune(self) -> bool:
            return len(self.reported) == 2

    trial = Trial()
    with pytest.raises(optuna.TrialPruned):
        on_validation(settings_of(NETWORK), lambda: [Prune(trial)])  # type: ignore[arg-type]
    assert [step for step, _ in trial.reported] == [0, 1]
    assert all(0 < error < 100 for _, error in trial.reported)


# ---- studies


def test_a_study_goes_on_and_repeats_nothing(tmp_path, quick):
    run_trials(plan_in(tmp_path, 4), 1, print)
    trials_module._opened.cache_clear()  # as in a new process
    run_trials(plan_in(tmp_path, 9), 1, print)
    run_trials(plan_in(tmp_path, 9), 1, print)
    study = plan_in(tmp_path, 0).open()
    assert count(study.trials).ended == len(study.trials) == 9
    drawn = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(drawn)) == 9
    assert [(run["model.alpha"], run["lookback"]) for run in quick] == drawn
    again = plan_in(tmp_path, 9, name="another")
    trials_module._opened.cache_clear()
    run_trials(again, 1, print)
    assert [tuple(trial.params.values()) for trial in again.open().trials] == drawn  # the seed decides


def test_a_failed_trial_is_recorded_with_its_sentence_and_counts(tmp_path, quick):
    run_trials(plan_in(tmp_path, 12), 1, print)
    study = plan_in(tmp_path, 0).open()
    failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert failed
    assert {outcome(trial) for trial in failed} == {"failed"}
    assert {trial.user_attrs["said"] for trial in failed} == {"lookback=20 is too long."}
    assert count(study.trials).ended == 12


KILLED = """
import sys, time
from pipeline.tuning.study import PROCESS, open_study
from runtime.processes import this_process
study = open_study(sys.argv[1], "study", 0)
trial = study.ask()
trial.set_user_attr(PROCESS, this_process())
trial.suggest_float("model.alpha", 1e-4, 1e3, log=True)
trial.suggest_categorical("lookback", (5, 10, 20))
print("runs", flush=True)
time.sleep(60)
"""


def test_a_trial_killed_with_9_is_recorded_and_its_settings_are_run_by_another(tmp_path, quick):
    plan = plan_in(tmp_path, 3)
    line = [sys.executable, "-c", KILLED, plan.storage]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    study = plan.open()
    assert retire_killed(study) == []  # it lives
    process.send_signal(signal.SIGKILL)
    process.communicate()
    said: list[str] = []
    run_trials(plan, 1, said.append)
    assert said == ["Trial 0 was killed; its settings are tried again."]
    killed, again, *others = plan.open().trials
    assert (outcome(killed), outcome(again)) == ("killed", "complete" if again.params["lookback"] < 20 else "failed")
    assert again.params == killed.params
    assert again.user_attrs["retry_of"] == 0
    assert len(others) == 2  # three have ended by themselves
    assert run_trials(plan, 1, said.append) is None
    assert len(plan.open().trials) == 4


def test_a_trial_of_this_process_or_of_another_machine_is_left_alone(tmp_path):
    study = open_study(f"sqlite:///{tmp_path / 'study.db'}", "study", 0)
    study.ask().set_user_attr(PROCESS, this_process())
    study.ask().set_user_attr(PROCESS, ["another-machine", 1, "0"])
    reused = study.ask()
    reused.set_user_attr(PROCESS, [this_process()[0], os.getpid(), "12"])  # a number that another process has now
    assert retire_killed(study) == [reused.number]


def test_settings_that_were_tried_are_told_and_not_run_again(tmp_path, quick):
    plan = plan_in(tmp_path, 2)
    study = plan.open()
    for _ in range(2):
        study.enqueue_trial({"model.alpha": 1.0, "lookback": 10})
    run_trials(plan, 1, print)
    first, second = plan.open().trials
    assert len(quick) == 1
    assert (first.value, second.value, second.user_attrs["same_as"]) == (10.0, 10.0, 0)


def test_a_study_of_other_settings_or_data_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def begin(*words: str) -> Plan:
        own = ["search=ridge", "study=mine", f"storage=sqlite:///{tmp_path / 's.db'}"]
        return planned(parse([*RIDGE, *own, *words], tune.USAGE))[0]

    plan = begin()
    assert begin("trials=7").trials == 7
    with pytest.raises(ConfigError, match="was begun with other settings"):
        begin("horizon=2")
    first = plan.open().trials[0]
    assert first.state is TrialState.WAITING  # the defaults are tried first
    assert first.system_attrs["fixed_params"]["lookback"] == 30
    plan.open().set_user_attr("data", "other")
    with pytest.raises(ConfigError, match="data have changed"):
        begin()
    with pytest.raises(ConfigError, match="data have changed"):
        on_validation(settings_of(RIDGE), lambda: (), "other")


def test_the_help_names_every_word_and_an_example(capsys):
    with pytest.raises(SystemExit) as left:
        parse(["--help"], tune.USAGE)
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "python tune.py experiment=sp500" in said
    assert all(f"  {word}" in said for word in ("search", "trials", "jobs", "storage", "study"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trails=3"], "Did you mean 'trials'?"),
        (["trials=0"], "trials=0 must be a whole number of at least 1"),
        (["lookback=5,10"], "several values"),
    ],
)
def test_a_mistyped_command_is_told(words, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        parse(words, tune.USAGE)


def test_a_storage_that_cannot_be_used_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be used"):
        open_study(f"sqlite:///{tmp_path / 'none' / 's.db'}", "study", 0)


# ---- the report


def test_the_report_tells_the_trials(tmp_path, quick):
    plan = plan_in(tmp_path, 12)
    study = plan.open()
    facts = {"unit": "points", "space": {key: entry._asdict() for key, entry in SPACE.items()}, "seen": 3, "tested": 9}
    for key, value in (facts | {"defaults": {"model.alpha": 1.0, "lookback": 10}, "judged": ["a", "b"]}).items():
        study.set_user_attr(key, value)
    study.enqueue_trial({"model.alpha": 1.0, "lookback": 10})
    run_trials(plan, 1, print)
    series_run(tmp_path / "run")
    write_json(tmp_path / "run" / "artifacts" / "trials.json", record(plan.open()))
    told = trials(RunFolder(tmp_path / "run"))
    assert told is not None
    counts = count(plan.open().trials)
    assert (
        f"12 trials chose these settings on validation rows: {counts.complete} completed, {counts.failed}"
        in told.heading
    )
    assert (
        "a MAE of 5.000 points on validation rows, 50.0 % less than the 10.00 of the default settings."
        in told.paragraphs[0]
    )
    importance, best = told.tables
    assert importance.rows[0].cells[0].text == "lookback"  # the error is the lookback
    assert len(best.rows) == counts.complete
    assert [drawing.name for drawing in told.figures[0].drawings] == ["history", "model.alpha", "lookback"]
    assert "3 of 9 rows that other folds test" in told.notes[0]
    assert "looked at 2 times" in told.notes[1]
    assert trials(RunFolder(tmp_path)) is None
