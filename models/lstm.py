"""LSTM, a baseline of paper 1."""

from torch import Tensor, nn

from models.layers import LSTM, read_out


class LSTMForecast(nn.Module):
    """Read the forecast from the last state of an LSTM, K networks side by side.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
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
        hidden: int,
        n_layers: int,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        self.lstm = LSTM(n_networks, n_features, hidden, n_layers)
        self.head = read_out("linear", n_networks, hidden, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        states = self.lstm(past)  # (K, B, L, D)
        return self.head(states[:, :, -1])  # (K, B, H)
