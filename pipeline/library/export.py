"""A trained network as one file for other runtimes: scaling, networks and restoring inside.

Shapes
------
B batch, L lookback, C component, H horizon, K network, F feature
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data.panel import DataError
from data.scaling import MEAN, LastValue, MinMax, Standard, WindowMinMax, WithCovariates
from models.allocation import Allocation, Ensemble, Joint, Quantiles, Separate
from models.layers import LSTM, BiLSTM
from models.naive import Persistence
from models.trained import Trained
from pipeline.fitted import Fitted
from runtime.files import atomic

SUFFIXES = (".onnx", ".pt2")


class Scale(nn.Module):
    """What ``data.scaling`` does to windows and forecasts, in double precision and for tensors.

    Parameters
    ----------
    scaling : object
        One of ``data.scaling``.

    Raises
    ------
    DataError
        If it is of another kind.
    """

    def __init__(self, scaling: Any) -> None:
        super().__init__()
        if isinstance(scaling, WithCovariates):
            if MEAN in scaling.state():
                raise DataError(
                    "The network reads covariates or channels, which its file would lack.  Export one without."
                )
            scaling = scaling.inner
        kinds = (MinMax, WindowMinMax, LastValue, Standard)
        if type(scaling) not in kinds:
            known = ", ".join(kind.__name__ for kind in kinds)
            raise DataError(f"A network scaled by {type(scaling).__name__} cannot be exported; known are {known}.")
        self.kind = type(scaling).__name__
        self.clip = float(getattr(scaling, "clip", 0.0))
        for name, value in scaling.state().items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64))

    def forward(self, past: Tensor) -> Tensor:
        """Map windows ``(B, L, C)`` to scaled ones."""
        numbers = dict(self.named_buffers())
        if self.kind == "MinMax":
            return (past - numbers["low"][:-1]) / numbers["span"][:-1]
        if self.kind == "WindowMinMax":
            low, span = _ranges(past)
            return (past - low[:, :, :-1]) / span[:, :, :-1]
        if self.kind == "LastValue":
            level = past[:, :, -1:] - past[:, -1:, -1:]
            return torch.cat([past[:, :, :-1], level], dim=2) / numbers["past"]
        return ((past - numbers["mean"]) / numbers["deviation"]).clamp(-self.clip, self.clip)

    def restored(self, forecast: Tensor, past: Tensor, total: bool) -> Tensor:
        """Map scaled forecasts, ``(B, H)`` of the sum or ``(B, H, C)`` of components, to the unit of y ``(B, H)``."""
        numbers = dict(self.named_buffers())
        if self.kind == "Standard":
            scaled = forecast * numbers["largest"]
            return scaled if total else scaled.sum(dim=2)
        if self.kind == "LastValue":
            change = numbers["change"]
            moves = forecast * change[-1] if total else (forecast * change[:-1]).sum(dim=2)
            return past[:, -1].sum(dim=1)[:, None] + moves
        if self.kind == "WindowMinMax":
            low, span = _ranges(past)
            low, span = (low[:, :, -1], span[:, :, -1]) if total else (low[:, :, :-1], span[:, :, :-1])
        else:
            part = slice(-1, None) if total else slice(None, -1)
            low, span = numbers["low"][part], numbers["span"][part]
        made = forecast * span + low
        return made if total else made.sum(dim=2)


class LSTMs(nn.Module):
    """K ``torch.nn.LSTM`` in the place of a layer of ours: every runtime knows it, none knows our recurrence.

    Parameters
    ----------
    layer : LSTM or BiLSTM
    """

    def __init__(self, layer: LSTM | BiLSTM) -> None:
        super().__init__()
        weights = dict(layer.named_parameters())
        first = weights["weight_ih_l0"]  # (K, 4 D, I)
        n_layers = layer.n_layers if isinstance(layer, LSTM) else 1
        shape = (first.shape[2], first.shape[1] // 4, n_layers)
        kind = {"batch_first": True, "bidirectional": isinstance(layer, BiLSTM)}
        self.networks = nn.ModuleList(nn.LSTM(*shape, **kind) for _ in range(len(first)))
        for k, network in enumerate(self.networks):
            network.load_state_dict({name: weight[k] for name, weight in weights.items()})

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, B, T, I)`` to states ``(K, B, T, D)``."""
        return torch.stack([network(past)[0] for network, past in zip(self.networks, inputs.unbind(0), strict=True)])


