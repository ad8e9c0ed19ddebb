"""The trials of settings a run is the best of: history, importance, slices."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from report.figures.drawing import Figure
from report.figures.sweep.trials import history, slices
from report.parts import Section
from report.run_folder import RunFolder
from report.table import Cell, Column, Row, Table, plain_table
from report.text import four

SHOWN = 20  # trials of the table, the best first
KINDS = {"complete": "completed", "pruned": "pruned", "failed": "failed", "killed": "killed and tried again"}


def trials_of(run: RunFolder) -> Section | None:
    """Return what was tried before this run, or None where nothing was."""
    found = run.artifact("trials.json")
    if found is None:
        return None
    facts, counts = found["facts"], found["counts"]
    unit, trials = str(facts["unit"]), [trial for trial in found["trials"] if trial["outcome"] in KINDS]
    table = _rows(trials)
    done = [trial for trial in trials if trial["mae"] is not None]
    best = next(trial for trial in done if trial["number"] == found["best"])
    told = ", ".join(f"{counts[kind]} {word}" for kind, word in KINDS.items() if counts.get(kind))
    heading = f"{len(trials)} trials chose these settings on validation rows: {told}"
    space = facts["space"]
    values = {key: [trial["params"].get(key) for trial in done] for key in space}
    log = {key: bool(entry.get("log", False)) for key, entry in space.items()}
    drawings = [history(table, unit), *slices(table, values, log, unit)]
    says = f"Validation error of every trial, and against each of {len(space)} settings"
    figure = Figure("trials", drawings, says, "Grey crosses were pruned: they were not worth going on with.", "against")
    return Section(
        "trials",
        "Trials",
        heading,
        paragraphs=[_choice(facts, done, best, unit)],
        tables=[*_importance(found["importance"]), _best(done, list(space), unit)],
        figures=[figure],
        notes=_notes(facts, trials),
    )


def _rows(trials: list[dict[str, Any]]) -> pd.DataFrame:
    rows = []
    for trial in trials:
        errors = list(trial["epochs"].values())
        rows.append(
            {
                "number": trial["number"],
                "mae": np.nan if trial["mae"] is None else float(trial["mae"]),
                "last": float(errors[-1]) if errors and trial["outcome"] == "pruned" else np.nan,
                "setting": _setting(trial["params"]),
            }
        )
    return pd.DataFrame(rows)


def _choice(facts: Mapping[str, Any], done: list[dict[str, Any]], best: Mapping[str, Any], unit: str) -> str:
    said = f"The best, trial {best['number']} ({_setting(best['params'])}), has a MAE of {four(best['mae'])} {unit} on "
    said += "validation rows"
    default = next((trial for trial in done if trial["params"] == facts["defaults"]), None)
    if default is None:
        return f"{said}; the default settings are not among what could be tried."
    if default["number"] == best["number"]:
        return f"{said}: it is the default, and no trial was better."
    gain = 100 * (1 - best["mae"] / default["mae"])
    return f"{said}, {gain:.1f} % less than the {four(default['mae'])} of the default settings."


def _importance(shares: Mapping[str, float]) -> list[Table]:
    if not shares:
        return []
    columns = [Column("setting", numeric=False), Column("share %")]
    rows = [Row([Cell(key), Cell(f"{100 * share:.0f}", value=float(share))]) for key, share in shares.items()]
    caption = "How much of the differences among completed trials each setting explains (PED-ANOVA)"
    return [Table(caption, columns, rows)]


def _best(done: list[dict[str, Any]], keys: list[str], unit: str) -> Table:
    first = sorted(done, key=lambda trial: trial["mae"])[:SHOWN]
    frame = pd.DataFrame(
        [
            {"trial": trial["number"], "mae": trial["mae"], "epochs": len(trial["epochs"]), "seconds": trial["seconds"]}
            | {key: str(trial["params"].get(key)) for key in keys}
            for trial in first
        ]
    )
    titles = {"trial": "trial", "mae": "MAE", "epochs": "epochs", "seconds": "seconds"} | {key: key for key in keys}
    many = f" {SHOWN} best of {len(done)}" if len(done) > SHOWN else ""
    return plain_table(f"Completed trials{many}, errors on validation rows in {unit}", frame, titles)


def _notes(facts: Mapping[str, Any], trials: list[dict[str, Any]]) -> list[str]:
    notes = ["No trial has seen a test row: they were taken out of the data before anything was made of them."]
    if facts.get("seen"):
        notes = [
            f"Settings were chosen in the first fold.  {facts['seen']} of {facts['tested']} rows that other folds test "
            f"were there to learn from or to choose by, so the test of these folds is not quite one of the choice."
        ]
    looks = len(facts.get("judged") or [])
    if looks > 1:
        notes.append(
            f"The test rows have been looked at {looks} times, for as many best settings of this study: to choose "
            f"among them by their test errors is no test."
        )
    failed = [trial for trial in trials if trial["outcome"] == "failed"]
    notes += [f"Trial {t['number']} failed: {str(t['said']).strip().splitlines()[-1]}" for t in failed if t["said"]]
    same = [trial for trial in trials if trial["same"] is not None]
    if same:
        notes.append(f"{len(same)} trials drew settings that had been tried, and were not run again.")
    return notes


def _setting(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in params.items()
    )
