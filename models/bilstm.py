"""BiLSTM, the network of paper 2 without its attention."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.layers import BiLSTM, read_out


class BiLSTMStates(nn.Module):
    """Bidirectional layers, one on top of another, with dropout after each; K networks side by side.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden of the last layer

    Parameters
    ----------
    n_networks, n_features : int
        K, F.
    hidden : sequence of int
        Width of every layer, in each of its directions; the last is D.
    dropout : float
        Share of the states that is left out of a training step [fraction].
    noise : float
        Deviation of what is added to each feature of a window in training, the same at all its steps
        [scaled units]: cells differ by such offsets, and a network shall not tell them apart by them.

    Raises
    ------
    ValueError
        If there is no layer, or the noise is negative.
    """

    def __init__(
        self, n_networks: int, n_features: int, hidden: Sequence[int], dropout: float, noise: float = 0.0
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"model.network.noise={noise} must not be negative.")
        if not hidden:
            raise ValueError("model.network.hidden is empty; give the width of at least one layer, such as [64, 32].")
        widths = [n_features, *(2 * width for width in hidden)]
        self.layers = nn.ModuleList(
            BiLSTM(n_networks, inputs, width) for inputs, width in zip(widths[:-1], hidden, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.noise = noise
        self.width = widths[-1]
        """2 D."""

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to the states ``(K, B, L, 2 D)``, the forward direction first."""
        states = past
        if self.training and self.noise:
            states = past + self.noise * torch.randn_like(past[:, :, :1])  # (K, B, L, F)
        for layer in self.layers:
            states = self.dropout(layer(states))
        return states  # (K, B, L, 2 D)


class BiLSTMForecast(nn.Module):
    """Read the forecast from the last state of each direction, K networks side by side.

    Each direction is read where it has seen the whole window: the forward one at the newest step,
    the backward one at the oldest.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden of the last layer, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    hidden : sequence of int
        Width of every layer, in each of its directions; the last is D.
    dropout : float
        Share of the states that is left out of a training step [fraction].
    head : str
        ``linear``, or ``nonnegative`` where a scaled target is never below zero.
    noise : float
        As of ``BiLSTMStates`` [scaled units].
    zero_head : bool
        Whether the read-out starts at zero.
    """

    def __init__(
        self,
        n_networks: int,
        n_features: int,
        lookback: int,
        horizon: int,
        hidden: Sequence[int],
        dropout: float,
        head: str,
        noise: float = 0.0,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        self.states = BiLSTMStates(n_networks, n_features, hidden, dropout, noise)
        self.head = read_out(head, n_networks, self.states.width, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        forward, backward = self.states(past).chunk(2, dim=3)  # (K, B, L, D) each
        last = torch.cat([forward[:, :, -1], backward[:, :, 0]], dim=2)  # (K, B, 2 D)
        return self.head(last)  # (K, B, H)
