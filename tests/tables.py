"""Forecasts tables whose errors are known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.rows import CLOCK, PERSISTENCE, Facts
from report.run_folder import KEPT_NO_FACTS

Errors = Mapping[str, Mapping[str, np.ndarray | float]]


def one_step(series: np.ndarray, guesses: Mapping[str, np.ndarray], name: str = "s") -> pd.DataFrame:
    """Forecasts of every value but the first, by persistence and by others."""
    dates = pd.bdate_range("2024-01-01", periods=series.size)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": dates[1:],
                "origin": dates[:-1],
                "step": 1,
                "model": model,
                "y": series[1:],
                "y_hat": guess,
            }
        )
        for model, guess in {PERSISTENCE: series[:-1], **guesses}.items()
    ]
    return pd.concat(parts, ignore_index=True)


def two_steps(series: np.ndarray, guess: float) -> pd.DataFrame:
    """Forecasts of the next two values from every origin, by persistence and a constant."""
    rows = [
        ("s", origin + step, origin, step, model, series[origin + step], y_hat)
        for model in (PERSISTENCE, "constant")
        for origin in range(series.size - 2)
        for step in (1, 2)
        for y_hat in [series[origin] if model == PERSISTENCE else guess]
    ]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "origin", "step", "model", "y", "y_hat"])


def series_facts(naive_error: Mapping[str, float] | float = 1.0) -> Facts:
    """What must be known of series; of a number, that of the series ``s``."""
    known = {"s": naive_error} if isinstance(naive_error, int | float) else naive_error
    return Facts(KEPT_NO_FACTS["forecast"][0], PERSISTENCE, "points", naive_error=known)


def lived(lives: Mapping[str, int], errors: Errors, every: int = 1) -> pd.DataFrame:
    """Forecasts of every cycle of some cells: the truth plus an error for each model and cell."""
    parts = []
    for model, by_cell in errors.items():
        for cell, error in by_cell.items():
            ds = np.arange(1, lives[cell] + 1, every)
            y = (lives[cell] - ds).astype(np.float64)
            parts.append(
                pd.DataFrame(
                    {"unique_id": cell, "ds": ds, "origin": ds, "step": 0, "model": model, "y": y, "y_hat": y + error}
                )
            )
    return pd.concat(parts, ignore_index=True)


def cells(n: int, life: int = 60) -> dict[str, int]:
    """Lives of some cells."""
    return {f"c{k:02d}": life + k for k in range(n)}


def cell_facts(lives: Mapping[str, float]) -> Facts:
    """What must be known of cells."""
    return Facts(KEPT_NO_FACTS["rul"][0], CLOCK, "cycles", lives=lives)


def several(n: int, seed: int = 0, model: float = 2.0, clock: float = 5.0) -> tuple[dict[str, int], pd.DataFrame]:
    """Cells whose errors are of a known size, a model's and the clock's."""
    lives, rng = cells(n), np.random.default_rng(seed)
    errors: Errors = {
        "net": {c: model * rng.uniform(0.8, 1.2, lives[c]) for c in lives},
        CLOCK: {c: clock * rng.uniform(0.8, 1.2) for c in lives},
    }
    return lives, lived(lives, errors)


def trainings(table: pd.DataFrame, seeds: int, reference: str) -> pd.DataFrame:
    """What seeds that differ by a constant made of a table; the reference has one."""
    parts = [
        own.assign(y_hat=own["y_hat"] + seed, seed=seed)
        for model, own in table.groupby("model", sort=False)
        for seed in range(1 if model == reference else seeds)
    ]
    return pd.concat(parts, ignore_index=True)


def row(table: pd.DataFrame, model: str) -> pd.Series:
    """Return the row of a model."""
    return table.set_index("model").loc[model]
