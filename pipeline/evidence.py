"""What a run on cells keeps for its report page, besides the forecasts."""

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from data.cells.sequences import select_rows
from data.contracts import TEST, VALIDATION, Batch, Fold, Panel, Windows
from data.features.chain import Chain
from evaluation.augmentation_quality import augmentation_quality
from models.forecaster import Forecaster
from pipeline.fitted import Fitted
from report.augmentation_figures import augmentation_figure
from report.autoencoder_figures import autoencoder_figure
from report.cluster_figures import criteria_figure
from report.figures import save
from runtime.files import write_json

PREFIX = "evidence_"
ENOUGH = 200  # windows of a kind from which on their likeness is measured
MAPPED = 120  # windows of the cell whose attention is kept


@runtime_checkable
class Attentive(Protocol):
    """A network that can say which steps it weighed how."""

    def attention(self, past: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map ``(K, B, L, F)`` to weights ``(K, B, L)`` by the name of each attention."""
        ...


def keep_features(folder: Path, features: Chain) -> None:
    """Write what the features found in training: factors, clusters, losses of an autoencoder."""
    for name, found in features.evidence().items():
        _write(folder, name, found)


def keep_quality(folder: Path, train: Batch, held_out: Batch, samples: Batch, n_conditions: int, seed: int) -> None:
    """Write how much synthetic windows are like real ones, where there are enough of both to say."""
    if min(len(samples.past), len(held_out.past)) >= ENOUGH:
        _write(folder, "augmentation", augmentation_quality(train, held_out, samples, n_conditions, seed))


def keep_attention(folder: Path, panel: Panel, windows: Windows, fold: Fold, fitted: Fitted) -> None:
    """Write which steps of its windows the network weighed how, over the life of the first tested cell."""
    network: Any = fitted.model.network if isinstance(fitted.model, Forecaster) else None
    if not isinstance(network, Attentive):
        return
    tested = select_rows(windows, fold, TEST)
    ids = panel.frame["unique_id"].to_numpy()
    own = np.flatnonzero(ids[tested.origin] == ids[tested.origin[0]])
    shown = own[np.unique(np.linspace(0, own.size - 1, MAPPED).astype(int))]
    chosen = Windows(*(array[shown] for array in tested))
    past = torch.as_tensor(fitted.scaling.transform(chosen).past, dtype=torch.float32)
    fitted.model.eval()
    with torch.inference_mode():
        found = network.attention(fitted.model.component.inputs(past))
    parts = [_long(name, weights.mean(dim=0).numpy(), panel, chosen) for name, weights in found.items()]
    if parts:
        pd.concat(parts, ignore_index=True).to_parquet(folder / f"{PREFIX}attention.parquet", index=False)


def draw_evidence(evidence: Path, figures: Path, title: str) -> None:
    """Draw the number of clusters, the losses of an autoencoder and the synthetic windows, where they are kept."""
    figures.mkdir(exist_ok=True)
    if (found := read_json(evidence / "clusters.json")) is not None:
        save(criteria_figure(found["table"], found["chosen"], f"{title}: number of clusters"), figures / "clusters.png")
    if (found := read_json(evidence / "augmentation.json")) is not None:
        save(augmentation_figure(found, f"{title}: synthetic windows"), figures / "augmentation.png")
    losses = read_json(evidence / "losses.json") or {}
    if "autoencoder" in losses:
        drawn = autoencoder_figure({"autoencoder": [losses["autoencoder"]]}, f"{title}: autoencoder")
        save(drawn, figures / "autoencoder.png")


def held_out_windows(windows: Windows, fold: Fold) -> Windows:
    """Return real windows nothing was learnt from: those that choose the weights."""
    return select_rows(windows, fold, VALIDATION)


def collect(unfinished: Path, evidence: Path) -> None:
    """Move what the workers have left to the folder the report page reads."""
    evidence.mkdir(exist_ok=True)
    for path in sorted(unfinished.glob(f"{PREFIX}*")):
        path.replace(evidence / path.name.removeprefix(PREFIX))


def _long(name: str, weights: NDArray[Any], panel: Panel, windows: Windows) -> pd.DataFrame:
    """Return weights ``(n, L)`` as a row a window and step; lag 0 is the last step."""
    n, length = weights.shape
    rows = panel.frame.iloc[np.repeat(windows.origin, length)]
    return pd.DataFrame(
        {
            "name": name,
            "unique_id": rows["unique_id"].to_numpy(),
            "ds": rows["ds"].to_numpy(),
            "lag": np.tile(np.arange(length)[::-1], n),
            "weight": weights.ravel(),
        }
    )


def read_json(path: Path) -> Any:
    """Return what a file of evidence holds, or None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _write(folder: Path, name: str, found: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{PREFIX}{name}.json", found)
