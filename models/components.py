"""How the components of a window are shared out among networks.

Shapes
------
B batch, L lookback, F feature, C component, H horizon, K network
"""

from typing import TypeVar

from torch import Tensor

from data.contracts import FloatArray, Scaling, Windows

Array = TypeVar("Array", FloatArray, Tensor)


class Separate:
    """One network a component: K = C networks that see F = 1 feature each."""

    def n_networks(self, n_components: int) -> int:
        """Return K."""
        return n_components

    def n_features(self, n_components: int) -> int:
        """Return F."""
        return 1

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what each network sees, ``(K, B, L, F)``."""
        return _components_first(past)[..., None]

    def targets(self, target: Array) -> Array:
        """Map ``(B, H, C + 1)`` to what each network learns, ``(K, B, H)``: its component."""
        return _components_first(target[..., :-1])

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to ``(n, H)`` in the unit of ``y``."""
        return scaling.restore_components(forecast.transpose(1, 2, 0), windows)


class Joint:
    """One network for all components: K = 1 network that sees F = C features."""

    def n_networks(self, n_components: int) -> int:
        """Return K."""
        return 1

    def n_features(self, n_components: int) -> int:
        """Return F."""
        return n_components

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what the network sees, ``(K, B, L, F)``."""
        return past[None]

    def targets(self, target: Array) -> Array:
        """Map ``(B, H, C + 1)`` to what the network learns, ``(K, B, H)``: the sum."""
        return target[None, ..., -1]

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to ``(n, H)`` in the unit of ``y``."""
        return scaling.restore_total(forecast[0], windows)


def _components_first(array: Array) -> Array:
    """Map ``(B, time, C)`` to ``(C, B, time)``."""
    return array.swapaxes(1, 2).swapaxes(0, 1)
