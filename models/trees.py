"""Trees on the newest step of a window: the tabular numbers to beat.

Features that look back on their own, such as rolling statistics, have put into the newest step what a
tree can use of a window; a tree of all steps sees nearly the same column fifteen times over.

A forest is fitted anew in seconds, and scikit-learn can keep one only in a form that runs code when
it is read.  So none is kept: ``state`` is empty, and ``load_state`` refuses.

Boosting hands work to threads many times a tree, and on a busy machine they wait for one another far longer
than they work; so trees grow on one thread.

Shapes
------
n window, L lookback, H horizon, C component, K network, F feature
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from data.contracts import Batch, FloatArray
from models.allocation import Allocation, seen_by_each
from models.model import Inputs, Needs, State, scaled_batch


class Trees(ABC):
    """What all of them have in common; a subclass says what a forest is.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Allocation
        Which features are seen and which target is learnt.
    """

    needs: ClassVar[Needs] = Needs(scaled=True, gradients=False, chance=False, state=False)

    def __init__(self, label: str, component: Allocation) -> None:
        self.label = label
        self.component = component
        self._forests: list[list[Any]] = []  # [K][H]

    @abstractmethod
    def _forest(self) -> Any:
        """Return a forest of scikit-learn that has learnt nothing yet."""

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows: a forest for every network and step of the horizon."""
        batch = scaled_batch(train)
        targets = self.component.targets(batch.target)  # (K, n, H)
        with threadpool_limits(1):
            self._forests = [
                [self._forest().fit(rows, column) for column in target.T]
                for rows, target in zip(self._newest(batch), targets, strict=True)
            ]

    def refit(self, known: Inputs) -> None:
        """Learn anew from all scaled windows there are; nothing was chosen by validation."""
        self.fit(known, known)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``; trees treat rows one by one as they are."""
        batch = scaled_batch(inputs)
        if not len(batch.past):
            return np.empty((len(self._forests), 0, len(self._forests[0])))
        with threadpool_limits(1):
            return np.stack(
                [
                    np.stack([forest.predict(rows) for forest in steps], axis=1)
                    for rows, steps in zip(self._newest(batch), self._forests, strict=True)
                ]
            )

    def state(self) -> State:
        """Return nothing: a forest is not kept."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Refuse: a forest is not kept."""
        raise ValueError(
            f"{self.label} was fitted for its row of the table and not kept, so it cannot forecast for a finished "
            f"run.  Give predict.py a run of another model."
        )

    def _newest(self, batch: Batch) -> FloatArray:
        """Return what every network sees of the newest step, covariates behind its components, ``(K, n, F + E)``."""
        extra = None if batch.extra is None else batch.extra[:, -1:]
        return seen_by_each(self.component, batch.past[:, -1:], extra)[:, :, -1]


class ExtraTrees(Trees):
    """Mean of trees that are split at random places (Geurts et al., 2006).

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Allocation
        Which features are seen and which target is learnt.
    n_trees : int
        Trees of a forest.
    max_features : float
        Share of the features a split may choose from [fraction].
    seed : int
        Of features and places.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    def __init__(
        self,
        label: str,
        component: Allocation,
        n_trees: int,
        max_features: float,
        seed: int,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        super().__init__(label, component)
        self.n_trees = n_trees
        self.max_features = max_features
        self.seed = seed

    def _forest(self) -> ExtraTreesRegressor:
        return ExtraTreesRegressor(self.n_trees, max_features=self.max_features, random_state=self.seed, n_jobs=1)


class HistBoosting(Trees):
    """Trees one after another, each of what those before it left over, on binned features.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Allocation
        Which features are seen and which target is learnt.
    n_trees : int
        Trees, one after another.
    learning_rate : float
        Share of a tree that is taken [fraction].
    seed : int
        Of the windows that the bins are laid by, where there are very many.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    def __init__(
        self,
        label: str,
        component: Allocation,
        n_trees: int,
        learning_rate: float,
        seed: int,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        super().__init__(label, component)
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.seed = seed

    def _forest(self) -> HistGradientBoostingRegressor:
        return HistGradientBoostingRegressor(
            learning_rate=self.learning_rate, max_iter=self.n_trees, early_stopping=False, random_state=self.seed
        )
