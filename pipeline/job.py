"""What a job must offer train.py, and what the two jobs share."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from safetensors import SafetensorError

from data.contracts import TEST, TRAIN, VALIDATION, Fold, Outcome, Panel
from data.panel import DataError, fingerprint
from evaluation.intervals.conformal import OWN
from evaluation.leakage.prove import Audit
from models.forecaster import Forecaster
from pipeline.evidence import read_json
from pipeline.fitted import Fitted, gather, members, unfitted
from pipeline.parts import part_of
from runtime.build import ConfigError, as_message, class_of
from runtime.files import write_json
from runtime.record import WEIGHTS, surroundings

FROM_DATA = {"n_components", "lookback", "horizon"}
LIVE = {"model": FROM_DATA, "baselines.*": FROM_DATA, "trainer": {"callbacks"}, "job": {"cfg"}}
"""Parameters that are known only when the data are, by key of the configuration."""

AUDITS = ("sampled", "full", "none")


class Contender(NamedTuple):
    """A model on its inputs: one row of the table."""

    label: str
    model: DictConfig
    decomposition: DictConfig | None = None


class Prediction(NamedTuple):
    """What a finished run's model makes of a file it has not seen."""

    table: pd.DataFrame
    title: str
    notes: list[str]
    """Sentences without which the table misleads."""


