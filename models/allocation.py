"""Allocation of the components of a window to networks: one each, one for all, an ensemble, or one a quantile.

Shapes
------
B batch, L lookback, F feature, C component, H horizon, K network, E covariate
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from data.contracts import FloatArray, Scaling, Windows

Array = TypeVar("Array", FloatArray, Tensor)
Penalty = Callable[[Tensor], Tensor]
"""What an error costs, number by number."""


Intervals = dict[float, tuple[FloatArray, FloatArray]]
"""Lower and upper ends ``(n, H)`` by the coverage they promise, the widest first."""


class Allocation(Protocol):
    """Decide what each of K networks sees, what it learns, and how their forecasts become one."""

    def n_networks(self, n_components: int) -> int:
        """Return K."""
        ...

    def n_features(self, n_components: int) -> int:
        """Return F."""
        ...

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what each network sees, ``(K, B, L, F)``."""
        ...

    def targets(self, target: Array) -> Array:
        """Map ``(B, H, C + 1)`` to what each network learns, ``(K, B, H)``."""
        ...

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the loss of each network, ``(K,)``."""
        ...

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to ``(n, H)`` in the unit of ``y``."""
        ...

    def intervals(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> Intervals:
        """Return the intervals that the networks have learned; none where they learn means."""
        ...


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

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the mean penalty of each network, ``(K,)``."""
        return penalty(forecast - target).mean(dim=(1, 2))

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to ``(n, H)`` in the unit of ``y``."""
        return scaling.restore_components(forecast.transpose(1, 2, 0), windows)

    def intervals(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> Intervals:
        """Return none: the networks learn means."""
        return {}


class Branches(Separate):
    """One network a component, each of which sees them all: K = C networks that see F = C features.

    A branch a mode, as VMDNet (arXiv 2509.15394) has it.  What is left of each may cancel in the sum, so that all of
    them keep the weights of one epoch: the loss of each is the mean of all, whose gradients are those of its own.
    """

    def n_features(self, n_components: int) -> int:
        """Return F."""
        return n_components

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what each network sees, ``(K, B, L, F)``: everything."""
        return _for_each(past, past.shape[-1])

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the mean penalty of all networks, ``(K,)``."""
        own = super().losses(forecast, target, penalty)
        return own.mean().expand_as(own)


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
        return target[..., -1][None]

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the mean penalty of each network, ``(K,)``."""
        return penalty(forecast - target).mean(dim=(1, 2))

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to ``(n, H)`` in the unit of ``y``."""
        return scaling.restore_total(forecast[0], windows)

    def intervals(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> Intervals:
        """Return none: the networks learn means."""
        return {}


class Ensemble:
    """Several networks for all components, trained as one: a deep ensemble (Lakshminarayanan et al., 2017).

    K networks see F = C features and learn the sum.  They start from weights of their own, and
    dropout leaves out states of their own; their mean errs less than they do on average.

    Parameters
    ----------
    n_members : int
        K.

    Raises
    ------
    ValueError
        If there is no network.
    """

    def __init__(self, n_members: int) -> None:
        if n_members < 1:
            raise ValueError(f"model.component.n_members={n_members} leaves no network; it must be at least 1.")
        self.n_members = n_members

    def n_networks(self, n_components: int) -> int:
        """Return K."""
        return self.n_members

    def n_features(self, n_components: int) -> int:
        """Return F."""
        return n_components

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what each network sees, ``(K, B, L, F)``."""
        return _for_each(past, self.n_members)

    def targets(self, target: Array) -> Array:
        """Map ``(B, H, C + 1)`` to what each network learns, ``(K, B, H)``: the sum."""
        return _for_each(target[..., -1], self.n_members)

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the mean penalty of each network, ``(K,)``."""
        return penalty(forecast - target).mean(dim=(1, 2))

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to their mean ``(n, H)`` in the unit of ``y``."""
        return scaling.restore_total(forecast.mean(axis=0), windows)

    def intervals(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> Intervals:
        """Return none: the networks learn means."""
        return {}


class Quantiles:
    """One network a quantile, all trained as one; the median is the forecast.

    K networks see F = C features.  Network k learns the quantile q[k] of the sum by the pinball loss
    (Koenker and Bassett, 1978), which is smallest in expectation where the target lies below the
    forecast with probability q:

        loss = q (target - forecast) where the target is above, (1 - q) (forecast - target) below

    Networks of their own may cross; sorting their forecasts mends it and never makes the loss larger
    (Chernozhukov et al., 2010).

    Parameters
    ----------
    levels : sequence of float
        q [probability], ascending: 0.5, and as many below it as above, each pair adding up to 1.

    Raises
    ------
    ValueError
        If the levels are anything else.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        q = np.asarray(levels, dtype=np.float64)  # (K,)
        faults = [
            fault
            for fault, found in {
                "must lie between 0 and 1": bool(((q <= 0) | (q >= 1)).any()),
                "must ascend": bool((np.diff(q) <= 0).any()),
                "must contain 0.5, the forecast": 0.5 not in q,
                "must be symmetric about 0.5, such as 0.1 and 0.9": not np.allclose(q, 1 - q[::-1], rtol=0),
            }.items()
            if found
        ]
        if faults:
            raise ValueError(f"model.component.levels={list(levels)} {', '.join(faults)}.")
        self.levels = tuple(q.tolist())

    def n_networks(self, n_components: int) -> int:
        """Return K."""
        return len(self.levels)

    def n_features(self, n_components: int) -> int:
        """Return F."""
        return n_components

    def inputs(self, past: Array) -> Array:
        """Map ``(B, L, C)`` to what each network sees, ``(K, B, L, F)``."""
        return _for_each(past, len(self.levels))

    def targets(self, target: Array) -> Array:
        """Map ``(B, H, C + 1)`` to what each network learns quantiles of, ``(K, B, H)``: the sum.

        Raises
        ------
        ValueError
            If they are for a model without a training loop, all of which learn means.
        """
        if not isinstance(target, Tensor):
            raise ValueError(
                "model/component=quantiles needs a network, which learns by the pinball loss; this model "
                "learns means.  Choose a network, or model/component=joint."
            )
        return _for_each(target[..., -1], len(self.levels))

    def losses(self, forecast: Tensor, target: Tensor, penalty: Penalty) -> Tensor:
        """Map forecasts and targets ``(K, B, H)`` to the mean pinball loss of each network, ``(K,)``.

        ``penalty`` has no say: what an error costs follows from the level.
        """
        q = forecast.new_tensor(self.levels)[:, None, None]  # (K, 1, 1)
        above = target - forecast  # (K, B, H)
        return torch.maximum(q * above, (q - 1) * above).mean(dim=(1, 2))

    def restore(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
        """Map scaled forecasts ``(K, n, H)`` to their median ``(n, H)`` in the unit of ``y``."""
        middle = len(self.levels) // 2
        return scaling.restore_total(np.sort(forecast, axis=0)[middle], windows)

    def intervals(self, forecast: FloatArray, windows: Windows, scaling: Scaling) -> Intervals:
        """Map scaled forecasts ``(K, n, H)`` to lower and upper ends ``(n, H)`` in the unit of ``y``.

        The keys are the coverages the levels promise: 0.8 of 0.1 and 0.9; the widest comes first.
        """
        ends = [scaling.restore_total(quantile, windows) for quantile in np.sort(forecast, axis=0)]
        return {
            round(1 - 2 * level, 9): (lower, upper)
            for level, lower, upper in zip(self.levels, ends, reversed(ends), strict=True)
            if level < 0.5
        }


def seen_by_each(component: Allocation, past: Array, extra: Array | None) -> Array:
    """Map ``past (B, L, C)`` and the covariates ``(B, L, E)``, if any, to what each network sees, ``(K, B, L, F + E)``.

    Every network sees all covariates, whichever components are its own.
    """
    own = component.inputs(past)  # (K, B, L, F)
    if extra is None:
        return own
    beside = _for_each(extra, len(own))  # (K, B, L, E)
    if isinstance(own, Tensor):
        return torch.cat([own, beside], dim=-1)
    return np.concatenate([own, beside], axis=-1)


def _for_each(array: Array, n_networks: int) -> Array:
    """Show one array to K networks, ``(K, ...)``, without copying it."""
    shape = (n_networks, *array.shape)
    return array.expand(shape) if isinstance(array, Tensor) else np.broadcast_to(array, shape)


def _components_first(array: Array) -> Array:
    """Map ``(B, time, C)`` to ``(C, B, time)``."""
    return array.swapaxes(1, 2).swapaxes(0, 1)
