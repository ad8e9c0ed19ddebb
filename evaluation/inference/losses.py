"""Loss of every model at every origin, in time order: what the tests over time compare."""

from typing import Literal

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.rows import TARGET

Loss = Literal["absolute", "squared"]


def losses_by_origin(rows: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
    """Return ``(origin, model)``: the loss of every model, averaged over the steps and series of an origin.

    Parameters
    ----------
    rows : DataFrame
        The Forecasts table.
    loss : str
        What a forecast loses by its error.

    Returns
    -------
    DataFrame
        Rows are in time order, models in the order of the table; a loss is NaN where the model lacks one of the
        forecasts of the origin.
    """
    origin, origins = pd.factorize(rows["origin"], sort=True)
    model, models = pd.factorize(rows["model"])
    lost = loss_of(rows["y"], rows["y_hat"], loss)
    cell, shape = origin * len(models) + model, (len(origins), len(models))
    sums, counts, there = (
        np.bincount(cell, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)
        for weights in (np.nan_to_num(lost, nan=0.0, posinf=0.0), None, np.isfinite(lost).astype(np.float64))
    )
    targets = np.bincount(origin[~rows.duplicated(TARGET).to_numpy()], minlength=len(origins))[:, None]
    with np.errstate(invalid="ignore"):
        means = np.where((counts == targets) & (there == targets), sums / counts, np.nan)
    return pd.DataFrame(means, index=pd.Index(origins, name="origin"), columns=pd.Index(models, name="model"))


def loss_of(y: "pd.Series[float]", y_hat: "pd.Series[float]", loss: Loss) -> FloatArray:
    """Return what every forecast loses, ``(n,)``."""
    lost = np.abs((y - y_hat).to_numpy(dtype=np.float64))
    return lost**2 if loss == "squared" else lost
