"""Refuse to put this application into site-packages: its folders have names such as ``data`` and ``models``."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REFUSED = (
    "Modecast is installed from its checkout, in place: git clone it, then run: pip install --editable .  A plain "
    "pip install would put folders called data, models and tasks into site-packages, where other programs find them."
)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Let editable installs through, and nothing else."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Stop a build that is not editable."""
        if version != "editable":
            raise SystemExit(f"\n{REFUSED}\n")
