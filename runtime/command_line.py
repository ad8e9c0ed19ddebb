"""What the commands share: how they are started, and how a fault is told.

Importing this is cheap, so that ``--help`` and a mistyped option are answered at once: torch, Lightning and
pandas are imported by the commands, once it is clear that there is work.
"""

import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runtime.faults import is_ours, meant, printable, shown
from runtime.job_log import said_in
from runtime.overrides import Usage, parse, prepared
from runtime.parallel import end_with_parent
from runtime.settings import CONF, groups
from runtime.sweep import (
    OUTPUT,
    NotRepeated,
    folder_name,
    job_began,
    job_ended,
    job_failed,
    job_not_repeated,
    running_sweep,
    sweep_folder,
)

__all__ = ["CONF", "Usage", "folder_of", "run_command", "start", "told_in_one_sentence"]

FAULT, INTERRUPTED, TERMINATED = 2, 130, 143  # exit codes; the last two are what a shell makes of the signals

Result = TypeVar("Result")

_typed: list[str] = []  # behind train.py, before Hydra's grammar was served


class Terminated(BaseException):
    """SIGTERM: a scheduler wants the machine back."""


def folder_of(resume: str | None, fresh: str) -> str:
    """Resolve the run folder: that of the interrupted run, or a fresh one."""
    return str(Path(resume).resolve()) if resume else fresh


OmegaConf.register_new_resolver("folder_of", folder_of, replace=True)
OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)


def start(main: Callable[[], object]) -> NoReturn:
    """Run a Hydra command; what Hydra itself objects to is told in one message, too.

    Hydra composes the configuration and creates the run folder before our code has a say.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # raise it here, not print its traceback there
    _typed[:] = sys.argv[1:]
    _heed_sigterm()
    try:
        sys.argv[1:] = prepared(_typed)
        main()
    except (HydraException, OmegaConfBaseException) as error:
        _leave(f"Error: {_of_hydra(error)}", FAULT)
    except (Exception, KeyboardInterrupt, Terminated) as error:
        if isinstance(error, OSError) and not is_ours(error):
            place = "Free some space, or name another folder with hydra.run.dir=..."
            _leave(f"Error: nothing can be written to {error.filename} ({error.strerror}).  {place}", FAULT)
        _tell(error, _go_on(None))
    raise SystemExit(0)


def run_command(main: Callable[[DictConfig], int | None], usage: Usage, words: Sequence[str] | None = None) -> NoReturn:
    """Run a command that takes ``key=value`` in Hydra's grammar: predict.py, audit.py.

    Parameters
    ----------
    main : callable
        Gets what was given, and returns the exit code.
    words : sequence
        What was typed; None takes the command line.
    """
    _heed_sigterm()
    try:
        code = main(parse(sys.argv[1:] if words is None else words, usage))
    except (Exception, KeyboardInterrupt, Terminated) as error:
        _tell(error, "Then run it again.")
    raise SystemExit(code or 0)


def told_in_one_sentence(main: Callable[[DictConfig], Result]) -> Callable[[DictConfig], Result | None]:
    """Turn a user's fault, a full disk, Ctrl-C or SIGTERM into one message and an exit code.

    Anything else is a fault of ours and keeps its traceback.  In a sweep a fault is recorded in the folder of
    the job, and the sweep goes on.
    """

    @wraps(main)
    def wrapped(cfg: DictConfig) -> Result | None:
        folder, sweep = cfg.get("resume") or cfg.get("folder"), sweep_folder()
        if sweep is not None:
            return _as_job(main, cfg, Path(folder), sweep)
        try:
            return main(cfg)
        except (Exception, KeyboardInterrupt, Terminated, SystemExit) as error:
            _tell(error, _go_on(folder))

    return wrapped


def _as_job(main: Callable[[DictConfig], Result], cfg: DictConfig, folder: Path, sweep: Path) -> Result | None:
    """Run a job of a sweep: what it says is kept, what becomes of it is recorded, and a fault ends nothing else."""
    alone = parent_process() is not None  # a job in a process of its own
    if alone:
        _heed_sigterm()
        end_with_parent()  # else it would work on in a folder that the same command, given again, works in
    try:
        job = job_began(folder)
        with said_in(folder / OUTPUT, aloud=not alone):
            result = _recorded(main, cfg, job, alone)
    except OSError as error:  # the folder of the job cannot be written to
        _tell(error, _go_on(str(folder)))
    job_ended(sweep, job)
    return result


def _recorded(main: Callable[[DictConfig], Result], cfg: DictConfig, job: dict[str, Any], alone: bool) -> Result | None:
    try:
        return main(cfg)
    except NotRepeated as same:
        print(same)
        job_not_repeated(job, same.other)
    except (Exception, KeyboardInterrupt, Terminated, SystemExit) as error:
        code = _signal_of(error)
        if (code and not (alone and code == TERMINATED)) or isinstance(error, SystemExit):
            _tell(error, _go_on(job["folder"]))
        told = "Terminated; what was finished is kept." if code else sentence(error, "")
        if told is None:
            traceback.print_exception(error)
            told = f"{type(error).__name__}: {error}"
        print(printable(f"Error: {told}"), file=sys.stderr)
        job_failed(job, error, told)
    return None


def sentence(error: BaseException, go_on: str) -> str | None:
    """Return what a user is told of a fault of theirs or their machine's, or None for one of ours."""
    if isinstance(error, OSError) and error.strerror:
        place = f" at {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}.  {'When that is solved: ' * bool(go_on)}{go_on}".strip()
    if type(error).__name__ == "TerminatedWorkerError":  # joblib's, which need not be imported
        return f"The process of a job was killed, most likely because the memory did not suffice.  {go_on}".strip()
    if isinstance(error, MemoryError):
        return f"The memory is not enough ({error}).  Take a smaller batch_size, model or part of the data."
    if isinstance(error, OmegaConfBaseException) and str(error).startswith("Missing key"):
        return f"The configuration lacks {getattr(error, 'full_key', None) or str(error).split()[2]}."
    if isinstance(error, OmegaConfBaseException):
        return f"The configuration cannot be used: {' '.join(str(error).split())}"
    return str(error) if is_ours(error) or isinstance(error, OSError) else None


