"""The one place where configuration becomes objects.

A dotted name is judged as text first, then by the file it would come from, and only then imported: importing
a module runs it.  What was imported is judged again, by where its class is defined.
"""

import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runtime.faults import ConfigError, as_message, meant, shown
from runtime.files import ROOT
from runtime.settings import CONF, fault_of, groups, size_fault

__all__ = ["ConfigError", "as_message", "build", "check", "class_of", "faults_of"]

OURS = (
    "data.",
    "models.",
    "evaluation.intervals.",
    "tasks.",
    "runtime.parallel.",
    "runtime.random_state.",
    "report.tracking.",
)
"""Modules of this project whose classes a configuration may name."""

LIBRARIES = frozenset(
    [f"torch.optim.{name}" for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD")]
    + [f"torch.optim.{name}" for name in ("NAdam", "RAdam", "RMSprop", "Rprop", "SGD")]
    + ["pytorch_lightning.Trainer", "pytorch_lightning.loggers.CSVLogger"]
    + [f"pytorch_lightning.callbacks.{name}" for name in ("EarlyStopping", "GradientAccumulationScheduler")]
    + [f"pytorch_lightning.callbacks.{name}" for name in ("LearningRateMonitor", "StochasticWeightAveraging", "Timer")]
)
"""Classes of libraries a configuration may name: none of them opens a connection or runs what it is given."""

PLAIN = ("data.", "evaluation.")  # whose constructors store
BASELINES, MODEL = "baselines", "model"  # a group whose entries are choices of another
_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.[A-Z][A-Za-z0-9]*", re.ASCII)
_WORDS: Mapping[str, tuple[Any, ...]] = {
    "_partial_": (True, False),
    "_recursive_": (True,),
    "_convert_": ("none", "partial", "object", "all"),
}
"""Hydra's own keys beside ``_target_``, and what they may be."""


class TargetError(ConfigError):
    """A dotted name that no configuration may have."""


def build(node: DictConfig, **live: Any) -> Any:
    """Instantiate ``node``; ``live`` holds arguments known only at run time.

    Raises
    ------
    ConfigError
        If any target below ``node`` is not a trusted class, or its constructor refuses a value.
    """
    faults = [fault for key, found in _nodes(node) for fault in _misused(key, found)]
    if faults:
        raise ConfigError(as_message(faults))
    plain: Any = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    try:
        return _instance(plain, live)
    except (ValueError, ImportError) as error:
        raise ConfigError(str(error)) from error
    except OSError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{node._target_} cannot be built from its settings ({reason}).") from error


def _instance(node: Any, live: Mapping[str, Any]) -> Any:
    """Return plain settings with an object in the place of every mapping that has a ``_target_``.

    ``_partial_`` makes it a function that waits for the other arguments; ``live`` are arguments of the outermost.
    """
    if isinstance(node, list):
        return [_instance(child, {}) for child in node]
    if not isinstance(node, dict):
        return node
    given = {name: _instance(child, {}) for name, child in node.items() if not _is_special(name) and name not in live}
    if "_target_" not in node:
        return given
    made = partial(class_of(node["_target_"]), **given, **live)
    return made if node.get("_partial_") else made()


def class_of(target: object) -> type:
    """Return the class a configuration names: the only way from a dotted name to code.

    Raises
    ------
    TargetError
        If no configuration may name it, or there is none.
    """
    if not isinstance(target, str) or len(target) > 200:
        raise TargetError(f"={shown(target)} is not the dotted name of a class.")
    module, _, name = target.rpartition(".")
    if target in LIBRARIES:
        found = getattr(importlib.import_module(module), name, None)
        home = module.split(".")[0] + "."
    elif not target.startswith(OURS):
        trusted = f"{', '.join(OURS)} and the classes listed in runtime/build.py"
        hint = meant(target, LIBRARIES)
        raise TargetError(f"={shown(target)} is outside the trusted modules {trusted}.  {hint}".strip())
    elif not _NAME.fullmatch(target):
        raise TargetError(f"={shown(target)} is not the dotted name of a class, such as models.mlp.MLP.")
    else:
        found = getattr(_module(target, module), name, None)
        home = f"{module}."
    if not isinstance(found, type) or not f"{found.__module__}.".startswith(home):
        there = [other for other, value in vars(sys.modules[module]).items() if isinstance(value, type)]
        raise TargetError(f"={target} is not there: {module} defines no class {name}.  {meant(name, there)}".strip())
    return found


def check(cfg: DictConfig, live: Mapping[str, set[str]]) -> None:
    """Raise ``ConfigError`` listing all faults, before any data is read.

    Parameters
    ----------
    live : mapping
        Names, per key or pattern of keys (``baselines.*``), the parameters given at run time.
    """
    faults = faults_of(cfg, live)
    if faults:
        raise ConfigError(as_message(faults))


def faults_of(cfg: DictConfig, live: Mapping[str, set[str]] | None) -> list[str]:
    """Return all faults of a configuration; without ``live`` those of what is missing are left out."""
    faults = []
    for name, value in _children("", cfg):
        plain = OmegaConf.to_container(value) if isinstance(value, ListConfig) else value
        fault = fault_of(name, plain)
        faults += [fault] if fault else []
        if name in groups() and value is not None:
            faults += _strays(name, value) + _misplaced(name, value)
    if live is not None:
        faults += [f"{key} is required but not set." for key in sorted(OmegaConf.missing_keys(cfg))]
    for key, node in _nodes(cfg):
        given_later = {name for pattern, names in (live or {}).items() if fnmatch(key, pattern) for name in names}
        faults += _faults(key, node, given_later, live is not None)
        for name, value in _children(key, node):
            plain = OmegaConf.to_container(value) if isinstance(value, ListConfig) else value
            fault = size_fault(f"{key}.{name}", plain)
            faults += [fault] if fault else []
    return faults + [fault for name, node in _children("", cfg) for fault in _refused(name, node, faults)]


def _nodes(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Yield every mapping below a node that has a key of Hydra's, in lists, too."""
    if isinstance(node, DictConfig) and any(_is_special(name) for name in node):
        yield key, node
    for name, child in _children(key, node):
        yield from _nodes(child, f"{key}.{name}".lstrip("."))


def _children(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a mapping or a list holds by its name or number, without what is missing."""
    if not isinstance(node, DictConfig | ListConfig) or node._is_none():
        return
    names: Any = node if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        try:
            if not OmegaConf.is_missing(node, name):
                yield str(name), node[name]
        except OmegaConfBaseException as error:
            reason = shown(str(error).splitlines()[0])
            raise ConfigError(as_message([f"{key}.{name} cannot be resolved: {reason}".lstrip(".")])) from None


def _is_special(name: Any) -> bool:
    return isinstance(name, str) and len(name) > 2 and name.startswith("_") and name.endswith("_")


def _misused(key: str, node: DictConfig) -> list[str]:
    """Say what no configuration may have: a target that is not trusted, and words of Hydra's we have no use for."""
    faults = []
    entries = {name: value for name, value in _children(key, node) if _is_special(name)}
    for name, value in entries.items():
        if name == "_target_":
            continue
        if name not in _WORDS:
            faults.append(f"{key}.{name} is not allowed: parameters are given by their names.".lstrip("."))
        elif (type(value), value) not in [(type(word), word) for word in _WORDS[name]]:
            faults.append(f"{key}.{name}={shown(value)} is not known; it is one of {_WORDS[name]}.".lstrip("."))
    if "_target_" not in entries:
        return [*faults, f"{key} has no _target_, which would say what is built.".lstrip()]
    try:
        class_of(entries["_target_"])
    except TargetError as error:
        faults.append(f"{key}._target_{error}".lstrip("."))
    return faults


def _strays(group: str, node: Any) -> list[str]:
    """Say what belongs to nothing that is built: to no choice, or to a misspelt one of several."""
    if not isinstance(node, DictConfig):
        return [f"{group}={shown(node)} is not a choice of conf/{group}."]
    if "_target_" not in node and not _built(node):
        names = [name for name, value in _children(group, node) if value is not None]
        return [f"{group}.{name} is given, but no {group} is chosen: add {group}=..." for name in names]
    return _misspelt(group, node)


def _refused(key: str, node: Any, known: Collection[str]) -> list[str]:
    """Say what the constructor of an object refuses that needs nothing but its settings, and has no other fault.

    So a value that cannot be is told together with all other faults; constructors store, and read nothing.
    """
    if not isinstance(node, DictConfig) or not _is_plain(node) or any(f"{key}." in fault for fault in known):
        return []
    required = [
        name for name, p in inspect.signature(class_of(node._target_)).parameters.items() if p.default is p.empty
    ]
    if any(name not in node or OmegaConf.is_missing(node, name) for name in required):
        return []
    try:
        build(node)
    except ConfigError as error:
        return str(error).splitlines()
    except OSError:
        pass  # told where it is read
    return []


def _is_plain(node: DictConfig) -> bool:
    """Tell whether a node is of a class of ours that holds data or numbers alone: nothing is started by making one."""
    target = None if OmegaConf.is_missing(node, "_target_") else node.get("_target_")
    return isinstance(target, str) and target.startswith(PLAIN) and not node.get("_partial_")


def _misplaced(group: str, node: Any) -> list[str]:
    """Say where a class stands in the place of another kind of thing: a scaling that is a model."""
    if group == BASELINES:
        return [fault for name, child in _children(group, node) for fault in _of_group(f"{group}.{name}", MODEL, child)]
    return _of_group(group, group, node)


def _of_group(key: str, group: str, node: Any) -> list[str]:
    given = isinstance(node, DictConfig) and not OmegaConf.is_missing(node, "_target_")
    target = node.get("_target_") if given else None
    homes = _homes(group)
    module = target.rpartition(".")[0] if isinstance(target, str) else ""
    if not isinstance(target, str) or not homes or {module, module.rpartition(".")[0]} & homes:
        return []
    return [f"{key}._target_={shown(target)} is no {group}: a {group} is of {' or '.join(sorted(homes))}."]


@cache
def _homes(group: str) -> frozenset[str]:
    """Return the modules that the choices of a group are of, and the packages that several of them are of."""
    texts = [path.read_text(encoding="utf-8") for path in Path(CONF, group).glob("*.yaml")]
    modules = {name.rpartition(".")[0] for text in texts for name in re.findall(r"(?m)^_target_: *([\w.]+)", text)}
    packages = Counter(module.rpartition(".")[0] for module in modules)
    return frozenset(modules | {package for package, n in packages.items() if package and n > 1})


def _misspelt(key: str, node: Any) -> list[str]:
    built = _built(node) if isinstance(node, DictConfig) and "_target_" not in node else []
    faults = []
    for name, child in _children(key, node):
        if built and child is not None and name not in built:
            faults.append(f"{key}.{name} belongs to nothing that is built.  {meant(name, built)}".strip())
        else:
            faults += _misspelt(f"{key}.{name}", child)
    return faults


def _built(node: DictConfig) -> list[str]:
    return [name for name, child in _children("", node) if isinstance(child, DictConfig) and "_target_" in child]


@cache
def _modules() -> list[str]:
    """Return the modules of the project a configuration may name."""
    tops = {name.split(".")[0] for name in OURS}
    files = sorted(path.relative_to(ROOT).with_suffix("") for top in tops for path in (ROOT / top).rglob("*.py"))
    return [name for name in map(".".join, (path.parts for path in files)) if f"{name}.".startswith(OURS)]


_sound: dict[str, Any] = {}  # modules that were found to be ours: a run asks a thousand times


def _module(target: str, name: str) -> Any:
    """Import a module of the project, and no other that has its name.

    A folder ``data/`` in the working directory, or anywhere else Python looks, would be imported in its stead.
    """
    if name in _sound and sys.modules.get(name) is _sound[name]:
        return _sound[name]
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    if not path.is_file() or path.resolve() != path:
        hint = meant(name, _modules())
        raise TargetError(f"={target} is not there: this project has no module {name}.  {hint}".strip())
    if name not in sys.modules:
        top = name.split(".")[0]
        spec = find_spec(top)  # imports nothing
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places or Path(places[0]).resolve() != ROOT / top:
            raise TargetError(f"={target} would be imported from {places or 'nowhere'}, not from {ROOT / top}.")
    found = importlib.import_module(name)
    if Path(str(found.__file__)).resolve() != path:
        raise TargetError(f"={target} was imported from {found.__file__}, not from {path}.")
    _sound[name] = found
    return found


def _faults(key: str, node: DictConfig, live: set[str], complete: bool) -> list[str]:
    misused = _misused(key, node)
    if misused:
        return misused
    path = str(node._target_)
    target = class_of(path)
    known = inspect.signature(target).parameters
    given = {str(name) for name in node if not _is_special(name)}
    absent = [
        name
        for name, p in known.items()
        if complete
        and p.default is p.empty
        and name not in given | live
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and not node.get("_partial_", False)
    ]
    return (
        [_unknown(key, path, name, list(known)) for name in sorted(given - known.keys())]
        + [f"{key}.{name} is missing; {path} needs it." for name in absent]
        + _mistyped(key, node, target, given)
    )


def _unknown(key: str, path: str, name: str, known: list[str]) -> str:
    hint = meant(name, known, f"It takes {', '.join(known) or 'nothing'}.")
    return f"{key}.{shown(name)} is not a parameter of {path}. {hint}"


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
        if OmegaConf.is_missing(node, name):
            continue
        value = node[name]
        if kind in accepted:
            if not isinstance(value, accepted[kind]) or (isinstance(value, bool) and kind is not bool):
                faults.append(f"{key}.{name}={shown(value)} must be of type {kind.__name__}.")
        elif isinstance(kind, type) and f"{kind.__module__}.".startswith(OURS) and not isinstance(value, DictConfig):
            faults.append(f"{key}.{name}={shown(value)} must be a {kind.__name__}, something with a _target_.")
    return faults
