"""Numbers and names as tables and sentences show them; text from files is text and nothing else."""

import math
import re
from collections.abc import Sequence

from runtime.faults import printable

MISSING = "–"
LETTERS = 2000  # of one text; more is no label
TAG = re.compile(r"<(?=[A-Za-z/!?])")  # what may begin an element of HTML inside Markdown
CALLED = {
    "Persistence": "persistence",
    "Clock": "the clock",
    "Seasonal naive": "the seasonal naive forecast",
    "": "the reference",
}
VERDICTS = {"reference": "to beat", "better": "better", "worse": "worse", "same": "no better", "untested": "not tested"}
LEAKS = "uses the future"


def literal(text: object) -> str:
    """Return text in one line, without what steers a terminal or turns the reading direction around."""
    return shortened(text, LETTERS)


def shortened(text: object, letters: int) -> str:
    """Return literal text of at most so many letters."""
    plain = printable(str(text)[: 2 * letters]).replace("\n", " ")
    return plain if len(plain) <= letters else plain[: letters - 1] + "…"


def in_markdown(text: object) -> str:
    """Return text that Markdown shows as it is: in one cell, without links, images or HTML."""
    return TAG.sub("&lt;", literal(text)).replace("\\", "\\\\").replace("|", "\\|").replace("](", "]\\(")


def shown(value: float | None, decimals: int, percent: bool = False) -> str:
    """Return a number with so many decimals, or a dash if it does not exist; one of many digits in powers of ten."""
    if value is None or not math.isfinite(value):
        return MISSING
    value = 100 * float(value) if percent else float(value)
    return f"{value:.{decimals}f}" if abs(value) < 1e9 else f"{value:.4g}"


def decimals_for(size: float) -> int:
    """Return the decimals that show four digits of a number of this size, twelve at most."""
    if not math.isfinite(size) or size <= 0:
        return 2
    return max(0, min(12, 3 - math.floor(math.log10(size))))


def four(value: float | None) -> str:
    """Return a number with about four digits, never in powers of ten where it can be helped."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{min(6, decimals_for(abs(value)))}f}" if 1e-4 <= abs(value) < 1e7 else f"{value:.3g}"


def p_value(value: float) -> str:
    """Return a p-value as a sentence quotes it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def called(reference: str) -> str:
    """Return the reference as a sentence calls it."""
    return CALLED.get(reference, reference)


def worded(name: str) -> str:
    """Return the name of a number of a file as a table calls it."""
    words = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE %", "r2": "R²", "mmd": "MMD", "tstr": "TSTR"}
    return " ".join(words.get(part, part) for part in name.split("_"))


def steps_of(count: int) -> str:
    """Return a number of steps in words."""
    return "1 step" if count == 1 else f"{count} steps"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
