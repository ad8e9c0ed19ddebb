"""What every model promises.  Read this file before any other of this folder.

Shapes
------
n window, L lookback, H horizon, C component, K network
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import KINDS, Batch, FloatArray, Kind, Scaling, Windows
from models.allocation import Allocation

State = dict[str, NDArray[Any]]
"""Everything that was fitted, by name; arrays of numbers alone, so a file of them can run no code."""


class Needs(NamedTuple):
    """What a model must be given, and what may be done with it."""

    scaled: bool
    """Learns from scaled windows, and its forecasts are scaled; False: it reads the windows or rows as they are."""
    gradients: bool
    """Trained in epochs by a Lightning trainer; False: ``fit`` does it."""
    chance: bool
    """Its numbers depend on the seed of the run."""
    state: bool
    """Its state can be kept in a safetensors file; False: it is fitted anew each time."""
    kinds: tuple[Kind, ...] = KINDS
    """Kinds of targets it is for."""
    returns: bool = False
    """Reads returns, the first covariate of windows whose target leaves them (``Target.leaves``)."""
    real: bool = False
    """Learns from real windows alone, with ``augmentation=identity``."""
    lookback: int = 0
    """Steps its windows must show at least, whatever the run looks back upon."""


class Inputs(NamedTuple):
    """The same n rows in every form that a model may ask for."""

    windows: Windows
    """In the unit of ``y``."""
    batch: Batch | None
    """The windows scaled, to fit with synthetic ones behind them; None where ``needs.scaled`` is False."""
    rows: pd.DataFrame
    """Columns ``unique_id``, ``ds`` and ``y`` at each origin; to fit: of all training rows."""
    scaling: Scaling | None = None
    """What made the batch; None where ``needs.scaled`` is False."""


class Model(Protocol):
    """Learn from training rows, then forecast every step of the horizon.

    A constructor is called with ``n_components``, ``lookback`` and ``horizon`` from the data, beside what
    its file in ``conf/model`` says.
    """

    needs: ClassVar[Needs]
    label: str
    """What tables call the model."""

    @property
    def component(self) -> Allocation | None:
        """What makes one forecast of those of K networks; None where ``needs.scaled`` is False."""
        ...

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether the model can be fitted on these training rows and forecast these test rows."""
        ...

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training rows; those of validation, maybe none, may choose a setting.

        Never called where ``needs.gradients`` is True: there a trainer of Lightning does it.
        """
        ...

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)`` where ``needs.scaled``, else ``(n, H)`` in the unit of ``y``.

        The forecast of a row does not depend on the rows around it, to the bit.
        """
        ...

    def state(self) -> State:
        """Return everything that was fitted, by name."""
        ...

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        ...


@runtime_checkable
class Refittable(Protocol):
    """A model that can learn from validation rows as well, once they have chosen its settings and judged it."""

    def refit(self, known: Inputs) -> None:
        """Learn anew from training and validation rows, with the settings that ``fit`` has chosen."""
        ...


def scaled_batch(inputs: Inputs) -> Batch:
    """Return the scaled windows of a model that needs them.

    Raises
    ------
    ValueError
        If they were not given.
    """
    if inputs.batch is None:
        raise ValueError("This model needs scaled windows (needs.scaled), but Inputs.batch is None.  Give a Batch.")
    return inputs.batch


def all_channels(batch: Batch) -> FloatArray:
    """Return the components with the covariates behind them, ``(n, L, C + E)``: all that a model may see."""
    if batch.extra is None:
        return batch.past
    return batch.each(lambda some: np.concatenate([some.past, some.extra], axis=2))
