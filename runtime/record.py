"""What a run leaves behind, so that its numbers can be traced and made again."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runtime.faults import FolderError
from runtime.files import ROOT, write_text
from runtime.kept import are_numbers, entry, is_size, names_to, read_config, read_json, read_text, refuse_unlike
from runtime.settings import defaults

PACKAGES = ["torch", "pytorch-lightning", "numpy", "pandas", "numba", "scikit-learn", "PyWavelets", "hydra-core"]
UNFINISHED = "unfinished"  # folder of parts and checkpoints while a run goes on
FACTS = {
    "data.spacing": is_size,
    "data.change": is_size,
    "data.longest_life": is_size,
    "data.lives": are_numbers,
    "data.covariates": names_to(str),
    "data.medians": names_to((int, float, type(None))),
    "audit.sentence": lambda value: isinstance(value, str),
    "learnt_from": names_to((str, type(None))),
}
"""What a card says of its data, where it does: what predict.py and audit.py reckon with."""
CONFIG, CARD, METRICS, WEIGHTS = "config.yaml", "run.json", "metrics.json", "model.safetensors"


def open_run(composed: DictConfig) -> tuple[DictConfig, Path]:
    """Return what to run and where: the composed configuration, or that of an interrupted run.

    The folder keeps its configuration, so a run goes on under the settings it began with, and no
    two runs share a folder.  Where it computes (``parallel``) is no part of it.

    Raises
    ------
    FolderError
        If the folder cannot be written to, holds another run, or no run where one is to be resumed.
    """
    folder = Path(composed.resume or composed.folder)
    kept = folder / CONFIG
    if composed.resume:
        if not kept.exists():
            raise FolderError(f"resume={folder} is not the folder of a run: there is no {kept}.")
        settings = _complete(read_config(kept))
        settings.parallel = OmegaConf.create(OmegaConf.to_container(composed.parallel, resolve=True))
        return settings, folder
    settings = DictConfig(OmegaConf.to_container(composed, resolve=True))
    for name in ("folder", "resume", "tracking"):  # the last has addresses, which no kept configuration may have
        settings.pop(name, None)
    open_folder(folder / UNFINISHED)
    if kept.exists():
        if _settled(_complete(read_config(kept))) != _settled(settings):
            raise FolderError(f"{folder} holds a run with other settings.  Name another folder with hydra.run.dir=...")
    else:
        write_text(kept, OmegaConf.to_yaml(settings))
    return settings, folder


def _complete(kept: DictConfig) -> DictConfig:
    """Return a kept configuration with the settings that have been added since, as they were without them."""
    return DictConfig({**{name: value for name, value in defaults().items() if name not in kept}, **kept})


def _settled(settings: DictConfig) -> dict[str, Any]:
    from runtime.sweep import WHERE  # Hydra, which reading a finished run does not need

    return {str(name): value for name, value in settings.items() if name not in WHERE}


def same_data(folder: Path, digest: str) -> None:
    """Remember what data a run began with, and refuse to go on with others.

    Raises
    ------
    FolderError
        If the data have changed since the run was interrupted.
    """
    kept = folder / UNFINISHED / "data.sha256"
    if kept.exists() and read_text(kept, 1000) != digest:
        raise FolderError(
            f"The data have changed since the run in {folder} was interrupted, and its finished parts are of the "
            f"old ones.  Restore the data, or start a new run."
        )
    write_text(kept, digest)


def load_run(folder: Path) -> tuple[DictConfig, dict[str, Any]]:
    """Return the configuration and the run card of a finished run: settled text, and the work is done here.

    Raises
    ------
    FolderError
        If the folder holds none, or what it holds was not written by a run.
    """
    if finished(folder) is None:
        what = "an unfinished run" if (folder / CONFIG).exists() else "no run"
        raise FolderError(f"run={folder} holds {what}.  Give the folder of a run that has ended.")
    cfg = _complete(read_config(folder / CONFIG))
    cfg.parallel = OmegaConf.create({"_target_": "runtime.parallel.Local"})  # no machines of somebody else's
    card = read_json(folder / CARD)
    entry(card, "data.name", str, folder / CARD)
    entry(card, "data.sha256", str, folder / CARD)
    entry(card, "audit.verdict", str, folder / CARD)
    for key, fits in FACTS.items():
        refuse_unlike(card, key, fits, folder / CARD)
    return cfg, card


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended, or None.

    Raises
    ------
    FolderError
        If they are damaged.
    """
    path = folder / METRICS
    return read_json(path) if path.exists() else None


def tidy(folder: Path) -> None:
    """Remove what only an interrupted run needs."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def open_folder(path: Path) -> Path:
    """Create the folder of a run and prove that it can be written to, before hours are spent.

    Raises
    ------
    FolderError
        If it cannot.
    """
    probe = path / ".writable"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise FolderError(
            f"Nothing can be written to {path} ({error.strerror}).  Free some space, or name another "
            f"folder with hydra.run.dir=..."
        ) from None
    return path


def surroundings() -> dict[str, Any]:
    """Return the versions and the commit a run was made with."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # not a checkout, or no git
    return answer.stdout.strip()