class Exported(nn.Module):
    """Map windows ``(B, L, C)`` in the unit of y, double precision, to forecasts ``(B, H)`` in the unit of y.

    The mean over seeds, where the run has several; blended with persistence, where the run is.

    Parameters
    ----------
    models : list of Fitted

    Raises
    ------
    DataError
        If a model is no network, or one of its parts is of a kind that is not known here.
    """

    def __init__(self, models: list[Fitted]) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Member(fitted) for fitted in models)

    def forward(self, past: Tensor) -> Tensor:
        """Return forecasts ``(B, H)``."""
        return torch.stack([member(past) for member in self.members]).mean(dim=0)


class _Member(nn.Module):
    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        model, blend = fitted.model, fitted.blend
        if not isinstance(model, Trained):
            raise DataError(f"{model.label} is no network and cannot be exported.  Train model=lstm, mlp, ...")
        if fitted.features is not None:
            raise DataError("The network reads features, which a file of it would lack.  Export a forecast of series.")
        if blend is not None and not isinstance(blend.reference, Persistence):
            raise DataError(f"A blend with {blend.reference.label} cannot be exported; train with blend=none.")
        self.scale, self.component = Scale(fitted.scaling), model.component
        self.weight = 1.0 if blend is None else blend.weight
        self.lookback = fitted.lookback or 0
        self.network = _portable(copy.deepcopy(model.network)).eval().float()

    def forward(self, past: Tensor) -> Tensor:
        past = past[:, -self.lookback :]  # all of it where nothing was chosen
        scaled: Tensor = self.network(self.component.inputs(self.scale(past).float())).double()  # (K, B, H)
        made = _restored(self.component, self.scale, scaled, past)
        naive = past[:, -1].sum(dim=1)[:, None]
        return made if self.weight == 1 else naive + self.weight * (made - naive)


def export(models: list[Fitted], lookback: int, n_components: int, path: Path) -> Path:
    """Write a network as ONNX (``.onnx``) or by ``torch.export`` (``.pt2``), whole or not at all.

    Raises
    ------
    DataError
        If the name ends otherwise, a package is missing, or the model cannot be exported.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path} must end with .onnx, or with .pt2 for torch.export.")
    module = Exported(models).eval()
    example = torch.zeros(2, lookback, n_components, dtype=torch.float64)
    example += torch.arange(lookback, dtype=torch.float64)[:, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = {"past": {0: torch.export.Dim("batch", min=1)}}
    with torch.no_grad(), atomic(path) as part:
        program = torch.export.export(module, (example,), dynamic_shapes=shapes)
        if path.suffix == ".onnx":
            _to_onnx(program, part)
        else:
            with part.open("wb") as file:
                torch.export.save(program, file)
    return path


def _to_onnx(program: Any, path: Path) -> None:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ModuleNotFoundError:
        raise DataError("A file .onnx needs onnx.  Run: pip install -e .[export], or export a .pt2.") from None
    made = torch.onnx.export(
        program, dynamo=True, input_names=["past"], output_names=["y_hat"], verbose=False, optimize=True
    )
    assert made is not None
    onnx.save_model(made.model_proto, str(path))  # one file: the weights are small


def _portable(network: nn.Module) -> nn.Module:
    """Return the network with every recurrent layer replaced by K of ``torch.nn``."""
    for name, child in network.named_children():
        setattr(network, name, LSTMs(child) if isinstance(child, LSTM | BiLSTM) else _portable(child))
    return network


def _restored(component: Allocation, scale: Scale, forecast: Tensor, past: Tensor) -> Tensor:
    """Map scaled forecasts ``(K, B, H)`` to ``(B, H)`` in the unit of y, as ``component.restore`` does."""
    if isinstance(component, Separate):
        return scale.restored(forecast.permute(1, 2, 0), past, total=False)
    if isinstance(component, Joint):
        return scale.restored(forecast[0], past, total=True)
    if isinstance(component, Ensemble):
        return scale.restored(forecast.mean(dim=0), past, total=True)
    if isinstance(component, Quantiles):
        return scale.restored(forecast.sort(dim=0).values[len(component.levels) // 2], past, total=True)
    raise DataError(f"Components shared out by {type(component).__name__} cannot be exported.")


def _ranges(past: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least value and the span of each component, the sum last, within the lookback ``(B, 1, C + 1)``."""
    seen = torch.cat([past, past.sum(dim=2, keepdim=True)], dim=2)
    low = seen.amin(dim=1, keepdim=True)
    span = seen.amax(dim=1, keepdim=True) - low
    return low, torch.where(span > 0, span, torch.ones_like(span))
