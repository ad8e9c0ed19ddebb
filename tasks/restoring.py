"""Forecasts in the unit users think in: prices of returns, % a day of log volatilities, without retransformation bias.

A forecast of a logarithm is the mean of a logarithm, and its exponential is a median: too low for a mean.  Duan's
smearing takes the errors of validation rows for those to come (``evaluation.smearing``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import FloatArray, Panel, Target
from evaluation.smearing import smeared, thinned

BOUNDS = ("lo_", "hi_")
NOT_FORECAST = ("unique_id", "ds", "step")
STREAM = ["model", "fold", "step"]  # whose errors belong together


def restored(target: Target, panel: Panel, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Put ``y_restored`` and ``y_hat_restored`` beside a Forecasts table; of a volatility the variances, too.

    Parameters
    ----------
    panel : Panel
        As ``target.transform`` returned it.
    forecasts, calibration : DataFrame
        Forecasts of test rows and of validation rows; the errors of the latter are those that are smeared.

    Returns
    -------
    DataFrame
        The table itself where nothing is to be restored.
    """
    if panel.given is None or target.unit_of(panel.given) is None:
        return forecasts
    errors = errors_of(target, calibration) if target.curved else None
    level = _levels(target, panel, forecasts)
    truth, forecast = _sums(target, forecasts)
    columns = {"y_restored": target.restore(truth, level)}
    found = np.empty(len(forecasts))
    for rows, own in _streams(forecasts, errors):
        found[rows] = smeared(target.restore, forecast[rows], level[rows], own)
    columns["y_hat_restored"] = found
    if (variance := target.variance(truth)) is not None:
        columns["variance"], expected = variance, np.empty(len(forecasts))
        for rows, own in _streams(forecasts, errors):
            expected[rows] = smeared(lambda values, _: _variance(target, values), forecast[rows], level[rows], own)
        columns["variance_hat"] = expected
    return forecasts.assign(**columns)


def errors_of(target: Target, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of validation rows by ``model``, ``fold`` and ``step``, each stream about its mean."""
    parts = [pd.DataFrame(columns=[*STREAM, "error"])]
    truth, forecast = _sums(target, calibration)
    places: Any = calibration.groupby(STREAM, sort=False).indices
    for key, rows in places.items():
        errors = thinned((truth - forecast)[rows])
        if errors.size:
            parts.append(pd.DataFrame(dict(zip(STREAM, key, strict=True)) | {"error": errors}))
    return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]


def restored_ahead(target: Target, panel: Panel, table: pd.DataFrame, errors: pd.DataFrame | None) -> pd.DataFrame:
    """Put every forecast and bound of new steps in the unit users think in beside it.

    Bounds are quantiles and need no correction; those of moves over several steps do not add up and are left out.

    Parameters
    ----------
    table : DataFrame
        ``unique_id``, ``ds``, ``step``, a column a model, and bounds.
    errors : DataFrame or None
        As ``errors_of`` returns them; the latest fold counts.
    """
    unit = None if panel.given is None else target.unit_of(panel.given)
    if unit is None or panel.given is None:
        return table
    last = panel.given.frame.groupby("unique_id", sort=False)["y"].last()
    level = table["unique_id"].map(last).to_numpy(dtype=np.float64)
    summed = target.adds and table["step"].nunique() > 1
    columns: dict[str, FloatArray] = {}
    for name in (str(column) for column in table if column not in NOT_FORECAST):
        if name.startswith(BOUNDS):
            if not summed:
                size = target.over if target.adds else 1
                columns[f"{name} in {unit}"] = target.restore(size * table[name].to_numpy(), level)
            continue
        rows = table[["unique_id", "step"]].assign(origin=0, model=name, fold="", y=0.0, y_hat=table[name])
        own = None if errors is None else _latest(errors).assign(fold="")
        values, found = _sums(target, rows)[1], np.empty(len(table))
        for at, seen in _streams(rows, own):
            found[at] = smeared(target.restore, values[at], level[at], seen)
        columns[f"{name} in {unit}"] = found
    return table.assign(**columns)


def _latest(errors: pd.DataFrame) -> pd.DataFrame:
    return errors[errors["fold"] == errors["fold"].iloc[-1]] if len(errors) else errors


def _variance(target: Target, values: FloatArray) -> FloatArray:
    found = target.variance(values)
    assert found is not None
    return found


def _streams(rows: pd.DataFrame, errors: pd.DataFrame | None) -> Iterator[tuple[np.ndarray, FloatArray]]:
    """Yield the places of the rows of each stream, and the errors known of it."""
    known: Any = {} if errors is None else {key: own.to_numpy() for key, own in errors.groupby(STREAM)["error"]}
    found: Any = rows.groupby(STREAM, sort=False).indices
    for key, places in found.items():
        yield places, np.asarray(known.get(key, np.empty(0)), dtype=np.float64)


def _sums(target: Target, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return truths and forecasts as they are or, of moves, what they add up to from the origin on."""
    values = rows[["y", "y_hat"]]
    if target.adds:
        keys: Sequence[str] = ["model", "fold", "unique_id", "origin"]
        values = target.over * values.groupby([rows[key] for key in keys], sort=False).cumsum()
    found = values.to_numpy(dtype=np.float64)
    return found[:, 0], found[:, 1]


def _levels(target: Target, panel: Panel, rows: pd.DataFrame) -> FloatArray:
    """Return the level at the origin of each row; NaN where the target does not need it."""
    if not target.adds or panel.given is None:
        return np.full(len(rows), np.nan)
    known = panel.given.frame.set_index(["unique_id", "ds"])["y"]
    asked = pd.MultiIndex.from_arrays([rows["unique_id"], rows["origin"]])
    return known.reindex(asked).to_numpy(dtype=np.float64)
