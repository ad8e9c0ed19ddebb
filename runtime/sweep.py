"""Sweeps: a run's folder follows from its settings, and a job that fails does not end the others.

A run is its resolved configuration.  So a grid that is extended, reordered or cut short goes on: what is
finished is found again in the folder of the same name, whatever the number of the job.
"""

import copy
import hashlib
import json
import os
import re
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from runtime.faults import printable
from runtime.files import write_json

FAILURE = "failure.json"
LOG = "sweep.jsonl"
FAILED = 1  # exit code of a sweep of which a job has failed
WHERE = ("parallel",)  # settings that change where a run computes, and not what

_SWEEP = "MODECAST_SWEEP"  # variable that tells a job, in whatever process, of which sweep it is


def identity(settings: DictConfig) -> str:
    """Return a name that changes with every setting of a run but the seed, and where it computes."""
    rest = copy.deepcopy(settings)
    with open_dict(rest):
        for name in ("hydra", "folder", "resume"):
            rest.pop(name, None)
        rest.seed = 0
    plain = OmegaConf.to_container(rest, resolve=True)
    assert isinstance(plain, dict)
    content = {name: value for name, value in plain.items() if name not in ("seed", *WHERE)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]


def folder_name(*, _root_: DictConfig) -> str:
    """Resolve the folder of a job within its sweep: what is swept, a hash of all settings, the seed.

    The words may differ from call to call (``lookback=10`` alone, then ``lookback=10,20``); the hash does not,
    and a folder that has it is used again.
    """
    own = identity(_root_)
    sweep = Path(str(_root_.hydra.sweep.dir))
    before = sorted(path.name for path in sweep.glob(f"*_{own}"))
    name = before[0] if before else f"{_label(_root_.hydra)}_{own}"
    return f"{name}/seed-{_root_.seed}"


def _label(hydra: DictConfig) -> str:
    fixed = {"seed", *hydra.job.config.override_dirname.exclude_keys}
    parts = []
    for word in hydra.overrides.task:
        key, _, value = str(word).lstrip("+~").partition("=")
        if key not in fixed:
            parts.append(f"{re.split('[./@]', key)[-1]}-{value}")
    words = "_".join(parts) or str(hydra.runtime.choices.get("model", "run"))
    return re.sub(r"[^\w.+-]+", "-", words, flags=re.ASCII)[:80].strip("-") or "run"


def sweep_folder() -> Path | None:
    """Return the folder of the sweep this process runs a job of, or None."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir)


def running_sweep() -> Path | None:
    """Return the folder of the sweep this process has started or runs a job of, or None."""
    return Outcomes.folder or sweep_folder()


def job_began(folder: Path) -> dict[str, Any]:
    """Return what is known of a job before it starts."""
    (folder / FAILURE).unlink(missing_ok=True)
    done = (folder / "metrics.json").exists()
    return {"folder": str(folder), "outcome": "finished before" if done else "finished", "began": time.time()}


def job_failed(job: dict[str, Any], error: BaseException, said: str) -> None:
    """Record why a job has failed in its folder."""
    job |= {"outcome": "failed", "said": said}
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    lines = traceback.format_exception(error)
    write_json(folder / FAILURE, {"error": said, "type": type(error).__name__, "traceback": "".join(lines)})


def job_ended(sweep: Path, job: dict[str, Any]) -> None:
    """Add a job to the log of its sweep."""
    began = job.pop("began")
    line = job | {"sweep": os.environ.get(_SWEEP, ""), "seconds": round(time.time() - began, 1)}
    with (sweep / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")  # one write: jobs side by side share the file


class Outcomes(Callback):
    """Tell at the end of a sweep what became of every job."""

    folder: ClassVar[Path | None] = None
    """Of the sweep that is going on."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give the sweep a name its jobs can log under, in whatever process they run."""
        os.environ[_SWEEP] = f"{os.getpid()}-{time.time_ns()}"
        Outcomes.folder = Path(str(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, and every failure with its sentence.

        Raises
        ------
        SystemExit
            If a job has failed.
        """
        folder, Outcomes.folder = Path(str(config.hydra.sweep.dir)), None
        jobs = outcomes(folder, os.environ.pop(_SWEEP, ""))
        if not jobs:
            return
        print_outcomes(folder, jobs)
        if any(job["outcome"] == "failed" for job in jobs):
            raise SystemExit(FAILED)


def outcomes(folder: Path, sweep: str) -> list[dict[str, Any]]:
    """Return the jobs of one call of a sweep, in the order in which they ended."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [job for line in lines if (job := json.loads(line))["sweep"] == sweep]


def print_outcomes(folder: Path, jobs: list[dict[str, Any]]) -> None:
    """Print one line a job, and below them the sentences of those that have failed."""
    from rich.markup import escape
    from rich.table import Table

    from runtime.quiet import console

    out = console()
    counts = {kind: sum(job["outcome"] == kind for job in jobs) for kind in ("finished", "finished before", "failed")}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    out.print(f"{len(jobs)} jobs in {escape(str(folder))}: {told}", highlight=False, soft_wrap=True)
    table = Table()
    for column in ("job", "outcome", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for job in jobs:
        style = "red" if job["outcome"] == "failed" else None
        table.add_row(escape(_below(folder, job)), job["outcome"], f"{job['seconds']:.1f}", style=style)
    out.print(table)
    for job in jobs:
        if job["outcome"] == "failed":
            said = f"Failed: {escape(_below(folder, job))}: {escape(printable(job['said']))}"
            out.print(said, style="red", highlight=False, soft_wrap=True)
    if counts["failed"]:
        again = f"The same command with hydra.sweep.dir={escape(str(folder))} goes on with what is missing."
        out.print(again, highlight=False, soft_wrap=True)


def _below(folder: Path, job: dict[str, Any]) -> str:
    return os.path.relpath(job["folder"], folder)
