"""What adapters of other projects' models share."""

from importlib.util import find_spec


def require(package: str) -> None:
    """Refuse to go on without a package, which comes with an extra of the same name.

    Raises
    ------
    ImportError
        If it is not installed, saying how it is.
    """
    if find_spec(package) is None:
        raise ImportError(
            f"This model is of the package {package}, which is not installed: pip install -e '.[{package}]'"
        )
