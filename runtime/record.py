"""What a run leaves behind, so that its numbers can be traced and made again."""

import json
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

PACKAGES = ["torch", "pytorch-lightning", "numpy", "pandas", "numba", "scikit-learn", "PyWavelets", "hydra-core"]
ROOT = Path(__file__).resolve().parents[1]
UNFINISHED = "unfinished"  # folder of parts and checkpoints while a run goes on
WEIGHTS = "model.safetensors"


class FolderError(OSError):
    """A run folder that cannot be written to."""


def open_run(composed: DictConfig) -> tuple[DictConfig, Path]:
    """Return what to run and where: the composed configuration, or that of an interrupted run.

    The folder keeps its configuration, so a run goes on under the settings it began with, and no
    two runs share a folder.

    Raises
    ------
    FolderError
        If the folder cannot be written to, holds another run, or no run where one is to be resumed.
    """
    folder = Path(composed.resume or composed.folder)
    kept = folder / "config.yaml"
    if composed.resume:
        if not kept.is_file():
            raise FolderError(f"resume={folder} is not the folder of a run: there is no {kept}.")
        settings: Any = OmegaConf.load(kept)
    else:
        settings = OmegaConf.create(OmegaConf.to_container(composed, resolve=True))
        del settings.folder, settings.resume
        open_folder(folder / UNFINISHED)
        if kept.exists() and OmegaConf.load(kept) != settings:
            raise FolderError(f"{folder} holds a run with other settings.  Name another folder with hydra.run.dir=...")
        write_text(kept, OmegaConf.to_yaml(settings))
    return settings, folder


def same_data(folder: Path, digest: str) -> None:
    """Remember what data a run began with, and refuse to go on with others.

    Raises
    ------
    FolderError
        If the data have changed since the run was interrupted.
    """
    kept = folder / UNFINISHED / "data.sha256"
    if kept.exists() and kept.read_text(encoding="utf-8") != digest:
        raise FolderError(
            f"The data have changed since the run in {folder} was interrupted, and its finished parts are of the "
            f"old ones.  Restore the data, or start a new run."
        )
    write_text(kept, digest)


def load_run(folder: Path) -> tuple[DictConfig, dict[str, Any]]:
    """Return the configuration and the run card of a finished run.

    Raises
    ------
    FolderError
        If the folder holds none.
    """
    if finished(folder) is None:
        what = "an unfinished run" if (folder / "config.yaml").exists() else "no run"
        raise FolderError(f"run={folder} holds {what}.  Give the folder of a run that has ended.")
    cfg: Any = OmegaConf.load(folder / "config.yaml")
    card: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return cfg, card


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended, or None."""
    path = folder / "metrics.json"
    if not path.exists():
        return None
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return metrics


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


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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
