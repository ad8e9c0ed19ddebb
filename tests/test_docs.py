"""What the documentation shows is what runs."""

import re
import subprocess
import sys
from inspect import getsource

import pytest

from evaluation.leakage.prove import WAYS
from pipeline.life import Life
from pipeline.series import Series
from tests import test_leakage
from tests.conftest import ROOT

LEAKAGE = (ROOT / "docs" / "leakage.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "audit_pyemd.py"


def test_the_code_on_the_page_is_that_of_the_example():
    (block,) = re.findall(r"```python\n(.*?)```", LEAKAGE, re.DOTALL)
    assert block == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_is_notebook_sized():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60


def test_the_example_catches_the_published_pattern_and_clears_the_causal_one():
    pytest.importorskip("PyEMD")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=True
    )
    published, causal = done.stdout.splitlines()
    assert published.startswith("as_published: LEAKS: decomposition: ")
    assert published.endswith("of the directions of the next step can be told from them")
    assert causal.startswith("causal: causal: ")
    assert "decomposition, scaled inputs" in causal


def test_the_stages_on_the_page_are_those_of_the_jobs():
    rows = re.findall(r"^\| `([\w ]+)` \|[^|]+\| `([\w ]+)` \|[^|]+\|$", LEAKAGE, re.MULTILINE)
    series, cells = zip(*rows, strict=True)
    made = [re.findall(r'Stage\("([\w ]+)"', getsource(job.stages)) for job in (Series, Life)]
    assert list(series) == ["split", *made[0]]
    assert list(cells) == ["split", "covariates", *made[1]]


def test_every_planted_leak_on_the_page_has_its_test():
    table = LEAKAGE.split("## Seven planted leaks")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 7
    for _, stage, tests in rows:
        for name in re.findall(r"`(\w+)`", tests):
            test = getsource(getattr(test_leakage, name))
            marks = str(getattr(getattr(test_leakage, name), "pytestmark", ""))
            assert stage.strip(" `") in test + marks, f"{name} does not name {stage}"


def test_the_ways_to_replace_are_on_the_page():
    assert all(f"`{way}`" in LEAKAGE for way in WAYS)


def test_the_experiments_that_expect_leaks_are_on_the_page():
    for path in (ROOT / "conf" / "experiment").glob("*_paper.yaml"):
        (stages,) = re.findall(r"^expected_leaks: \[(.*)\]", path.read_text(encoding="utf-8"), re.MULTILINE)
        (said,) = re.findall(rf"((?:`[^`]+`(?: and )?)+) for (?:`\w+` and )?`{path.stem}`", LEAKAGE)
        assert re.findall(r"`(\w+)`", said) == stages.split(", "), path.stem
