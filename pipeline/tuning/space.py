"""A search space: which settings are tried, and from what range or choices.

A file of ``conf/search`` names the models it is made for and, by the dotted key of a setting or the name of a group,
what may be tried: ``{low: 1, high: 100, log: true}``, ``{low: 10, high: 60, step: 5}`` or ``{choices: [16, 32]}``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runtime.build import ConfigError, as_message
from runtime.faults import meant, shown
from runtime.overrides import all_groups, choices
from runtime.settings import CONF

if TYPE_CHECKING:
    from optuna import Trial

Value = float | int | str | bool | None
Params = dict[str, Value]
SEARCH = "search"  # folder of conf/
DEFAULT = "default"  # the choice of it for those who name none
ENTRIES = ("models", "space")
OF_RANGE = ("low", "high", "log", "step")


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included; whole ones where both ends are."""

    low: float
    high: float
    log: bool = False
    """Whether their logarithm is drawn evenly."""
    step: float | None = None

    def suggest(self, trial: "Trial", key: str) -> Value:
        """Let a trial draw one."""
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log, step=step)
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step) if end is not None)

    def holds(self, value: Any) -> bool:
        """Say whether a trial can have a value."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        on_grid = self.step is None or abs((value - self.low) / self.step % 1) in (0.0, 1.0)
        return self.low <= value <= self.high and on_grid


class Choices(NamedTuple):
    """One of several values; what is no number, text or null stands there as JSON."""

    values: tuple[Value, ...]

    def suggest(self, trial: "Trial", key: str) -> Value:
        """Let a trial draw one."""
        found: Value = trial.suggest_categorical(key, self.values)
        return found

    def holds(self, value: Any) -> bool:
        """Say whether a trial can have a value."""
        return any(type(value) is type(own) and value == own for own in self.values)


Space = Mapping[str, Range | Choices]


def read_space(name: str) -> Space:
    """Return the search space of a choice of ``conf/search``.

    Raises
    ------
    ConfigError
        Naming every fault of the file.
    """
    if name not in choices(SEARCH):
        known = choices(SEARCH)
        told = f"There is no search={shown(name)}.  {meant(name, known)}".rstrip()
        raise ConfigError(f"{told}  There are {', '.join(known)}.")
    content = yaml.safe_load(Path(CONF, SEARCH, f"{name}.yaml").read_text(encoding="utf-8"))
    entries = content if isinstance(content, dict) else {}
    where = f"conf/{SEARCH}/{name}.yaml"
    faults = [f"{where}: {key} is not known.  {meant(key, ENTRIES)}" for key in entries if key not in ENTRIES]
    given = entries.get("space")
    if not isinstance(given, dict) or not given:
        raise ConfigError(as_message([*faults, f"{where} has no space: settings by their dotted keys."]))
    space: dict[str, Range | Choices] = {}
    for key, node in given.items():
        found = _entry(node)
        if isinstance(found, str):
            faults.append(f"{where}: {key} {found}")
        else:
            space[str(key)] = found
    if faults:
        raise ConfigError(as_message(faults))
    return space


def made_for(model: str) -> list[str]:
    """Return the choices of ``conf/search`` that are made for a model."""
    found = []
    for name in choices(SEARCH):
        content = yaml.safe_load(Path(CONF, SEARCH, f"{name}.yaml").read_text(encoding="utf-8"))
        if model in (content.get("models") or []):
            found.append(name)
    return found


def space_for(search: str, model: str) -> str:
    """Return the choice of ``conf/search`` that is meant: ``default`` is what fits the model, of those made for it."""
    fits = made_for(model)
    return fits[0] if search == DEFAULT and fits and DEFAULT not in fits else search


def defaults_of(space: Space, cfg: DictConfig, chosen: Mapping[str, str | None], search: str) -> dict[str, Any]:
    """Return what the settings of a space are where nothing is tried.

    Parameters
    ----------
    cfg : DictConfig
        The settings as composed.
    chosen : mapping
        The choice of every group.

    Raises
    ------
    ConfigError
        Naming the settings that are not there.
    """
    found: dict[str, Any] = {}
    absent = []
    for key in space:
        if key in all_groups():
            found[key] = chosen.get(key)
            continue
        try:
            node = OmegaConf.select(cfg, key, throw_on_missing=True, default=_ABSENT)
        except OmegaConfBaseException:
            node = _ABSENT
        if node is _ABSENT:
            absent.append(key)
        else:
            value = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            found[key] = as_value(value)
    if absent:
        model = str(chosen.get("model"))
        fits = [f"search={name}" for name in made_for(model)]
        hint = f"For model={model} there is {' or '.join(fits)}." if fits else f"Write conf/{SEARCH}/{model}.yaml."
        raise ConfigError(f"search={search} tries {', '.join(absent)}, which this run does not have.  {hint}")
    return found


def suggested(space: Space, trial: "Trial") -> Params:
    """Return the settings of a trial."""
    return {key: entry.suggest(trial, key) for key, entry in space.items()}


def as_words(params: Mapping[str, Value]) -> list[str]:
    """Return settings as words behind train.py."""
    return [f"{key}={_word(value)}" for key, value in params.items()]


def as_value(value: Any) -> Value:
    """Return a setting as a trial can hold it: what is no number, text or null, as JSON."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else json.dumps(value)


def as_setting(value: Value) -> Any:
    """Return what a trial holds as the setting it stands for."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value


_ABSENT = object()


def _entry(node: Any) -> Range | Choices | str:
    """Return what is tried of one setting, or what is wrong with it."""
    if not isinstance(node, dict):
        return "must be {low: ..., high: ...} or {choices: [...]}."
    if "choices" in node:
        values = node["choices"]
        if set(node) != {"choices"} or not isinstance(values, list) or len(values) < 2:
            return "must have a list of at least two choices, and nothing beside it."
        return Choices(tuple(as_value(value) for value in values))
    strangers = [str(key) for key in node if key not in OF_RANGE]
    if strangers:
        return f"has {strangers[0]}, which is not known.  {meant(strangers[0], [*OF_RANGE, 'choices'])}".strip()
    ends: Sequence[Any] = [node.get("low"), node.get("high")]
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in ends):
        return f"needs two numbers, low and high, not {ends[0]} and {ends[1]}; write 1.0e-3, not 1e-3."
    low, high = ends
    log, step = node.get("log", False), node.get("step")
    if not low < high:
        return f"has low={low}, which is not below high={high}."
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        return "has log, which is true or false, and goes with low > 0 and without step."
    if step is not None and (
        isinstance(step, bool) or not isinstance(step, (int, float)) or not 0 < step <= high - low
    ):
        return f"has step={step}, which must be above 0 and at most high - low."
    return Range(low, high, log, step)


def _word(value: Value) -> str:
    """Return a value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, float) else str(value)
