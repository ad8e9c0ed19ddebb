"""How a fault is told: in one message, as text and nothing else, with the name that was meant."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from runtime.files import ROOT

PACKAGES = ("data", "models", "evaluation", "pipeline", "report", "runtime", "tasks")
LONG = 120  # letters of a value that are shown


class ConfigError(ValueError):
    """Every fault of a configuration, reported together."""


class FolderError(OSError):
    """A run folder that cannot be written to, or holds what no run has written."""


def as_message(faults: Sequence[str]) -> str:
    """Return all faults of a configuration as one message."""
    return "The configuration has faults:\n  " + "\n  ".join(faults)


def meant(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return ``Did you mean ...?`` where a known name is close, and else what there is to say."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise


def shown(value: object) -> str:
    """Return a value from a file as text a terminal can show: short, without control or direction marks."""
    text = printable(str(value))
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def printable(text: str) -> str:
    """Return the text with what a terminal would obey replaced: escapes, direction marks, lone surrogates."""
    return "".join(
        letter if letter == "\n" or not unicodedata.category(letter).startswith("C") else "\ufffd" for letter in text
    )


def is_ours(error: BaseException) -> bool:
    """Say whether a message was written for the user: its type is ours, or one of our lines raised it.

    What a worker process raised comes without its lines, but with a mark of the worker (``told``).
    """
    if type(error).__module__.split(".")[0] in PACKAGES or getattr(error, "told", False):
        return True
    if not isinstance(error, ValueError | ImportError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent in _folders()


@cache
def _folders() -> frozenset[Path]:
    return frozenset({ROOT} | {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")})
