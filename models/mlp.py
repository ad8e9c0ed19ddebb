"""MLP, a baseline of paper 1."""

import torch
from torch import Tensor, nn

from models.layers import Linear, read_out


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
    zero_head : bool
        Whether the read-out starts at zero.
    newest : int or None
        Newest steps that are seen [steps]; None: all of the lookback.

    Raises
    ------
    ValueError
        If fewer than one step, or more than the lookback, would be seen.
    """

    def __init__(
        self,
        n_networks: int,
        n_features: int,
        lookback: int,
        horizon: int,
        hidden: int,
        n_layers: int,
        zero_head: bool = False,
        newest: int | None = None,
    ) -> None:
        super().__init__()
        if newest is not None and not 1 <= newest <= lookback:
            raise ValueError(
                f"model.network.newest={newest} must be 1 to lookback={lookback} [steps], or null for all."
            )
        self.newest = lookback if newest is None else newest
        widths = [self.newest * n_features] + [hidden] * n_layers
        self.layers = nn.ModuleList(Linear(n_networks, inputs, hidden) for inputs in widths[:-1])
        self.head = read_out("linear", n_networks, widths[-1], horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        features = past[:, :, -self.newest :].flatten(2)  # (K, B, newest F)
        for layer in self.layers:
            features = torch.relu(layer(features))  # (K, B, D)
        return self.head(features)  # (K, B, H)
