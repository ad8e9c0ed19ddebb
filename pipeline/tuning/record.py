"""What a study has shown, as the report of its best run keeps it."""

import warnings
from typing import Any

from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from pipeline.tuning.study import RETRIES, SAID, SAME, count, outcome

ENOUGH = 4  # completed trials from which on importance can be said


def record(study: Study) -> dict[str, Any]:
    """Return every trial, the importance of each setting, and what was tried on, as JSON can hold them."""
    trials = study.get_trials(deepcopy=False)
    return {
        "study": study.study_name,
        "facts": dict(study.user_attrs),
        "counts": count(trials)._asdict(),
        "best": best_of(study),
        "importance": importance(study),
        "trials": [
            {
                "number": trial.number,
                "outcome": outcome(trial),
                "mae": trial.value if trial.state is TrialState.COMPLETE else None,
                "params": trial.params,
                "epochs": {str(step): error for step, error in sorted(trial.intermediate_values.items())},
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                "said": trial.user_attrs.get(SAID, ""),
                "again": trial.user_attrs.get(RETRIES),
                "same": trial.user_attrs.get(SAME),
            }
            for trial in trials
            if trial.state.is_finished()
        ],
    }


def best_of(study: Study) -> int | None:
    """Return the number of the best trial, or None where none was completed."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return min(done, key=lambda trial: trial.value or 0.0).number if done else None


def importance(study: Study) -> dict[str, float]:
    """Return how much of the differences among completed trials each setting explains (PED-ANOVA, Watanabe 2023).

    Shares of what all explain; empty where the trials are too few, or all alike.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < ENOUGH or len({trial.value for trial in done}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Optuna's, that it may change
        found = get_param_importances(study)
    return {name: float(share) for name, share in found.items()}
