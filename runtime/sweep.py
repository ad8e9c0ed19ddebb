"""Sweeps: a run's folder follows from its settings, and a job that fails does not end the others.

A run is its resolved configuration.  So a grid that is extended, reordered or cut short goes on: what is
finished is found again in the folder of the same name, whatever the number of the job.
"""

import contextlib
import copy
import hashlib
import json
import math
import os
import re
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from runtime.faults import FolderError, printable
from runtime.files import write_json
from runtime.kept import read_json
from runtime.processes import ended, this_process
from runtime.progress import Lines

FAILURE = "failure.json"
LOG = "sweep.jsonl"
OUTPUT = "log.txt"  # what a job has said, in its folder
RUNNING = "running.json"  # which process works on it, while it does
VERDICTS = "audits"  # folder of what audits have proved, for runs that differ by the seed alone
FAILED = 1  # exit code of a sweep of which a job has failed
KINDS = ("finished", "finished before", "not repeated", "failed")  # what becomes of a job
WHERE = ("parallel",)  # settings that change where a run computes, and not what

LOOK = 1.0  # [s] between two looks at what has ended

_SWEEP = "MODECAST_SWEEP"  # variable that tells a job, in whatever process, of which sweep it is


class NotRepeated(Exception):
    """A job would do again what another does: nothing in it follows from chance, so its seed changes nothing.

    Parameters
    ----------
    other : Path
        The folder of the other.
    """

    def __init__(self, other: Path) -> None:
        super().__init__(f"Chance has no part in this run: {other} is the same.")
        self.other = other


def identity(settings: DictConfig) -> str:
    """Return a name that changes with every setting of a run but the seed, and where it computes."""
    rest = copy.deepcopy(settings)
    with open_dict(rest):
        for name in ("hydra", "folder", "resume", "tracking"):
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


def of_all_seeds(settings: DictConfig) -> tuple[Path, str] | None:
    """Return where runs that differ by the seed alone share what was proved, and their identity; None: no sweep."""
    sweep = sweep_folder()
    return None if sweep is None else (sweep / VERDICTS / f"{identity(settings)}.json", identity(settings))


def follows_seed(settings: DictConfig) -> bool:
    """Say whether a setting besides ``seed`` changes with it, such as ``feature.seed: ${seed}``."""
    contents = []
    for more in (0, 1):
        changed = copy.deepcopy(settings)
        with open_dict(changed):
            for name in ("hydra", "folder", "resume", "tracking"):
                changed.pop(name, None)
            changed.seed = settings.seed + more
        plain = OmegaConf.to_container(changed, resolve=True)
        assert isinstance(plain, dict)
        contents.append({name: value for name, value in plain.items() if name != "seed"})
    return contents[0] != contents[1]


def refuse_to_repeat(folder: Path) -> None:
    """Do nothing, unless a run that differs from this job by its seed alone has ended or is at work.

    Raises
    ------
    NotRepeated
        Naming the folder of the other.
    """
    for other in sorted(folder.parent.glob("seed-*")):
        if other.name == folder.name:
            continue
        if (other / "metrics.json").exists() or _at_work(other, folder):
            raise NotRepeated(other)


def _at_work(other: Path, folder: Path) -> bool:
    """Say whether another job is at work, and began before this one."""
    try:
        theirs, own = (read_json(path / RUNNING) for path in (other, folder))
        return not ended(theirs["process"]) and (theirs["began"], other.name) < (own["began"], folder.name)
    except (FolderError, KeyError):
        return False


def job_began(folder: Path) -> dict[str, Any]:
    """Return what is known of a job before it starts."""
    (folder / FAILURE).unlink(missing_ok=True)
    done = (folder / "metrics.json").exists()
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    write_json(folder / RUNNING, {"process": this_process(), "began": began})
    return {"folder": str(folder), "outcome": "finished before" if done else "finished", "began": began}


def job_failed(job: dict[str, Any], error: BaseException, said: str) -> None:
    """Record why a job has failed in its folder."""
    job |= {"outcome": "failed", "said": said}
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    lines = traceback.format_exception(error)
    write_json(folder / FAILURE, {"error": said, "type": type(error).__name__, "traceback": "".join(lines)})


