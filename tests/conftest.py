"""Fixtures shared by all tests."""

import gc
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from data.contracts import FloatArray, Panel
from data.panel import validated
from runtime.command_line import CONF, folder_of
from tests import composing

ROOT = Path(CONF).parent
composing.quick()
os.environ["LOKY_MAX_CPU_COUNT"] = (
    "1"  # a worker process imports everything first: those tests that need one ask for it
)
OmegaConf.register_new_resolver("folder_of", folder_of, replace=True)


def pytest_configure() -> None:
    """Collect no garbage while modules are imported and tests are found: hardly any of it goes."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave what is there now out of every later collection."""
    gc.freeze()
    gc.enable()


def choices(group: str) -> list[str]:
    """Every YAML file of a configuration group: a new file is tested without edits here."""
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def composer(folder: Path) -> Callable[..., DictConfig]:
    """Return what composes the configuration that ``python train.py <overrides>`` would run, once for all who ask."""

    def _configure(*overrides: str) -> DictConfig:
        key = overrides, os.environ.get("MODECAST_DATA")
        if key not in composing.kept:
            composing.kept[key] = _composed(*overrides)
        cfg = deepcopy(composing.kept[key])
        cfg.folder = str(folder)
        return cfg

    def _composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(CONF, version_base="1.3"):
            cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
        with open_dict(cfg):
            cfg.hydra.runtime.output_dir = str(folder)
            HydraConfig.instance().set_config(cfg)
            plain = OmegaConf.create(
                {
                    key: OmegaConf.to_container(cfg[key], resolve=True)
                    if isinstance(cfg[key], DictConfig)
                    else cfg[key]
                    for key in cfg
                    if key != "hydra"
                }
            )
        return plain

    return _configure


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose the configuration that ``python train.py <overrides>`` would run."""
    return composer(tmp_path)


@pytest.fixture
def walk() -> FloatArray:
    """A random walk of 300 steps."""
    return 100 + np.cumsum(np.random.default_rng(0).standard_normal(300))


def panel_of(*series: FloatArray) -> Panel:
    """Return a panel of series on business days."""
    parts = [
        pd.DataFrame({"unique_id": f"s{k}", "ds": pd.bdate_range("2020-01-01", periods=len(y)), "y": y})
        for k, y in enumerate(series)
    ]
    return validated(pd.concat(parts), "test", "points")


def data_file(name: str) -> Path:
    """Return a file of the development data, or skip where it is not there."""
    folder = os.environ.get("MODECAST_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"needs {name} in $MODECAST_DATA")
    return Path(folder) / name
