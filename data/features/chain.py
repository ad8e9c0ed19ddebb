"""Features made one after another, as one feature."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from data.contracts import Feature
from data.features._named import read, written
from data.features._rows import ordered


@runtime_checkable
class Telling(Protocol):
    """A step that can say what it found in training."""

    def evidence(self) -> dict[str, Any]:
        """Return what a report shows, by the name of its file; numbers, texts, lists and mappings only."""
        ...


@runtime_checkable
class Conditioning(Protocol):
    """A step whose last columns tell the case that a row belongs to, one of them 1 and the others 0."""

    @property
    def n_conditions(self) -> int:
        """How many columns these are."""
        ...


class Chain(TransformerMixin, BaseEstimator):
    """Hand a table from step to step; each is fitted on what the one before it made of the training rows.

    Parameters
    ----------
    steps : mapping
        Features by name, in order; a step that is None is left out.
    """

    def __init__(self, steps: Mapping[str, Feature | None]) -> None:
        self.steps = steps

    def fit(self, X: pd.DataFrame, y: "pd.Series[float]") -> "Chain":
        """Fit one step after another on training rows alone."""
        self.inputs_ = list(X.columns)
        X = X.astype(np.float64)
        for step in self._there().values():
            X = step.fit(X, y).transform(X)
        self.outputs_ = list(X.columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return what the last step makes of the table, ``float64``, in the same rows."""
        check_is_fitted(self)
        X = ordered(X, self.inputs_).astype(np.float64)
        for step in self._there().values():
            X = step.transform(X)
        return X

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the columns that ``transform`` makes."""
        check_is_fitted(self)
        return np.array(self.outputs_, dtype=object)

    @property
    def n_conditions(self) -> int:
        """How many of the last columns tell the cluster of a row, one of them 1 and the others 0."""
        last = list(self._there().values())[-1:]
        return last[0].n_conditions if last and isinstance(last[0], Conditioning) else 0

    def evidence(self) -> dict[str, Any]:
        """Return what the steps found in training, for the report."""
        return {
            key: told
            for step in self._there().values()
            if isinstance(step, Telling)
            for key, told in step.evidence().items()
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what every step has learned, as ``<step>.<name>``."""
        check_is_fitted(self)
        found = {"inputs": written(self.inputs_), "outputs": written(self.outputs_)}
        for name, step in self._there().items():
            found |= {f"{name}.{key}": array for key, array in step.state().items()}
        return found

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> "Chain":
        """Take what an earlier fit has learned."""
        self.inputs_, self.outputs_ = read(state["inputs"]), read(state["outputs"])
        for name, step in self._there().items():
            mine = {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}
            step.load_state(mine)
        return self

    def _there(self) -> dict[str, Feature]:
        return {name: step for name, step in self.steps.items() if step is not None}
