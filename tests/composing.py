"""Hydra as it is, but quicker: most tests compose a configuration, and what is read for it stays the same meanwhile.

A file below ``conf/`` is read once a process and not at every composition; so is the text of an interpolation parsed;
and the names a defaults list can refer to are put together only where one does.  ``tests/test_composing.py`` holds
what comes out against Hydra without this.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_repository import ConfigRepository
from omegaconf import DictConfig, base, grammar_parser

LOAD = ConfigRepository.load_config
NAMES = defaults_list._create_interpolation_map
PARSE = grammar_parser.parse

kept: dict[Any, DictConfig] = {}
"""What ``tests.conftest`` has composed, by the words."""
_files: dict[Any, Any] = {}
_parsed = cache(PARSE)


def quick() -> None:
    """Compose quickly from now on."""
    ConfigRepository.load_config = _load
    defaults_list._create_interpolation_map = _names
    base.parse = _parsed


@contextmanager
def plain() -> Iterator[None]:
    """Compose as Hydra does."""
    kept.clear()
    ConfigRepository.load_config = LOAD
    defaults_list._create_interpolation_map = NAMES
    base.parse = PARSE
    try:
        yield
    finally:
        kept.clear()
        quick()


def _load(self: ConfigRepository, config_path: str) -> Any:
    key = (*(source.full_path() for source in self.get_sources()), config_path)
    if key not in _files:
        _files[key] = LOAD(self, config_path)
    found = _files[key]
    return None if found is None else replace(found, config=deepcopy(found.config))  # it is changed by what is typed


def _names(overrides: Any, listed: list[Any], self_added: bool) -> Any:
    refers = any(not (entry.is_self() or entry.is_override()) and entry.is_interpolation() for entry in listed)
    return NAMES(overrides, listed, self_added) if refers else None
