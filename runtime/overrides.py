"""What is typed behind a command: one grammar, Hydra's, and every fault in one message.

Hydra stops at the first fault, knows no ``did you mean``, advises to add a misspelt key with ``+`` (which
would run with the old value), and refuses letters beyond ASCII unless they are quoted.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from runtime.build import faults_of
from runtime.faults import ConfigError, FolderError, as_message, meant, shown
from runtime.kept import read_config
from runtime.parallel import cores
from runtime.settings import CONF, RULES, Rule, fault_of, known_settings

RENAMED: Mapping[str, str] = {
    "job=series": "task=forecast",
    "job=life": "task=rul",
    "job": "task",
    "parallel=processes": "parallel=local",
    "model.cost": "model.C",
    "model.tube": "model.epsilon",
}
"""Names of earlier versions, and what they are called now."""

_TAKES_VALUE = ("-cd", "--config-dir", "-cp", "--config-path", "-cn", "--config-name", "-c", "--cfg", "-p", "--package")


class Usage(NamedTuple):
    """What a command takes, for its ``--help`` and for what it answers to anything else."""

    text: str
    keys: Mapping[str, str]
    """What a key stands for, by key; ``source.*`` for keys below ``source``."""
    required: Sequence[str] = ("run",)
    rules: Mapping[str, Rule] = {}
    """What the value of a key must be."""
    train: bool = False
    """Whether it takes the words of train.py as well; they are handed on as ``train``."""


def parse(words: Sequence[str], usage: Usage) -> DictConfig:
    """Return what is typed behind predict.py or audit.py.

    Raises
    ------
    ConfigError
        Naming all faults: unknown keys, several values for one, what the run has settled.
    SystemExit
        After ``--help``.
    """
    if {"--help", "-h"} & set(words):
        print(f"{usage.text.strip()}\n")
        print("\n".join(f"  {key:<10} {what}" for key, what in usage.keys.items()))
        raise SystemExit(0)
    given = OmegaConf.create({})
    faults: list[str] = []
    strangers: list[tuple[str, str]] = []
    rules = {**RULES, **usage.rules}
    if usage.train:
        own = [word for word in words if word.partition("=")[0] in usage.keys]
        given.train = prepared([word for word in words if word not in own], tuple(usage.keys))
        words = own
    for word in words:
        try:
            override = understood(word)
        except ConfigError as error:
            faults.append(str(error))
            continue
        key = override.key_or_group
        root, _, below = key.partition(".")
        if (f"{root}.*" if below else root) not in usage.keys:
            strangers.append((key, word))
        elif override.is_delete() or override.is_sweep_override():
            faults.append(f"{shown(word)} must give one value.  {_advice(word)}")
        else:
            value: Any = override.value()
            if not below and key in rules:
                fault = rules[key](value)
                faults += [f"{key}={shown(value)} {fault}"] if fault else []
            elif not below and not isinstance(value, str):
                value = word.partition("=")[2]  # a folder called 2024
            OmegaConf.update(given, key, value, force_add=True)
    faults += [_stranger(key, word, usage, given.get("run")) for key, word in strangers]
    faults += [f"{key}={usage.keys[key]} is needed." for key in usage.required if key not in given]
    if faults:
        raise ConfigError(faults[0] if len(faults) == 1 else as_message(faults))
    return given


def prepared(words: Sequence[str], also: Sequence[str] = ()) -> list[str]:
    """Return the words behind train.py as Hydra can take them.

    Values are quoted where the grammar needs it.  A key is made one that may be added (``++``): whether its
    object takes it is told by ``runtime.build.check``, with all other faults and with *did you mean*.

    Parameters
    ----------
    also : sequence
        Keys that can be meant besides those of train.py.

    Raises
    ------
    ConfigError
        Naming all faults that can be told: old names, unknown settings and choices, values out of range.
    """
    several = bool({"-m", "--multirun"} & set(words)) or any(
        word.startswith(("sweep=", "hydra.mode=")) for word in words
    )
    foreign = any(word.startswith(("-cd", "--config-dir", "-cp", "--config-path")) for word in words)
    faults: list[str] = []
    options: list[str] = []  # come first: argparse takes words in one row only
    sound: list[str] = []
    fixed: list[str] = []  # keys with one value
    for word, before in zip(words, ["", *words], strict=False):
        if word.startswith("-") or before in _TAKES_VALUE:
            options.append(word)
            continue
        try:
            override = understood(word)
        except ConfigError as error:
            faults.append(str(error))
            continue
        found = list(_faults(override, word, foreign, also))
        if override.is_sweep_override() and not several:
            found.append(f"{shown(word)} gives several values: add -m for a run each.  {_advice(word)}")
        faults += found
        if not found:
            sound.append(_addable(override))
            key = override.key_or_group
            fixed = [other for other in fixed if other != key] + [key] * (not override.is_sweep_override())
    others = [key for key in fixed if not key.startswith(("resume", "parallel", "hydra"))]
    if "resume" in fixed and others:
        faults.append(f"resume goes on under the settings of its run: leave out {', '.join(others)}.")
    if faults:
        faults += _further(sound)
        raise ConfigError(faults[0] if len(faults) == 1 else as_message(faults))
    if several and fixed:
        sound.append(f"hydra.job.config.override_dirname.exclude_keys={fixed}")
    if several and side_by_side() and not any(word.startswith("hydra/launcher=") for word in sound):
        sound.append("hydra/launcher=joblib")
    return [*options, *sound]


def side_by_side() -> bool:
    """Say whether the jobs of a sweep can run side by side on this machine."""
    try:
        installed = find_spec("hydra_plugins.hydra_joblib_launcher") is not None
    except ModuleNotFoundError:  # no plugin at all
        return False
    return installed and cores() > 1


def understood(word: str) -> Override:
    """Return one ``key=value``, its value quoted where the grammar would refuse it.

    Raises
    ------
    ConfigError
        If it is none even so.
    """
    for spelling in (word, _quoted(word)) if "=" in word or word.startswith("~") else ():
        override = _parsed(spelling)
        if override is not None:
            return override
    if "=" not in word:
        places = [f"{group}={word}" for group in all_groups() if word in choices(group)]
        hint = f"Did you mean {' or '.join(places)}?" if places else ""
        raise ConfigError(f"{shown(word)} is not of the form key=value.  {hint}".strip())
    raise ConfigError(f"{shown(word)} cannot be read as key=value.  {_advice(word)}")


def choices(group: str) -> list[str]:
    """Return what a group lets one choose from."""
    return sorted(path.stem for path in Path(CONF, group).glob("*.yaml"))


@cache
def all_groups() -> list[str]:
    """Return every group one can choose from, ``model/component`` among them."""
    folders = {path.parent for path in Path(CONF).rglob("*.yaml")} - {Path(CONF)}
    return sorted(folder.relative_to(CONF).as_posix() for folder in folders)


def _parsed(spelling: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(spelling)
    except (HydraException, OmegaConfBaseException, ValueError, RecursionError):
        return None


def _quoted(word: str) -> str:
    """Return the word with what the grammar refuses in quotes: each value of a list or a sweep by itself."""
    key, _, value = word.partition("=")
    inside = value[1:-1]
    if value[:1] == "[" and value[-1:] == "]" and not set("[]{}") & set(inside):
        return f"{key}=[{','.join(_in_quotes(part.strip()) for part in inside.split(','))}]"
    return f"{key}={','.join(_in_quotes(part) for part in value.split(','))}"


def _in_quotes(value: str) -> str:
    return value if _parsed(f"key={value}") else QuotedString(value, Quote.single).with_quotes()


def _advice(word: str) -> str:
    key, _, value = word.partition("=")
    return f'A value is taken as it is in quotes: "{key}={QuotedString(value, Quote.single).with_quotes()}"'


def _addable(override: Override) -> str:
    """Return the spelling under which Hydra sets a key whether it is there or not."""
    spelling, key = str(override.input_line), override.key_or_group
    if key in all_groups() and override.type == OverrideType.CHANGE and override._value is None:
        return f"{key}=none" if "none" in choices(key) else f"~{key}"  # Hydra takes no null for a choice
    plain = override.type in (OverrideType.CHANGE, OverrideType.ADD) and override.package is None
    if not plain or override.is_hydra_override() or key in all_groups() or (override._value is None and "." in key):
        return spelling  # null takes an entry away: where there is none, Hydra says so
    return f"++{spelling.lstrip('+')}" if "." in key or override.is_add() else spelling


def _faults(override: Override, word: str, foreign: bool, also: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with one word; ``foreign`` where choices of other folders may be meant."""
    key = override.key_or_group
    root = key.split(".")[0].split("/")[0]
    values: list[Any] = list(override.sweep_iterator()) if override.is_discrete_sweep() else [override.value()]
    if now := _renamed(key, values, word):
        yield now
    elif root == "hydra" or (key in all_groups() and (foreign or override.is_delete())):
        return
    elif key in all_groups():
        names = [name for value in values for name in (value if isinstance(value, list) else [value])]
        known = choices(key)
        for name in map(str, filter(lambda name: name is not None, names)):
            if name not in known and "${" not in name:
                hint = f"{meant(name, known)}  There are {', '.join(known)}.".strip()
                yield f"Could not find '{key}/{shown(name)}'.  {hint}"
    elif "/" in key:
        yield f"There is no group {key}.  {meant(key, all_groups())}".strip()
    elif root not in known_settings():
        known = [*known_settings(), *all_groups(), *also]
        yield f"{shown(root)} is not a setting.  {meant(root, known, 'python train.py --help lists them.')}"
    elif key in RULES and not override.is_delete():
        found = [fault_of(key, value) for value in values]
        if all(found):  # else what is sound in a sweep runs, and the rest is told at its end
            yield from filter(None, found)


