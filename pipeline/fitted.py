"""A model that forecasts, and how it is kept in a file that can run no code."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from safetensors.numpy import save_file
from torch import nn

from data.contracts import FloatArray, Panel, Scaling, Windows
from data.scaling import WithCovariates
from data.windows import newest
from evaluation.intervals.bounds import OWN
from evaluation.rows import PERSISTENCE
from models.allocation import Quantiles
from models.blend import Blend, blended
from models.model import Inputs, Model
from runtime.build import ConfigError, build, class_of
from runtime.files import atomic
from runtime.tensors import read_tensors
from tasks.task import Task

if TYPE_CHECKING:  # scikit-learn, which a network does not need
    from data.features.chain import Chain

Tensors = Mapping[str, NDArray[Any]]
PARAMETERS = 500_000_000  # of a network, 2 GB
BLEND_WEIGHT = "blend/weight"
"""Under this name a state holds the weight of a blend; without it the forecasts are the model's alone."""
LOOKBACK = "chosen/lookback"
"""Under this name a state holds the steps a model looks back upon, where it was given a choice."""
AVERAGED = "chosen/memory"
"""Under this name a state holds the steps of the past that forecasts are averaged over, where they are."""


class Fitted(NamedTuple):
    """A model with the scaling it was trained under and, where there are any, the features before it."""

    model: Model
    scaling: Scaling
    features: "Chain | None" = None
    blend: Blend | None = None
    """Where forecasts are part model, part reference."""
    lookback: int | None = None
    """Newest steps of a window that the model sees, where it was given a choice; None: all."""
    memory: float | None = None
    """Steps of the past over which forecasts are averaged, as ``Task.memory`` has chosen; None: they are not."""

    def inputs(self, windows: Windows, rows: pd.DataFrame) -> Inputs:
        """Return windows as the model takes them: as long as it has chosen, and scaled where it asks for that."""
        windows = windows if self.lookback is None else newest(windows, self.lookback)
        if not self.model.needs.scaled:
            return Inputs(windows, None, rows)
        return Inputs(windows, self.scaling.transform(windows), rows, self.scaling)

    def forecast(self, windows: Windows, rows: pd.DataFrame) -> FloatArray:
        """Map windows to forecasts ``(n, H)`` in the unit of ``y``."""
        if not len(windows.origin):
            return np.empty_like(windows.y)
        found = self.model.predict(self.inputs(windows, rows))
        component = self.model.component
        own = found if component is None else component.restore(found, windows, self.scaling)
        if self.blend is None:
            return own
        return blended(own, self.blend.reference.predict(Inputs(windows, None, rows)), self.blend.weight)

    def own_intervals(self, windows: Windows, rows: pd.DataFrame) -> dict[str, FloatArray]:
        """Return the ends ``(n, H)`` of the intervals a model has learnt, by column: own_lo_95 and so on.

        Only a model of quantiles has any.
        """
        component = self.model.component
        if not isinstance(component, Quantiles) or not len(windows.origin):
            return {}
        scaled = self.model.predict(self.inputs(windows, rows))
        found = component.intervals(scaled, windows, self.scaling)
        return {
            f"{OWN}{side}_{round(100 * coverage)}": end
            for coverage, ends in found.items()
            for side, end in zip(("lo", "hi"), ends, strict=True)
        }

    @property
    def finite(self) -> bool:
        """Whether everything that was learnt is a number; of a training that has diverged it is not."""
        return all(np.isfinite(value).all() for value in self.state().values() if value.dtype.kind == "f")

    def weights(self) -> dict[str, Any]:
        """Return what the model has learnt by name, its share in the forecasts and the lookback it has chosen."""
        share = {} if self.blend is None else {BLEND_WEIGHT: np.array(self.blend.weight)}
        chosen = {} if self.lookback is None else {LOOKBACK: np.array(self.lookback)}
        averaged = {} if self.memory is None else {AVERAGED: np.array(self.memory)}
        return self.model.state() | share | chosen | averaged

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, scaling, features and blend by name."""
        parts: dict[str, Mapping[str, Any]] = {"model": self.model.state()}
        if self.model.needs.scaled:
            parts["scaling"] = self.scaling.state()
        if self.features is not None:
            parts["features"] = self.features.state()
        if self.blend is not None:
            parts |= {"blend": {"weight": np.array(self.blend.weight)}, "reference": self.blend.reference.state()}
        chosen = {"lookback": self.lookback, "memory": self.memory}
        parts["chosen"] = {name: np.array(value) for name, value in chosen.items() if value is not None}
        return {f"{part}/{name}": _numpy(value) for part, held in parts.items() for name, value in held.items()}

    def load_state(self, tensors: Tensors) -> "Fitted":
        """Take the weights, the scaling, the features and, where there is a blend, what ``state`` returned of it."""
        self.model.load_state(below("model", tensors))
        if self.model.needs.scaled:
            self.scaling.load_state(below("scaling", tensors))
        if self.features is not None:
            self.features.load_state(below("features", tensors))
        if AVERAGED in tensors:
            return self._replace(memory=tensors[AVERAGED].item())._with_blend(tensors)
        return self._with_blend(tensors)

    def _with_blend(self, tensors: Tensors) -> "Fitted":
        if self.blend is None:
            return self
        self.blend.reference.load_state(below("reference", tensors))
        return self._replace(blend=self.blend._replace(weight=tensors[BLEND_WEIGHT].item()))


def rows_of(panel: Panel, windows: Windows) -> pd.DataFrame:
    """Return ``unique_id`` and ``ds``, of cells their age, of each origin: all a forecast may know of its row.

    Where the beginning of a cell is hidden, its cycles are counted from what is left: nobody has told of the others.
    """
    ids, ages = (panel.frame[name].iloc[windows.origin] for name in ("unique_id", panel.age))
    return pd.DataFrame({"unique_id": ids, "ds": ages if windows.start is None else ages - windows.start})


def unfitted(
    cfg: DictConfig, model: DictConfig, n_components: int, lookback: int | None = None, n_extra: int = 0
) -> Fitted:
    """Build a model and its scaling; without a lookback of its own it has that of the run.

    A network is told how many covariates there are; other models find them.
    """
    kind: Any = class_of(model._target_)
    beside = {"n_extra": n_extra} if n_extra and kind.needs.gradients else {}
    if issubclass(kind, nn.Module):
        _refuse_huge(cfg, model, n_components, lookback, n_extra)
    built = build(model, n_components=n_components, lookback=lookback or cfg.lookback, horizon=cfg.horizon, **beside)
    return Fitted(built, scaling_of(cfg))


def check_model(cfg: DictConfig, model: DictConfig, lookback: int | None) -> None:
    """Build a model in vain: what its constructor refuses is told before anything is trained.

    Raises
    ------
    ConfigError
    """
    if not issubclass(class_of(model._target_), nn.Module):
        unfitted(cfg, model, 1, lookback)
        return
    _refuse_huge(cfg, model, 1, lookback, 0)


def _refuse_huge(cfg: DictConfig, model: DictConfig, n_components: int, lookback: int | None, n_extra: int) -> None:
    """Refuse a network before memory is asked for: its sizes may be somebody else's.

    Raises
    ------
    ConfigError
        If it has more parameters than any network here.
    """
    n_parameters = _size(
        OmegaConf.to_yaml(model, resolve=True), n_components, lookback or cfg.lookback, cfg.horizon, n_extra
    )
    if n_parameters > PARAMETERS:
        raise ConfigError(
            f"{model.label} has {n_parameters:.3g} parameters by its settings, and at most {PARAMETERS:.0e} are "
            f"built.  Lower model.network."
        )


@cache
def _size(model: str, n_components: int, lookback: int, horizon: int, n_extra: int) -> int:
    """Return the number of parameters of a network, which takes no memory to count."""
    node = OmegaConf.create(model)
    assert isinstance(node, DictConfig)
    beside = {"n_extra": n_extra} if n_extra else {}
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        built = build(node, n_components=n_components, lookback=lookback, horizon=horizon, **beside)
        return sum(weight.numel() for weight in built.parameters())


def scaling_of(cfg: DictConfig) -> WithCovariates:
    """Build the scaling of components, targets and covariates; returns that a target leaves are no covariates."""
    target: Any = None if cfg.get("target") is None else class_of(cfg.target._target_)
    return WithCovariates(build(cfg.scaling), 0 if target is None else len(target.leaves))


def reference_of(task: Task) -> Model:
    """Return the forecast a model is blended with, not fitted yet.

    It is the reference of the task or, where that looks back upon more steps than the windows have, persistence.
    """
    names = (task.reference, PERSISTENCE)
    rows = [row for name in names for row in task.candidates() if row.label == name and row.lookback is None]
    return unfitted(task.cfg, rows[0].model, 1).model


def save(fitted: Fitted, path: Path) -> None:
    """Write tensors, whole or not at all; nothing in the file can run code."""
    with atomic(path) as part:
        save_file(fitted.state(), part)


def gather(members: Mapping[str, Path], path: Path) -> None:
    """Write the tensors of several files into one, each under its own name."""
    tensors = {
        f"{member}/{name}": value for member, kept in members.items() for name, value in read_tensors(kept).items()
    }
    with atomic(path) as part:
        save_file(tensors, part)


def members(path: Path) -> dict[str, Tensors]:
    """Return the tensors of every member that ``gather`` put into a file."""
    tensors = read_tensors(path)
    names = dict.fromkeys(name.split("/", 1)[0] for name in tensors)
    return {member: below(member, tensors) for member in names}


def below(part: str, tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Return the tensors of one part, by their names within it."""
    return {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")}


def _numpy(value: Any) -> NDArray[Any]:
    return np.ascontiguousarray(value.cpu().numpy() if isinstance(value, torch.Tensor) else value)
