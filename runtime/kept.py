"""Read what a run folder holds as data from a stranger: bounded, and nothing in it is obeyed.

A kept configuration is settled text.  Interpolations would read the reader's environment, an address would
send something to the stranger's machine, aliases can be nested until a few lines fill the memory: none of
them is ever written by a run, and all are refused.
"""

import json
import math
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from runtime.faults import FolderError, shown

CONFIG_BYTES = 1_000_000
JSON_BYTES = 50_000_000
DEPTH = 20  # of nesting; a run of ours has ten
NODES = 50_000

_ADDRESS = re.compile(r"://|::|^\s*[A-Za-z][A-Za-z0-9+.-]+:/")


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises
    ------
    FolderError
        If it is not there, not a file (a device or a pipe would never end), or larger.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FolderError(f"{path} is not a file.")
        if status.st_size > limit:
            raise FolderError(f"{path} has {status.st_size} bytes; no run writes more than {limit} there.")
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(f"{path} cannot be read ({error.strerror}).") from None


def read_text(path: Path, limit: int) -> str:
    """Return the text of a file.

    Raises
    ------
    FolderError
        If it is not UTF-8, or for any reason ``read_bytes`` has.
    """
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FolderError(f"{path} is not text: byte {error.start} is not UTF-8.") from None


def read_json(path: Path, limit: int = JSON_BYTES) -> dict[str, Any]:
    """Return the mapping a JSON file holds.

    Raises
    ------
    FolderError
        If it is damaged, holds something else, a number that does not exist, or is nested without end.
    """
    text = read_text(path, limit)
    try:
        content = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise FolderError(f"{path} is damaged: {shown(reason)}.") from None
    if not isinstance(content, dict):
        raise FolderError(f"{path} holds {_kind(content)}, not the record of a run.")
    return content


def read_config(path: Path) -> DictConfig:
    """Return a kept configuration: plain values, resolved, and none of them an address.

    Raises
    ------
    FolderError
        If it is damaged or holds what no run writes; the key is named.
    """
    text = read_text(path, CONFIG_BYTES)
    try:
        _refuse_tricks(path, text)
        # OmegaConf's loader is a safe one, reads 1e-3 as a number and refuses a key given twice.
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        reason = shown(getattr(error, "problem", None) or "it is not YAML")
        raise FolderError(f"{path} is damaged{place}: {reason}.") from None
    except FolderError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise FolderError(f"{path} is damaged: {shown(str(error).splitlines()[0])}.") from None
    if not isinstance(content, dict) or not content:
        raise FolderError(f"{path} holds {_kind(content)}, not the settings of a run.")
    faults = [f"{shown(key)} {fault}" for key, value in _values(content) if (fault := _untold(value))]
    if faults:
        raise FolderError(f"{path} is not the configuration of a run: {faults[0]}.")
    return OmegaConf.create(content)


def entry(content: dict[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """Return the entry under a dotted key of what ``read_json`` returned.

    Raises
    ------
    FolderError
        If there is none, or it is of another type.
    """
    found: Any = content
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise FolderError(f"{path} is damaged: {key} is {shown(found)!r}.")
    return found


def refuse_unlike(content: dict[str, Any], key: str, fits: Callable[[Any], bool], path: Path) -> None:
    """Refuse an entry under a dotted key that is there, and not of the kind a run writes.

    Raises
    ------
    FolderError
    """
    parent, _, name = key.rpartition(".")
    holder = content.get(parent) if parent else content
    if isinstance(holder, dict) and name in holder and not fits(holder[name]):
        raise FolderError(f"{path} is damaged: {key} is {shown(holder[name])!r}.  Train the run again.")


def is_size(value: Any) -> bool:
    """Tell whether a value is a number above 0."""
    return type(value) in (int, float) and 0 < value < math.inf


def are_numbers(value: Any) -> bool:
    """Tell whether a value is a list of numbers."""
    return isinstance(value, list) and all(type(one) in (int, float) for one in value)


def names_to(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    """Return what tells whether a value is a mapping to values of a type."""
    return lambda value: isinstance(value, dict) and all(isinstance(one, kind) for one in value.values())


def _refuse_tricks(path: Path, text: str) -> None:
    """Refuse aliases, tags, endless nesting and endless lists before anything is built from them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        place = f"{path}, line {event.start_mark.line + 1},"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise FolderError(f"{place} has a YAML alias, which no run writes.")
        if getattr(event, "tag", None):
            raise FolderError(f"{place} has the YAML tag {shown(event.tag)}, which no run writes.")
        if depth > DEPTH:
            raise FolderError(f"{place} is nested more than {DEPTH} deep.")
        if count > NODES:
            raise FolderError(f"{path} has more than {NODES} entries.")


def _values(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key that is no plain name, and every value, by its dotted key."""
    if isinstance(node, dict):
        for name, value in node.items():
            below = f"{key}.{name}".lstrip(".")
            yield below, name if isinstance(name, str) else None
            yield from _values(value, below)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _values(value, f"{key}.{number}".lstrip("."))
    else:
        yield key, node if node is not None else ""


def _untold(value: Any) -> str | None:
    """Say what is wrong with a value."""
    if value is None:
        return "has a name that is no text"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which is no number"
    if not isinstance(value, str):
        return None
    if "${" in value:
        return f"is the interpolation {shown(value)!r}; a kept configuration is resolved"
    if value == "???":
        return "is not set"
    if _ADDRESS.search(value):
        return f"is the address {shown(value)!r}; nothing is fetched for a kept configuration"
    return None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(shown(digits))


def _kind(content: Any) -> str:
    kinds: dict[type, Callable[[], str]] = {list: lambda: "a list", dict: lambda: "nothing"}
    return kinds.get(type(content), lambda: "nothing" if content is None else f"{shown(content)!r}")()
