"""A hook of mkdocs: on the site, links to files of the project that are no pages become their names."""

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+[^)#]*(?<!\.md)(?:#[^)]*)?\)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page without links that leave ``docs/``; what is code stays."""
    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else OUTSIDE.sub(r"\1", part) for part in parts)
