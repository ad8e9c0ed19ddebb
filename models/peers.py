"""What adapters of other projects' models share."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def imported(package: str, module: str = "") -> Any:
    """Import a package that comes with an extra of the same name.

    Raises
    ------
    ImportError
        If it is not installed, saying how it is.
    """
    if find_spec(package) is None:
        raise ImportError(
            f"This model is of the package {package}, which is not installed: pip install -e '.[{package}]'"
        )
    return import_module(f"{package}.{module}".rstrip("."))
