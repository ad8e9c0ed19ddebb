"""Run an experiment from Python: what train.py does, with a DataFrame in the place of a file where one is given."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from pipeline.artifacts import keep_table
from pipeline.library.frames import tidy
from pipeline.run import run
from runtime.compose import composed
from runtime.faults import ConfigError, FolderError
from runtime.overrides import prepared
from runtime.quiet import console, quiet
from runtime.record import finished, open_run

TABLE = "data.parquet"
NAMES = {"time": "ds", "value": "y", "series": "unique_id"}
"""Options of ``source=csv``, and what a table calls these columns."""


def run_here(words: Sequence[str], data: pd.DataFrame | None, folder: Path | None, verbose: bool) -> Path:
    """Run one experiment and return its folder; one that is finished is not run again."""
    data = None if data is None else tidy(data)
    cfg, choices = settings_of(words, data)
    if folder is None:
        folder = Path("outputs") / str(choices["experiment"]) / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    if data is not None:
        folder.mkdir(parents=True, exist_ok=True)
        cfg.source.path = str(folder / TABLE)
        for option, column in NAMES.items():
            cfg.source[option] = column if column in data else None
        _keep(data, folder / TABLE)
    with open_dict(cfg):
        cfg.folder, cfg.resume = str(folder), None
    settled, folder = open_run(cfg)
    if finished(folder) is None:
        quiet()
        run(settled, folder, console() if verbose else Console(quiet=True))
    return folder


def settings_of(words: Sequence[str], data: pd.DataFrame | None) -> tuple[DictConfig, dict[str, str | None]]:
    """Return the configuration that some words stand for, and the choices of its groups.

    Raises
    ------
    ConfigError
        If there is no such choice, or a word is none, or says where a run is kept or several runs.
    """
    for word in words:
        if "=" not in word or word.startswith(("-", "hydra.", "resume=", "sweep=")):
            raise ConfigError(
                f"{word!r} is not a choice or a setting of one run, such as 'model=lstm'.  A folder "
                f"is given as folder=..."
            )
    words = list(words)
    if data is not None and not any(word.startswith(("experiment=", "source=")) for word in words):
        words = ["experiment=csv", *words]
    if data is not None:
        words.append(f"source.path={TABLE}")
    try:
        return composed(prepared(words))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(str(error).split())) from None


def _keep(data: pd.DataFrame, path: Path) -> None:
    """Write the table beside the run that it is for, so that the run can be made again."""
    if not path.exists():
        keep_table(path, data)
    elif not pd.read_parquet(path).equals(data):
        raise FolderError(f"{path.parent} holds a run on another table.  Name another folder.")
