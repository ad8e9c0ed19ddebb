"""Do synthetic windows help to tell the life of cells never seen?  ``MODECAST_DATA=... python -m benchmarks.wgan_gp``.

The HNEI cells without their cycle number: seven health factors and their rolling means, windows of 15 cycles,
three clusters.  Each seed deals the cells anew; synthetic windows are made of the training cells alone, and all
is judged on four cells that nothing was learnt from.  Errors are on the remaining life over the longest one.

Prints the tables of docs/augmentation.md.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from data.cells.sequences import select_rows, sequences
from data.cells.splits import LeaveCellsOut
from data.contracts import TEST, TRAIN, VALIDATION, Augmentation, Batch, FloatArray, Panel
from data.scaling import Standard
from data.sources.hnei import HNEI
from evaluation.augmentation_quality import augmentation_quality
from runtime.build import build
from runtime.command_line import CONF

LOOKBACK = 15  # [cycles]
CLUSTERS = 3
MOST = 1200  # training windows, evenly thinned
EVERY = 3  # of the test windows, each such one judges
CHOICES = {
    "jitter": ("jitter",),
    "mixup": ("mixup",),
    "gaussian": ("gaussian",),
    "wgan_gp: windows, joint labels": ("wgan_gp", "augmentation.labels=joint"),
    "wgan_gp: windows, median labels": ("wgan_gp", "augmentation.labels=median"),
    "wgan_gp: rows, joint labels": ("wgan_gp", "augmentation.unit=row", "augmentation.labels=joint"),
    "wgan_gp: rows, median labels (paper 2)": ("wgan_gp_paper",),
}
Fit = Callable[[int], Any]
MODELS: dict[str, Fit] = {
    "ridge": lambda seed: RidgeCV(np.logspace(-1, 5, 13)),
    "extra trees": lambda seed: ExtraTreesRegressor(100, max_features=0.33, random_state=seed, n_jobs=1),
    "MLP": lambda seed: MLPRegressor(
        hidden_layer_sizes=(64,), alpha=1e-3, max_iter=100, early_stopping=True, random_state=seed
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cells", type=int, default=9, help="to learn from, of 14 (at most 9)")
    parser.add_argument("--only", nargs="*", default=list(CHOICES), metavar="CHOICE", help="as the tables call them")
    given = parser.parse_args()
    choices = {name: CHOICES[name] for name in given.only}
    torch.set_num_threads(1)
    panel = HNEI().load()
    errors, quality = [], []
    start = time.process_time()
    for seed in range(given.seeds):
        train, test = _cells(panel, seed, given.cells)
        errors += _errors("none", train, train, test, seed)
        for name, (choice, *overrides) in choices.items():
            began = time.process_time()
            extra = _augmentation(choice, overrides).samples(train, CLUSTERS, seed)
            seconds = time.process_time() - began
            together = Batch(np.concatenate([train.past, extra.past]), np.concatenate([train.target, extra.target]))
            errors += _errors(name, train, together, test, seed)
            found = augmentation_quality(train, test, extra, CLUSTERS, seed)
            record = {"augmentation": name, "windows": len(extra.past), "cpu seconds": seconds}
            for part in ("mmd", "transfer", "memory", "fidelity"):
                record |= {f"{part}: {key}": value for key, value in found[part].items()}
            quality.append(record)
    print(f"{given.cells} training cells, {given.seeds} seeds, {time.process_time() - start:.0f} s of CPU\n")
    print(_quality_table(pd.DataFrame(quality)), "\n")
    print(_gain_table(pd.DataFrame(errors), choices))


def _cells(panel: Panel, seed: int, n_cells: int) -> tuple[Batch, Batch]:
    """Return scaled windows of training and of tested cells, clusters last."""
    fold = LeaveCellsOut(folds=4, validation=1, seed=seed).folds(panel, 1)[0]
    ids = panel.frame["unique_id"].to_numpy()
    spare = pd.unique(ids[fold.role == TRAIN])[n_cells:]
    fold.role[np.isin(ids, spare)] = VALIDATION
    factors = panel.frame[list(panel.covariates)]
    means = factors.groupby(ids, sort=False).transform(lambda column: column.rolling(15, min_periods=1).mean())
    table = pd.concat([factors, means.add_suffix(" mean")], axis=1)
    learnt = fold.role == TRAIN
    scaled = StandardScaler().fit(table[learnt]).transform(table).clip(-10, 10)
    clusters = KMeans(CLUSTERS, n_init=4, random_state=seed).fit(scaled[learnt]).predict(scaled)
    table = table.assign(**{f"cluster {k}": (clusters == k).astype(float) for k in range(CLUSTERS)})
    windows = sequences(table, panel.frame["y"], panel, LOOKBACK)
    n_windows = int((fold.role[windows.origin] == TRAIN).sum())
    train = select_rows(windows, fold, TRAIN, max(1, n_windows // MOST))
    scaling = Standard(clip=10.0).fit(train)
    return scaling.transform(train), scaling.transform(select_rows(windows, fold, TEST, EVERY))


def _augmentation(choice: str, overrides: list[str]) -> Augmentation:
    with initialize_config_dir(CONF, version_base="1.3"):
        node = compose(f"augmentation/{choice}", overrides=overrides).augmentation
    augmentation: Augmentation = build(node)
    return augmentation


def _errors(name: str, real: Batch, learnt: Batch, test: Batch, seed: int) -> list[dict[str, Any]]:
    """Return the MAE of every model on the tested cells."""
    scaler = StandardScaler().fit(_flat(real))
    records = []
    for label, make in MODELS.items():
        model = make(seed).fit(scaler.transform(_flat(learnt)), learnt.target[:, 0, -1])
        forecast = model.predict(scaler.transform(_flat(test)))
        mae = float(np.abs(forecast - test.target[:, 0, -1]).mean())
        records.append({"augmentation": name, "model": label, "seed": seed, "mae": mae})
    return records


def _flat(batch: Batch) -> FloatArray:
    return batch.past.reshape(len(batch.past), -1)


def _quality_table(quality: pd.DataFrame) -> str:
    means = quality.groupby("augmentation", sort=False).mean().round(4)
    return _markdown(means.astype(str))


def _gain_table(errors: pd.DataFrame, choices: Iterable[str]) -> str:
    """Return the MAE without, and by how much it falls with each augmentation, mean and deviation over seeds."""
    mae = {
        key: own.sort_values("seed")["mae"].to_numpy(dtype=np.float64)
        for key, own in errors.groupby(["augmentation", "model"], sort=False)
    }
    plain = {model: mae["none", model] for model in MODELS}
    rows = {"none: MAE": {model: f"{e.mean():.4f} ({e.std(ddof=1):.4f})" for model, e in plain.items()}}
    for name in choices:
        gains = {model: plain[model] - mae[name, model] for model in MODELS}
        rows[name] = {
            model: f"{gain.mean():+.4f} ({gain.std(ddof=1):.4f}), {(gain > 0).sum()} of {gain.size}"
            for model, gain in gains.items()
        }
    return _markdown(pd.DataFrame(rows).T.rename_axis("gain in MAE"))


def _markdown(table: pd.DataFrame) -> str:
    lines = [[str(table.index.name), *map(str, table.columns)], [":--"] + ["--:"] * table.shape[1]]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
