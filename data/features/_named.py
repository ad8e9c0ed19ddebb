"""The part that every step shares: it knows the names of its columns, before and after."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from data.features._rows import ordered


class Named(TransformerMixin, BaseEstimator, ABC):
    """A transformer that has learned the names of its columns, and maybe no more.

    A step writes ``_names_out`` and ``_transformed``, and, if it learns more, ``_learn``, ``_learned``
    and ``_recall``.  The state is arrays and nothing else, so names are kept as bytes.
    """

    def fit(self, X: pd.DataFrame, y: "pd.Series[float]") -> Self:
        """Learn from training rows alone."""
        self._learn(X, y)
        self.inputs_ = [str(column) for column in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the same index; row t depends on rows up to t of its cell."""
        check_is_fitted(self, "inputs_")
        return self._transformed(ordered(X, self.inputs_))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the columns that ``transform`` makes."""
        check_is_fitted(self, "inputs_")
        return np.array(self._names_out(self.inputs_), dtype=object)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was fitted, by name."""
        check_is_fitted(self, "inputs_")
        return {"inputs": written(self.inputs_), **self._learned()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Take what an earlier fit has learned."""
        self._recall(state)
        self.inputs_ = read(state["inputs"])
        return self

    def _names_out(self, inputs: list[str]) -> list[str]:
        """Return the names of the results for those of the inputs; they are the same unless a step says otherwise."""
        return inputs

    @abstractmethod
    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the results for the columns of the fit, in their order then."""

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        """Learn more than the names."""

    def _learned(self) -> dict[str, NDArray[Any]]:
        """Return what was learned beside the names."""
        return {}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what ``_learned`` has returned."""


def written(names: Iterable[str]) -> NDArray[np.uint8]:
    """Return the UTF-8 bytes of some names, a line each."""
    return np.frombuffer("".join(f"{name}\n" for name in names).encode(), dtype=np.uint8).copy()


def read(array: NDArray[Any]) -> list[str]:
    """Return the names that ``written`` has written."""
    return array.astype(np.uint8).tobytes().decode().split("\n")[:-1]
