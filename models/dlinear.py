"""DLinear, a linear baseline for long horizons (Zeng et al., 2023)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from models.layers import read_out


class DLinear(nn.Module):
    """Forecast trend and remainder of the lookback by a linear map each, K networks side by side.

    The trend is a moving average over the lookback, whose ends are repeated where it reaches beyond; it may be
    centred, since all of the lookback is past.

    Shapes
    ------
    K network, B batch, L lookback, F feature, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    width : int
        Of the moving average [steps]; odd, so that L is kept.
    zero_head : bool
        Whether both maps start at zero.

    Raises
    ------
    ValueError
        If the width is not odd.
    """

    def __init__(
        self, n_networks: int, n_features: int, lookback: int, horizon: int, width: int, zero_head: bool = False
    ) -> None:
        super().__init__()
        if width < 1 or width % 2 == 0:
            raise ValueError(f"model.network.width={width} must be an odd number of steps, such as 25.")
        self.width = width
        self.head = read_out("linear", n_networks, 2 * lookback * n_features, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        trend = self._moving_average(past)  # (K, B, L, F)
        parts = torch.cat([trend, past - trend], dim=2)  # (K, B, 2 L, F), remainder last
        return self.head(parts.flatten(2))  # (K, B, H): a linear map of each, added

    def _moving_average(self, past: Tensor) -> Tensor:
        """Map ``(K, B, L, F)`` to its centred moving average of the same shape."""
        reach = self.width // 2
        first, last = (end.expand(-1, -1, reach, -1) for end in (past[:, :, :1], past[:, :, -1:]))
        padded = torch.cat([first, past, last], dim=2)  # (K, B, L + W - 1, F)
        return avg_pool2d(padded, (self.width, 1), stride=1)
