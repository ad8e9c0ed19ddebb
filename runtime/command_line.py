"""What the commands share: where the configuration lies, and how a fault is told."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NoReturn, TypeVar

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runtime.record import ROOT

CONF = str(ROOT / "conf")  # absolute: a relative one fails where the project is installed
PACKAGES = ("data", "models", "evaluation", "pipeline", "report", "runtime", "tasks")
OURS = {ROOT} | {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}

Result = TypeVar("Result")


def folder_of(resume: str | None, fresh: str) -> str:
    """Resolve the run folder: that of the interrupted run, or a fresh one."""
    return str(Path(resume).resolve()) if resume else fresh


def told_in_one_sentence(main: Callable[[DictConfig], Result]) -> Callable[[DictConfig], Result]:
    """Turn a user's fault, a full disk or Ctrl-C into one message and an exit code.

    Anything else is a fault of ours and keeps its traceback.
    """

    @wraps(main)
    def wrapped(cfg: DictConfig) -> Result:
        folder = cfg.get("resume") or cfg.get("folder")
        go_on = f"Go on with: python train.py resume={folder}" if folder else "Then run it again."
        try:
            return main(cfg)
        except KeyboardInterrupt:
            _leave(f"Interrupted; what was finished is kept.  {go_on}", 130)
        except SystemExit as exit_:
            # Lightning turns Ctrl-C into an exit of its own.
            if not isinstance(exit_.__context__, KeyboardInterrupt):
                raise
            _leave(f"Interrupted; what was finished is kept.  {go_on}", 130)
        except OSError as error:
            place = f" at {error.filename}" if error.filename else ""
            told = f"{error.strerror}{place}.  When that is solved: {go_on}" if error.strerror else str(error)
            _leave(f"Error: {told}", 2)
        except ValueError as error:
            if not _is_ours(error):
                raise
            _leave(f"Error: {error}", 2)

    return wrapped


def start(main: Callable[[], object]) -> None:
    """Run a Hydra command; what Hydra itself objects to is told in one message, too.

    Hydra composes the configuration and creates the run folder before our code has a say.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # raise it here, not print its traceback there
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        _leave(f"Error: {error}", 2)
    except OSError as error:
        _leave(
            f"Error: nothing can be written to {error.filename} ({error.strerror}).  Free some space, or name "
            f"another folder with hydra.run.dir=...",
            2,
        )


def _is_ours(error: ValueError) -> bool:
    """Say whether one of our own lines raised it: those messages are written for the user.

    What a worker process raised comes without its lines, but of a type of ours.
    """
    if type(error).__module__.split(".")[0] in PACKAGES:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent in OURS


def _leave(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)
