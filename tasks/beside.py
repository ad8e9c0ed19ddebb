"""What stands beside a series: covariates, what is known ahead, and what the audit does to them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from omegaconf import DictConfig

from data.calendar import upcoming
from data.contracts import FloatArray, Outside, Panel
from data.covariates import DECIDED, as_of, joined, staleness, with_covariates
from data.known import calendar_columns, with_calendar
from data.moments import DecidedAt
from data.panel import DataError, listed
from evaluation.leakage.perturb import How, replacement
from runtime.build import build
from tasks.task import BoolArray


def with_beside(cfg: DictConfig, panel: Panel, refuse: bool = True) -> Panel:
    """Return the panel with the covariates and calendar columns that the settings ask for.

    Parameters
    ----------
    refuse : bool
        Whether a covariate that ends long before the panel is refused; False says how old each one is.
    """
    nodes = cfg.get("covariates") or {}
    covariates = {str(name): build(node) for name, node in nodes.items()}
    moment = build(cfg.decided_at) if cfg.get("decided_at") is not None else DecidedAt()
    panel = with_covariates(with_calendar(panel, cfg.get("known") or []), covariates, moment, refuse)
    return panel if refuse else replace(panel, notes=(*panel.notes, *staleness(panel)))


def refuse_other_columns(panel: Panel, card: Mapping[str, Any]) -> None:
    """Refuse a file that lacks a covariate which the model of a run was trained with.

    Raises
    ------
    DataError
        Naming every column.
    """
    wanted = card.get("covariates", {})
    absent = [name for name in wanted if name not in panel.covariates]
    if absent:
        raise DataError(
            f"{panel.name} lacks {listed(map(repr, absent))}, which the model was trained with; it has "
            f"{listed(map(repr, panel.covariates)) or 'no covariate'}.  Give a file with these columns, in the same "
            f"units: source.covariates=[{', '.join(absent)}]."
        )


def ahead_of(panel: Panel, names: list[str], horizon: int) -> list[FloatArray] | None:
    """Return what is known of the next dates of each series, ``(H, Z)`` each; None where nothing is asked for."""
    if not panel.known:
        return None
    dates = panel.frame["ds"]
    return [
        calendar_columns(
            names, upcoming(dates.iloc[start : start + series.size], horizon, panel.calendar), panel.calendar
        ).to_numpy(dtype=np.float64)
        for start, series in panel.series()
    ]


def future_replaced(panel: Panel, later: BoolArray, how: How, rng: np.random.Generator) -> Panel:
    """Replace every covariate that is known only after the last row that stays, and revise one that is known before.

    Parameters
    ----------
    later : array ``(row,)``
        Rows that come after the last forecast that must not change.
    """
    panel = _columns_replaced(panel, later, how, rng)
    if not panel.outside:
        return panel
    decided = _last_decision(panel, later)
    changed = [_revised(_replaced(one, one.available >= decided, how, rng), decided) for one in panel.outside]
    return joined(panel, tuple(changed))


def future_left_out(panel: Panel, later: BoolArray) -> Panel:
    """Leave out rows, and every value of a covariate that is known only after the last row that stays."""
    frame = panel.frame[~later].reset_index(drop=True)
    if not panel.outside:
        return replace(panel, frame=frame)
    decided = _last_decision(panel, later)
    kept = [_of(one, one.available < decided) for one in panel.outside]
    return joined(replace(panel, frame=frame), tuple(kept))


def past_moved(panel: Panel, rng: np.random.Generator) -> Panel:
    """Move all covariates: inputs that stay as they were are not made of them."""
    everything = np.ones(len(panel.frame), dtype=bool)
    panel = _columns_replaced(panel, everything, "shifted", rng)
    moved = [_replaced(one, np.ones(one.numbers.size, dtype=bool), "shifted", rng) for one in panel.outside]
    return joined(panel, tuple(moved)) if moved else panel


def _columns_replaced(panel: Panel, rows: BoolArray, how: How, rng: np.random.Generator) -> Panel:
    """Replace some rows of the covariates that the panel's own source holds, series by series."""
    outside = [one.name for one in panel.outside]
    columns = {}
    for name in panel.covariates:
        if name in panel.static or name in outside:
            continue
        values = panel.frame[name].to_numpy(dtype=np.float64).copy()
        for start, series in panel.series():
            own = slice(start, start + series.size)
            values[own] = replacement(values[own], rows[own], how, rng)
        columns[name] = values
    return replace(panel, frame=panel.frame.assign(**columns)) if columns else panel


def _last_decision(panel: Panel, later: BoolArray) -> int:
    return int(panel.frame[DECIDED].to_numpy(dtype=np.int64)[~later].max())


def _replaced(one: Outside, rows: BoolArray, how: How, rng: np.random.Generator) -> Outside:
    return replace(one, numbers=replacement(one.numbers, rows, how, rng))


def _revised(one: Outside, decided: int) -> Outside:
    """Give the newest value that is known a revision, which becomes available when the forecast is made."""
    place = int(as_of(one.available, one.dates, np.array([decided]))[0])
    if place < 0:
        return one
    revision = one.numbers[place] + (one.numbers.std() or 1.0)
    at = int(np.searchsorted(one.available, decided, side="left"))
    return replace(
        one,
        dates=np.insert(one.dates, at, one.dates[place]),
        available=np.insert(one.available, at, decided),
        numbers=np.insert(one.numbers, at, revision),
    )


def _of(one: Outside, kept: BoolArray) -> Outside:
    return replace(one, dates=one.dates[kept], available=one.available[kept], numbers=one.numbers[kept])
