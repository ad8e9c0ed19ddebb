"""Dependencies point one way: data -> models -> evaluation, and runtime knows none of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "data": {"data"},
    "models": {"models", "data.contracts"},
    "evaluation": {"evaluation", "data.contracts"},
    "runtime": {"runtime"},
}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for module in imported(path):
            if module.split(".")[0] in MAY_IMPORT:
                allowed = any(module == ok or module.startswith(f"{ok}.") for ok in MAY_IMPORT[package])
                assert allowed, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_folder_of_a_package_is_importable(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), f"{path.parent.relative_to(ROOT)} lacks __init__.py"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
