"""What the audit has proved of a pipeline, for the runs of one sweep that differ by nothing but the seed.

A pipeline is its settings without the seed, the data, the roles of their rows, the code and the packages it runs on.
All of it is in a digest; where one bit of it changes, nothing is taken over.  What a run has *used* is never taken
over: its windows and batches are made again and compared in every run.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.contracts import Fold, Panel
from data.panel import fingerprint
from evaluation.leakage.prove import Finding
from runtime.cache import alone
from runtime.faults import PACKAGES, FolderError
from runtime.files import ROOT, write_json
from runtime.kept import read_json


class Known(NamedTuple):
    """What an earlier run has proved."""

    findings: list[list[Finding]]
    """Of every group of candidates on every fold that is audited, in their order."""
    run: str
    """Its folder."""


class Verdicts:
    """Where runs of a sweep that differ by the seed alone keep what was proved of their pipeline.

    Parameters
    ----------
    path : Path
        A file for these settings.
    settings : str
        Digest of the settings without the seed.
    run : str
        The folder of this run, below the sweep.
    """

    def __init__(self, path: Path, settings: str, run: str) -> None:
        self.path, self.settings, self.run = path, settings, run

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other run audits the same pipeline."""
        with alone(self.path.with_suffix(".lock")):
            yield

    def known(self, panel: Panel, folds: Sequence[Fold]) -> Known | None:
        """Return what was proved of this very pipeline, or None."""
        if not self.path.exists():
            return None
        try:
            kept = read_json(self.path)
            if kept["digest"] != self._digest(panel, folds) or _code() != _CODE:
                return None
            findings = [[Finding(**finding) for finding in group] for group in kept["findings"]]
            return Known(findings, str(kept["run"]))
        except (FolderError, KeyError, TypeError):
            return None  # damaged, or of another version: proved again

    def keep(self, panel: Panel, folds: Sequence[Fold], findings: Sequence[Sequence[Finding]]) -> None:
        """Write down what this run has proved, unless the code was changed meanwhile."""
        if _code() != _CODE:
            return
        content = [[_plain(finding) for finding in group] for group in findings]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"digest": self._digest(panel, folds), "run": self.run, "findings": content})

    def _digest(self, panel: Panel, folds: Sequence[Fold]) -> str:
        digest = hashlib.sha256(json.dumps([self.settings, fingerprint(panel), _CODE, _packages()]).encode())
        for fold in folds:
            digest.update(fold.name.encode() + np.ascontiguousarray(fold.role).tobytes())
        return digest.hexdigest()


def _plain(finding: Finding) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in finding._asdict().items()}


def _code() -> str:
    """Return a digest of every line of the project that can have a part in a run."""
    digest = hashlib.sha256()
    for package in sorted(set(PACKAGES) - {"report"}):  # which is made afterwards, of files
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def _packages() -> list[str]:
    """Return everything that is installed, with its version, and that of Python."""
    found = {f"{package.metadata['Name']} {package.version}" for package in distributions()}
    return [sys.version, *sorted(found)]


_CODE = _code()
"""Of the code as it was loaded; where files change under a process that runs, nothing is kept and nothing taken."""
