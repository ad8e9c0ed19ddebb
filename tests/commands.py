"""The commands of the project, run as a person would: in this process, or in one of their own."""

import contextlib
import importlib
import io
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from hydra.core.global_hydra import GlobalHydra

from tests.conftest import ROOT


class Done(NamedTuple):
    """What a command left on the screen."""

    returncode: int
    stdout: str
    stderr: str


def run(name: str, *arguments: str, cwd: Path = ROOT, cache: Path | None = None) -> Done:
    """Run a command in this process: its imports, a second or five, are paid once for all tests."""
    words = list(arguments)
    module = importlib.import_module(name.removesuffix(".py"))
    if name == "train.py":
        return in_this_process(lambda: module.start(module.main), ROOT / name, words, cwd, cache)
    if name == "compare.py":
        return in_this_process(lambda: module.main(words), ROOT / name, words, cwd, cache)
    return in_this_process(lambda: module.run_command(module.main, module.USAGE, words), ROOT / name, words, cwd, cache)


def in_this_process(
    main: Callable[[], int | None], script: Path, words: Sequence[str], cwd: Path = ROOT, cache: Path | None = None
) -> Done:
    """Call what a script does as if it had been started with these words, and leave this process as it was."""
    out, err = io.StringIO(), io.StringIO()
    kept = sys.argv, os.getcwd(), dict(os.environ), logging.root.handlers[:], logging.root.level
    threads = torch.get_num_threads()
    if cache is not None:
        os.environ["MODECAST_CACHE"] = str(cache)
    code = 0
    try:
        sys.argv = [str(script), *words]
        os.chdir(cwd)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = lambda *told: err.write(warnings.formatwarning(*told[:4]))
            try:
                code = main() or 0
            except SystemExit as exit_:
                code = exit_.code if isinstance(exit_.code, int) else 1
            except Exception:
                traceback.print_exc()
                code = 1
    finally:
        sys.argv, folder, environment, logging.root.handlers, level = kept
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        logging.root.setLevel(level)
        GlobalHydra.instance().clear()
        torch.set_num_threads(threads)
    return Done(code, out.getvalue(), err.getvalue())


def stopped_at_a_checkpoint(folder: Path, how: signal.Signals, *arguments: str) -> Done:
    """Start a run, in one process, and stop it once its first checkpoint is written."""
    line = [sys.executable, str(ROOT / "train.py"), *arguments, "parallel.n_jobs=1", f"hydra.run.dir={folder}"]
    started = subprocess.Popen(
        line,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    for _ in range(2400):
        if list(folder.glob("unfinished/*.ckpt")) or started.poll() is not None:
            break
        time.sleep(0.05)
    started.send_signal(how)
    try:
        out, err = started.communicate(timeout=120)
    finally:
        started.kill()
    return Done(started.returncode, out, err)


def heed_ctrl_c() -> None:
    """Undo what a shell does to a command in the background: it would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