class Job(Protocol):
    """One kind of question a run can answer, built as ``job(cfg)``."""

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        ...

    def contenders(self) -> list[Contender]:
        """Return the model, its baselines and the naive forecast, each label once; the model comes first."""
        ...

    def outcomes(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Iterable[Outcome]:
        """Fit every contender on every fold and seed, and yield what each made of it."""
        ...

    def audit(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Audit:
        """Prove that no input, scale or forecast depends on what it must not know, or name the stage that does."""
        ...

    def report(
        self,
        panel: Panel,
        folds: Sequence[Fold],
        outcomes: Sequence[Outcome],
        audit: Audit,
        folder: Path,
        console: Console,
    ) -> float | None:
        """Write what the run has shown, print its table, and return the error on validation rows."""
        ...

    def predict(self, source: Any, card: dict[str, Any], folder: Path) -> Prediction:
        """Forecast with the model of a finished run from what a source reads; refuse what does not fit."""
        ...


def trained(fresh: Callable[[], Fitted], folder: Path) -> list[Fitted]:
    """Return the model of a finished run, one a seed, each loaded into a fresh one.

    Raises
    ------
    DataError
        If the run kept no weights, or they are damaged or of other settings.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"{folder} holds no weights ({WEIGHTS}): its model keeps none that a file could hold without running "
            f"code.  Train a network or ridge."
        )
    try:
        return [fresh().load_state(tensors) for tensors in members(path).values()]
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be used ({str(error).splitlines()[0]}).  Train the run again.") from None


def offsets_of(folder: Path) -> list[dict[str, Any]]:
    """Return what a finished run has learned of the width of its intervals."""
    found: list[dict[str, Any]] = read_json(folder / "evidence" / "intervals.json") or []
    return found


def once_each(rows: Sequence[Contender]) -> list[Contender]:
    """Return the contenders, the first of each label, in their order: the run's model stays first."""
    unique: dict[str, Contender] = {}
    for row in rows:
        unique.setdefault(row.label, row)
    return list(unique.values())


def check_settings(cfg: DictConfig) -> None:
    """Check what no constructor sees.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    faults = []
    if cfg.seeds < 1:
        faults.append(f"seeds={cfg.seeds} must be at least 1 training.")
    if cfg.audit not in AUDITS:
        faults.append(f"audit={cfg.audit} is not known; it is one of {', '.join(AUDITS)}.")
    for name in ("lookback", "horizon", "batch_size"):
        if cfg[name] < 1:
            faults.append(f"{name}={cfg[name]} must be at least 1.")
    if faults:
        raise ConfigError(as_message(faults))


def refuse_strangers(cfg: DictConfig, job: str, groups: Sequence[str]) -> None:
    """Refuse choices of the other job: they would be without effect.

    Raises
    ------
    ConfigError
        Naming them.
    """
    strangers = [group for group in groups if cfg.get(group) is not None]
    if strangers:
        raise ConfigError(
            f"job={job} has no use for {' and '.join(strangers)}.  Take "
            f"{'it' if len(strangers) == 1 else 'them'} out, or choose another experiment."
        )


def with_seed(cfg: DictConfig, seed: int) -> DictConfig:
    """Return the settings of the run as if it had been given another seed."""
    if seed == cfg.seed:
        return cfg
    settings: Any = OmegaConf.to_container(cfg)
    changed = OmegaConf.create(_reseeded(settings, cfg.seed, seed))
    assert isinstance(changed, DictConfig)
    return changed


def _reseeded(node: Any, old: int, new: int) -> Any:
    """Replace every ``seed`` that was the run's own; the source keeps its, for the data stay the same."""
    if isinstance(node, dict):
        return {
            key: new if key == "seed" and value == old else value if key == "source" else _reseeded(value, old, new)
            for key, value in node.items()
        }
    return [_reseeded(value, old, new) for value in node] if isinstance(node, list) else node


def seeded(cfg: DictConfig, model: DictConfig, n_components: int) -> Fitted:
    """Build a model whose first weights follow from the seed."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    return unfitted(cfg, model, n_components)


def refuse_unfit(cfg: DictConfig, job: str) -> None:
    """Refuse models, scalings and intervals that say they are made for the other job (``only_for``).

    Raises
    ------
    ConfigError
        Naming them all.
    """
    faults = []
    for node in [cfg.model, *cfg.baselines.values(), cfg.scaling, cfg.intervals]:
        made_for, why = getattr(class_of(node._target_), "only_for", (job, ""))
        if made_for != job:
            faults.append(f"{node.label} {why}" if "label" in node else why)
    if faults:
        raise ConfigError(as_message(faults))


def seeds_of(cfg: DictConfig, model: DictConfig) -> list[int]:
    """Return the seeds a model is trained with: one where chance has no part in it."""
    drawn = class_of(model._target_) is Forecaster
    return [cfg.seed + number for number in range(cfg.seeds if drawn else 1)]


def averaged(outcomes: Sequence[Outcome], name: str) -> pd.DataFrame:
    """Return the forecasts (``calibration`` or ``forecasts``) of all outcomes, their mean where seeds differ."""
    table = pd.concat([getattr(outcome, name).assign(fold=outcome.fold) for outcome in outcomes], ignore_index=True)
    keys = ["model", "fold", "unique_id", "origin", "step"]
    if not len({outcome.seed for outcome in outcomes}) > 1 or table.empty:
        return table
    told = ["y_hat", *(column for column in table.columns if str(column).startswith(OWN))]
    mean = table.groupby(keys, sort=False)[told].transform(lambda forecast: forecast.mean(skipna=False))
    return table.assign(**{column: mean[column] for column in told}).drop_duplicates(keys, ignore_index=True)


def seed_errors(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the test errors of every model and seed by itself, over all folds."""
    rows = pd.concat([outcome.forecasts.assign(seed=outcome.seed) for outcome in outcomes])
    return [
        {
            "model": str(model),
            "seed": int(str(seed)),
            "mae": float((own["y"] - own["y_hat"]).abs().mean(skipna=False)),
            "rmse": float(((own["y"] - own["y_hat"]) ** 2).mean(skipna=False) ** 0.5),
        }
        for (model, seed), own in rows.groupby(["model", "seed"], sort=False)
    ]


def validation_mae(outcomes: Sequence[Outcome], model: str) -> float | None:
    """Return a model's mean absolute error on validation rows, averaged over folds and seeds."""
    held_out = [o.validation_mae for o in outcomes if o.model == model and o.validation_mae is not None]
    return sum(held_out) / len(held_out) if held_out else None


def opening(panel: Panel, folds: Sequence[Fold]) -> str:
    """Return one line on the data a run learns from and is judged by."""
    role = folds[-1].role
    counts = ", ".join(
        f"{int((role == value).sum())} {name}"
        for name, value in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
    )
    dates = panel.frame["ds"]
    n_series = panel.frame["unique_id"].nunique()
    several = f" in the last of {len(folds)} folds" if len(folds) > 1 else ""
    return (
        f"{panel.name}: {n_series} series, {len(panel.frame)} rows, {day(dates.min())} .. {day(dates.max())}; "
        f"{counts} targets{several}"
    )


def closing(outcome: Outcome) -> str:
    """Return one line on a part that is done."""
    held_out = "" if outcome.validation_mae is None else f"  validation MAE {outcome.validation_mae:.4g}"
    epochs = f"  {len(outcome.losses)} epochs" if outcome.losses else ""
    return f"{outcome.model:<24} {outcome.fold}  seed {outcome.seed}  {outcome.seconds:6.1f} s{epochs}{held_out}"


def keep(
    cfg: DictConfig, folder: Path, panel: Panel, outcomes: Sequence[Outcome], audit: Audit, rest: dict[str, Any]
) -> None:
    """Write the run card, and the weights of the run's model after its last fold, every seed's."""
    last = outcomes_of_last_fold(outcomes, outcomes[0].model)
    card = surroundings() | {
        "seed": cfg.seed,
        "seeds": sorted({outcome.seed for outcome in outcomes}),
        "data": {"name": panel.name, "rows": len(panel.frame), "sha256": fingerprint(panel), **rest},
        "notes": list(panel.notes),
        "audit": audit.to_json(),
        "augmented": {f"{o.model}, {o.fold}, seed {o.seed}": o.augmented for o in outcomes if o.augmented is not None},
        "seconds": {f"{o.model}, {o.fold}, seed {o.seed}": round(o.seconds, 2) for o in outcomes},
    }
    write_json(folder / "run.json", card)
    kept = {f"seed{o.seed}": part_of(folder, o.model, o.fold, o.seed).with_suffix(".safetensors") for o in last}
    if all(path.exists() for path in kept.values()):
        gather(kept, folder / WEIGHTS)


def outcomes_of_last_fold(outcomes: Sequence[Outcome], model: str) -> list[Outcome]:
    """Return what every seed of a model made of its last fold."""
    own = [outcome for outcome in outcomes if outcome.model == model]
    return [outcome for outcome in own if outcome.fold == own[-1].fold]


def day(date: Any) -> str:
    """Return a date without its time, and a step as it is."""
    return f"{pd.Timestamp(date):%Y-%m-%d}" if isinstance(date, np.datetime64 | pd.Timestamp) else str(date)
