"""How far intervals reach beyond the end of a table: what ``latest`` returns, as plain lists that fit into JSON."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.intervals.bounds import bound_columns

ANY = None  # in place of a series' name: whichever


class Offset(NamedTuple):
    """How far an interval reaches, at each of some forecasts; between them it is interpolated."""

    model: str
    unique_id: str | None
    """None if it holds for every series, as for cells."""
    step: int
    level: int
    """[%]."""
    y_hat: list[float]
    """Forecasts the reach is given at; a single one if it is the same everywhere."""
    lo: list[float]
    """To be added to the forecast for the lower bound, in the unit of ``y``; at most 0."""
    hi: list[float]


def is_offset(entry: Any) -> bool:
    """Tell whether an entry of a kept file is an ``Offset``: it may be somebody else's."""
    if not isinstance(entry, dict) or set(entry) != set(Offset._fields):
        return False
    numbers = [entry[name] for name in ("y_hat", "lo", "hi")]
    lists = all(
        isinstance(own, list) and own and all(type(one) in (int, float) and np.isfinite(one) for one in own)
        for own in numbers
    )
    whole = all(
        type(entry[name]) is int and 0 <= entry[name] < most for name, most in (("step", 10**6), ("level", 100))
    )
    named = isinstance(entry["model"], str) and isinstance(entry["unique_id"], str | None)
    return bool(lists and whole and named and len({len(own) for own in numbers}) == 1)


def as_offsets(reaches: Iterable[tuple[tuple[str, str, int], Mapping[int, float]]]) -> list[dict[str, Any]]:
    """Return the reach of every stream and level, where there is one, as dictionaries."""
    return [
        Offset(model, unique_id, step, level, [0.0], [-float(reach)], [float(reach)])._asdict()
        for (model, unique_id, step), by_level in reaches
        for level, reach in by_level.items()
        if np.isfinite(reach)
    ]


def extend(forecasts: pd.DataFrame, offsets: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Put intervals around forecasts beyond the end of a table, from what ``latest`` returned.

    Parameters
    ----------
    forecasts : DataFrame
        Columns ``unique_id``, ``step``, ``model`` and ``y_hat``.
    offsets : iterable of mapping
        As ``latest`` returned them.  Where a model has a single series, its offsets hold for a series of
        another name, too: a file may call it differently.

    Returns
    -------
    DataFrame
        The forecasts with ``lo_<level>`` and ``hi_<level>``, NaN where nothing is known.
    """
    known = [Offset(**offset) for offset in offsets]
    series: dict[str, set[str | None]] = defaultdict(set)
    for offset in known:
        series[offset.model].add(offset.unique_id)
    of_model, of_series = (
        forecasts.groupby(keys).indices for keys in (["model", "step"], ["model", "step", "unique_id"])
    )
    y_hat = forecasts["y_hat"].to_numpy(dtype=np.float64)
    bounds = {name: np.full(len(forecasts), np.nan) for name in bound_columns(sorted({o.level for o in known}))}
    for offset in known:
        alone = len(series[offset.model]) == 1
        key = (offset.model, offset.step) if alone else (offset.model, offset.step, offset.unique_id)
        own: Any = (of_model if alone else of_series).get(key, np.empty(0, dtype=np.int64))
        low = y_hat[own] + np.interp(y_hat[own], offset.y_hat, offset.lo)
        bounds[f"lo_{offset.level}"][own] = np.maximum(low, 0.0) if offset.unique_id is ANY else low
        bounds[f"hi_{offset.level}"][own] = y_hat[own] + np.interp(y_hat[own], offset.y_hat, offset.hi)
    return forecasts.assign(**bounds)
