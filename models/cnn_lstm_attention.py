"""CNN-LSTM-AM, the network of paper 1."""

import torch
from torch import Tensor, nn

from models.attention import MapAttention
from models.layers import LSTM, Conv1d, MaxPool, pooled_length, read_out


class CNNLSTMAttention(nn.Module):
    """Forecast every step of the horizon at once, K networks side by side.

    A convolution finds local shapes and pooling halves them, LSTM layers carry them through
    time, and attention weighs the whole map of hidden states before a dense read-out.  The
    convolution does not pad: zeros beside the newest value would be a shape of their own.

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
        n_steps = pooled_length(lookback, kernel, pool)
        self.kernel, self.pooled = kernel, pool
        self.conv = Conv1d(n_networks, n_features, channels, kernel)
        self.pool = MaxPool(pool)
        self.lstm = LSTM(n_networks, channels, hidden, n_layers)
        self.attention = MapAttention(n_networks, hidden)
        self.head = read_out("linear", n_networks, n_steps * hidden, horizon, zero_head)

    def hidden_map(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to the hidden states ``(K, B, T, D)`` attention looks at."""
        # ReLU after pooling gives what ReLU before it gives, on half of the values.
        shapes = torch.relu(self.pool(self.conv(past)))  # (K, B, T, C)
        return self.lstm(shapes)  # (K, B, T, D)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        weighted = self.attention(self.hidden_map(past))  # (K, B, T, D)
        return self.head(weighted.flatten(2))  # (K, B, H)

    def step_weights(self, past: Tensor) -> dict[str, Tensor]:
        """Return how much the attention looks at each step of the past ``(K, B, L, F)``.

        The weights ``(K, B, L)`` sum to one over L, oldest step first: those of a hidden state, over its channels, are
        spread evenly over the steps that the convolution and the pooling have made it of.
        """
        weights = self.attention.weights(self.hidden_map(past)).sum(dim=3)  # (K, B, T)
        n_steps, reach = weights.shape[2], self.pooled + self.kernel - 1
        found = past.new_zeros(*past.shape[:3])  # (K, B, L)
        for step in range(n_steps):
            end = past.shape[2] - (n_steps - 1 - step) * self.pooled
            found[:, :, end - reach : end] += weights[:, :, step, None] / reach
        return {"map": found}
