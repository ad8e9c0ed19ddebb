"""What the README tells people to type exists."""

import re

import pytest

from tests.conftest import ROOT, choices

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "group",
    [
        "experiment",
        "source",
        "job",
        "scope",
        "decomposition",
        "features",
        "augmentation",
        "model",
        "scaling",
        "split",
        "intervals",
        "parallel",
    ],
)
def test_the_readme_lists_every_choice(group):
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{group}` |")]
    assert set(re.findall(r"`(\w+)`", row)) - {group} == set(choices(group))


def test_links_of_the_documentation_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
