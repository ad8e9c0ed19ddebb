"""Run folders as finished runs leave them, small: of a series, of cells, and of versions before."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import SERIES, FloatArray
from evaluation.judge import judge
from evaluation.rows import CLOCK, PERSISTENCE
from report.run_folder import KEPT_NO_FACTS, Metrics, write_metrics
from tests.tables import cell_facts, cells, lived, one_step, series_facts, trainings

CELL_SECTIONS = list(KEPT_NO_FACTS["rul"][1])
CELL_SECTIONS.insert(CELL_SECTIONS.index("features.clusters"), "features.bands")  # runs without facts had none
NET = "ICEEMDAN-CNN-LSTM-AM"
HYBRID = "BiLSTM-Hybrid"
EVIL = (
    "<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"
    "[/b][red] $\\frac{ | \u202eRTL\x1b[31m"
)
LEAK = "the whole series was decomposed before it was split"


def closes(n: int = 260) -> FloatArray:
    """A walk with calm and wild times."""
    rng = np.random.default_rng(3)
    return 1000 + np.cumsum(rng.standard_normal(n) * (1 + 2 * (np.sin(np.arange(n) / 30) > 0)))


def with_intervals(table: pd.DataFrame, model: str, width: float) -> pd.DataFrame:
    """Put intervals around the forecasts of one model."""
    own = table["model"] == model
    for level, factor in ((80, 1.3), (95, 2.0)):
        for end, sign in (("lo", -1), ("hi", 1)):
            table[f"{end}_{level}"] = np.where(own, table["y_hat"] + sign * factor * width, np.nan)
    return table


@cache
def series_table(others: tuple[str, ...] = ("Drift", "Ridge"), n: int = 260) -> pd.DataFrame:
    """Forecasts of a series by several models."""
    series, rng = closes(n), np.random.default_rng(0)
    noise = np.abs(np.diff(series)).mean()
    quality = {NET: 0.5} | {label: 0.1 + 0.05 * place for place, label in enumerate(others)}
    guesses = {label: series[:-1] + q * noise * rng.standard_normal(n - 1) for label, q in quality.items()}
    return with_intervals(one_step(series, guesses), NET, 2 * noise)


@cache
def series_metrics(
    others: tuple[str, ...] = ("Drift", "Ridge"), leaking: tuple[str, ...] = (), seeds: int = 1, title: str = "A walk"
) -> Metrics:
    """What a run on a series keeps of its evaluation."""
    table = series_table(others)
    leaks = dict.fromkeys(leaking, LEAK)
    by_seed = trainings(table, seeds, PERSISTENCE) if seeds > 1 else None
    found = judge(table, series_facts(2.0), leaks, by_seed)
    return Metrics(
        task="forecast",
        experiment="sp500",
        dataset="sp500",
        title=title,
        unit="index points",
        seed=0,
        seeds=list(range(seeds)),
        model=NET,
        reference=PERSISTENCE,
        leaks=leaks,
        audit=AUDIT,
        validation={"mae": 3.0},
        question=KEPT_NO_FACTS["forecast"][0],
        sections=KEPT_NO_FACTS["forecast"][1],
        **found._asdict(),
    )


@cache
def cell_table(n_cells: int = 6, life: int = 120) -> pd.DataFrame:
    """Forecasts of the remaining life of cells."""
    lives, rng = cells(n_cells, life), np.random.default_rng(1)
    size = {HYBRID: 12.0, "Extra trees": 9.0, CLOCK: 6.0}
    errors = {
        label: {
            cell: reach * rng.standard_normal() * np.linspace(1, 0.05, span) + 0.1 * reach * rng.standard_normal(span)
            for cell, span in lives.items()
        }
        for label, reach in size.items()
    }
    return with_intervals(lived(lives, errors), HYBRID, 12.0)


@cache
def cell_metrics(n_cells: int = 6, leaking: tuple[str, ...] = (), seeds: int = 1, dataset: str = "hnei") -> Metrics:
    """What a run on cells keeps of its evaluation."""
    table, lives = cell_table(n_cells), cells(n_cells, 120)
    leaks = dict.fromkeys(leaking, "rows of one cell are on both sides of the split")
    by_seed = trainings(table[table["model"] != "Extra trees"], seeds, CLOCK) if seeds > 1 else None
    found = judge(table, cell_facts(lives), leaks, by_seed)
    return Metrics(
        task="rul",
        experiment="hnei",
        dataset=dataset,
        title="HNEI cells",
        unit="cycles",
        seed=0,
        seeds=list(range(seeds)),
        model=HYBRID,
        reference=CLOCK,
        lives={cell: float(life) for cell, life in lives.items()},
        leaks=leaks,
        audit=AUDIT,
        validation={"mae": 11.0},
        choices={"augmentation": "identity", "model": "bilstm_hybrid"},
        question=KEPT_NO_FACTS["rul"][0],
        sections=CELL_SECTIONS,
        **found._asdict(),
    )


def leave(folder: Path, metrics: Metrics, table: pd.DataFrame | None = None, artifacts: bool = True) -> Path:
    """Write the files of a run and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_metrics(folder, metrics)
    if table is not None:
        table.to_parquet(folder / "forecasts.parquet", index=False)
    write(folder / "run.json", CARD)
    (folder / "config.yaml").write_text(f"seed: 0\nmodel:\n  label: {metrics.model}\n  hidden: 32\n", encoding="utf-8")
    if artifacts:
        (folder / "artifacts").mkdir(exist_ok=True)
        (_of_series if metrics.question.kind == SERIES else _of_cells)(folder / "artifacts")
    return folder


