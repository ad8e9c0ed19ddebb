"""The files a run has left, as the report page reads them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.diagnostics import life_of
from evaluation.metrics import PERSISTENCE

CLOCKS = (PERSISTENCE, "Clock")  # labels of what a run is measured against, the first found


class PageError(ValueError):
    """A folder no page can be made of; the message names the file and the fault."""


class Run(NamedTuple):
    """The files of a run, as far as they are there."""

    folder: Path
    metrics: dict[str, Any]
    card: dict[str, Any]
    config: str
    forecasts: pd.DataFrame | None

    @property
    def life(self) -> bool:
        """Whether the run forecasts the remaining life of cells."""
        return bool(self.metrics.get("job") == "life")

    @property
    def model(self) -> str:
        """Label of the run's model."""
        return str(self.metrics["model"])

    @property
    def unit(self) -> str:
        """Unit of the errors."""
        return str(self.metrics.get("unit", ""))

    @property
    def x(self) -> str:
        """What stands on the time axis."""
        if not self.life:
            return ""
        rows = self.forecasts
        in_cycles = rows is None or np.allclose(life_of(rows, self.lives), rows["y"] + rows["ds"])
        return "cycle" if in_cycles else "record"

    @property
    def lives(self) -> dict[str, float]:
        """Life of each cell [cycles], where the run tells it."""
        return {str(cell): float(life) for cell, life in (self.metrics.get("lives") or {}).items()}

    @property
    def scores(self) -> pd.DataFrame:
        """Scores, a row a model; what is a number in JSON is one here, null is NaN."""
        scores = pd.DataFrame(self.metrics["scores"])
        for name in scores.columns:
            if name not in ("model", "verdict", "leaks", "in_mcs", "in_set"):
                numeric = pd.to_numeric(scores[name], errors="coerce")
                if numeric.notna().any() or scores[name].isna().all():
                    scores[name] = numeric
        return scores

    @property
    def reference(self) -> str | None:
        """Label of the forecast the others are measured against."""
        scores = pd.DataFrame(self.metrics["scores"])
        if "verdict" in scores and (scores["verdict"] == "reference").any():
            return str(scores.loc[scores["verdict"] == "reference", "model"].iloc[0])
        return next((label for label in CLOCKS if label in set(scores["model"])), None)

    @property
    def seeds(self) -> list[str]:
        """All seeds of the run."""
        given = self.card.get("seeds") or self.metrics.get("seeds")
        plain = [seed for seed in given if not isinstance(seed, Mapping)] if isinstance(given, list) else []
        single = self.metrics.get("seed", self.card.get("seed"))
        found = plain or [record["seed"] for record in self.trainings] or [single]
        return [str(seed) for seed in dict.fromkeys(found)]

    @property
    def trainings(self) -> list[dict[str, Any]]:
        """``model``, ``seed`` and ``mae`` of every training by itself, where there were several."""
        known = self.metrics.get("seed_scores") or self.metrics.get("seeds") or []
        return [record for record in known if isinstance(record, dict) and record.get("mae") is not None]

    def evidence(self, name: str) -> Any:
        """Return a JSON file or a table of the evidence, or None where it is missing."""
        path = self.folder / "evidence" / name
        if not path.exists():
            return None
        return read_json(path) if path.suffix == ".json" else read_table(path)


def read_run(folder: Path) -> Run:
    """Read what a run has left.

    Raises
    ------
    PageError
        If there is no metrics.json, or a file is broken.
    """
    if not (folder / "metrics.json").is_file():
        raise PageError(
            f"{folder} holds no finished run: there is no metrics.json.  Give the folder of a run that has ended."
        )
    metrics = read_json(folder / "metrics.json")
    absent = [key for key in ("model", "scores") if key not in metrics]
    if absent:
        raise PageError(f"{folder / 'metrics.json'} lacks {', '.join(absent)}.  Run the experiment again.")
    card, config, table = folder / "run.json", folder / "config.yaml", folder / "forecasts.parquet"
    return Run(
        folder=folder,
        metrics=metrics,
        card=read_json(card) if card.exists() else {},
        config=config.read_text(encoding="utf-8") if config.exists() else "",
        forecasts=read_table(table) if table.exists() else None,
    )


def read_json(path: Path) -> Any:
    """Read JSON, or raise a PageError that names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PageError(f"{path} cannot be read ({error}).  Run the experiment again.") from None


def read_table(path: Path) -> pd.DataFrame:
    """Read a parquet file, or raise a PageError that names it."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise PageError(f"{path} cannot be read ({error}).  Run the experiment again.") from None


def furthest(forecasts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the rows of the furthest step, and that step."""
    horizon = int(forecasts["step"].max())
    return forecasts[forecasts["step"] == horizon], horizon


def first_series(run: Run) -> pd.DataFrame | None:
    """Return the first series at the furthest step, or None."""
    if run.forecasts is None or run.model not in set(run.forecasts["model"]):
        return None
    rows, _ = furthest(run.forecasts)
    return rows[rows["unique_id"] == rows["unique_id"].iloc[0]]
