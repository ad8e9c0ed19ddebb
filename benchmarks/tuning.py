"""Tune in two processes, kill the command with -9 twice, go on, and count: python -m benchmarks.tuning"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from optuna.study import Study
from optuna.trial import FrozenTrial

from pipeline.tuning.study import count, open_study, outcome
from runtime.files import ROOT

TRIALS, JOBS = 30, 2
KILLED_AFTER = (6, 16)  # trials that have ended
WORDS = ["experiment=smoke", "decomposition=modwt", "model=mlp", "baselines=naive", "search=mlp"]


def main() -> None:
    """Print how many trials ended how, that none is lost or repeated, and what a trial cost beside its training."""
    with TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder, 'study.db')}"
        line = [sys.executable, str(ROOT / "tune.py"), *WORDS, f"trials={TRIALS}", f"jobs={JOBS}", "study=bench"]
        began = time.perf_counter()
        for limit in KILLED_AFTER:
            process = subprocess.Popen([*line, f"storage={storage}"], cwd=folder, stdout=subprocess.DEVNULL)
            while count(trials(storage)).ended < limit:
                if process.poll() is not None:
                    raise SystemExit("tune.py has ended before it could be killed")
                time.sleep(0.2)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run([*line, f"storage={storage}"], cwd=folder, check=True)
        print(
            f"{TRIALS} trials, {JOBS} jobs, killed twice: {time.perf_counter() - began:.0f} s with the run at the end"
        )
        tell(study(storage))


def study(storage: str) -> Study:
    return open_study(storage, "bench", 0)


def trials(storage: str) -> list[FrozenTrial]:
    return study(storage).get_trials(deepcopy=False)


def tell(found: Study) -> None:
    """Print what became of the trials."""
    counts = count(found.trials)
    ended = [trial for trial in found.trials if outcome(trial) in ("complete", "pruned", "failed")]
    distinct = Counter(tuple(trial.params.values()) for trial in ended)
    killed = [trial for trial in found.trials if outcome(trial) == "killed"]
    again = [trial for trial in killed if tuple(trial.params.values()) in distinct]
    print(f"{counts}; {len(distinct)} distinct settings among {len(ended)} that ended")
    print(f"{len(again)} of {len(killed)} killed trials were run again by another")
    seconds = sorted(trial.duration.total_seconds() for trial in ended if trial.duration)
    print(f"median trial {seconds[len(seconds) // 2]:.2f} s")
    first = next(trial for trial in ended if trial.value is not None)
    print(f"validation MAE {found.best_value:.4g}, of the defaults {first.value:.4g} (trial {first.number})")


if __name__ == "__main__":
    main()
