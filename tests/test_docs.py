"""What the documentation shows is what runs."""

import re
import subprocess
import sys
from inspect import getsource

import pytest

import pipeline.audit
import tasks.early_life
import tasks.forecast
import tasks.rul
import tasks.target_audit
from evaluation.leakage import proxies
from evaluation.leakage.prove import STAGES, WAYS
from tests.conftest import ROOT
from tests.test_audit import LABELS, PLANTED
from tests.test_imports import MAY_IMPORT

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


def test_the_stages_on_the_page_are_those_of_the_audit():
    rows = re.findall(r"^\| `([\w ]+)` \| (both|series|cells) \|", LEAKAGE, re.MULTILINE)
    tasks_read = (tasks.early_life, tasks.forecast, tasks.rul, tasks.target_audit)
    made = [getsource(module) for module in (pipeline.audit, *tasks_read, proxies)]
    named = {name for source in made for name in re.findall(r'(?:Stage|Finding)\(\s*"([\w ]+)"', source)}
    assert {name for name, _ in rows} == named == set(STAGES)


def test_every_planted_leak_is_on_the_page_with_its_stage_and_its_rows():
    table = LEAKAGE.split("## Planted leaks")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .+? \| (.+?) \| (.+?) \| `(\w+)` \|$", table, re.MULTILINE)
    said = {name: (set(re.findall(r"`(\w+)`", stages)), whom) for stages, whom, name in rows}
    assert list(said) == [leak.__name__ for leak, *_ in PLANTED]
    for leak, stages, accused, _ in PLANTED:
        assert said[leak.__name__][0] == stages
        assert said[leak.__name__][1].startswith("all rows") is (accused == LABELS)
    assert "| data smoothed before they were put into the file | none" in table


def test_the_bound_of_a_proxy_is_on_the_page():
    assert f"**{100 * proxies.BOUND:.0f} %**" in LEAKAGE


def test_the_ways_to_replace_are_on_the_page():
    assert all(f"`{way}`" in LEAKAGE for way in WAYS)


def test_the_experiments_that_expect_leaks_are_on_the_page():
    files = [path for name in ("paper", "leaky") for path in (ROOT / "conf" / "experiment").glob(f"*_{name}.yaml")]
    for path in files:
        (stages,) = re.findall(r"^expected_leaks: \[(.*)\]", path.read_text(encoding="utf-8"), re.MULTILINE)
        (said,) = re.findall(rf"((?:`[^`]+`(?: and )?)+) for (?:`\w+` and )?`{path.stem}`", " ".join(LEAKAGE.split()))
        assert re.findall(r"`(\w+)`", said) == stages.split(", "), path.stem


def test_every_file_a_page_names_is_there():
    """Links, and paths in backticks that begin with a folder of the project."""
    folders = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."))
    for page in ("architecture.md", "leakage.md", "contributing.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        links = [ROOT / "docs" / link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
        named = [ROOT / path for path in re.findall(rf"`((?:{folders})/[\w./]+)`", text) if "outputs" not in path]
        assert links
        assert not [str(path) for path in [*links, *named] if not path.exists()], page


def test_what_may_import_what_is_on_the_page():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert {package: set(re.findall(r"`([\w.]+)`", allowed)) for package, allowed in rows} == MAY_IMPORT


def test_the_tree_on_the_page_names_what_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("```text\n")[1].split("```")[0]
    folder = ""
    for line in tree.splitlines():
        words = re.findall(r"[a-z_]+(?:/|\.py)", line)
        if line[0] != " ":
            folder = words[0] if words[0].endswith("/") else ""
            words = words[1:] if folder else words
            assert (ROOT / folder).is_dir()
        if folder not in ("tests/",):
            assert not [word for word in words if not (ROOT / folder / word).exists()], line
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(re.findall(r"^(\w+)/", tree, re.MULTILINE))
