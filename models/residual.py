"""A classical model first, then a network on what it leaves unexplained.

Shapes
------
n window, L lookback, S step the network sees, H horizon, C component, K network
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from data.contracts import SERIES, Batch, FloatArray, IntArray, Scaling, Windows
from models.allocation import Allocation, Ensemble, Joint
from models.forecaster import Forecaster
from models.model import Inputs, Model, Needs, Refittable, State, scaled_batch

CLIP = 6.0  # [training deviations] beyond which a channel is cut off
CORE = "core."  # before the names of what the core has learnt


class Residual(Forecaster):
    """Add to the forecast of a classical model what a network makes of its out-of-sample residuals (Zhang, 2003).

    Residuals of windows a model was fitted on are smaller than those to come, and of another shape.  So the training
    windows are cut into blocks in time order, and each block is forecast by a core that was fitted on the blocks
    before it; the network learns these residuals.  Forecasts rest on a core that was fitted on all training windows.
    The network sees every component and, as one channel more, their sum.  Its head starts at zero: untrained, or
    where nothing is left to be explained, the forecast is that of the core.

    Parameters
    ----------
    label : str
        What tables call the model.
    core : callable (n_components, lookback, horizon) -> Model
        A model without a training loop.
    network, optimizer, component, n_components, lookback, horizon, compile, loss, decay, n_extra
        As of ``Forecaster``; components must be ``Joint`` or ``Ensemble``, which forecast the sum.
    blocks : int
        Blocks whose residuals are learnt; the windows before the first of them are as many as in one block.
    sees : int or None
        Newest steps of a window that the network sees [steps]; None: all, as the core does.

    Raises
    ------
    ValueError
        If there is no block, the network sees no step, the core is a network, or a network of its own sees each
        component.
    """

    needs: ClassVar[Needs] = Forecaster.needs._replace(kinds=(SERIES,), real=True)

    def __init__(
        self,
        label: str,
        core: Callable[..., Model],
        network: Callable[..., nn.Module],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        component: Allocation,
        blocks: int,
        n_components: int,
        lookback: int,
        horizon: int,
        compile: bool = False,
        loss: str = "squared",
        decay: float = 1.0,
        n_extra: int = 0,
        sees: int | None = None,
    ) -> None:
        bounds = {"blocks": blocks, "sees": lookback if sees is None else min(sees, lookback)}
        self.sees = bounds["sees"]
        super().__init__(
            label, network, optimizer, component, n_components + 1, self.sees, horizon, compile, loss, decay, n_extra
        )
        self.core = core(n_components=n_components, lookback=lookback, horizon=horizon)
        self.blocks = blocks
        self._made_core = lambda: core(n_components=n_components, lookback=lookback, horizon=horizon)
        self._centre, self._spread = np.zeros(n_components + 1), np.ones(n_components + 1)  # (C + 1,)
        self._size = np.ones(1)  # of a residual [scaled units]
        if faults := [f"model.{name}={n} must be at least 1." for name, n in bounds.items() if n < 1]:
            raise ValueError("  ".join(faults))
        if self.core.needs.gradients:
            raise ValueError(f"model.core={self.core.label} is a network; choose a model without a training loop.")
        if not isinstance(component, Joint | Ensemble):
            raise ValueError("model=residual forecasts the sum; choose model/component=joint or ensemble.")

    def before(self, train: Inputs, validation: Inputs) -> tuple[Batch, Batch]:
        """Fit the core, and return the channels and residuals that the network learns from and is chosen by.

        Raises
        ------
        ValueError
            If there are synthetic windows, of which the core has no forecast, or too few windows for the blocks.
        """
        batch = scaled_batch(train)
        if len(batch.past) != len(train.windows.origin):
            raise ValueError(f"{self.label} learns from real windows alone; set augmentation=identity.")
        rows, residual = self._out_of_sample(train, validation)
        self._size = np.maximum(np.sqrt(np.square(residual).mean(keepdims=True).ravel()), np.finfo(np.float32).tiny)
        raw = self._raw_channels(train)
        self._centre, spread = raw.mean(axis=(0, 1)), raw.std(axis=(0, 1))
        self._spread = np.where(spread > 0, spread, 1.0)
        self.core.fit(train, validation)
        seen = self._seen(train)
        beside = None if seen.extra is None else seen.extra[rows]
        learnt = Batch(seen.past[rows], residual[:, :, None] / self._size, beside)
        held_out = self._seen(validation)
        if not len(held_out.past):
            return learnt, held_out._replace(target=held_out.target[..., -1:])
        left = held_out.target[..., -1] - _scaled_forecast(self.core, validation)  # (n, H)
        return learnt, held_out._replace(target=left[:, :, None] / self._size)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``: of the core, and what each network adds."""
        return self.whole(super().predict(inputs._replace(batch=self._seen(inputs))), inputs)

    def whole(self, given: FloatArray, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``: of the core, and what each network adds."""
        added: FloatArray = self._size * given
        return _scaled_forecast(self.core, inputs) + added

    def refit(self, inputs: Inputs) -> None:
        """Let the core learn from further windows, if it can; the network stays."""
        if isinstance(self.core, Refittable):
            self.core.refit(inputs)

    def state(self) -> State:
        """Return the weights, what the core has learnt and how channels and residuals are scaled."""
        own = {"centre": self._centre, "spread": self._spread, "size": self._size}
        return super().state() | own | {f"{CORE}{name}": value for name, value in self.core.state().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        rest = dict(state)
        self._centre, self._spread, self._size = (rest.pop(name) for name in ("centre", "spread", "size"))
        self.core.load_state({name.removeprefix(CORE): rest.pop(name) for name in list(rest) if name.startswith(CORE)})
        super().load_state(rest)

    def _out_of_sample(self, train: Inputs, validation: Inputs) -> tuple[IntArray, FloatArray]:
        """Return which windows were forecast by a core fitted on earlier ones, and their residuals ``(n, H)``."""
        batch, known = scaled_batch(train), train.rows["ds"]
        time = known.reindex(train.windows.origin).to_numpy()
        order = np.argsort(time, kind="stable")
        edges = np.linspace(0, order.size, self.blocks + 2).astype(int)
        if edges[1] <= train.windows.y.shape[1] or (np.diff(edges) < 1).any():
            raise ValueError(
                f"{self.label} has {order.size} training windows for model.blocks={self.blocks} blocks and one before "
                f"them.  Give longer series, or lower model.blocks."
            )
        rows, residuals = [], []
        for start, stop in pairwise(edges[1:]):
            earlier = order[: start - train.windows.y.shape[1] + 1]  # their targets have come when the block begins
            own, core = order[start:stop], self._made_core()
            seen = train.rows[(known <= time[order[start]]).to_numpy()]
            core.fit(_take(train, earlier)._replace(rows=seen), validation)
            rows.append(own)
            residuals.append(batch.target[own, :, -1] - _scaled_forecast(core, _take(train, own)))
        return np.concatenate(rows), np.concatenate(residuals)

    def _seen(self, inputs: Inputs) -> Batch:
        """Return the newest steps as the network sees them: standardised channels ``(n, S, C + 1)``, covariates."""
        batch = scaled_batch(inputs)
        channels = ((self._raw_channels(inputs) - self._centre) / self._spread).clip(-CLIP, CLIP)
        return batch._replace(past=channels, extra=None if batch.extra is None else batch.extra[:, -self.sees :])

    def _raw_channels(self, inputs: Inputs) -> FloatArray:
        """Return the scaled components and, last, their sum on its scale."""
        total = _scaled(inputs.windows.past.sum(axis=2), inputs.windows, _scaling(inputs))
        return np.concatenate([scaled_batch(inputs).past, total[:, :, None]], axis=2)[:, -self.sees :]


def _scaled_forecast(core: Model, inputs: Inputs) -> FloatArray:
    """Return the forecast of a core in scaled units, ``(n, H)``."""
    found, scaling = core.predict(inputs), _scaling(inputs)
    in_unit = found if core.component is None else core.component.restore(found, inputs.windows, scaling)
    return _scaled(in_unit, inputs.windows, scaling)


def _scaled(values: FloatArray, windows: Windows, scaling: Scaling) -> FloatArray:
    """Map values ``(n, m)`` of the sum to scaled units: what ``restore_total``, a line in each window, undoes."""
    zero = scaling.restore_total(np.zeros_like(values), windows)
    return (values - zero) / (scaling.restore_total(np.ones_like(values), windows) - zero)


def _take(inputs: Inputs, rows: IntArray) -> Inputs:
    """Return some windows, in every form."""
    batch = scaled_batch(inputs)
    some = Batch(*(None if array is None else array[rows] for array in batch))
    return inputs._replace(windows=inputs.windows.take(rows), batch=some)


def _scaling(inputs: Inputs) -> Scaling:
    if inputs.scaling is None:
        raise ValueError("This model needs scaled windows (needs.scaled), but Inputs.scaling is None.")
    return inputs.scaling
