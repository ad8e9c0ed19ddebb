"""A network that forecasts, without what trains it: all that a finished run needs of its model.

Lightning takes seconds to import; whoever loads a run waits for PyTorch alone.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from data.contracts import FloatArray
from models.allocation import Allocation, Penalty, Quantiles, seen_by_each
from models.chunks import in_chunks
from models.model import Inputs, Needs, State, all_channels, scaled_batch

PENALTIES: dict[str, Penalty] = {"squared": torch.square, "absolute": torch.abs}
"""What an error costs, by the names a configuration calls it."""


class Trained(nn.Module):
    """Forecast with K networks; ``models.forecaster.Forecaster``, which trains them, is one as well.

    Parameters and faults are those of ``Forecaster``: a run is loaded by the settings it was trained with.

    Shapes
    ------
    B batch, L lookback, C component, H horizon, K network
    """

    needs: ClassVar[Needs] = Needs(scaled=True, gradients=True, chance=True, state=True)

    def __init__(
        self,
        label: str,
        network: Callable[..., nn.Module],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        component: Allocation,
        n_components: int,
        lookback: int,
        horizon: int,
        compile: bool = False,
        loss: str = "squared",
        decay: float = 1.0,
        n_extra: int = 0,
    ) -> None:
        super().__init__()
        _refuse(loss, decay, component)
        self.label = label
        self.make_optimizer = optimizer
        self.penalty = PENALTIES[loss]
        self.decay = decay
        self.component = component
        self.network = network(
            n_networks=component.n_networks(n_components),
            n_features=component.n_features(n_components) + n_extra,
            lookback=lookback,
            horizon=horizon,
        )
        if compile:
            self.network.compile()

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> NoReturn:
        """Refuse: a trainer of Lightning fits the weights."""
        raise TypeError(f"{self.label} is trained by a trainer of Lightning (needs.gradients); call trainer.fit.")

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``, computed in double precision and rounded to single.

        The windows are rounded to single precision first, as they are in training.
        """
        device = next((weight.device for weight in self.parameters()), torch.device("cpu"))
        device = torch.device("cpu") if device.type == "mps" else device  # which has no double precision
        network = copy.deepcopy(self.network).eval().to(device, torch.float64)

        batch = scaled_batch(inputs)
        n_components = batch.past.shape[2]

        def forecast(channels: FloatArray) -> FloatArray:  # (B, L, C + E) -> (K, B, H)
            windows = torch.from_numpy(channels.astype(np.float32)).to(device, torch.float64)
            extra = None if batch.extra is None else windows[..., n_components:]
            with torch.inference_mode():
                scaled: Tensor = network(seen_by_each(self.component, windows[..., :n_components], extra))
            return scaled.cpu().numpy()

        return in_chunks(forecast, all_channels(batch), axis=1)

    def state(self) -> State:
        """Return the weights."""
        return {name: weight.numpy(force=True) for name, weight in self.state_dict().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take the weights of an earlier fit."""
        self.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in state.items()})

    def forward(self, past: Tensor, extra: Tensor | None = None) -> Tensor:
        """Map scaled windows ``(B, L, C)`` and covariates ``(B, L, E)`` to scaled forecasts ``(K, B, H)``."""
        return self.network(seen_by_each(self.component, past, extra))


def _refuse(loss: str, decay: float, component: Allocation) -> None:
    """Name every fault of the settings at once."""
    faults = []
    if loss not in PENALTIES:
        faults.append(f"model.loss={loss} is not known; it is one of {', '.join(PENALTIES)}.")
    elif isinstance(component, Quantiles) and loss != "squared":
        faults.append(
            f"model.loss={loss} has no say in model/component=quantiles, whose networks learn by the pinball "
            f"loss.  Leave model.loss out."
        )
    if not 0 < decay <= 1:
        faults.append(f"model.decay={decay} must be above 0 and at most 1, where the learning rate stays as it is.")
    if faults:
        raise ValueError("  ".join(faults))
