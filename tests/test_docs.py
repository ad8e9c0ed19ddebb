"""What the documentation shows is what runs."""

import re
import shlex
from importlib import import_module
from inspect import getsource
from pathlib import Path
from runpy import run_path

import pytest

import pipeline.audit
import tasks.early_life
import tasks.forecast
import tasks.rul
import tasks.target_audit
from evaluation.leakage import prove, proxies
from evaluation.leakage.prove import WAYS
from runtime.compose import settled
from runtime.overrides import parse, prepared
from runtime.settings import STAGES
from tests.conftest import ROOT
from tests.test_audit import LABELS, PLANTED
from tests.test_imports import MAY_IMPORT

LEAKAGE = (ROOT / "docs" / "leakage.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "audit_pyemd.py"
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_the_code_on_the_page_is_that_of_the_example():
    (block,) = re.findall(r"```python\n(.*?)```", LEAKAGE, re.DOTALL)
    assert block == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_is_notebook_sized():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60


def test_the_example_catches_the_published_pattern_and_clears_the_causal_one(capsys, monkeypatch):
    pytest.importorskip("PyEMD")
    audit = prove.audit  # behind one day in place of two, of a shorter series: a second or two
    monkeypatch.setattr(prove, "audit", lambda made, series, after: audit(made, series[-500:], after[:1]))
    run_path(str(EXAMPLE), run_name="__main__")
    published, causal = capsys.readouterr().out.splitlines()
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
        named = [ROOT / path for path in re.findall(rf"`((?:{folders})/[\w./]+)`", text) if "outputs" not in path]
        assert named
        assert not [str(path) for path in named if not path.exists()], page


def anchors(page: Path) -> set[str]:
    """Return what can be linked to within a page: its headings, as GitHub and mkdocs spell them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S), re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not place or place in anchors(target), link


def test_the_site_has_every_page_once_and_no_other():
    """``mkdocs.yml`` is read as text: a site is built elsewhere."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    named = re.findall(r": ([\w/]+\.md)$", nav, re.MULTILINE)
    assert len(named) == nav.count(".md")
    assert sorted(named) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in PAGES)


def test_what_the_reference_documents_is_there():
    for block in re.findall(r"^::: (.+(?:\n +.+)*)", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.M):
        name, *options = block.splitlines()
        module = import_module(name)
        listed = re.findall(r"members: \[(.*)\]", "".join(options))
        assert all(getattr(module, member).__doc__ for names in listed for member in names.split(", "))


def test_links_that_leave_the_pages_become_names_on_the_site():
    hook = run_path(str(ROOT / "docs" / "site_links.py"))["on_page_markdown"]
    text = "[`a.py`](../models/a.py), [b](../paper1.md)\n```md\n[c](../c.py)\n```\n[d](x.md#y)"
    assert hook(text, None) == text.replace("[`a.py`](../models/a.py)", "`a.py`")


def test_the_commands_of_the_tutorial_are_understood():
    """Words behind train.py go together, and those of the other commands are known to them."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    for python, command, *words in lines:
        assert python == "python"
        if command == "train.py" and "--help" not in words:
            first = [word.partition(",")[0] for word in words if word != "-m"]
            assert prepared(first)
            assert settled(first)
        elif command in ("tune.py", "predict.py", "serve.py"):
            parse(words, vars(import_module(command.removesuffix(".py")))["USAGE"])
        else:
            assert (ROOT / command).exists()


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