def _tell(error: BaseException, go_on: str) -> NoReturn:
    """End the command with one message, or with the traceback of a fault of ours."""
    code = _signal_of(error)
    if code:
        _stop_workers()
        word = "Terminated" if code == TERMINATED else "Interrupted"
        _leave(f"{word}; what was finished is kept.  {go_on}", code)
    told = None if isinstance(error, SystemExit) else sentence(error, go_on)
    if told is None:
        raise error
    _leave(f"Error: {told}", FAULT)


def _signal_of(error: BaseException) -> int:
    """Return the exit code of a signal that ended a command, or 0; Lightning turns Ctrl-C into an exit of its own."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return TERMINATED if isinstance(cause, Terminated) else INTERRUPTED * isinstance(cause, KeyboardInterrupt)


def _heed_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: what is finished is kept, and said to be.  A second one kills."""

    def raised(number: int, frame: Any) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, raised)


def _stop_workers() -> None:
    """Kill the processes that work for this one: they may be in the middle of something long."""
    if "multiprocessing.process" in sys.modules:
        from multiprocessing import active_children

        for child in active_children():
            if child.pid is not None:  # a child of loky has no kill() of its own
                os.kill(child.pid, signal.SIGKILL)


def _go_on(folder: str | None) -> str:
    """Say with what command an interrupted one goes on: the sweep it belongs to, or the run."""
    sweep = running_sweep()
    if sweep is not None:
        words = [word for word in _typed if not word.startswith("hydra.sweep.dir=")]
        return f"Go on with: python train.py {shlex.join([*words, f'hydra.sweep.dir={sweep}'])}"
    return f"Go on with: python train.py {shlex.join([f'resume={folder}'])}" if folder else "Then run it again."


def _of_hydra(error: Exception) -> str:
    """Return what Hydra objects to, with the key that was meant and without advice to add a wrong one."""
    cause = error.__cause__
    parent, key = getattr(cause, "parent_node", None), getattr(cause, "key", None)
    if key in groups():
        return f"No {key} is chosen, so nothing can be set below it: add {key}=..., a choice of conf/{key}."
    if isinstance(parent, DictConfig) and key is not None:
        return f"{getattr(cause, 'full_key', key)} is not there.  {meant(str(key), map(str, parent))}".strip()
    return " ".join(shown(line.strip()) for line in str(error).splitlines() if line.strip())


def _leave(message: str, code: int) -> NoReturn:
    print(printable(message), file=sys.stderr)
    sys.stdout.flush()
    raise SystemExit(code)
