"""A model that forecasts, and how it is kept in a file that can run no code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from safetensors.numpy import load_file, save_file

from data.contracts import Feature, FloatArray, Scaling, Windows
from evaluation.intervals.conformal import OWN
from models.allocation import Quantiles
from models.forecaster import Forecaster
from runtime.build import build

CHUNK = 1024  # windows forecast at once

Tensors = Mapping[str, NDArray[Any]]


class Fitted(NamedTuple):
    """A model with the scaling it was trained under and, where there are any, the features before it."""

    model: Any
    scaling: Scaling
    features: Feature | None = None

    def forecast(self, windows: Windows) -> FloatArray:
        """Map windows to forecasts ``(n, H)`` in the unit of ``y``."""
        if not len(windows.origin):
            return np.empty_like(windows.y)
        if not self.model.scaled:
            forecast: FloatArray = self.model.predict(windows)
            return forecast
        batch = self.scaling.transform(windows)
        trained = isinstance(self.model, Forecaster)
        scaled = _forward(self.model, batch.past) if trained else self.model.predict(batch)  # (K, n, H)
        return self.model.component.restore(scaled, windows, self.scaling)

    def own_intervals(self, windows: Windows) -> dict[str, FloatArray]:
        """Return the ends ``(n, H)`` of the intervals a model has learnt, by column: own_lo_95 and so on.

        Only a model of quantiles has any.
        """
        component = getattr(self.model, "component", None)
        if not isinstance(component, Quantiles) or not len(windows.origin):
            return {}
        scaled = _forward(self.model, self.scaling.transform(windows).past)
        found = component.intervals(scaled, windows, self.scaling)
        return {
            f"{OWN}{side}_{round(100 * coverage)}": end
            for coverage, ends in found.items()
            for side, end in zip(("lo", "hi"), ends, strict=True)
        }

    @property
    def keeps(self) -> bool:
        """Whether the model has a state that a file can hold without running code; trees have none."""
        return bool(getattr(self.model, "kept", True))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, scaling and features by name."""
        own = self.model.state_dict() if isinstance(self.model, Forecaster) else self.model.state()
        parts = {"model": own, "scaling": self.scaling.state()}
        if self.features is not None:
            parts["features"] = self.features.state()
        return {f"{part}/{name}": _numpy(value) for part, held in parts.items() for name, value in held.items()}

    def load_state(self, tensors: Tensors) -> "Fitted":
        """Take the weights, the scaling and the features that ``state`` returned."""
        own = _below("model", tensors)
        if isinstance(self.model, Forecaster):
            self.model.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
        else:
            self.model.load_state(own)
        self.scaling.load_state(_below("scaling", tensors))
        if self.features is not None:
            self.features.load_state(_below("features", tensors))
        return self


def unfitted(cfg: DictConfig, model: DictConfig, n_components: int) -> Fitted:
    """Build a model and its scaling."""
    built = build(model, n_components=n_components, lookback=cfg.lookback, horizon=cfg.horizon)
    return Fitted(built, build(cfg.scaling))


def save(fitted: Fitted, path: Path) -> None:
    """Write tensors, whole or not at all; nothing in the file can run code."""
    unfinished = path.with_suffix(".part")
    save_file(fitted.state(), unfinished)
    unfinished.replace(path)


def gather(members: Mapping[str, Path], path: Path) -> None:
    """Write the tensors of several files into one, each under its own name."""
    tensors = {f"{member}/{name}": value for member, kept in members.items() for name, value in load_file(kept).items()}
    save_file(tensors, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def members(path: Path) -> dict[str, Tensors]:
    """Return the tensors of every member that ``gather`` put into a file."""
    tensors = load_file(path)
    names = dict.fromkeys(name.split("/", 1)[0] for name in tensors)
    return {member: _below(member, tensors) for member in names}


def _below(part: str, tensors: Tensors) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")}


def _forward(model: Forecaster, past: FloatArray) -> FloatArray:
    model.eval()
    tensor = torch.as_tensor(past, dtype=torch.float32)
    with torch.inference_mode():
        parts = [model(chunk.to(model.device)).cpu() for chunk in tensor.split(CHUNK)]
    return torch.cat(parts, dim=1).double().numpy()  # (K, n, H)


def _numpy(value: Any) -> NDArray[Any]:
    return np.ascontiguousarray(value.cpu().numpy() if isinstance(value, torch.Tensor) else value)
