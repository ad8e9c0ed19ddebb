"""The settings at the top of ``conf/train.yaml``: what each may be."""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

import yaml

from runtime.faults import meant, shown
from runtime.files import ROOT

Rule = Callable[[Any], str | None]
"""Returns what a value must be, where it is not."""

CONF = str(ROOT / "conf")  # absolute: a relative one fails where the project is installed
LARGEST_SEED = 2**32 - 1  # of numpy


def whole(least: int, most: int, unset: bool = False) -> Rule:
    """Return the rule of a whole number; ``unset`` allows null."""

    def rule(value: Any) -> str | None:
        if (unset and value is None) or (type(value) is int and least <= value <= most):
            return None
        return f"must be a whole number of at least {least} and at most {most}{' or null' if unset else ''}."

    return rule


def number(least: float, most: float, unset: bool = False) -> Rule:
    """Return the rule of a number; ``unset`` allows null."""

    def rule(value: Any) -> str | None:
        if (unset and value is None) or (type(value) in (int, float) and least <= value <= most):
            return None
        return f"must be a number of at least {least:g} and at most {most:g}{' or null' if unset else ''}."

    return rule


def whole_or(word: str, least: int, most: int) -> Rule:
    """Return the rule of a whole number, a word or null."""

    def rule(value: Any) -> str | None:
        if value == word or whole(least, most, unset=True)(value) is None:
            return None
        return f"must be a whole number of at least {least} and at most {most}, {word} or null."

    return rule


def one_of(*names: str) -> Rule:
    """Return the rule of a choice."""

    def rule(value: Any) -> str | None:
        if value in names:
            return None
        return f"is not known; it is one of {', '.join(names)}.  {meant(str(value), names)}".strip()

    return rule


def flag(value: Any) -> str | None:
    """Say what a switch must be, where it is not."""
    return None if isinstance(value, bool) else "must be true or false."


def some_of(names: Collection[str]) -> Rule:
    """Return the rule of a list of names; without names any list of texts will do."""

    def rule(value: Any) -> str | None:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return "must be a list of names, such as [decomposition]."
        strangers = [name for name in value if names and name not in names]
        if not strangers:
            return None
        hints = dict.fromkeys(filter(None, (meant(name, names) for name in strangers)))
        return f"has {', '.join(strangers)}, which is none of {', '.join(names)}.  {' '.join(hints)}".strip()

    return rule


STAGES = (
    "split", "target", "unit", "covariates", "known", "first cycles", "windows", "training", "decomposition",
    "channels", "targets", "features", "inputs", "scaling", "scaled inputs", "augmentation", "weights", "forecast",
)  # fmt: skip
"""Stages of a run, as ``docs/leakage.md`` describes them: in these the audit can find a leak, and one be expected."""


RULES: Mapping[str, Rule] = {
    "lookback": whole(1, 1_000_000),
    "horizon": whole(1, 100_000),
    "stride": whole(1, 1_000_000),
    "season": whole_or("auto", 1, 100_000),
    "batch_size": whole(1, 10_000_000),
    "seed": whole(0, LARGEST_SEED),
    "seeds": whole(1, 10_000),
    "zero_heads": flag,
    "blend": one_of("validation", "none"),
    "combination": one_of("none", "equal", "inverse_mse", "simplex", "pso"),
    "equal_memory": one_of("classical", "all", "none"),
    "refit": one_of("none", "validation"),
    "audit": one_of("sampled", "full", "none"),
    "expected_leaks": some_of(STAGES),
    "known": some_of(()),
    "threads": whole(1, 4096, unset=True),
    "cost_bps": number(0, 10_000, unset=True),
    "figures": one_of("none", "png"),
}


SIZES: Mapping[str, int] = {
    "hidden": 65_536,
    "channels": 65_536,
    "kernel": 65_536,
    "n_layers": 1_000,
    "n_members": 1_000,
    "n_components": 10_000,
    "n_clusters": 10_000,
    "n_trees": 100_000,
    "trials": 100_000,
    "history": 10_000_000,
    "epochs": 10_000_000,
    "max_epochs": 10_000_000,
    "max_steps": 100_000_000,
    "n_per_condition": 10_000_000,
    "n_series": 1_000_000,
    "n_cells": 1_000_000,
    "n_steps": 100_000_000,
}
"""Parameters that memory or time goes with, wherever they stand, and more than which no run of ours has."""


AT_LEAST_ONE = ("hidden", "channels", "kernel", "n_layers", "n_members", "max_epochs")
"""Those of them that networks are made of, or trained for."""


def size_fault(key: str, value: Any) -> str | None:
    """Say where a size is none, or so large that to build it would fill the memory, by the last name of its key."""
    name = key.rpartition(".")[2]
    most = SIZES.get(name)
    sizes = [size for size in (value if isinstance(value, list) else [value]) if type(size) in (int, float)]
    if most is not None and any(size > most for size in sizes):
        return f"{key}={shown(value)} is more than is built: at most {most}."
    if name in AT_LEAST_ONE and any(size < 1 for size in sizes):
        return f"{key}={shown(value)} must be at least 1."
    return None


BEFORE: Mapping[str, Any] = {"zero_heads": False, "blend": "none", "equal_memory": "none"}
"""What runs did before there was a setting, where that is not today's default."""


def fault_of(name: str, value: Any) -> str | None:
    """Say what is wrong with a setting at the top level, if anything."""
    if name not in known_settings():
        return f"{name} is not a setting.  {meant(name, known_settings(), 'python train.py --help lists them.')}"
    rule = RULES.get(name)
    fault = rule(value) if rule else None
    return f"{name}={shown(value)} {fault}" if fault else None


@cache
def known_settings() -> tuple[str, ...]:
    """Return the names at the top level: settings, and groups one chooses from."""
    with open(f"{CONF}/train.yaml", encoding="utf-8") as file:
        content: dict[str, Any] = yaml.safe_load(file)
    return tuple(name for name in content if name not in ("defaults", "hydra")) + groups()


@cache
def defaults() -> Mapping[str, Any]:
    """Return the settings with a rule, and what they are where nothing is said: an older run lacks newer ones."""
    with open(f"{CONF}/train.yaml", encoding="utf-8") as file:
        content: dict[str, Any] = yaml.safe_load(file)
    return {name: BEFORE.get(name, value) for name, value in content.items() if name in RULES}


@cache
def groups() -> tuple[str, ...]:
    """Return the groups of the defaults list that hold one choice each, in their order."""
    with open(f"{CONF}/train.yaml", encoding="utf-8") as file:
        entries = yaml.safe_load(file)["defaults"]
    names = [next(iter(entry)) for entry in entries if isinstance(entry, dict)]
    return tuple(name for name in names if name not in ("experiment", "sweep") and not name.startswith("override"))
