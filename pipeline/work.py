"""The work of a run: every candidate on every fold with every seed, side by side in worker processes."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from data.contracts import TEST, TRAIN, Fold, Panel
from data.panel import DataError
from pipeline import artifacts
from pipeline.fitted import Fitted, check_model, save, unfitted
from pipeline.fitting import evaluated, parts_of
from pipeline.outcome import Outcome
from pipeline.settings import alone
from runtime.build import ConfigError, build
from runtime.files import write_json
from runtime.quiet import quiet
from runtime.record import UNFINISHED
from tasks.task import Candidate, Prepared, Task, inputs_of, needs_of, windows_for_blocks

TABLES = ("forecasts", "calibration", "later")


class WorkUnit(NamedTuple):
    """One candidate on one fold with one seed: what an interrupted run keeps or does again."""

    candidate: int
    fold: int
    seed: int


def outcomes(
    task: Task, panel: Panel, folds: Sequence[Fold], folder: Path, units: Sequence[WorkUnit]
) -> Iterator[tuple[WorkUnit, Outcome]]:
    """Fit every candidate on every fold and seed, and yield what each made of it as soon as it is there.

    Units that share dear inputs are done by one worker, unless some workers would have nothing to do.
    """
    task.warm(panel)
    work = partial(_evaluate, task.cfg, panel, folds, folder)
    bundles = _bundles(units, task)
    # A training on several devices starts processes of its own, which a worker cannot.
    for done in build(task.cfg.parallel).map(work, bundles) if alone(task.cfg) else map(work, bundles):
        yield from done.items()


def work_units(task: Task, panel: Panel, folds: Sequence[Fold]) -> list[WorkUnit]:
    """Return every unit that applies, in the order of the table: one seed where chance has no part."""
    rows = task.candidates()
    return [
        WorkUnit(number, place, seed)
        for number, row in enumerate(rows)
        for place, fold in enumerate(folds)
        if applies(task, row, panel, fold)
        for seed in seeds_of(task.cfg, row)
    ]


def seeds_of(cfg: DictConfig, candidate: Candidate) -> list[int]:
    """Return the seeds a candidate is trained with."""
    chance = needs_of(candidate).chance
    return [cfg.seed + number for number in range(cfg.seeds if chance else 1)]


def with_seed(cfg: DictConfig, seed: int) -> DictConfig:
    """Return the settings of a further training: the seed of the run and of the features, which are learnt anew.

    Data, split, decomposition and the seeds a model was given by name stay as they are.
    """
    if seed == cfg.seed:
        return cfg
    settings: Any = OmegaConf.to_container(cfg)
    settings["seed"] = seed
    if settings.get("features") is not None:
        settings["features"] = _reseeded(settings["features"], seed)
    changed = OmegaConf.create(settings)
    assert isinstance(changed, DictConfig)
    return changed


def unit_path(folder: Path, label: str, fold: str, seed: int) -> Path:
    """Return where a work unit is kept, without its suffix."""
    safe = "".join(letter if letter.isalnum() else "-" for letter in label.lower())[:40]
    own = hashlib.sha256(f"{label}|{fold}".encode()).hexdigest()[:12]  # folds can have long names, and alike ones
    return folder / UNFINISHED / f"{safe}_{own}_{seed}"


def keep(path: Path, outcome: Outcome, fitted: Fitted) -> None:
    """Write a finished work unit; the JSON comes last, so where it is the rest is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if fitted.model.needs.state and fitted.model.state() and fitted.finite:
        save(fitted, path.with_suffix(".safetensors"))
    for name in TABLES:
        getattr(outcome, name).to_parquet(_table(path, name), index=False)
    rest = {name: value for name, value in outcome._asdict().items() if name not in TABLES}
    write_json(path.with_suffix(".json"), rest)
    path.with_suffix(".ckpt").unlink(missing_ok=True)