def job_not_repeated(job: dict[str, Any], other: Path) -> None:
    """Record that another job is the same, and leave no folder that looks like a run."""
    job |= {"outcome": "not repeated", "said": f"chance has no part; {other.name} is the same"}
    folder = Path(job["folder"])
    shutil.rmtree(folder / "unfinished", ignore_errors=True)
    for name in ("config.yaml", RUNNING, OUTPUT):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def job_ended(sweep: Path, job: dict[str, Any]) -> None:
    """Add a job to the log of its sweep."""
    began = job.pop("began")
    (Path(job["folder"]) / RUNNING).unlink(missing_ok=True)
    line = job | {"sweep": os.environ.get(_SWEEP, ""), "seconds": round(time.time() - began, 1)}
    with (sweep / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")  # one write: jobs side by side share the file


class Outcomes(Callback):
    """Tell at the end of a sweep what became of every job."""

    folder: ClassVar[Path | None] = None
    """Of the sweep that is going on."""

    teller: ClassVar["Teller | None"] = None
    """What says how far it is; kept by the class, for a callback travels to the jobs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give the sweep a name its jobs can log under, in whatever process they run."""
        os.environ[_SWEEP] = f"{os.getpid()}-{time.time_ns()}"
        Outcomes.folder = Path(str(config.hydra.sweep.dir))
        seeds_last(config)
        if "basic" not in str(config.hydra.launcher.get("_target_", "")):  # whose jobs speak for themselves
            Outcomes.teller = Teller(Outcomes.folder, os.environ[_SWEEP], how_many(config))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, and every failure with its sentence.

        Raises
        ------
        SystemExit
            If a job has failed.
        """
        folder, Outcomes.folder = Path(str(config.hydra.sweep.dir)), None
        if Outcomes.teller is not None:
            Outcomes.teller.stop()
        jobs = outcomes(folder, os.environ.pop(_SWEEP, ""))
        if not jobs:
            return
        print_outcomes(folder, jobs)
        if any(job["outcome"] == "failed" for job in jobs):
            raise SystemExit(FAILED)


def seeds_last(config: DictConfig) -> None:
    """Let the seed vary slowest: runs that differ by it alone then find a verdict, where they would wait for it."""
    words = [str(word) for word in config.hydra.overrides.task]
    params = dict(config.hydra.sweeper.get("params") or {})
    typed = [word for word in words if word.startswith("seed=")]
    seeds = typed[-1].partition("=")[2] if typed else params.get("seed")
    if seeds is None:
        return
    others = {key: value for key, value in params.items() if key != "seed"}
    with open_dict(config.hydra):
        config.hydra.overrides.task = [word for word in words if word not in typed]
        config.hydra.sweeper.params = {"seed": seeds, **others}


def how_many(config: DictConfig) -> int:
    """Return the number of jobs of a sweep."""
    words = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*words, *map(str, config.hydra.overrides.task)])
    values = {one.key_or_group: len(list(one.sweep_iterator())) for one in parsed if one.is_discrete_sweep()}
    return math.prod(values.values())


class Teller:
    """Say how far a sweep is whose jobs run elsewhere: a line a job on a terminal, else a line a minute.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    sweep : str
        The name its jobs log under.
    total : int
        Number of jobs.
    """

    def __init__(self, folder: Path, sweep: str, total: int) -> None:
        self.folder, self.sweep, self.total = folder, sweep, total
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say no more."""
        self._over.set()
        self._thread.join()

    def _tell(self) -> None:
        told, lines = 0, Lines("sweep", self.total)
        while not self._over.wait(LOOK):
            jobs = outcomes(self.folder, self.sweep)
            failed = sum(job["outcome"] == "failed" for job in jobs)
            if not sys.stderr.isatty():
                lines.at(len(jobs), " jobs" + f", {failed} failed" * bool(failed))
                continue
            for number, job in enumerate(jobs[told:], start=told + 1):
                said = f"[{number}/{self.total}] {job['outcome']}: {_below(self.folder, job)}, {job['seconds']} s"
                print(printable(said), file=sys.stderr, flush=True)
            told = len(jobs)


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
    counts = {kind: sum(job["outcome"] == kind for job in jobs) for kind in KINDS}
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
