"""The one place where configuration becomes objects."""

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

TRUSTED = (
    "data.",
    "models.",
    "evaluation.intervals.",
    "pipeline.series.",
    "pipeline.life.",
    "runtime.",
    "torch.optim.",
    "pytorch_lightning.trainer.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
)
"""Modules whose classes a configuration may instantiate, by where the class is *defined*."""


class ConfigError(ValueError):
    """Every fault of a configuration, reported together."""


def build(node: DictConfig, **live: Any) -> Any:
    """Instantiate ``node``; ``live`` holds arguments known only at run time.

    Raises
    ------
    ConfigError
        If any target below ``node`` is not a trusted class, or its constructor refuses a value.
    """
    faults = [fault for key, target in _targets(node) if (fault := _untrusted(key, target))]
    if faults:
        raise ConfigError(as_message(faults))
    try:
        return instantiate(node, **live, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise ConfigError(str(error.__cause__)) from None
        raise


def check(cfg: DictConfig, live: Mapping[str, set[str]]) -> None:
    """Raise ``ConfigError`` listing all faults, before any data is read.

    Parameters
    ----------
    live : mapping
        Names, per key or pattern of keys (``baselines.*``), the parameters given at run time.
    """
    faults = [f"{key} is required but not set." for key in sorted(OmegaConf.missing_keys(cfg))]
    for key, node in _targets(cfg):
        given_later = {name for pattern, names in live.items() if fnmatch(key, pattern) for name in names}
        faults += _faults(key, node, given_later)
    if faults:
        raise ConfigError(as_message(faults))


def as_message(faults: Sequence[str]) -> str:
    """Return all faults of a configuration as one message."""
    return "The configuration has faults:\n  " + "\n  ".join(faults)


def _targets(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield key, node
        names: Any = list(node)
    else:
        names = range(len(node)) if isinstance(node, ListConfig) else ()
    for name in names:
        if not OmegaConf.is_missing(node, name):
            try:
                child = node[name]
            except OmegaConfBaseException as error:
                raise ConfigError(as_message([f"{key}.{name} cannot be resolved: {error}"])) from None
            yield from _targets(child, f"{key}.{name}".lstrip("."))


def _untrusted(key: str, node: DictConfig) -> str | None:
    """Say why the target may not be instantiated.

    The dotted path is not enough: ``data.panel.pd.read_pickle`` starts with a trusted name.
    """
    path = str(node._target_)
    try:
        found = get_object(path)
    except Exception as error:
        return f"{key}._target_={path} cannot be imported: {error.__cause__ or error}."
    home = f"{getattr(found, '__module__', None)}."
    if not isinstance(found, type) or not home.startswith(TRUSTED):
        return f"{key}._target_={path} is not a class of the trusted modules {', '.join(TRUSTED)}"
    return None


def _faults(key: str, node: DictConfig, live: set[str]) -> list[str]:
    untrusted = _untrusted(key, node)
    if untrusted:
        return [untrusted]
    path = str(node._target_)
    target = get_object(path)
    known = inspect.signature(target).parameters
    given = {str(k) for k in node if not str(k).startswith("_")}
    unknown = sorted(given - known.keys())
    absent = [
        name
        for name, p in known.items()
        if p.default is p.empty
        and name not in given | live
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and not node.get("_partial_", False)
    ]
    return (
        [_unknown(key, path, name, list(known)) for name in unknown]
        + [f"{key}.{name} is missing; {path} needs it." for name in absent]
        + _mistyped(key, node, target, given)
    )


def _unknown(key: str, path: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(known) or 'nothing'}."
    return f"{key}.{name} is not a parameter of {path}. {hint}"


def _mistyped(key: str, node: DictConfig, target: type, given: set[str]) -> list[str]:
    """Compare values with plain annotations; what is annotated otherwise is the constructor's to judge."""
    try:
        hints = get_type_hints(inspect.unwrap(vars(target).get("__init__", object.__init__)))
    except NameError:  # a library's annotation that exists for type checkers only
        return []
    accepted: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
    faults = []
    for name in sorted(given):
        kind: Any = hints.get(name)
        if kind not in accepted or OmegaConf.is_missing(node, name):
            continue
        value = node[name]
        if not isinstance(value, accepted[kind]) or (isinstance(value, bool) and kind is not bool):
            faults.append(f"{key}.{name}={value} must be of type {kind.__name__}.")
    return faults
