"""What a finished run gives to a tracker, read from its folder alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from report.run_folder import RunFolder
from report.settings import leaves

ARTEFACTS = ("report.html", "table.md", "table.csv", "config.yaml", "run.json", "metrics.json")


class Child(NamedTuple):
    """One training: a label, a fold and a seed."""

    name: str
    """``label, fold, seed n``: the same in every tracker, and unlike that of any other training of the run."""
    label: str
    fold: str
    seed: int
    seconds: float
    epochs: list[Mapping[str, float]]
    """What was logged after each: ``epoch``, losses, ``val/mae``, ``lr``; empty where there are none."""


class Record(NamedTuple):
    """A run, as every tracker gets it."""

    name: str
    sweep: str
    """Folder of the sweep a run is a job of, by which its runs are found; else empty."""
    experiment: str
    parameters: Mapping[str, str]
    """Every setting by its dotted key."""
    tags: Mapping[str, str]
    """Verdict of the audit, commit, hash of the data, sweep."""
    scores: Mapping[str, float]
    """``validation/mae``, and ``test/LABEL/SCORE`` of every model and score."""
    children: list[Child]
    artefacts: list[Path]


class Tracker(Protocol):
    """Something that keeps runs."""

    def keep(self, record: Record, folder: Path) -> str:
        """Take over a run and return where it is."""
        ...


def record(folder: Path, sweep: Path | None = None) -> Record:
    """Return what a finished run gives to a tracker.

    Raises
    ------
    FolderError
        If a file of the run cannot be read.
    """
    run = RunFolder(folder)
    metrics, card = run.metrics, run.card
    scores = {f"validation/{name}": float(value) for name, value in metrics.validation.items()}
    for row in metrics.scores.to_dict("records"):
        scores |= {
            f"test/{row['model']}/{name}": float(value)
            for name, value in row.items()
            if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)
        }
    tags = {
        "audit": str((metrics.audit or {}).get("verdict", "not audited")),
        "commit": str(card.get("commit")) + ("+changes" if card.get("uncommitted_changes") else ""),
        "data": str(card.get("data", {}).get("sha256")),
        "seeds": ",".join(map(str, metrics.seeds)),
        "sweep": "" if sweep is None else str(sweep),
    }
    return Record(
        name=folder.name if sweep is None else folder.relative_to(sweep).as_posix(),
        sweep=tags["sweep"],
        experiment=metrics.experiment,
        parameters={key: str(value) for key, value in leaves(run.settings).items()},
        tags=tags,
        scores=scores,
        children=_children(run),
        artefacts=[folder / name for name in ARTEFACTS if (folder / name).is_file()],
    )


def _children(run: RunFolder) -> list[Child]:
    """Return every training, with its epochs where it had any."""
    losses: Any = run.artifact("losses.json") or {}
    labels = sorted(map(str, run.metrics.scores["model"]), key=len, reverse=True)
    children = []
    for name, seconds in run.card.get("seconds", {}).items():
        label = next((label for label in labels if name.startswith(f"{label}, ")), None)
        fold, _, seed = name[len(label or "") + 2 :].rpartition(", seed ")
        if label is None or not seed.isdigit():
            continue
        spelt = (f"{label}{of_fold}{of_seed}" for of_fold in ("", f", {fold}") for of_seed in ("", f", seed {seed}"))
        epochs: list[Mapping[str, float]] = next((losses[key] for key in spelt if key in losses), [])
        children.append(Child(name, label, fold, int(seed), float(seconds), epochs))
    return children
