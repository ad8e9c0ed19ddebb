"""The recipes of ``docs/contributing.md`` at work: written into a copy of the project, and used there.

Run as ``python -m tests.recipes`` in the copy, it says in JSON what two small runs made of the new pieces and what the
tests that hold for every implementation say of each.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT

BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+?)(?:, at the end of SCORES)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_SCORES = '\n)\n"""All metrics.'
TAKEN_UP_BY = {
    "gated_linear": ["tests/test_config.py", "tests/test_networks.py"],
    "exponential_smoothing": ["tests/test_config.py", "tests/test_decompositions.py"],
    "bench": ["tests/test_config.py", "tests/test_sources.py"],
    "magnitude": ["tests/test_config.py", "tests/test_augmentation.py"],
    "trailing_slope": ["tests/test_config.py", "tests/test_features.py"],
    "returns": ["tests/test_config.py"],
}
"""The tests of every implementation of a kind, by the YAML file of the new one."""
CELLS = {"a": 60, "b": 75, "c": 90, "d": 110, "e": 140}
"""Lives [cycles] of the cells on the bench."""


def recipes(page: str) -> dict[str, dict[str, str]]:
    """Return the files of each recipe, by its heading and by path; of ``scores.py`` the entry alone."""
    sections = [section.partition("\n") for section in page.split("\n## ")[1:]]
    return {heading: dict(BLOCK.findall(section)) for heading, _, section in sections}


def copied(folder: Path) -> Path:
    """Copy the project into a folder: every file that git tracks or does not ignore, but for documents and runs."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith(("docs/", "outputs/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def write(files: dict[str, str], folder: Path) -> None:
    """Write the files of a recipe, which must be new; an entry of ``scores.py`` goes behind the others.

    Raises
    ------
    FileExistsError
        If a file is there already.
    """
    for name, text in files.items():
        path = folder / name
        if name == "evaluation/scores.py":
            before, end, after = path.read_text(encoding="utf-8").partition(END_OF_SCORES)
            path.write_text(f"{before}\n{text.rstrip()}{end}{after}", encoding="utf-8")
        else:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)


def bench(folder: Path) -> Path:
    """Write the tables of a few cells as a cycler does."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for cell, life in CELLS.items():
        cycle = np.arange(1, int(1.3 * life))
        fade = 0.2 * (cycle / life) ** rng.uniform(0.7, 2.0)
        columns = {
            "cycle": cycle,
            "capacity_Ah": 2.5 * (1 - fade) + 0.005 * rng.standard_normal(cycle.size),
            "resistance_Ohm": rng.uniform(0.03, 0.05) * (1 + fade) + 0.001 * rng.standard_normal(cycle.size),
            "temperature_C": 25 + rng.standard_normal(cycle.size),
        }
        pd.DataFrame(columns).to_csv(folder / f"{cell}.csv", index=False)
    return folder


def trained(folder: Path, *overrides: str) -> dict[str, Any]:
    """Run an experiment and return what it left."""
    from safetensors.numpy import load_file

    from data.features._named import read
    from tests.commands import run

    done = run("train.py", *overrides, f"hydra.run.dir={folder}", cache=folder.parent / "cache")
    if done.returncode:
        return {"error": done.stderr}
    card, metrics = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("run", "metrics"))
    weights = load_file(folder / "model.safetensors")
    features = weights.get("seed0/features/outputs")
    return {
        "audit": card["audit"]["sentence"],
        "covariates": card["data"].get("covariates"),
        "features": [] if features is None else read(features),
        "scores": metrics["scores"],
        "choices": metrics["choices"],
        "table": (folder / "table.md").read_text(encoding="utf-8"),
        "task": metrics["task"],
        "question": metrics["question"],
        "page": "Forecasts are off by" in (folder / "report.html").read_text(encoding="utf-8"),
    }


class Outcomes:
    """A plugin of pytest that keeps how each test ended."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of a test; that of a failed setup stays."""
        if report.when == "call" or report.failed:
            self.of[report.nodeid] = report.outcome


def contract_tests() -> dict[str, str]:
    """Return how the tests that take up the new pieces by their YAML files ended, by the names of the tests."""
    outcomes = Outcomes()
    files = {file for tests in TAKEN_UP_BY.values() for file in tests}
    # Names in brackets are parameters; of the tests without the new pieces none is asked for.
    words = ["-q", "--no-header", "-p", "no:cacheprovider", "-k", " or ".join(TAKEN_UP_BY), *sorted(files)]
    pytest.main(words, plugins=[outcomes])
    return outcomes.of


def main(report: Path) -> None:
    """Use the new pieces, and write what became of them."""
    model = ["model=gated_linear", "trainer.max_epochs=1"]
    series = ["decomposition=exponential_smoothing", "augmentation=magnitude", "source.n_steps=300", "scope.history=64"]
    cells = [f"source.folder={bench(report.parent / 'cells')}", "split.folds=2", "split.validation=1"]
    feature = ["features=factors", "+feature@features.steps.slope=trailing_slope"]
    found = {
        "forecast": trained(report.parent / "forecast", "experiment=smoke", "baselines=naive", *model, *series),
        "rul": trained(
            report.parent / "rul", "experiment=battery", "source=bench", "baselines=cycles", *model, *cells, *feature
        ),
        "returns": trained(
            report.parent / "returns",
            "experiment=smoke",
            "task=returns",
            "model=ridge",
            "decomposition=identity",
            "baselines=naive",
            "source.n_steps=300",
            "scope.history=64",
        ),
        "tests": contract_tests(),
    }
    report.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path("report.json").resolve())
