"""Run trials of settings, each judged on validation rows alone, until enough have ended."""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from optuna import Trial, TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from data.contracts import TEST, Fold, Panel
from data.panel import fingerprint
from pipeline.fitting import validated
from pipeline.run import opened
from pipeline.tuning.space import Space, Value, as_setting, as_words, suggested
from pipeline.tuning.study import PROCESS, SAID, SAME, count, open_study, retire_killed, twin
from pipeline.work import seeds_of, with_seed
from runtime.build import ConfigError, build
from runtime.command_line import sentence
from runtime.compose import composed, resolved
from runtime.overrides import all_groups
from runtime.parallel import Local, WorkerLost
from runtime.processes import this_process
from runtime.quiet import quiet
from tasks.task import Task

RESTARTS = 3  # times in a row that workers may be killed before any trial has ended
DIVERGED = "The training diverged: its forecasts are no numbers."
COMPOSED = 64  # choices of groups that are kept composed
MOST_SAID = 2000  # letters a data base keeps of a fault


class Plan(NamedTuple):
    """What every process of a study must know."""

    words: tuple[str, ...]
    """Behind train.py: what all trials have in common."""
    space: Space
    storage: str
    study: str
    seed: int
    trials: int
    """Trials that are to end by themselves."""
    data: str = ""
    """Digest of the data the study was begun with."""

    def open(self) -> Study:
        """Return the study."""
        return open_study(self.storage, self.study, self.seed)


class Prune(pl.Callback):
    """Tell a trial ``val/mae`` after every epoch, and end it where the pruner thinks little of it."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the error of the epoch.

        Raises
        ------
        TrialPruned
            If the trial is not worth going on with.
        """
        error = trainer.callback_metrics.get("val/mae")
        if trainer.sanity_checking or error is None:
            return
        if math.isfinite(error):
            self.trial.report(float(error), trainer.current_epoch)
        if self.trial.should_prune():
            raise TrialPruned


def settings_of(words: Sequence[str], params: Mapping[str, Value] | None = None) -> DictConfig:
    """Return the settings train.py would run under these words, and with what a trial has drawn."""
    given = params or {}
    groups = {key: value for key, value in given.items() if key in all_groups()}
    cfg = _base((*words, *as_words(groups))).copy()
    for key, value in given.items():
        if key not in groups:
            OmegaConf.update(cfg, key, as_setting(value))
    return resolved(cfg)


def run_trials(plan: Plan, jobs: int, told: Callable[[str], None]) -> None:
    """Run trials side by side until as many as planned have ended by themselves.

    A worker that is killed takes its trials with it; they are put up again, and the rest goes on.

    Raises
    ------
    WorkerLost
        If workers are killed again and again.
    """
    study = plan.open()
    lost = 0
    while True:
        for number in retire_killed(study):
            told(f"Trial {number} was killed; its settings are tried again.")
        done = count(study.get_trials(deepcopy=False)).ended
        if done >= plan.trials:
            return
        try:
            for _ in Local(jobs).map(partial(_one_trial, plan), range(plan.trials - done), "trials"):
                pass
        except WorkerLost as error:
            now = count(study.get_trials(deepcopy=False)).ended
            lost = 0 if now > done else lost + 1
            if lost == RESTARTS:
                raise
            told(str(error).partition(",")[0] + "; the others go on.")


def on_validation(cfg: DictConfig, extra: Callable[[], Sequence[pl.Callback]], data: str = "") -> float:
    """Return the error on validation rows [unit of the series], the mean over the seeds of the run.

    The rows after the first fold's validation, or its tested cells, are taken out of the panel first: nothing a trial
    does can depend on them.  Callbacks watch the first seed.

    Raises
    ------
    ConfigError
        If the data are not those the study was begun with, or nothing is held out to choose by.
    """
    task, panel, folds = opened(cfg)
    if data and fingerprint(panel) != data:
        raise ConfigError("The data have changed since the study began.  Restore them, or begin another with study=...")
    panel, fold = without_test(task, panel, folds[0])
    candidate = task.candidates()[0]
    errors = []
    with TemporaryDirectory() as folder:
        for place, seed in enumerate(seeds_of(cfg, candidate)):
            own: Task = build(cfg.task)(with_seed(cfg, seed))
            row = own.candidates()[0]
            prepared = own.prepare(panel, fold, row)
            watching = extra() if place == 0 else ()
            found = validated(own, panel, fold, row, prepared, Path(folder, f"{seed}.ckpt"), watching)
            errors.append(found.mae)
    return float(np.mean(errors))


def without_test(task: Task, panel: Panel, fold: Fold) -> tuple[Panel, Fold]:
    """Return the rows settings may be chosen by, and nothing else."""
    known = task.knowledge(panel, fold).chosen_on
    frame = panel.frame[known].reset_index(drop=True)
    return replace(panel, frame=frame), Fold(fold.role[known], fold.name)


def seen_while_choosing(task: Task, panel: Panel, folds: Sequence[Fold]) -> tuple[int, int]:
    """Return how many tested rows of all folds are among those settings are chosen by, and how many are tested."""
    known = task.knowledge(panel, folds[0]).chosen_on
    tested = np.any([fold.role == TEST for fold in folds], axis=0)
    return int((tested & known).sum()), int(tested.sum())


def _one_trial(plan: Plan, _: int) -> None:
    """Ask for one trial, run it and tell how it ended; runs in a process of its own."""
    quiet()
    study = _opened(plan.storage, plan.study, plan.seed)
    if count(study.get_trials(deepcopy=False)).ended >= plan.trials:
        return  # another command has done it
    trial = study.ask()
    trial.set_user_attr(PROCESS, this_process())
    params = suggested(plan.space, trial)
    known = twin(study, trial.number, trial.params)
    if known is not None:
        _repeat(study, trial, known)
        return
    try:
        cfg = settings_of(plan.words, params)
        error = on_validation(cfg, lambda: [Prune(trial)], plan.data)
    except TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as fault:
        _failed(study, trial, sentence(fault, "") or traceback.format_exc())
    else:
        if math.isfinite(error):
            study.tell(trial, error)
        else:
            _failed(study, trial, DIVERGED)


def _repeat(study: Study, trial: Trial, known: FrozenTrial) -> None:
    """Tell of a trial what is known of an earlier one with the same settings, without running it."""
    trial.set_user_attr(SAME, known.number)
    if known.state is TrialState.COMPLETE:
        study.tell(trial, known.value)
    elif known.state is TrialState.PRUNED:
        for step, error in known.intermediate_values.items():
            trial.report(error, step)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        _failed(study, trial, str(known.user_attrs[SAID]))


def _failed(study: Study, trial: Trial, said: str) -> None:
    trial.set_user_attr(SAID, said[:MOST_SAID])
    study.tell(trial, state=TrialState.FAIL)


@lru_cache(COMPOSED)  # composing takes as long as a small network
def _base(words: tuple[str, ...]) -> DictConfig:
    return composed(words)[0]


@cache  # one connection a process
def _opened(storage: str, name: str, seed: int) -> Study:
    return open_study(storage, name, seed)
