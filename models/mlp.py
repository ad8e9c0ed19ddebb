"""MLP, a baseline of paper 1."""

import torch
from torch import Tensor, nn

from models.layers import Linear


class MLP(nn.Module):
    """Dense layers over the flattened past, K networks side by side.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    hidden : int
        D, width of a hidden layer.
    n_layers : int
        Hidden layers.
    """

    def __init__(
        self, n_networks: int, n_features: int, lookback: int, horizon: int, hidden: int, n_layers: int
    ) -> None:
        super().__init__()
        widths = [lookback * n_features] + [hidden] * n_layers
        self.layers = nn.ModuleList(Linear(n_networks, inputs, hidden) for inputs in widths[:-1])
        self.head = Linear(n_networks, widths[-1], horizon)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        features = past.flatten(2)  # (K, B, L F)
        for layer in self.layers:
            features = torch.relu(layer(features))  # (K, B, D)
        return self.head(features)  # (K, B, H)
