"""The recipes of docs/contributing.md work as they stand there, and touch no more files than they say."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.recipes import TAKEN_UP_BY, copied, recipes, write

PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
RECIPES = recipes(PAGE)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of all recipes, written into one copy of the project and used there by one process."""
    folder = copied(tmp_path_factory.mktemp("recipes") / "copy")
    for files in RECIPES.values():
        write(files, folder)
    environment = os.environ | {"PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.recipes"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def test_a_recipe_touches_as_many_files_as_the_page_says():
    rows = re.findall(r"^\| \[(.+?)\]\(#\S+\) \| (\d) \|", PAGE, re.MULTILINE)
    assert {name.lower(): len(files) for name, files in RECIPES.items()} == {name: int(n) for name, n in rows}
    assert [int(n) for _, n in rows] == [2, 2, 2, 2, 1, 2, 2]


def test_every_file_but_that_of_the_metrics_is_new():
    touched = [path for files in RECIPES.values() for path in files]
    assert [path for path in touched if (ROOT / path).exists()] == ["evaluation/scores.py"]
    assert len(touched) == len(set(touched))


def test_a_forecast_uses_the_new_model_decomposition_and_augmentation(found):
    run = found["forecast"]
    assert "error" not in run, run["error"]
    assert run["scores"][0]["model"] in ("EXPONENTIAL-SMOOTHING-GLU", "Persistence")
    assert "EXPONENTIAL-SMOOTHING-GLU" in run["table"]
    assert (run["choices"]["decomposition"], run["choices"]["augmentation"]) == ("exponential_smoothing", "magnitude")
    assert run["audit"].startswith("causal"), run["audit"]


def test_a_run_on_cells_uses_the_new_source_and_feature(found):
    run = found["rul"]
    assert "error" not in run, run["error"]
    assert "[Ohm]" in run["covariates"]["resistance_Ohm"]
    assert "resistance_Ohm slope50" in run["features"]
    assert run["audit"].startswith("causal"), run["audit"]


def test_a_run_answers_the_new_question_and_its_folder_is_read_by_its_own_facts(found):
    run = found["returns"]
    assert "error" not in run, run["error"]
    assert (run["task"], run["question"]["noun"]) == ("returns", "return")
    assert run["audit"].startswith("causal"), run["audit"]
    assert "errors in %" in run["table"]
    assert run["page"]
    assert all(0 < row["mae"] < 10 for row in run["scores"])  # [%], where the level is about 1000


@pytest.mark.parametrize("task", ["forecast", "rul"])
def test_the_new_metric_is_in_the_table_and_in_the_numbers_of_every_model(found, task):
    run = found[task]
    assert "error" not in run, run["error"]
    assert "| sMAPE % |" in run["table"]
    assert all(0 < row["smape"] < 200 for row in run["scores"])


@pytest.mark.parametrize("piece", TAKEN_UP_BY)
def test_the_tests_of_every_implementation_take_up_the_new_one(found, piece):
    for file in TAKEN_UP_BY[piece]:
        ended = {name: how for name, how in found["tests"].items() if name.startswith(file) and piece in name}
        assert ended, f"{file} knows nothing of {piece}"
        failed = [name for name, how in ended.items() if how != "passed"]
        assert not failed
