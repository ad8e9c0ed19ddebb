"""What must hold of the settings of a run before any data are read."""

from collections.abc import Sequence
from typing import Any, cast

from omegaconf import DictConfig

from data.contracts import REMAINING, SERIES, TOTAL, Kind
from data.known import KNOWN
from data.panel import listed
from evaluation.intervals.own import OwnQuantiles
from models.allocation import Quantiles, Separate
from pipeline.combination import combines
from runtime.build import ConfigError, as_message, build, class_of
from runtime.faults import meant
from tasks.task import NO_AUGMENTATION, Task

FROM_DATA = {"n_components", "lookback", "horizon"}
LIVE = {"model": FROM_DATA, "baselines.*": FROM_DATA, "trainer": {"callbacks"}, "task": {"cfg"}}
"""Parameters that are known only when the data are, by key of the configuration."""
SPAWNED = ("ddp_spawn", "ddp_fork", "ddp_notebook", "ddp_spawn_find_unused_parameters_true")
"""Strategies that start the processes of a training from within it."""
MEANING: dict[Kind, str] = {
    SERIES: "the next values of series",
    REMAINING: "a remaining life at every cycle",
    TOTAL: "one number a cell",
}


def check_task(task: Task) -> None:
    """Refuse choices that do not go with the task or with each other, all in one message.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    cfg = task.cfg
    faults = _strangers(task) + _misfits(task) + _without_returns(cfg) + _unheld(cfg) + _unlearnt(cfg)
    faults += _combination(task) + _augmented(cfg) + _quantiles(cfg)
    faults += _beside(task) + _devices(cfg) + _unsummed(task)
    if faults:
        raise ConfigError(as_message(faults))


def _combination(task: Task) -> list[str]:
    """Refuse a combination where validation rows are no two halves in time."""
    if not combines(task.cfg) or task.question.kind == SERIES:
        return []
    return [f"combination={task.cfg.combination} is for {MEANING[SERIES]} only; set combination=none."]


def _strangers(task: Task) -> list[str]:
    found = [group for group in task.strangers if task.cfg.get(group)]
    if not found:
        return []
    it = "it" if len(found) == 1 else "them"
    return [f"task={task.name} has no use for {' and '.join(found)}.  Take {it} out, or choose another experiment."]


def _misfits(task: Task) -> list[str]:
    """Find models, scalings and intervals that are made for targets of another kind."""
    cfg, own = task.cfg, task.question.kind
    nodes = [cfg.model, *(cfg.baselines or {}).values()]
    made_for: list[tuple[str, Sequence[Kind]]] = []
    for node in nodes:
        model: Any = class_of(node._target_)
        made_for.append((f"{node.label} is a model", model.needs.kinds))
    for key in (name for name in ("scaling", "intervals", "target") if cfg.get(name) is not None):
        chosen: Any = class_of(cfg[key]._target_)
        made_for.append((f"{key}={chosen.__name__} is", chosen.kinds))
    return [
        f"{what} for {' or '.join(MEANING[kind] for kind in kinds)} only, and task={task.name} asks for {MEANING[own]}."
        for what, kinds in made_for
        if own not in kinds
    ]


def _without_returns(cfg: DictConfig) -> list[str]:
    """Find models that read returns where the target leaves none."""
    target = cfg.get("target")
    kind: Any = None if target is None else class_of(target._target_)
    if kind is not None and "return" in kind.leaves:
        return []
    nodes = [cfg.model, *(cfg.baselines or {}).values()]
    named = (node.label for node in nodes if cast(Any, class_of(node._target_)).needs.returns)
    readers: list[Any] = list(dict.fromkeys(named))
    if not readers:
        return []
    reads = "reads" if len(readers) == 1 else "read"
    return [f"{' and '.join(readers)} {reads} returns; set target=log_range or target=realized, which leave them."]


def _beside(task: Task) -> list[str]:
    """Find calendar columns that are not known, and synthetic windows that would have no covariates."""
    cfg = task.cfg
    names = [str(name) for name in cfg.get("known") or []]
    if task.question.kind != SERIES:
        return [f"known={names} is for {MEANING[SERIES]} only.  Take it out."] if names else []
    faults = [
        f"known has {name}, which is none of {', '.join(KNOWN)}.  {meant(name, KNOWN)}".strip()
        for name in names
        if name not in KNOWN
    ]
    covariates = [*(cfg.get("covariates") or {}), *(cfg.source.get("covariates") or []), *names]
    if cfg.get("channels"):
        covariates.append("channels")
        if build(cfg.decomposition).n_components == 1:
            faults.append(
                f"channels tell how each component swings, but decomposition={cfg.names.decomposition} has a single "
                f"one.  Choose a decomposition, or take channels out."
            )
    if covariates and not build(cfg.augmentation).covariates:
        faults.append(
            f"augmentation={cfg.names.augmentation} makes windows without covariates, and this run has "
            f"{listed(covariates)}.  Choose augmentation=identity, jitter or mixup, or leave the covariates out."
        )
    return faults


def _devices(cfg: DictConfig) -> list[str]:
    """Find strategies that start the command again for every device: each would do all of a run."""
    strategy = (cfg.get("trainer") or {}).get("strategy")
    if alone(cfg) or strategy in SPAWNED:
        return []
    return [
        f"trainer.devices={cfg.trainer.devices} with trainer.strategy={strategy} would start the whole "
        f"command again for every device; set trainer.strategy=ddp_spawn."
    ]


def alone(cfg: DictConfig) -> bool:
    """Say whether a training takes one device."""
    devices = (cfg.get("trainer") or {}).get("devices", 1)
    return devices in (1, "1") or (isinstance(devices, Sequence) and not isinstance(devices, str) and len(devices) == 1)


def _augmented(cfg: DictConfig) -> list[str]:
    """Find models that learn from real windows alone where there would be synthetic ones."""
    if cfg.augmentation._target_ == NO_AUGMENTATION:
        return []
    nodes = [cfg.model, *(cfg.baselines or {}).values()]
    named = dict.fromkeys(str(node.label) for node in nodes if cast(Any, class_of(node._target_)).needs.real)
    return [f"{label} learns from real windows alone; set augmentation=identity." for label in named]


def _unsummed(task: Task) -> list[str]:
    """Find models with a network a component where the target has none: the features of a cell do not add up to it."""
    if task.question.kind == SERIES:
        return []
    faults = []
    for node in (task.cfg.model, *(task.cfg.baselines or {}).values()):
        kind = class_of(node.component._target_) if node.get("component") else None
        if kind is not None and issubclass(kind, Separate):
            choice = kind.__name__.lower()
            faults.append(
                f"{node.label}: model/component={choice} gives each component a network and adds up what they say, "
                f"and features of a cell do not add up to its life.  Choose model/component=joint or ensemble."
            )
    return list(dict.fromkeys(faults))


def _quantiles(cfg: DictConfig) -> list[str]:
    """Find models that are asked for quantiles and learn means: only a network learns by the pinball loss."""
    nodes = [cfg.model, *(cfg.baselines or {}).values()]
    asked = [node for node in nodes if node.get("component") and class_of(node.component._target_) is Quantiles]
    named = dict.fromkeys(str(node.label) for node in asked if not cast(Any, class_of(node._target_)).needs.gradients)
    return [f"{label} learns means, no quantiles: choose a network, or model/component=joint." for label in named]


def _unheld(cfg: DictConfig) -> list[str]:
    """Find what needs validation rows where nothing is held out."""
    nothing: Sequence[object] = (0, 0.0)
    if combines(cfg) and cfg.split.get("validation") in nothing:
        return [
            f"combination={cfg.combination} fits its weights on validation rows; hold some out in split.validation."
        ]
    if cfg.augmentation._target_.endswith(".Auto") and cfg.split.get("validation") in nothing:
        return ["augmentation=auto needs validation rows to judge by; hold some out in split.validation."]
    return []


def _unlearnt(cfg: DictConfig) -> list[str]:
    """Find intervals that a model is asked for and does not learn."""
    if class_of(cfg.intervals._target_) is not OwnQuantiles:
        return []
    learnt: set[int] = set()
    for node in (cfg.model, *(cfg.baselines or {}).values()):
        component = node.get("component")
        if component is not None and class_of(component._target_) is Quantiles:
            learnt |= {round(100 * (1 - 2 * level)) for level in component.levels if level < 0.5}
    absent = sorted(set(cfg.intervals.levels) - learnt)
    if not absent:
        return []
    return [
        f"intervals=own asks for intervals of {absent} %, but no model learns them.  Choose model/component=quantiles "
        f"with these levels, or another choice of intervals."
    ]
