"""What a run leaves behind, so that its numbers can be traced and made again."""

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ["torch", "pytorch-lightning", "numpy", "pandas", "numba", "scikit-learn", "PyWavelets", "hydra-core"]
ROOT = Path(__file__).resolve().parents[1]


class FolderError(OSError):
    """A run folder that cannot be written to."""


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
        return None                     # not a checkout, or no git
    return answer.stdout.strip()
