"""The experiments that repeat the two papers, and what can be swapped in them."""

import os
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from data.contracts import TEST, TRAIN
from pipeline.settings import LIVE, check_task
from runtime.build import build, check
from tests.commands import run
from tests.conftest import ROOT

SWAPS = [
    *(f"experiment={name} model={model}" for name in ("hnei_paper", "calce_paper") for model in ("ridge", "bilstm")),
    *(f"experiment={name} model=extra_trees" for name in ("hnei_paper", "calce_paper")),
    *(f"experiment=csi300_paper decomposition={name}" for name in ("identity", "vmd", "modwt", "ceemdan")),
    *(f"experiment={name} scaling=minmax" for name in ("csi300_paper", "csi500_paper")),
    "experiment=hnei_leaky",
    "experiment=calce_leaky",
]


def task_of(cfg):
    check(cfg, LIVE)
    task = build(cfg.task)(cfg)
    check_task(task)
    return task


@pytest.mark.parametrize("words", SWAPS)
def test_a_paper_takes_swaps(configure, words):
    task_of(configure(*words.split()))


@pytest.mark.parametrize("name", ["grid_search", "grid_search_mlp", "grid_search_svr"])
def test_a_grid_of_paper_1_names_keys_that_are_there_and_has_validation_days(configure, name):
    grid = OmegaConf.load(ROOT / "conf" / "sweep" / f"{name}.yaml").hydra.sweeper.params
    for end in (0, -1):
        words = [f"{key}={str(values).split(',')[end]}" for key, values in grid.items()]
        cfg = configure("experiment=csi300_paper", f"sweep={name}", *words)
        task_of(cfg)
        assert cfg.split.validation > 0


def test_the_settings_of_a_paper_are_no_other_method(configure):
    labels = [row.label for row in task_of(configure("experiment=csi300_paper")).candidates()]
    assert labels[0] == "CEEMDAN-CNN-LSTM-AM"


def test_paper_2_is_as_published(configure):
    cfg = configure("experiment=hnei_paper")
    assert (cfg.trainer.max_epochs, cfg.batch_size, cfg.task.train_every, cfg.lookback) == (200, 64, 1, 15)
    steps = cfg.features.steps
    assert (list(steps.rolling.windows), steps.rolling.keep) == ([15, 20], True)
    assert (steps.wavelet_packet.columns, steps.wavelet_packet.wavelet, steps.wavelet_packet.level) == (None, "db4", 3)
    assert (list(steps.codes.autoencoder.hidden), steps.codes.autoencoder.code) == ([1024, 512], 8)
    assert steps.clusters.n_clusters == 3
    gan = cfg.augmentation.generator
    assert (gan.noise, gan.batch_size, gan.epochs, gan.max_steps, gan.critic_steps) == (100, 128, 1000, None, 2)
    assert (gan.penalty, gan.lr, list(gan.betas)) == (10.0, 2e-4, [0.5, 0.9])
    assert (cfg.augmentation.n_per_condition, cfg.augmentation.labels) == (200, "median")
    assert (cfg.split.test, cfg.split.validation, cfg.source.cycle_index) == (0.2, 0.0, True)
    assert (cfg.task.filter, cfg.task.start, cfg.task.before_split, cfg.refit) == ("none", "birth", True, "none")
    assert set(cfg.expected_leaks) == {"split", "covariates", "features", "augmentation"}


SMALL = ["experiment=smoke_battery", "source.n_cells=4", "features=factors", "model=ridge", "baselines=none"]
SMALL += ["task.start=birth", "task.tested_from=[]", "split.folds=2", "split.validation=0"]


def test_what_is_made_before_the_split_has_learnt_from_tested_rows(configure):
    own, leaking = (task_of(configure(*SMALL, f"task.before_split={flag}")) for flag in ("false", "true"))
    panel = own.load(build(own.cfg.source))
    fold = build(own.cfg.split).folds(panel, 1)[0]
    role = np.where(fold.role == TEST, TEST, TRAIN)
    made = [task.prepare(panel, fold, task.candidates()[0]) for task in (own, leaking)]
    means = [next(v for k, v in one.features.state().items() if k.endswith("mean")) for one in made]
    values = panel.frame[list(panel.covariates)]
    np.testing.assert_allclose(means[0], values[role == TRAIN].mean(), rtol=1e-6)
    np.testing.assert_allclose(means[1], values.mean(), rtol=1e-6)
    train = own.select(made[0].windows, fold, TRAIN)
    assert own.synthetic_from(made[0].windows, train) is train
    assert leaking.synthetic_from(made[1].windows, train) is made[1].windows


def test_the_audit_finds_what_was_made_before_the_split(tmp_path):
    words = [*SMALL, "task.before_split=true", "augmentation=jitter", "intervals=none", "parallel.n_jobs=1"]
    done = run("train.py", *words, f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert "LEAKS: features: " in done.stdout.replace("\n", " ")


@pytest.mark.parametrize("name", ["csi300", "csi500"])
def test_there_are_nine_modes_and_a_residue_as_published(configure, name):
    folder = os.environ.get("MODECAST_DATA")
    if folder is None or not (Path(folder) / "index" / f"{name}_close.csv").is_file():
        pytest.skip(f"MODECAST_DATA holds no index/{name}_close.csv")
    cfg = configure(f"experiment={name}_paper")
    panel = build(cfg.source).load()
    components = build(cfg.decomposition)(panel.frame["y"].to_numpy())
    assert components.shape == (10, len(panel.frame))
    assert (np.abs(components).max(axis=1) > 1).all()  # none of zeros


def test_features_that_are_trained_for_long_are_no_leak(tmp_path):
    """The audit trains for two epochs; what the run used is made again with as many as the run had."""
    words = ["experiment=smoke_battery", "source.n_cells=4", "model=ridge", "baselines=none", "task.tested_from=[]"]
    words += ["features=paper2_plain", "features.steps.codes.autoencoder.epochs=3", "task.start=birth"]
    words += ["features.steps.clusters.candidates=[2,3]", "source.life=[60,90]", "source.longest=120"]
    done = run("train.py", *words, "parallel.n_jobs=1", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert "LEAKS" not in done.stdout
