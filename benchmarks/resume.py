"""Runs that are killed at any moment and resumed, against one that was let finish: the same bits?

``python -m benchmarks.resume`` runs a small series and a small battery experiment whole, then kills each with SIGKILL
at ``--moments`` moments spread over its wall time, resumes what was left, and compares every forecast and weight.
``--only battery`` leaves the series out.  With ``--folder`` all runs are kept there, and the same command goes on with
what is missing.
"""

import argparse
import os
import shutil
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
    parser.add_argument("--only", choices=RUNS, help="the one experiment to kill; both without it")
    parser.add_argument("--folder", type=Path, help="to keep the runs in; without it they are thrown away")
    asked = parser.parse_args()
    with TemporaryDirectory() as passing:
        for name, words in RUNS.items():
            if asked.only in (None, name):
                _compare(asked.folder or Path(passing), name, words, asked.moments)


def _compare(folder: Path, name: str, words: list[str], moments: int) -> None:
    """Run an experiment whole, then kill it at every moment and go on; print how many ended in the same bits."""
    whole, lasted = folder / name, folder / f"{name}.seconds"
    if not lasted.exists():
        began = time.perf_counter()
        subprocess.run(_command(whole, words), check=True, stdout=subprocess.DEVNULL)
        lasted.write_text(str(time.perf_counter() - began), encoding="utf-8")
    seconds = float(lasted.read_text(encoding="utf-8"))
    same = kept = 0
    for moment in range(moments):
        broken, mark = folder / f"{name}-{moment}", folder / f"{name}-{moment}.kept"
        if not mark.exists():
            shutil.rmtree(broken, ignore_errors=True)
            mark.write_text(str(int(_killed(broken, words, after=seconds * (moment + 0.5) / moments))))
        kept += int(mark.read_text())
        alike = _bits(broken) == _bits(whole)
        same += alike
        print(f"{name}, killed at {moment + 0.5:g}/{moments}: {'the same bits' if alike else 'OTHER BITS'}", flush=True)
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
