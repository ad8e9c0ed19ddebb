"""Does the audit accuse anybody who is honest?  ``python -m benchmarks.honest_runs``.

Runs every model of ``conf/model`` with every allocation it can have (``model/component``) on series of several
lengths and on several numbers of cells, all of them small: each is trained, then audited as every run is.  None of
them sees what it must not, so every verdict but ``causal`` and ``causal to rounding`` is a false alarm.

Prints a line a run, what was refused before training, and the counts of docs/leakage.md.  Names of models behind the
command run those alone.
"""

import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from omegaconf import DictConfig

from pipeline.audit import audit
from pipeline.run import opened
from pipeline.work import outcomes, work_units
from runtime.build import ConfigError
from runtime.quiet import quiet
from tests.conftest import choices, composer
from tests.pairs import small

COMPONENTS = "model/component"
LENGTHS: dict[str, list[list[str]]] = {  # of a series [steps], each with the decomposition it is made with
    "forecast": [
        ["source.n_steps=181", "decomposition=identity"],
        ["source.n_steps=257", "decomposition=modwt", "horizon=2"],
    ],
    "rul": [["source.n_cells=4"], ["source.n_cells=5", "lookback=7"]],
}
FIXED = {
    "forecast": ["experiment=smoke", "lookback=9", "scope.history=32", "baselines=none", "parallel.n_jobs=1"],
    "rul": [
        "experiment=smoke_battery",
        "source.life=[50,60]",
        "source.longest=80",
        "task.train_every=1",
        "baselines=none",
        "parallel.n_jobs=1",
    ],
}


class Run(NamedTuple):
    """One honest run of the grid."""

    task: str
    model: str
    component: str
    size: str
    cfg: DictConfig


def main() -> int:
    """Run the grid and return the number of false alarms."""
    warnings.simplefilter("ignore")
    quiet()
    counts: Counter[str] = Counter()
    began = time.process_time()
    wanted = sys.argv[1:]
    with TemporaryDirectory() as place:
        for run in grid(Path(place), counts, wanted):
            try:
                with TemporaryDirectory() as folder:
                    verdict, sentence = verdict_of(run.cfg, Path(folder))
            except Exception as error:  # told, and the rest of the grid is run
                verdict, sentence = "failed", f"{type(error).__name__}: {error}"
            counts[verdict] += 1
            told = verdict if verdict.startswith("causal") else sentence
            print(f"{run.task:<9} {run.model:<20} {run.component:<9} {run.size:<52} {told}", flush=True)
    alarms = counts["LEAKS"] + counts["not audited"] + counts["failed"]
    n_runs = sum(counts.values()) - counts["refused"]
    print(f"{n_runs} honest runs, {alarms} false alarms: {dict(counts)}; {time.process_time() - began:.0f} CPU s")
    return alarms


def grid(place: Path, counts: Counter[str], wanted: Sequence[str]) -> Iterator[Run]:
    """Yield every run that is possible, or those of some models; what is refused is counted, once an allocation."""
    configure = composer(place)
    for task, sizes in LENGTHS.items():
        for model in (name for name in choices("model") if not wanted or name in wanted):
            own = configure(*FIXED[task], f"model={model}").model
            allocations = choices(COMPONENTS) if "component" in own else ["own"]
            for component in allocations:
                words = [f"model={model}", *([] if component == "own" else [f"{COMPONENTS}={component}"])]
                words += ["model.memory=24"] if "memory" in own else []
                for size in sizes:
                    try:
                        cfg = small(configure(*FIXED[task], *words, *size))
                        opened(cfg)
                    except (ConfigError, ValueError, ImportError) as error:
                        counts["refused"] += 1
                        told = str(error).splitlines()[-1].strip()[:110]
                        print(f"{task:<9} {model:<20} {component:<9} refused: {told}", flush=True)
                        break
                    yield Run(task, model, component, " ".join(size), cfg)


def verdict_of(cfg: DictConfig, folder: Path) -> tuple[str, str]:
    """Fit every row of a run, audit what it has used, and return the verdict and its sentence."""
    task, panel, folds = opened(cfg)
    done = dict(outcomes(task, panel, folds, folder, work_units(task, panel, folds)))
    found = audit(task, panel, folds, {outcome.name: outcome.learnt_from for outcome in done.values()})
    return found.verdict, found.sentence


if __name__ == "__main__":
    sys.exit(main())
