"""Runs that are killed at any moment and resumed, against one that was let finish: the same bits?

``python -m benchmarks.resume`` runs a small series and a small battery experiment whole, then kills each with SIGKILL
at ``--moments`` moments spread over its wall time, resumes what was left, and compares every forecast and weight.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from safetensors.numpy import load_file

from runtime.files import ROOT

RUNS = {
    "series": ["experiment=smoke", "model=lstm", "seeds=2", "trainer.max_epochs=4", "parallel.n_jobs=2"],
    "battery": ["experiment=smoke_battery", "trainer.max_epochs=4", "parallel.n_jobs=2"],
}


def main() -> None:
    """Print, for each experiment, how many killed runs ended in the same bits."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--moments", type=int, default=20, help="at which each experiment is killed")
    moments = parser.parse_args().moments
    with TemporaryDirectory() as folder:
        for name, words in RUNS.items():
            whole = Path(folder, name)
            began = time.perf_counter()
            subprocess.run(_command(whole, words), check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - began
            same = kept = 0
            for moment in range(moments):
                broken = Path(folder, f"{name}-{moment}")
                kept += _killed(broken, words, after=seconds * (moment + 0.5) / moments)
                same += _bits(broken) == _bits(whole)
            print(f"{name}: {same} of {moments} killed runs ended in the same bits; {kept} had something to go on with")


def _killed(folder: Path, words: list[str], after: float) -> bool:
    """Kill a run ``after`` seconds, go on with it, and return whether it had left a folder to go on with."""
    started = subprocess.Popen(
        _command(folder, words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        started.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    kept = (folder / "config.yaml").exists()
    if not (folder / "metrics.json").exists():
        again = [sys.executable, str(ROOT / "train.py"), f"resume={folder}"] if kept else _command(folder, words)
        subprocess.run(again, check=True, stdout=subprocess.DEVNULL)
    return kept


def _command(folder: Path, words: list[str]) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), *words, f"hydra.run.dir={folder}"]


def _bits(folder: Path) -> dict[str, bytes]:
    """Return what a run forecast and kept, by file and column or tensor."""
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    columns = {f"forecasts {name}": forecasts[name].astype(str).str.cat().encode() for name in forecasts}
    for weights in sorted(folder.rglob("*.safetensors")):
        for name, tensor in load_file(weights).items():
            columns[f"{weights.relative_to(folder)} {name}"] = tensor.tobytes()
    return columns


if __name__ == "__main__":
    main()