def series_run(folder: Path, others: tuple[str, ...] = ("Drift", "Ridge"), artifacts: bool = True) -> Path:
    """Write what a run of many models on one series leaves."""
    return leave(folder, series_metrics(others), series_table(others), artifacts)


def cell_run(folder: Path, n_cells: int = 6) -> Path:
    """Write what a run on unseen cells leaves."""
    return leave(folder, cell_metrics(n_cells), cell_table(n_cells))


def write(path: Path, content: object) -> None:
    """Write JSON."""
    path.write_text(json.dumps(content), encoding="utf-8")


def change(folder: Path, **entries: Any) -> None:
    """Change entries of the metrics.json of a folder."""
    path = folder / "metrics.json"
    write(path, json.loads(path.read_text(encoding="utf-8")) | entries)


AUDIT: dict[str, Any] = {
    "verdict": "causal",
    "sentence": "causal: 240 rows of split, decomposition, scaling did not change by a bit",
    "stages": [
        {"stage": stage, "verdict": "causal", "checked": 60, "changed": 0, "detail": "nothing changes"}
        for stage in ("split", "decomposition", "scaling")
    ],
    "expected": [],
    "seconds": 4.2,
}
CARD: dict[str, Any] = {
    "python": "3.11.7",
    "platform": "Linux",
    "cores": 2,
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
    "commit": "2c3cf50b1d",
    "uncommitted_changes": False,
    "seeds": [0],
    "data": {"name": "x", "rows": 5031, "sha256": "47a1c625e2ff0493"},
    "seconds": {f"{NET}, by time": 153.4, "SVR, by time": 2.2},
    "command": "python train.py experiment=sp500 seed=0",
}


def epochs(n: int, held_out: bool = True) -> list[dict[str, float]]:
    """Losses of a training."""
    return [
        {"epoch": k, "train/loss": 0.9 * 0.7**k + 0.1}
        | ({"val/loss": 0.9 * 0.72**k + 0.12 + 0.004 * k} if held_out else {})
        for k in range(n)
    ]


def attention(names: Sequence[str], at: Any, lags: int = 12) -> pd.DataFrame:
    """Weights of every lag at every origin."""
    rng = np.random.default_rng(2)
    parts = []
    for name in names:
        weights = np.exp(-0.2 * np.arange(lags) + 0.4 * rng.standard_normal((len(at), lags)))
        rows = {
            "name": name,
            "unique_id": "s",
            "ds": np.repeat(np.asarray(at), lags),
            "lag": np.tile(np.arange(lags), len(at)),
        }
        parts.append(pd.DataFrame(rows | {"weight": (weights / weights.sum(axis=1, keepdims=True)).ravel()}))
    return pd.concat(parts, ignore_index=True)


def _of_series(folder: Path) -> None:
    rest, columns = closes(), {}
    for number, width in enumerate((3, 9, 27), start=1):
        smooth = np.convolve(np.pad(rest, width, mode="edge"), np.ones(2 * width + 1) / (2 * width + 1), "valid")
        columns[f"c{number}"], rest = rest - smooth, smooth
    dates = pd.bdate_range("2024-01-01", periods=rest.size)
    pd.DataFrame({"ds": dates, **columns, "c4": rest}).to_parquet(folder / "components.parquet", index=False)
    attention(("component 1", "component 2"), dates[-60:]).to_parquet(folder / "attention.parquet", index=False)
    write(folder / "losses.json", dict.fromkeys((NET, "MLP", "LSTM"), epochs(25)))


def _of_cells(folder: Path) -> None:
    rng = np.random.default_rng(1)
    taus = rng.uniform(-1, 1, 20)
    factors = [{"factor": f"voltage mean {k}", "kendall_tau": t, "importance": abs(t) / 2} for k, t in enumerate(taus)]
    write(folder / "factors.json", factors)
    table = [
        {
            "n_clusters": k,
            "fpc": 1 / k + 0.1,
            "silhouette": 0.5 - 0.03 * k,
            "calinski_harabasz": 900.0 - 20 * (k - 3) ** 2,
        }
        for k in range(2, 8)
    ]
    write(folder / "clusters.json", {"table": table, "chosen": 3})
    looks = [{"step": 50 * k, "critic_loss": -1.0 / k, "mmd": 0.3 / k + 0.012 * k} for k in range(1, 13)]
    write(folder / "augmentation.json", quality() | {"history": looks})
    waves = [np.sin(np.arange(200) / 2.0**k) for k in range(4)]
    told = {"column": "voltage mean 1", "cell": "c00", "ds": list(range(1, 201))}
    write(folder / "bands.json", told | {"bands": np.array(waves).tolist()})
    write(folder / "autoencoder.json", {"autoencoder": epochs(30, held_out=False)})
    write(folder / "losses.json", {HYBRID: epochs(8)})
    attention(("adaptive",), np.arange(15, 100)).to_parquet(folder / "attention.parquet", index=False)


