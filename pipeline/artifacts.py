"""What a run keeps for its report page, besides the forecasts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from data.augmentation.gaussian import ConditionalGaussian
from data.augmentation.jitter import Jitter
from data.augmentation.synthetic import SyntheticWindows
from data.contracts import Augmentation, Panel, Windows
from evaluation.augmentation_quality import augmentation_quality
from models.allocation import seen_by_each
from models.forecaster import Forecaster
from pipeline.fitted import Fitted
from pipeline.fitting import Parts
from runtime.build import build
from runtime.files import atomic, write_json
from tasks.task import Prepared, Task

PREFIX = "artifact_"
MEASURES = ("mmd", "fidelity", "transfer", "memory")
RIVALS: Mapping[str, Callable[[], Augmentation]] = {
    "gaussian": lambda: SyntheticWindows(ConditionalGaussian(), 200, "joint", "window"),
    "jitter": lambda: Jitter(std=0.05, share=0.5),
}
"""What any synthetic windows are measured beside: they cost nothing.  Settings are those of conf/augmentation."""
ENOUGH = 200  # windows of a kind from which on their likeness is measured
KEPT = 0.2  # share of the training windows that is kept to compare with, where there are no validation windows
MAPPED = 120  # windows whose attention is kept
BOUNDS = ("lo_", "hi_")
LARGEST_LIST = 1 << 28  # [bytes] of the different values of a column, beyond which each is written where it stands


@runtime_checkable
class Attentive(Protocol):
    """A network that can say which steps it weighed how."""

    def step_weights(self, past: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map ``(K, B, L, F)`` to weights ``(K, B, L)`` by the name of each attention."""
        ...


def keep(folder: Path, task: Task, panel: Panel, prepared: Prepared, parts: Parts, fitted: Fitted) -> None:
    """Write what the report draws of one fitted model: features, synthetic windows, attention."""
    folder.mkdir(parents=True, exist_ok=True)
    if prepared.features is not None:
        for name, found in prepared.features.evidence().items():
            write_json(folder / f"{PREFIX}{name}.json", found)
    if fitted.model.needs.scaled:
        keep_quality(folder, task, prepared, parts, fitted)
        keep_attention(folder, panel, parts.test, fitted)


def keep_quality(folder: Path, task: Task, prepared: Prepared, parts: Parts, fitted: Fitted) -> None:
    """Write how much synthetic windows are like real ones, where there are enough of both to say.

    Without validation windows some training windows are kept from what the samples are made of, to compare with.
    """
    cfg, conditions = task.cfg, prepared.n_conditions
    own = len(parts.validation.origin) == 0
    learnt, other = _divided(parts.train, cfg.seed) if own else (parts.train, parts.validation)
    if len(other.origin) < ENOUGH:
        return
    train, held_out = (fitted.scaling.transform(windows) for windows in (learnt, other))
    augmentation = build(cfg.augmentation)
    samples = augmentation.samples(train, conditions, cfg.seed)
    if len(samples.past) < ENOUGH:
        return
    quality = augmentation_quality(train, held_out, samples, conditions, cfg.seed)
    beside = {}
    for name, make in RIVALS.items():
        try:
            others = make().samples(train, conditions, cfg.seed)
            found = augmentation_quality(train, held_out, others, conditions, cfg.seed)
        except ValueError:  # too few windows for this one
            continue
        beside[name] = {measure: found[measure] for measure in MEASURES}
    told = {"beside": beside, "held_out_of_training": own} | _steps_of(augmentation)
    write_json(folder / f"{PREFIX}augmentation.json", quality | told)


def _divided(windows: Windows, seed: int) -> tuple[Windows, Windows]:
    """Return most of the windows and a random rest, which is of the same cells."""
    chance = np.random.default_rng(seed).random(len(windows.origin))
    return windows.take(np.flatnonzero(chance >= KEPT)), windows.take(np.flatnonzero(chance < KEPT))


def _steps_of(augmentation: Augmentation) -> dict[str, Any]:
    """Return what a generator was like while it was trained, and when it was best; nothing of one that is not."""
    history: list[Any] = getattr(getattr(augmentation, "generator", None), "history", [])
    if not history:
        return {}
    best = min(history, key=lambda look: look.mmd)
    looks = [look._asdict() for look in history]
    return {"training": {"steps": history[-1].step, "best_step": best.step}, "history": looks}


def keep_attention(folder: Path, panel: Panel, tested: Windows, fitted: Fitted) -> None:
    """Write which steps of its windows the network weighed how, over the first tested series or cell."""
    model = fitted.model
    network: Any = model.network if isinstance(model, Forecaster) else None
    if not isinstance(model, Forecaster) or not isinstance(network, Attentive):
        return
    ids = panel.frame["unique_id"].to_numpy()
    own = np.flatnonzero(ids[tested.origin] == ids[tested.origin[0]])
    shown = own[np.unique(np.linspace(0, own.size - 1, MAPPED).astype(int))]
    few = tested.take(shown)
    past, _, extra = (
        None if array is None else torch.as_tensor(array, dtype=torch.float32, device=model.device)
        for array in fitted.scaling.transform(few)
    )
    assert past is not None
    model.eval()
    with torch.inference_mode():
        found = network.step_weights(seen_by_each(model.component, past, extra))
    parts = [_long(name, weights.mean(dim=0).numpy(force=True), panel, few) for name, weights in found.items()]
    if parts:
        keep_table(folder / f"{PREFIX}attention.parquet", pd.concat(parts, ignore_index=True))


def keep_table(path: Path, table: pd.DataFrame) -> None:
    """Write a parquet file, whole or not at all, and as small as it gets with nothing lost.

    Bounds that single precision holds to the bit are kept in it.  What comes again and again (names, dates, the truth
    under every model) is a number in a list; of other numbers the first bytes, which resemble each other, lie together.
    """
    numbers = table.select_dtypes(np.float64)
    bounds = [str(name) for name in numbers if str(name).startswith(BOUNDS)]
    often = [str(name) for name in numbers if name not in bounds and 2 * numbers[name].nunique() < len(table)]
    apart = {str(name): "BYTE_STREAM_SPLIT" for name in numbers if name not in often}
    single = {name: numbers[name].astype(np.float32) for name in bounds}
    exact = {name: few for name, few in single.items() if np.array_equal(few, numbers[name], equal_nan=True)}
    with atomic(path) as part:
        table.assign(**exact).to_parquet(
            part,
            index=False,
            compression="zstd",
            use_dictionary=[str(name) for name in table if name not in apart],
            column_encoding=apart or None,
            dictionary_pagesize_limit=LARGEST_LIST,
        )


def collect(unfinished: Path, folder: Path) -> None:
    """Move what the workers have left to where the report page looks."""
    folder.mkdir(exist_ok=True)
    for path in sorted(unfinished.glob(f"{PREFIX}*")):
        path.replace(folder / path.name.removeprefix(PREFIX))


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