def load_finished(path: Path) -> Outcome | None:
    """Read a work unit an interrupted run had finished; one that cannot be read is done again."""
    if not path.with_suffix(".json").exists():
        return None
    try:
        rest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        forecasts, calibration, later = (pd.read_parquet(_table(path, name)) for name in TABLES)
        return Outcome(forecasts=forecasts, calibration=calibration, later=later, **rest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        warnings.warn(f"{path}.json or a table of it cannot be read ({reason}); this unit is done again.", stacklevel=2)
        path.with_suffix(".json").unlink(missing_ok=True)
        return None


def _evaluate(
    cfg: DictConfig, panel: Panel, folds: Sequence[Fold], folder: Path, bundle: Sequence[WorkUnit]
) -> dict[WorkUnit, Outcome]:
    """Fit and evaluate the units of one bundle; runs in a process of its own.

    Of the run's own model, first seed, last fold, what the report draws is kept as well.
    """
    quiet()
    done: dict[WorkUnit, Outcome] = {}
    prepared: dict[tuple[int, int, Any], Prepared] = {}
    for unit in bundle:
        task: Task = build(cfg.task)(with_seed(cfg, unit.seed))
        row, fold = task.candidates()[unit.candidate], folds[unit.fold]
        path = unit_path(folder, row.label, fold.name, unit.seed)
        outcome = load_finished(path)
        if outcome is None:
            key = (unit.fold, unit.seed, inputs_of(row))
            if key not in prepared:
                prepared = {key: task.prepare(panel, fold, row)}
            outcome, fitted = evaluated(task, panel, fold, row, prepared[key], path.with_suffix(".ckpt"))
            if unit == WorkUnit(0, len(folds) - 1, cfg.seed):
                parts = parts_of(task, panel, fold, prepared[key])
                artifacts.keep(path.parent, task, panel, prepared[key], parts, fitted)
            keep(path, outcome, fitted)
        done[unit] = outcome
    return done


def _bundles(units: Sequence[WorkUnit], task: Task) -> list[list[WorkUnit]]:
    """Share the units out: those of one fold and seed together where their inputs are dear to prepare."""
    together: dict[tuple[int, int], list[WorkUnit]] = {}
    for unit in units:
        together.setdefault((unit.fold, unit.seed), []).append(unit)
    if task.bundled and len(together) > 1:
        return list(together.values())
    rows = task.candidates()
    networks = [unit for unit in units if needs_of(rows[unit.candidate]).gradients]
    others = [unit for unit in units if unit not in networks]
    return [*([unit] for unit in networks), *([others] if others else [])]


def check_data(task: Task, panel: Panel, folds: Sequence[Fold]) -> None:
    """Refuse, before anything is fitted, models that cannot be built, and data they cannot learn from.

    Raises
    ------
    ConfigError
        Naming every model whose settings cannot be.
    DataError
        Naming every fault.
    """
    cfg, faults = task.cfg, []
    fold = min(folds, key=lambda fold: task.learnable(panel, fold))
    n_windows = task.learnable(panel, fold)
    for row in task.candidates():
        try:
            check_model(cfg, row.model, row.lookback)
        except ConfigError as error:
            faults.append(str(error))
        least = windows_for_blocks(row.model, cfg.horizon)
        if 0 < n_windows < least:
            faults.append(
                f"{row.label} needs at least {least} training windows for its blocks, and {panel.name} leaves "
                f"{n_windows} in the fold {fold.name!r}.  Give more data, or lower model.blocks."
            )
    if faults:
        raise ConfigError("\n  ".join(dict.fromkeys(faults)))
    if not any(applies(task, task.candidates()[0], panel, fold) for fold in folds):
        faults.append(f"{_unfit(task.candidates()[0], folds)}  Choose another model.")
    fewest = build(cfg.augmentation).fewest
    if 0 < n_windows < fewest:
        faults.append(
            f"augmentation={cfg.names.augmentation} needs at least {fewest} training windows, and {panel.name} leaves "
            f"{n_windows} in the fold {fold.name!r}.  Give more data, or choose augmentation=gaussian, jitter or mixup."
        )
    if faults:
        raise DataError("\n  ".join(faults))


def left_out(task: Task, folds: Sequence[Fold], units: Sequence[WorkUnit]) -> list[str]:
    """Say which rows of the table have no work unit, and why."""
    there = {unit.candidate for unit in units}
    absent = [row for number, row in enumerate(task.candidates()) if number not in there]
    return [f"{_unfit(row, folds)}  It is left out." for row in absent]


def _unfit(row: Candidate, folds: Sequence[Fold]) -> str:
    most = row.model.get("most_windows")
    if most is None:
        return f"{row.label} is not made for these series, or for this split."
    n_rows = min(int((fold.role == TRAIN).sum()) for fold in folds)
    return f"{row.label} learns from at most {most} training rows (most_windows), and there are {n_rows}."


def applies(task: Task, candidate: Candidate, panel: Panel, fold: Fold) -> bool:
    """Say whether a split gives a model what it needs: the last known RUL of a cell that is tested, say."""
    if needs_of(candidate).gradients:
        return True
    rows = panel.frame.assign(ds=panel.ages())
    train, test = (rows.loc[fold.role == role, ["unique_id", "ds", "y"]] for role in (TRAIN, TEST))
    return unfitted(task.cfg, candidate.model, 1, candidate.lookback).model.applies(train, test.drop(columns="y"))


def _reseeded(node: Any, seed: int) -> Any:
    if isinstance(node, dict):
        return {key: seed if key == "seed" else _reseeded(value, seed) for key, value in node.items()}
    return [_reseeded(value, seed) for value in node] if isinstance(node, list) else node


def _table(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}_{name}.parquet")
