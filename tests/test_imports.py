"""Imports point down: verbs -> pipeline -> tasks -> {models, evaluation} -> data; report reads folders."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAY_IMPORT = {
    "runtime": {"runtime"},
    "data": {"data"},
    "models": {"models", "data.contracts"},
    "evaluation": {"evaluation", "data.contracts"},
    "report": {"report", "evaluation", "data.contracts", "runtime"},
    "tasks": {"tasks", "data", "models", "evaluation", "runtime"},
    "pipeline": {"pipeline", "tasks", "report.run_folder", "data", "models", "evaluation", "runtime"},
}
PRESENTATION = {"rich", "matplotlib", "plotly", "jinja2"}
"""Libraries for what a person sees: the business of ``report``, and of ``runtime`` while a run goes on."""
FILES = [path.relative_to(ROOT) for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
MOST = 12
"""Files of a folder; in a larger one nobody finds anything."""


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the modules a file imports, wherever in the file; ``from a import b`` is ``a.b`` where that is one."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively; name the module from the top"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if file_of(name) else str(node.module) for name in inner}
    return frozenset(found)


def file_of(module: str) -> Path | None:
    """Return the file of a module of the project, or None."""
    path = Path(*module.split(".")).with_suffix(".py")
    return path if (ROOT / path).is_file() else None


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_package_may_know(path):
    allowed = MAY_IMPORT[path.parts[0]]
    ours = {module for module in imported(path) if module.split(".")[0] in MAY_IMPORT}
    assert not {module for module in ours if not any(f"{module}.".startswith(f"{name}.") for name in allowed)}


def test_no_module_imports_itself_by_way_of_others():
    graph = {path: {file for name in imported(path) if (file := file_of(name))} for path in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", ["models", "evaluation", "tasks"])
def test_numbers_know_nothing_of_presentation(package):
    tops = {path: {name.split(".")[0] for name in imported(path)} for path in FILES if path.parts[0] == package}
    assert tops
    assert not {str(path): found & PRESENTATION for path, found in tops.items() if found & PRESENTATION}


@pytest.mark.parametrize("package", ["evaluation", "report", "pipeline", "tasks"])
def test_a_folder_holds_no_more_files_than_one_can_survey(package):
    sizes: dict[Path, int] = {}
    for path in FILES:
        if path.parts[0] == package and path.name != "__init__.py":
            sizes[path.parent] = sizes.get(path.parent, 0) + 1
    assert sizes
    assert not {str(folder): size for folder, size in sizes.items() if size > MOST}


def test_every_folder_is_a_package():
    """A folder without ``__init__.py`` gives way to any package of its name that is installed."""
    assert not {str(path.parent) for path in FILES if not (ROOT / path.parent / "__init__.py").is_file()}


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] != "tasks"], ids=str)
def test_nothing_but_a_task_asks_which_task_it_is(path):
    tasks = {file.stem for file in (ROOT / "conf" / "task").glob("*.yaml")}
    compared = [node for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
                if isinstance(node, ast.Compare)]  # fmt: skip
    named = {part.value for node in compared for part in ast.walk(node) if isinstance(part, ast.Constant)}
    assert not named & tasks
