"""Combine the forecasts of all candidates of a fold and seed: one row more, behind them all.

The validation rows are shared out in time: the weights are fitted on the first half, and intervals are calibrated,
and the error is measured, on the second.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from data.contracts import FloatArray
from data.panel import DataError
from models.combination import WEIGHERS
from pipeline.outcome import Outcome
from runtime.build import ConfigError
from tasks.task import Candidate, Task

NONE = "none"
MEMBERS = "members.safetensors"
"""In the run folder: what the members of a combination have learnt, every seed's."""
WEIGHTS_OF = "combination.json"
"""Among the artifacts: the weights of each seed in the last fold, by the label of each member."""
KEYS = ["unique_id", "ds", "origin", "step"]


def combines(cfg: DictConfig) -> bool:
    """Say whether there is a combination; runs of before there were any have none."""
    return bool(cfg.get("combination", NONE) != NONE)


def label_of(cfg: DictConfig) -> str:
    """Return what tables call the combination."""
    return f"Combination ({cfg.combination})"


def members(task: Task) -> list[Candidate]:
    """Return the rows that are combined: all but the reference and the undecomposed twins of decomposed rows."""
    return [row for row in task.candidates() if row.label != task.reference and not row.beside]


def combined(task: Task, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the combination of each fold and seed; none where none is asked for.

    Raises
    ------
    ConfigError
        If there are fewer than two models that forecast the same rows.
    """
    if not combines(task.cfg):
        return []
    labels = [row.label for row in members(task)]
    seeds = sorted({outcome.seed for outcome in outcomes})
    rows = []
    for fold in dict.fromkeys(outcome.fold for outcome in outcomes):
        here = {(outcome.model, outcome.seed): outcome for outcome in outcomes if outcome.fold == fold}
        for seed in seeds:
            found = [here.get((label, seed), here.get((label, task.cfg.seed))) for label in labels]
            rows.append(_of_one(task.cfg, fold, seed, [one for one in found if one is not None]))
    return rows


def weighted(forecasts: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """Return the combination of forecasts by label."""
    parts = [weight * forecasts[label] for label, weight in weights.items()]
    return np.sum(parts, axis=0)


def _of_one(cfg: DictConfig, fold: str, seed: int, outcomes: Sequence[Outcome]) -> Outcome:
    same = [one for one in outcomes if _alike(one, outcomes[0])]
    if len(same) < 2:
        raise ConfigError(
            f"combination={cfg.combination} needs two models or more that forecast the same rows, and there is "
            f"{'one' if same else 'none'}.  Choose baselines, or combination=none."
        )
    held_out, tested = (_side_by_side(same, name) for name in ("calibration", "forecasts"))
    truth = same[0].calibration["y"].to_numpy(dtype=np.float64)
    early = first_half(same[0].calibration)
    if not early.any() or early.all():
        raise DataError(
            f"combination={cfg.combination} needs at least two validation origins, one half for its weights and one "
            f"for intervals.  Hold more out in split.validation."
        )
    errors = held_out[early] - truth[early, None]
    found = WEIGHERS[cfg.combination](errors, seed)
    weights = {one.model: float(weight) for one, weight in zip(same, found, strict=True)}
    later = same[0].calibration[~early].reset_index(drop=True)
    calibration = _table(later, cfg, (held_out @ found)[~early])
    return Outcome(
        model=label_of(cfg),
        fold=fold,
        forecasts=_table(same[0].forecasts, cfg, tested @ found),
        calibration=calibration,
        validation_mae=float((calibration["y_hat"] - calibration["y"]).abs().mean()),
        losses=[],
        seed=seed,
        seconds=0.0,
        learnt_from="",
        members=weights,
    )


def first_half(calibration: pd.DataFrame) -> Any:
    """Say which validation rows weights are fitted on: those of the earlier half of the origins, ``(n,)``."""
    known = np.unique(calibration["origin"].to_numpy())
    return (calibration["origin"] < known[len(known) // 2]).to_numpy() if len(known) else np.zeros(0, dtype=bool)


def _alike(one: Outcome, first: Outcome) -> bool:
    """Say whether two models forecast the same rows, and one of them nothing that is no number."""
    for name in ("calibration", "forecasts"):
        own, other = getattr(one, name), getattr(first, name)
        if len(own) != len(other) or not (own[KEYS].to_numpy() == other[KEYS].to_numpy()).all():
            return False
        if not np.isfinite(own["y_hat"]).all():
            return False
    return True


def _side_by_side(outcomes: Sequence[Outcome], name: str) -> FloatArray:
    """Return the forecasts of several models of the same rows, ``(n, M)``."""
    return np.column_stack([getattr(one, name)["y_hat"].to_numpy(dtype=np.float64) for one in outcomes])


def _table(rows: pd.DataFrame, cfg: DictConfig, forecast: FloatArray) -> pd.DataFrame:
    """Return a Forecasts table of the combination; it has no intervals of its own."""
    own = [column for column in rows if str(column).startswith("own_")]
    return rows.drop(columns=own).assign(model=label_of(cfg), y_hat=forecast)


def member_name(row: Candidate, seed: int) -> str:
    """Return the name under which a member's tensors are kept; a label may hold what a name must not."""
    return f"{hashlib.sha256(row.label.encode()).hexdigest()[:16]}_{seed}"
