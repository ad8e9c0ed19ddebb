"""What must hold of the settings of a run before any data are read."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from data.contracts import REMAINING, SERIES, TOTAL, Kind
from runtime.build import ConfigError, as_message, class_of
from tasks.task import Task

FROM_DATA = {"n_components", "lookback", "horizon"}
LIVE = {"model": FROM_DATA, "baselines.*": FROM_DATA, "trainer": {"callbacks"}, "task": {"cfg"}}
"""Parameters that are known only when the data are, by key of the configuration."""
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
    faults = _strangers(task) + _misfits(task) + _unheld(cfg)
    if faults:
        raise ConfigError(as_message(faults))


def _strangers(task: Task) -> list[str]:
    found = [group for group in task.strangers if task.cfg.get(group) is not None]
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
    for key in ("scaling", "intervals"):
        chosen: Any = class_of(cfg[key]._target_)
        made_for.append((f"{key}={chosen.__name__} is", chosen.kinds))
    return [
        f"{what} for {' or '.join(MEANING[kind] for kind in kinds)} only, and task={task.name} asks for {MEANING[own]}."
        for what, kinds in made_for
        if own not in kinds
    ]


def _unheld(cfg: DictConfig) -> list[str]:
    """Find what needs validation rows where nothing is held out."""
    nothing: Sequence[object] = (0, 0.0)
    if cfg.augmentation._target_.endswith(".Auto") and cfg.split.get("validation") in nothing:
        return ["augmentation=auto needs validation rows to judge by; hold some out in split.validation."]
    return []
