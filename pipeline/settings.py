"""What must hold of the settings of a run before any data are read."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from data.known import KNOWN
from data.panel import listed
from runtime.build import ConfigError, as_message, build, class_of
from runtime.faults import meant
from tasks.task import Task

FROM_DATA = {"n_components", "lookback", "horizon"}
LIVE = {"model": FROM_DATA, "baselines.*": FROM_DATA, "trainer": {"callbacks"}, "task": {"cfg"}}
"""Parameters that are known only when the data are, by key of the configuration."""


def check_task(task: Task) -> None:
    """Refuse choices that do not go with the task or with each other, all in one message.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    cfg = task.cfg
    faults = _strangers(task) + _misfits(cfg, task.name) + _unheld(cfg) + _beside(cfg, task.name)
    if faults:
        raise ConfigError(as_message(faults))


def _strangers(task: Task) -> list[str]:
    found = [group for group in task.strangers if task.cfg.get(group) is not None]
    if not found:
        return []
    it = "it" if len(found) == 1 else "them"
    return [f"task={task.name} has no use for {' and '.join(found)}.  Take {it} out, or choose another experiment."]


def _misfits(cfg: DictConfig, task: str) -> list[str]:
    """Find models, scalings and intervals that are made for another task."""
    faults = []
    models = [cfg.model, *(cfg.baselines or {}).values()]
    kinds: list[tuple[str, Any]] = [(node.label, class_of(node._target_)) for node in models]
    made_for = [(f"{label} is a model", kind.needs.task) for label, kind in kinds]
    for key in ("scaling", "intervals"):
        kind: Any = class_of(cfg[key]._target_)
        made_for.append((f"{key}={kind.__name__} is", kind.task))
    for what, only in made_for:
        if only not in (None, task):
            faults.append(f"{what} for task={only} only, and cannot be used with task={task}.")
    return faults


def _beside(cfg: DictConfig, task: str) -> list[str]:
    """Find calendar columns that are not known, and synthetic windows that would have no covariates."""
    names = [str(name) for name in cfg.get("known") or []]
    if names and task != "forecast":
        return [f"known={names} is for task=forecast only.  Take it out."]
    faults = [
        f"known has {name}, which is none of {', '.join(KNOWN)}.  {meant(name, KNOWN)}".strip()
        for name in names
        if name not in KNOWN
    ]
    covariates = [*(cfg.get("covariates") or {}), *(cfg.source.get("covariates") or []), *names]
    if task == "forecast" and covariates and not build(cfg.augmentation).covariates:
        faults.append(
            f"augmentation={cfg.names.augmentation} makes windows without covariates, and this run has "
            f"{listed(covariates)}.  Choose augmentation=identity, jitter or mixup, or leave the covariates out."
        )
    return faults


def _unheld(cfg: DictConfig) -> list[str]:
    """Find what needs validation rows where nothing is held out."""
    nothing: Sequence[object] = (0, 0.0)
    if cfg.augmentation._target_.endswith(".Auto") and cfg.split.get("validation") in nothing:
        return ["augmentation=auto needs validation rows to judge by; hold some out in split.validation."]
    return []
