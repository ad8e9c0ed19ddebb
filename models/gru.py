"""GRU, the recurrent network with the fewest gates (Cho et al., 2014)."""

import torch
from torch import Tensor, nn

from models.layers import read_out, uniform


class GRUForecast(nn.Module):
    """Read the forecast from the last state of a GRU, K networks side by side.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    hidden : int
        D, width of the state.
    zero_head : bool
        Whether the read-out starts at zero.
    """

    def __init__(
        self, n_networks: int, n_features: int, lookback: int, horizon: int, hidden: int, zero_head: bool = False
    ) -> None:
        super().__init__()
        self.weight_ih = uniform(n_networks, 3 * hidden, n_features, fan_in=hidden)
        self.weight_hh = uniform(n_networks, 3 * hidden, hidden, fan_in=hidden)
        self.bias_ih = uniform(n_networks, 3 * hidden, fan_in=hidden)
        self.bias_hh = uniform(n_networks, 3 * hidden, fan_in=hidden)
        self.head = read_out("linear", n_networks, hidden, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        weights = zip(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, strict=True)
        last = [self._last(own, list(parameters)) for own, parameters in zip(past, weights, strict=True)]
        return self.head(torch.stack(last))  # (K, B, H)

    def _last(self, past: Tensor, parameters: list[Tensor]) -> Tensor:
        """Map the past of one network ``(B, L, F)`` to its last state ``(B, D)``."""
        rest = past.new_zeros(1, len(past), parameters[1].shape[1], dtype=parameters[1].dtype)
        seen = past.to(parameters[1].dtype)
        states, _ = torch.gru(seen, rest, parameters, True, 1, 0.0, self.training, False, True)  # (B, L, D)
        return states[:, -1]
