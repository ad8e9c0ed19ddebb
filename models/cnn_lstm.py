"""CNN-LSTM, a baseline of paper 1."""

import torch
from torch import Tensor, nn

from models.layers import LSTM, Conv1d, MaxPool, pooled_length, read_out


class CNNLSTM(nn.Module):
    """Read the forecast from the last state of an LSTM over local shapes, K networks side by side.

    Shapes
    ------
    K network, B batch, L lookback, F feature, C channels, T pooled steps, D hidden, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    channels : int
        C, filters of the convolution.
    kernel : int
        Width of a filter [steps].
    pool : int
        Steps that are pooled to one [steps].
    hidden : int
        D, width of the LSTM state.
    n_layers : int
        LSTM layers, one on top of another.
    zero_head : bool
        Whether the read-out starts at zero.
    """

    def __init__(
        self,
        n_networks: int,
        n_features: int,
        lookback: int,
        horizon: int,
        channels: int,
        kernel: int,
        pool: int,
        hidden: int,
        n_layers: int,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        pooled_length(lookback, kernel, pool)
        self.conv = Conv1d(n_networks, n_features, channels, kernel)
        self.pool = MaxPool(pool)
        self.lstm = LSTM(n_networks, channels, hidden, n_layers)
        self.head = read_out("linear", n_networks, hidden, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        shapes = torch.relu(self.pool(self.conv(past)))  # (K, B, T, C)
        states = self.lstm(shapes)  # (K, B, T, D)
        return self.head(states[:, :, -1])  # (K, B, H)
