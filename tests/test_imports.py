"""Data flow one way: data -> models -> evaluation, and nobody below knows the pipeline."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAY_KNOW = {
    "data": {"data"},
    "models": {"models", "data.contracts"},
    "evaluation": {"evaluation", "data.contracts"},
    "runtime": {"runtime"},
    "pipeline": {"pipeline", "data", "models", "evaluation", "runtime"},
}
FILES = [path.relative_to(ROOT) for package in MAY_KNOW for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Return the modules of the project a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {module for module in found if module.split(".")[0] in MAY_KNOW}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_package_may_know(path):
    allowed = MAY_KNOW[path.parts[0]]
    strangers = {module for module in imported(path) if not {module, module.split(".")[0]} & allowed}
    assert not strangers
