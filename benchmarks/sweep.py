"""A grid of 18 small jobs side by side, one killed and one value bad, against one after another.

``python -m benchmarks.sweep`` runs ``experiment=smoke`` with six models and three seeds.  A seed of -1 fails, the
second job that begins is told to end (SIGTERM), and the same command again does what is missing.  ``--serial`` adds
the grid one job after another.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from runtime.files import ROOT

GRID = ["-m", "experiment=smoke", "sweep=models"]


def main() -> None:
    """Print outcomes, exit codes, CPU seconds and wall time."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--serial", action="store_true", help="also one job after another")
    serial = parser.parse_args().serial
    with TemporaryDirectory() as folder:
        os.environ["MODECAST_CACHE"] = str(Path(folder, "cache"))
        first = measured("side by side, one killed", Path(folder, "grid"), ["seed=0,1,2,-1"], kill=True)
        measured("the same again", Path(folder, "grid"), ["seed=0,1,2,-1"])
        measured("without the bad value", Path(folder, "grid"), ["seed=0,1,2"])
        if serial:
            os.environ["MODECAST_CACHE"] = str(Path(folder, "cache-serial"))
            other = measured("one after another", Path(folder, "serial"), ["seed=0,1,2", "hydra/launcher=basic"])
            print(f"{other / first:.2f} x the CPU time")


def measured(what: str, folder: Path, words: list[str], kill: bool = False) -> float:
    """Run a grid, print what became of it, and return its CPU seconds."""
    began, before = time.perf_counter(), _cpu()
    line = [sys.executable, str(ROOT / "train.py"), *GRID, *words, f"hydra.sweep.dir={folder}"]
    started = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if kill:
        _kill_one(folder, started)
    code = started.wait()
    spent = _cpu() - before
    lines = [json.loads(text) for text in (folder / "sweep.jsonl").read_text().splitlines()]
    own = [job for job in lines if job["sweep"] == lines[-1]["sweep"]]
    counts = ", ".join(f"{n} {outcome}" for outcome, n in Counter(job["outcome"] for job in own).items())
    done = len(list(folder.rglob("metrics.json")))
    print(
        f"{what}: exit code {code}; {counts}; {done} runs whole; {spent:.0f} CPU s, {time.perf_counter() - began:.0f} s"
    )
    return spent


def _kill_one(folder: Path, started: subprocess.Popen[bytes]) -> None:
    """Tell the second job that works on its network to end."""
    while started.poll() is None:
        begun = sorted(folder.glob("*/seed-*/unfinished/*.ckpt"), key=lambda path: path.stat().st_mtime)
        marks = {path.parents[1] / "running.json" for path in begun}
        if len(marks) > 1:
            process = json.loads(max(marks).read_text())["process"][1]
            os.kill(process, signal.SIGTERM)
            return
        time.sleep(0.05)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
