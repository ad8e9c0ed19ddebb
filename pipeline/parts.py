"""What one finished piece of work leaves in the run folder, so that an interrupted run loses none."""

import hashlib
import json
import warnings
from pathlib import Path

import pandas as pd

from data.contracts import Outcome
from pipeline.fitted import Fitted, save
from runtime.files import write_json
from runtime.record import UNFINISHED

TABLES = ("forecasts", "calibration")


def part_of(folder: Path, label: str, fold: str, seed: int) -> Path:
    """Return where a model's work on a fold is left, without its suffix."""
    safe = "".join(letter if letter.isalnum() else "-" for letter in label.lower())[:40]
    own = hashlib.sha256(f"{label}|{fold}".encode()).hexdigest()[:12]  # folds can have long names, and alike ones
    return folder / UNFINISHED / f"{safe}_{own}_{seed}"


def leave_behind(part: Path, outcome: Outcome, fitted: Fitted | None) -> None:
    """Write a finished part; the JSON comes last, so where it is the rest is whole."""
    part.parent.mkdir(parents=True, exist_ok=True)
    if fitted is not None and fitted.model.scaled and fitted.keeps:
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
    try:
        rest = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
        forecasts, calibration = (pd.read_parquet(_table(part, name)) for name in TABLES)
        return Outcome(forecasts=forecasts, calibration=calibration, **rest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        warnings.warn(f"{part}.json or a table of it cannot be read ({reason}); this part is done again.", stacklevel=2)
        part.with_suffix(".json").unlink(missing_ok=True)
        return None


def _table(part: Path, name: str) -> Path:
    return part.with_name(f"{part.name}_{name}.parquet")
