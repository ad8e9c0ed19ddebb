"""What a run costs by the number of its series:  python -m benchmarks.scale [--series=1,10,100,1000] [overrides]

Walks of 1000 steps with a season, MODWT, ridge and the naive forecasts, one step ahead, one process of one thread, each
size in a process of its own with an empty cache.  Prints a table of CPU seconds a stage, of the largest memory and of
bytes a forecast takes on disk, and the exponent of each stage from the second largest size to the largest: 1 is linear.
Words such as ``lookback=336`` or ``model=mlp`` go to train.py.  Prints the table of docs/scale.md.
"""

import argparse
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from runtime.files import ROOT

STEPS = 1000
SHORT = 0.05  # [s] below which growth is that of the clock
WORDS = ["experiment=csv", "decomposition=modwt", "model=ridge", "baselines=naive", "parallel.n_jobs=1"]
STAGES = {
    "reading": ("pipeline.run", "opened"),
    "decomposition": ("tasks.forecast.Forecast", "warm"),
    "windows": ("tasks.forecast.Forecast", "prepare"),
    "fit and forecast": ("pipeline.work", "evaluated"),
    "audit": ("pipeline.run", "audit"),
    "intervals": ("evaluation.intervals.adaptive.Adaptive", "_follow"),
    "scores and tests": ("pipeline.results", "judge"),
    "all results": ("pipeline.run", "write_results"),
    "page": ("report.page", "write_page"),
}
"""Functions whose time is taken, by what the table calls them; ``all results`` holds intervals, scores and files."""


def main() -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--series", default="1,10,100,1000", help="numbers of series")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given, words = parser.parse_known_args()
    if given.one is not None:
        print(json.dumps(measured(given.one, words)))
        return
    columns = {n: _in_a_process(n, words) for n in map(int, given.series.split(","))}
    table = pd.DataFrame(columns)
    if len(columns) > 1:
        few, many = sorted(columns)[-2:]
        growth = (table[many] / table[few]).map(math.log) / math.log(many / few)
        table["exponent"] = growth.where(table[few] > SHORT)
    print(table.round(2).to_string())


def _in_a_process(n_series: int, words: list[str]) -> dict[str, float]:
    """Measure one size with a file, a run folder and a cache that are new."""
    with TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        walks = 100 + rng.standard_normal((n_series, STEPS)).cumsum(axis=1)
        y = walks + 3 * np.sin(2 * np.pi * np.arange(STEPS) / 21)
        names = np.repeat([f"series {number}" for number in range(n_series)], STEPS)
        days = np.tile(pd.date_range("2020-01-01", periods=STEPS), n_series)
        pd.DataFrame({"unique_id": names, "ds": days, "y": y.ravel()}).to_parquet(Path(folder, "series.parquet"))
        line = [sys.executable, "-m", "benchmarks.scale", "--one", folder, *words]
        surroundings = os.environ | {"MODECAST_CACHE": f"{folder}/cache", "OMP_NUM_THREADS": "1"}
        told = subprocess.run(line, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True, check=True).stdout
        found: dict[str, float] = json.loads(told.splitlines()[-1])
        return found


def measured(folder: Path, words: list[str]) -> dict[str, float]:
    """Run train.py here and return CPU seconds a stage, memory [GB] and bytes a forecast."""
    import train

    taken = dict.fromkeys(STAGES, 0.0)
    for stage, (owner, name) in STAGES.items():  # importing them counts for no stage
        _watch(_found(owner), name, stage, taken)
    began = time.process_time()
    run = folder / "run"
    sys.argv = ["train.py", *WORDS, f"source.path={folder / 'series.parquet'}", f"hydra.run.dir={run}", *words]
    train.main()
    kept = run / "forecasts.parquet"
    rows = len(pd.read_parquet(kept, columns=["step"]))
    return taken | {
        "whole command above imports": time.process_time() - began,
        "memory [GB]": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "bytes a forecast": kept.stat().st_size / rows,
    }


def _watch(owner: Any, name: str, stage: str, taken: dict[str, float]) -> None:
    """Add the CPU time of a function to its stage."""
    inner: Callable[..., Any] = getattr(owner, name)

    @wraps(inner)
    def timed(*arguments: Any, **settings: Any) -> Any:
        began = time.process_time()
        try:
            return inner(*arguments, **settings)
        finally:
            taken[stage] += time.process_time() - began

    setattr(owner, name, timed)


def _found(path: str) -> Any:
    """Return a module, or a class of one."""
    module, _, last = path.rpartition(".")
    return getattr(importlib.import_module(module), last) if last[0].isupper() else importlib.import_module(path)


if __name__ == "__main__":
    main()
