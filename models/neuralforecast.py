"""Networks of the package neuralforecast, trained as it trains them, on training rows alone.

Shapes
------
B window of a chunk, n window, L lookback, H horizon, C component
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray
from models.chunks import in_chunks
from models.model import Inputs, Needs, State
from models.naive import summed
from models.peers import require

REFUSED = ("HINT", "TimeLLM")
"""A reconciliation that is no model of its own, and one that loads a language model from elsewhere."""
QUIET = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}


class NeuralForecast:
    """Train any network of neuralforecast by its own recipe, and forecast from the raw lookback of each window.

    It draws its training windows from the training rows of all series, scales them its own way (``scaler_type``) and
    takes ``max_steps`` steps; validation rows choose nothing.  A forecast depends on its own window alone: the fitted
    network is run in double precision, in chunks of a fixed size.

    Parameters
    ----------
    label : str
        What tables call the model.
    name : str
        Class in ``neuralforecast.models``, such as NHITS, PatchTST or TSMixer; of those that forecast several series
        at once only for data of one series.
    settings : mapping
        Arguments of that class, such as ``max_steps``.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(scaled=False, gradients=False, chance=True, state=False, kinds=(SERIES,))
    component: None = None

    def __init__(
        self, label: str, name: str, settings: Mapping[str, Any], n_components: int, lookback: int, horizon: int
    ) -> None:
        self.label, self.name, self.settings = label, name, dict(settings)
        self.lookback, self.horizon = lookback, horizon
        self._network: Any = None

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes.

        Raises
        ------
        ImportError
            If the package is not installed.
        """
        require("neuralforecast")
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Train the network on the training rows of every series, from the seed that torch was given.

        Raises
        ------
        ValueError
            If there is no such network, or it is not for these data.
        """
        require("neuralforecast")
        from neuralforecast import NeuralForecast as Trained  # seconds to import

        rows = train.rows[["unique_id", "y"]]
        steps = rows.groupby("unique_id", sort=False).cumcount().to_numpy()
        network = self._built(rows["unique_id"].nunique(), torch.initial_seed() % 2**31)
        peers = Trained(models=[network], freq=1)
        peers.fit(rows.assign(ds=steps, y=rows["y"].astype(np.float32)).reset_index(drop=True), val_size=0)
        self._network = peers.models[0].eval().double()

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``.

        Raises
        ------
        ValueError
            If it was not fitted: its weights are kept in no file.
        """
        if self._network is None:
            raise ValueError(f"{self.label} is fitted with its run and kept in no file; train it again.")
        return in_chunks(self._forecast, summed(inputs.windows.past))

    def state(self) -> State:
        """Return nothing: the weights are those of another package (``needs.state``)."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Refuse: nothing was kept."""
        raise ValueError(f"{self.label} is kept in no file; train it again.")

    def _built(self, n_series: int, seed: int) -> Any:
        from neuralforecast import models

        if self.name not in models.__all__ or self.name in REFUSED:
            raise ValueError(f"model.name={self.name} is no network of neuralforecast, such as NHITS or PatchTST.")
        kind = getattr(models, self.name)
        if kind.MULTIVARIATE and n_series > 1:
            raise ValueError(
                f"model.name={self.name} forecasts all {n_series} series at once, and here each is forecast from its "
                f"own past.  Take a network such as NHITS or PatchTST, or data of one series."
            )
        own = {"n_series": 1} if kind.MULTIVARIATE else {}
        shape = {"h": self.horizon, "input_size": self.lookback, "random_seed": seed, "accelerator": "cpu"}
        network = kind(**shape, **own, **QUIET, **self.settings)
        if network.RECURRENT:
            raise ValueError(f"model.settings.recurrent=true is not supported of {self.name}; set it to false.")
        return network

    def _forecast(self, past: FloatArray) -> FloatArray:
        """Map raw pasts ``(B, L)`` to forecasts ``(B, H)``."""
        network = self._network
        y = torch.from_numpy(past)[:, :, None, None]  # (B, L, 1, 1)
        known = torch.ones_like(y)
        nothing = {"futr_exog": None, "hist_exog": None, "stat_exog": None}
        with torch.inference_mode():
            seen = network.scaler.transform(y, known)  # (B, L, 1, 1)
            scaled = network({"insample_y": seen[..., 0], "insample_mask": known[..., 0], **nothing})
            forecast = network.scaler.inverse_transform(scaled.reshape(-1, self.horizon, 1, 1))  # (B, H, 1, 1)
        found: FloatArray = forecast[:, :, 0, 0].numpy()
        return found
