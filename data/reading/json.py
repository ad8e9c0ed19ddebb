"""Read JSON whose size is bounded, or say in one sentence what is wrong with it."""

import json
from typing import Any

from data.panel import DataError


def as_json(name: str, content: bytes) -> Any:
    """Return what a file of JSON holds; NaN and infinities are allowed, as numeric programs write them.

    Raises
    ------
    DataError
        If it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{name} is no JSON ({type(error).__name__}: {reason}).") from None
