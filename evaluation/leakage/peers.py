"""Objects of other libraries as functions from a table to features or forecasts, for the audit."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ID, DATE, TARGET = "unique_id", "ds", "y"
WINDOWS = 3  # forecasts a series that the cross-validation of neuralforecast is asked for


class Peer(NamedTuple):
    """A pipeline as the audit calls it."""

    function: Callable[[pd.DataFrame], Any]
    lag: int = 0
    """How many steps before its own date the knowledge of a row ends [steps]."""


def as_function(pipeline: Any, df: pd.DataFrame, train_until: Any) -> Peer:
    """Return what maps a table to what is audited.

    Parameters
    ----------
    pipeline : object
        A function, or an object of scikit-learn, mlforecast or neuralforecast.
    df : DataFrame
        The table, which tells what an estimator is fitted on.
    train_until : date, int or None
        Last date an estimator is fitted on.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    home = type(pipeline).__module__.split(".")[0]
    if home == "mlforecast":
        return Peer(lambda table: _features(pipeline, table), lag=1)
    if home == "neuralforecast":
        return Peer(lambda table: copy.deepcopy(pipeline).cross_validation(df=table, n_windows=WINDOWS))
    if callable(pipeline):
        return Peer(pipeline)
    if hasattr(pipeline, "fit") and (hasattr(pipeline, "transform") or hasattr(pipeline, "predict")):
        return Peer(lambda table: _estimated(pipeline, table, train_until))
    raise ValueError(
        f"{type(pipeline).__name__} is neither a function of a table nor a transformer or model with fit and transform "
        f"or predict.  Give lambda df: ... that returns features or forecasts."
    )


def _features(forecaster: Any, table: pd.DataFrame) -> pd.DataFrame:
    """Return the features of an MLForecast; the target beside them is no feature."""
    made: pd.DataFrame = copy.deepcopy(forecaster).preprocess(table, static_features=[], dropna=False)
    return made.drop(columns=TARGET)


def _estimated(estimator: Any, table: pd.DataFrame, train_until: Any) -> Any:
    """Fit an estimator on the training rows, and return what it makes of all rows.

    A transformer sees every column of numbers; a model sees all but the target, which it learns.
    """
    own = copy.deepcopy(estimator)
    shapes = hasattr(own, "transform")
    columns = [
        name
        for name in table.columns
        if name not in (ID, DATE) and (shapes or name != TARGET) and pd.api.types.is_numeric_dtype(table[name])
    ]
    if not columns:
        raise ValueError("A model of scikit-learn needs columns beside unique_id, ds and y to forecast from.")
    X, y = table[columns], table[TARGET]
    learnt = (table[DATE] <= train_until).to_numpy()
    own.fit(X[learnt], y[learnt])
    made = own.transform(X) if shapes else own.predict(X)
    if isinstance(made, pd.DataFrame) or hasattr(made, "toarray"):
        return made
    array = np.asarray(made)
    if len(array) != len(table):
        raise ValueError(
            f"{type(own).__name__} returns {len(array)} rows for {len(table)}; nothing tells which is which."
        )
    names = own.get_feature_names_out() if shapes and hasattr(own, "get_feature_names_out") else None
    flat = array.reshape(len(array), -1)
    if names is None or len(names) != flat.shape[1]:
        names = ["forecast"] if not shapes and flat.shape[1] == 1 else [f"output {k}" for k in range(flat.shape[1])]
    return pd.DataFrame(flat, columns=list(names), index=table.index)
