"""What one finished piece of work leaves in the run folder, so that an interrupted run loses none."""

import json
from pathlib import Path

import pandas as pd

from data.contracts import Outcome
from pipeline.fitted import Fitted, save
from runtime.record import UNFINISHED, write_json

TABLES = ("forecasts", "calibration")


def part_of(folder: Path, label: str, fold: str, seed: int) -> Path:
    """Return where a model's work on a fold is left, without its suffix."""
    safe = ("".join(letter if letter.isalnum() else "-" for letter in text.lower()) for text in (label, fold))
    return folder / UNFINISHED / "_".join([*safe, str(seed)])


def leave_behind(part: Path, outcome: Outcome, fitted: Fitted | None) -> None:
    """Write a finished part; the JSON comes last, so where it is the rest is whole."""
    part.parent.mkdir(parents=True, exist_ok=True)
    if fitted is not None and fitted.model.scaled:
        save(fitted, part.with_suffix(".safetensors"))
    for name in TABLES:
        getattr(outcome, name).to_parquet(_table(part, name), index=False)
    rest = {name: value for name, value in outcome._asdict().items() if name not in TABLES}
    write_json(part.with_suffix(".json"), rest)
    part.with_suffix(".ckpt").unlink(missing_ok=True)


def left_behind(part: Path) -> Outcome | None:
    """Read a part an interrupted run had finished."""
    if not part.with_suffix(".json").exists():
        return None
    rest = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
    forecasts, calibration = (pd.read_parquet(_table(part, name)) for name in TABLES)
    return Outcome(forecasts=forecasts, calibration=calibration, **rest)


def _table(part: Path, name: str) -> Path:
    return part.with_name(f"{part.name}_{name}.parquet")