def _renamed(key: str, values: Sequence[Any], word: str) -> str | None:
    """Answer an old name with the new one."""
    for old, new in RENAMED.items():
        before, _, choice = old.partition("=")
        if choice and key == before and choice in values:
            return f"{old} is now {new}." if new.startswith(before) else f"{before} is now {new.split('=')[0]}: {new}"
        if not choice and (key == before or key.startswith(f"{before}.")):
            return f"{before} is now {new}: {shown(word.lstrip('+~').replace(before, new, 1))}"
    return None


def _further(words: Sequence[str]) -> list[str]:
    """Say what objects do not take among the words that are sound by themselves: this imports them."""
    given = [word for word in words if "=" in word and not word.startswith("-")]
    given = [word for word in given if (override := _parsed(word)) and not override.is_sweep_override()]
    if not any(word.startswith("++") for word in given):
        return []
    from hydra import compose, initialize_config_dir

    try:
        with initialize_config_dir(CONF, version_base="1.3"):
            cfg = compose("train", overrides=given)
    except (HydraException, OmegaConfBaseException) as error:
        return [shown(str(error).splitlines()[0])]
    with open_dict(cfg):
        for name in ("names", "folder"):  # known to Hydra only while it runs
            del cfg[name]
    return faults_of(cfg, None)


def _stranger(key: str, word: str, usage: Usage, run: str | None) -> str:
    """Answer a key a command does not take: the run may have settled it."""
    if run is not None:
        try:
            settled = OmegaConf.select(read_config(Path(run) / "config.yaml"), key)
        except (FolderError, OmegaConfBaseException):
            settled = None
        if key == "horizon" and isinstance(settled, int):
            return f"the run forecasts {settled} step{'s' * (settled != 1)}; train again with {shown(word)}."
        if settled is not None:
            return f"{key} is settled by the run; train again with {shown(word)}."
    takes = ", ".join(f"{name}={what}" for name, what in usage.keys.items())
    return f"{shown(key)} is not known.  {meant(key, usage.keys)}  It takes {takes}.".replace(".    It", ".  It")
