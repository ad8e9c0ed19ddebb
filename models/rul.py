"""Remaining useful life from the cycle number alone: the numbers to beat without a sensor.

These models see no windows: they learn from the training rows ``unique_id, ds, y`` and forecast from
rows ``unique_id, ds``, where ``ds`` counts cycles and ``y`` is the remaining life in cycles.  A remaining
life is never below zero, and neither is a forecast.

Shapes
------
n row
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import linear_model

from data.contracts import REMAINING, FloatArray
from models.model import Inputs, Needs, State

CYCLES = Needs(scaled=False, gradients=False, chance=False, state=True, kinds=(REMAINING,))


class Clock:
    """Mean life of the training cells minus the cycle number.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = CYCLES
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self._life = np.empty(0)  # () [cycles]

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training rows, each cell with the same weight."""
        rows = train.rows
        lives = (rows["ds"] + rows["y"]).groupby(rows["unique_id"]).mean()
        self._life = np.array(lives.mean())

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the remaining life ``(n, 1)`` [cycles]."""
        return _never_negative(self._life - _cycles(inputs.rows))

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"life": self._life}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._life = state["life"]


class MeanRul:
    """Mean remaining life of the training rows, whatever is asked: no sensor and no counter.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = CYCLES
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self._rul = np.empty(0)  # () [cycles]

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training rows, each cell with the same weight."""
        self._rul = np.array(train.rows.groupby("unique_id")["y"].mean().mean())

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the same remaining life ``(n, 1)`` [cycles] for every row."""
        return np.full((len(inputs.rows), 1), self._rul.item())

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"rul": self._rul}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._rul = state["rul"]


class CycleRidge:
    """Ridge regression of the remaining life on the cycle number.

    Parameters
    ----------
    label : str
        What tables call the model.
    alpha : float
        Penalty on the squared slope [squared cycles].
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = CYCLES
    component: None = None

    def __init__(self, label: str, alpha: float, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self.alpha = alpha
        self._slope = self._start = np.empty(0)  # (1,) each

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training rows."""
        lives = train.rows["y"].to_numpy(dtype=np.float64)
        line = linear_model.Ridge(self.alpha).fit(_cycles(train.rows), lives)
        self._slope, self._start = line.coef_, np.atleast_1d(line.intercept_)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the remaining life ``(n, 1)`` [cycles]."""
        return _never_negative(self._start + self._slope * _cycles(inputs.rows))

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"slope": self._slope, "start": self._start}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._slope, self._start = state["slope"], state["start"]


class LastRul:
    """The last remaining life known of the same cell, minus the cycles since.

    It can forecast only where a protocol learns from earlier rows of the very cell it is judged by,
    and has no error there: who knows one remaining life of a cell knows all of them.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = CYCLES
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self._known = _in_time(pd.DataFrame({"unique_id": [], "ds": [], "y": []}))

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether every test row has an earlier training row of its cell."""
        known = train.assign(y=0.0)
        return bool(_last_known(_in_time(known), test).notna().all())

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Remember the training rows."""
        self._known = _in_time(train.rows)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the remaining life ``(n, 1)`` [cycles]; NaN where nothing earlier is known of a cell."""
        end = _last_known(self._known.assign(y=self._known["ds"] + self._known["y"]), inputs.rows)
        return _never_negative(end.to_numpy()[:, None] - _cycles(inputs.rows))

    def state(self) -> State:
        """Return everything that was fitted; names of cells as their letters, a line a row."""
        letters = "\n".join(self._known["unique_id"]).encode()
        return {
            "cells": np.frombuffer(letters, dtype=np.uint8),
            "cycles": self._known["ds"].to_numpy(),
            "rul": self._known["y"].to_numpy(),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        cells = state["cells"].tobytes().decode().split("\n") if state["cycles"].size else []
        self._known = _in_time(pd.DataFrame({"unique_id": cells, "ds": state["cycles"], "y": state["rul"]}))


def _cycles(rows: pd.DataFrame) -> FloatArray:
    return rows[["ds"]].to_numpy(dtype=np.float64)  # (n, 1)


def _never_negative(forecast: FloatArray) -> FloatArray:
    floored: FloatArray = np.maximum(forecast, 0.0)  # NaN stays NaN
    return floored


def _in_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the three columns in the order ``merge_asof`` wants them."""
    kinds = {"unique_id": str, "ds": np.float64, "y": np.float64}
    return rows[list(kinds)].astype(kinds).sort_values("ds", kind="stable", ignore_index=True)


def _last_known(known: pd.DataFrame, rows: pd.DataFrame) -> "pd.Series[float]":
    """Return, for every row, ``y`` of the last known row of its cell before it."""
    asked = _in_time(rows.assign(y=np.arange(len(rows)))).rename(columns={"y": "place"})
    found = pd.merge_asof(asked, known, on="ds", by="unique_id", allow_exact_matches=False)
    return found.set_index("place")["y"].sort_index()
