"""What every model must offer: networks, classical models and naive forecasts alike.

Shapes
------
n window, H horizon, K network
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import pandas as pd
from numpy.typing import NDArray

from data.contracts import Batch, FloatArray, Windows
from models.allocation import Allocation

State = Mapping[str, NDArray[Any]]


class Needs(NamedTuple):
    """What a kind of model asks of the pipeline."""

    scaled: bool
    """Learns from scaled windows and forecasts scaled values; else it takes windows or rows as they are."""
    gradients: bool = False
    """Is trained by Lightning in epochs."""
    chance: bool = False
    """Gives other forecasts for another seed of the run."""
    state: bool = True
    """Can be kept as named arrays, which run no code when they are read."""
    task: str | None = None
    """The only task it is made for; None: any."""


class Inputs(NamedTuple):
    """What a model learns from or forecasts from."""

    windows: Windows
    batch: Batch | None
    """The windows scaled, synthetic ones behind them in training; None for models that take them as they are."""
    rows: pd.DataFrame
    """``unique_id`` and ``ds`` of each origin; in training every training row, with its ``y``."""


class Model(Protocol):
    """A model, built with ``n_components``, ``lookback`` and ``horizon`` from the data."""

    label: str
    needs: ClassVar[Needs]
    component: Allocation
    """How components are shared out among networks; only of models that need scaled windows."""

    @classmethod
    def applies(cls, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether a split gives the model what it needs, from the rows ``unique_id, ds`` of each part."""
        ...

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training windows; settings may be chosen by validation windows, of which there may be none.

        A network that needs gradients is trained by the pipeline instead.
        """
        ...

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)`` where scaled windows are needed, else ``(n, H)`` in the unit of y.

        The forecast of a window has the same bits whatever stands beside it.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that was fitted, by name; nothing where ``needs.state`` is False."""
        ...

    def load_state(self, state: State) -> None:
        """Take what an earlier fit has learned."""
        ...