def quality(conditions: int = 1) -> dict[str, Any]:
    """What ``augmentation_quality`` finds, with one sample far away."""
    rng = np.random.default_rng(4)
    kinds = ("train", "held_out", "synthetic")
    places = {kind: rng.standard_normal((60, 2)) for kind in kinds}
    places["synthetic"][0] = 1e6
    return {
        "mmd": {"synthetic": 0.013, "held_out": 0.011},
        "transfer": {"mae": 31.0, "real mae": 29.0},
        "pca": {kind: points.tolist() for kind, points in places.items()},
        "condition": {kind: (np.arange(60) % conditions).tolist() for kind in kinds},
        "explained": [0.4, 0.2],
        "n": 60,
    }


def old_forecast(path: Path, **entries: Any) -> None:
    """Write a metrics.json of version 1 of a series, as runs left it before versions were counted."""
    numbers: Mapping[str, Any] = {
        "rmse": 4.0, "mape": 0.35, "r2": 0.69, "mase": 1.03, "skill": 0.01, "direction": 0.5, "direction_low": 0.43,
        "direction_high": 0.58, "direction_n": 160, "n": 160, "n_seeds": 2,
    }  # fmt: skip
    scores = [
        {
            "model": NET,
            "mae": 3.3,
            **numbers,
            "p_persistence": 0.87,
            "p_corrected": 0.9,
            "verdict": "same",
            "leaks": True,
        },
        {"model": "Persistence", "mae": 3.4, **numbers, "direction": None, "p_persistence": None, "p_corrected": None}
        | {"verdict": "reference", "leaks": False, "n_seeds": 1},
    ]
    content = {
        "experiment": "smoke",
        "dataset": "synthetic",
        "title": "Synthetic walk",
        "unit": "points",
        "seed": 0,
        "model": NET,
        "notes": [f"{NET} USES THE FUTURE: {LEAK}, so its numbers cannot be had in practice."],
        "validation": {"mae": 3.0},
        "scores": scores,
        "steps": [
            {"model": row["model"], "step": step, **numbers, "mae": 3.0 + step} for row in scores for step in (1, 2)
        ],
        "seeds": [{"model": NET, "seed": seed, "mae": 3.3 + 0.1 * seed, "rmse": 4.0} for seed in (0, 1)]
        + [{"model": "Persistence", "seed": 0, "mae": 3.4, "rmse": 4.0}],
        "coverage": [
            {"model": NET, "part": "all", "level": 80, "n": 160, "missing": 0, "coverage": 0.81, "width": 9.0}
        ],
        "pairwise": [{"model": NET, "other": "Persistence", "difference": -0.1, "p": 0.8, "p_corrected": 0.8}],
        "audit": AUDIT,
        "tests": ["Both models cannot be told from the best."],
    }
    write(path, content | entries)


def old_rul(path: Path, **entries: Any) -> None:
    """Write a metrics.json of version 1 of cells."""
    numbers = {
        "rmse": 40.0, "r2": 0.3, "mape": 60.0, "accuracy_15": 0.27, "bias": -9.0, "mae_scaled": 0.16,
        "rmse_scaled": 0.2, "alpha_lambda": 0.2, "eol_mae": 9.0, "eol_bias": 3.0, "n": 70, "n_cells": 2,
    }  # fmt: skip
    tests = {"difference": 1.0, "difference_low": None, "difference_high": None, "p_clock": None, "p_corrected": None}
    labels = {HYBRID: "untested", "Clock": "reference"}
    content = {
        "job": "life",
        "experiment": "smoke_battery",
        "dataset": "synthetic_cells",
        "title": "Synthetic cells",
        "unit": "cycles",
        "scale": 190.0,
        "lives": {"cell 01": 170.0, "cell 02": 191.0},
        "seed": 0,
        "seeds": [0],
        "model": HYBRID,
        "notes": ["MAPE leaves out 2 rows in which no life is left."],
        "leaks": {},
        "choices": {"augmentation": "identity", "model": "bilstm_hybrid"},
        "validation": {"mae": 23.7},
        "scores": [
            {"model": label, "mae": 30.0, **numbers, **tests, "verdict": verdict, "leaks": False}
            for label, verdict in labels.items()
        ],
        "cells": [
            {"model": label, "unique_id": cell, "life": life, "mae": 30.9, **numbers, "eol": 149.0, "eol_error": 22.0}
            | {"eol_seen": cell == "cell 01"}
            for label in labels
            for cell, life in (("cell 01", 170.0), ("cell 02", 191.0))
        ],
        "stages": [
            {"model": label, "stage": stage, "mae": 20.0, **numbers}
            for label in labels
            for stage in ("early", "middle", "late")
        ],
        "seed_scores": [],
        "coverage": None,
        "audit": AUDIT,
    }
    write(path, content | entries)
