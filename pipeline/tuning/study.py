"""A study: trials over one storage, from any number of processes, of which any may be killed.

Every trial is asked for, run and told on its own, so the storage is all the state there is.  A trial counts once it
has ended by itself: completed, pruned or failed.  One whose process was killed is recorded as failed without a
sentence, its settings are tried again by another trial, and it does not count.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runtime.build import ConfigError
from runtime.processes import ended

STARTUP = 5  # trials drawn at random, and not pruned, before any is modelled
WARM = 3  # [epochs] of a trial that are never pruned
NO_SIGN = 60.0  # [s] after which a trial that has not said where it runs is taken for dead
BUSY = 60  # [s] a process waits for the others to write
SAID, PROCESS, RETRIES, SAME = "said", "process", "retry_of", "same_as"
"""What a trial keeps beside its settings: why it failed, where it runs, which it repeats, which it is equal to."""


class Numbered(BaseSampler):
    """TPE (Bergstra et al., 2011) whose chance follows from the number of the trial.

    So a study that goes on in a new process does not draw what the first trials drew, and processes side by side draw
    different settings.

    Parameters
    ----------
    seed : int
        Of the study.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._tpe = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin the random numbers of a trial."""
        seed = (1_000_003 * self.seed + trial.number) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._tpe = TPESampler(n_startup_trials=STARTUP, multivariate=True, constant_liar=True, seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw it."""
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one setting by itself."""
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)


def open_study(storage: str, name: str, seed: int) -> Study:
    """Return the study of a name, which is begun where there is none.

    Raises
    ------
    ConfigError
        If the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        waits = {"connect_args": {"timeout": BUSY}} if storage.startswith("sqlite:") else {}
        kept = RDBStorage(storage, engine_kwargs=waits)
        pruner = MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARM)
        return optuna.create_study(
            study_name=name, storage=kept, sampler=Numbered(seed), pruner=pruner, load_if_exists=True
        )
    except Exception as error:  # of the data base, whichever it is
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"storage={storage} cannot be used ({told}).  Give the address of a data base such as "
            f"sqlite:///outputs/study.db, in a folder that is there and can be written to."
        ) from error


class Count(NamedTuple):
    """How many trials have ended, and how."""

    complete: int
    pruned: int
    failed: int
    killed: int

    @property
    def ended(self) -> int:
        """Trials that ended by themselves."""
        return self.complete + self.pruned + self.failed


def count(trials: Sequence[FrozenTrial]) -> Count:
    """Count trials by how they ended."""
    states = [outcome(trial) for trial in trials]
    return Count(*(states.count(state) for state in ("complete", "pruned", "failed", "killed")))


def outcome(trial: FrozenTrial) -> str:
    """Return in a word what became of a trial."""
    if trial.state is TrialState.FAIL:
        return "failed" if SAID in trial.user_attrs else "killed"
    return trial.state.name.lower()


def retire_killed(study: Study) -> list[int]:
    """Record the trials whose process is no more, put their settings up for another trial, and return their numbers.

    Trials of other machines are left alone: whether their process lives cannot be seen from here.
    """
    retired = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not _dead(trial):
            continue
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except ValueError:  # another process was faster
            continue
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={RETRIES: trial.number})
        retired.append(trial.number)
    return retired


def twin(study: Study, number: int, params: dict[str, Any]) -> FrozenTrial | None:
    """Return another trial with the same settings that has ended by itself, or None."""
    for trial in study.get_trials(deepcopy=False):
        ended = trial.state.is_finished() and outcome(trial) != "killed"
        if ended and trial.number != number and trial.params == params:
            return trial
    return None


def _dead(trial: FrozenTrial) -> bool:
    process = trial.user_attrs.get(PROCESS)
    if process is None:
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - began > NO_SIGN
    return ended(process)
