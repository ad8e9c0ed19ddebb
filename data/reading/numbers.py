"""Texts to numbers: 1.234,5 and 1,234.5, $5, (3), 0.31%, 1.2M; what could be two numbers is refused.

The texts of a column are judged together.  Where a comma or a point could be either, the other columns of the
file decide; where they do not, the reader asks for ``source.decimal`` or ``source.thousands``.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data.contracts import FloatArray
from data.panel import DataError

BoolArray = NDArray[np.bool_]

MISSING = (
    "", "-", "--", "---", "–", "—", ".", "..", "?", "*", "na", "n/a", "#n/a", "#na", "nan", "-nan", "null", "none",
    "nil", "nat", "<na>", "missing", "no data", "n.a.", "#n/a n/a", "(null)", "\\n",
)  # fmt: skip
"""What stands for no value, in small letters."""

SIGNS = "$€£¥₹₩₽₺₫฿₴₪₦￥＄"
CODES = r"US\$|A\$|C\$|HK\$|NT\$|R\$|USD|EUR|GBP|JPY|CNY|RMB|CHF|INR|HKD|AUD|CAD|KRW|SEK|NOK|DKK|PLN|BRL|元|kr|zł|Rs\.?"
GROUPERS = "'’` \u00a0\u202f\u2009"
SCALES = {
    "k": 3,
    "K": 3,
    "M": 6,
    "B": 9,
    "T": 12,
    "mn": 6,
    "bn": 9,
    "tn": 12,
    "千": 3,
    "万": 4,
    "萬": 4,
    "亿": 8,
    "億": 8,
}
"""Powers of ten."""

PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
WHOLE = r"^[+-]?\d+$"
PERHAPS_GROUPED = r"^[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)$"
DRESSED = (
    rf"^(?P<open>\(?)(?P<sign>[+\-−]?)\s*(?P<before>{CODES}|[{SIGNS}]|)\s*(?P<inner>[+\-−]?)"
    rf"(?P<body>(?:\d(?:[\d.,{GROUPERS}]*[\d.,])?|[.,]\d+)(?:[eE][+-]?\d+)?)"
    rf"\s*(?P<scale>{'|'.join(SCALES)}|)\s*(?P<after>%|％|{CODES}|[{SIGNS}]|)(?P<shut>\)?)(?P<trail>-?)$"
)
GROUPED = rf"^\d{{1,3}}(?:[{GROUPERS}]\d{{3}})+([.,]\d*)?$"
BODY = {  # by the decimal mark: what a number may look like
    ".": r"^(?:\d*|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3})(?:\.\d*)?(?:[eE][+-]?\d+)?$",
    ",": r"^(?:\d*|[1-9]\d{0,2}(?:\.\d{3})+|[1-9]\d?(?:\.\d{2})+\.\d{3})(?:,\d*)?(?:[eE][+-]?\d+)?$",
}


MARKS = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Characters without width, which exports put around numbers."""
SEEN = [re.compile(pattern) for pattern in (PLAIN, DRESSED)]
"""The same for single texts."""


class Numbers(NamedTuple):
    """What a column of texts holds."""

    parsed: FloatArray
    """``(n,)``, NaN where nothing stands or no number."""
    wrong: BoolArray
    """``(n,)`` whether a text stands where a number should."""
    notes: tuple[str, ...]


class Style(NamedTuple):
    """How a file writes numbers, as far as the user has said."""

    decimal: str | None
    thousands: str | None


def trimmed(texts: pa.Array) -> pa.Array:
    """Return the texts without the marks and the blanks around them, null where nothing stands."""
    if pc.any(pc.match_substring_regex(texts, f"[{MARKS}]")).as_py():
        texts = pc.replace_substring_regex(texts, f"[{MARKS}]", "")
    texts = pc.utf8_trim_whitespace(texts)
    small = pc.utf8_lower(pc.if_else(pc.less_equal(pc.utf8_length(texts), 8), texts, "x"))
    return pc.if_else(pc.is_in(small, pa.array(MISSING)), pa.scalar(None, pa.string()), texts)


def to_numbers(name: str, texts: pa.Array, style: Style, others: Iterable[pa.Array], loose: bool) -> Numbers:
    """Read a column of texts as numbers.

    Parameters
    ----------
    name : str
        What messages call the column, with its file.
    texts : Array
        As of ``trimmed``.
    style : Style
    others : iterable of Array
        Further columns of the file, of which some may tell the decimal mark.
    loose : bool
        Whether a point before three digits may stand for groups of thousands where nothing tells: it does in
        files whose separator is a semicolon.

    Raises
    ------
    DataError
        If the column can be read in two ways, or holds two currencies, or percentages beside other numbers.
    """
    known = texts.drop_null()
    if style == (None, None) and _all(known, PLAIN) and (_all(known, WHOLE) or not _all(known, PERHAPS_GROUPED)):
        return Numbers(_floats(texts), np.zeros(len(texts), dtype=bool), ())
    parts = pc.extract_regex(texts, DRESSED)
    fits = pc.and_(pc.is_valid(parts), pc.is_valid(texts)).to_numpy(zero_copy_only=False)
    infinite = pc.fill_null(pc.match_substring_regex(texts, r"^[+-]?(?i:inf|infinity)$"), False)
    field = {part.name: pc.fill_null(pc.struct_field(parts, part.name), "") for part in parts.type}
    notes = _one_kind(name, field, fits)
    body, spaced = _ungrouped(field["body"])
    mark = _decimal_mark(name, body, spaced, style, others, loose)
    fits &= pc.match_substring_regex(body, BODY[mark]).to_numpy(zero_copy_only=False)
    body = pc.replace_substring(pc.replace_substring(body, "," if mark == "." else ".", ""), ",", ".")
    body = _scaled(body, field["scale"])
    fits &= pc.match_substring_regex(body, r"^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").to_numpy(zero_copy_only=False)
    negative, sound = _signs(field)
    fits &= sound
    values = np.full(len(texts), np.nan)
    values[fits] = _floats(body.filter(pa.array(fits)))
    values[negative] *= -1
    endless = infinite.to_numpy(zero_copy_only=False)
    values[endless] = np.inf
    values[endless & pc.fill_null(pc.starts_with(texts, "-"), False).to_numpy(zero_copy_only=False)] = -np.inf
    there = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    return Numbers(values, there & ~fits & ~endless, notes)


def is_number(text: str) -> bool:
    """Tell whether a text could be a number, however it is dressed."""
    return any(pattern.match(text) for pattern in SEEN)


def count_numbers(texts: pa.Array) -> int:
    """Return how many of some texts could be numbers: ``is_number``, all at once."""
    plain = pc.match_substring_regex(texts, PLAIN)
    rest = texts.filter(pc.invert(plain))
    dressed = pc.sum(pc.match_substring_regex(rest, DRESSED)).as_py() or 0
    return len(texts) - len(rest) + int(dressed)


def _decimal_mark(
    name: str, body: pa.Array, spaced: pa.Array, style: Style, others: Iterable[pa.Array], loose: bool
) -> str:
    if style.decimal is not None:
        return style.decimal
    if style.thousands in (",", "."):
        return "." if style.thousands == "," else ","
    mark = _told(body, spaced)
    if mark is not None:
        return mark
    split = body.filter(pc.match_substring_regex(body, "[.,]"))
    if not len(split):
        return "."
    if _all(split, BODY["."]) == _all(split, BODY[","]) and not _all(split, BODY["."]):
        points, commas = (int(pc.sum(pc.match_substring_regex(body, BODY[mark])).as_py() or 0) for mark in ".,")
        if points != commas:
            return "." if points > commas else ","  # the others are faults, told one by one
        return "."
    for other in others:
        parts = pc.extract_regex(other, DRESSED).drop_null()
        if len(parts) and len(parts) >= 0.8 * len(other.drop_null()):
            found = _told(*_ungrouped(pc.struct_field(parts, "body")))
            if found is not None:
                return found
    hundreds = pc.any(pc.match_substring_regex(body, r"^[1-9]\d{2}$")).as_py()  # 987 beside 1.012: a walk, or two sizes
    if not loose and not hundreds and not pc.any(pc.match_substring(split, ",")).as_py():
        return "."  # 1.234 where no German habit speaks for thousands
    example = split[0].as_py()
    other_mark = "," if "," in example else "."
    word = {",": "comma", ".": "point"}[other_mark]
    raise DataError(
        f"{name} holds {example!r}, which is {example.replace(other_mark, '')} or {example.replace(',', '.')}: set "
        f"source.thousands={word} or source.decimal={word}."
    )


def _told(body: pa.Array, spaced: pa.Array) -> str | None:
    """Return the decimal mark if the texts leave but one."""
    after = spaced.filter(pc.match_substring_regex(spaced, "[.,]"))  # 1 234,567: the space groups
    if len(after):
        marks = {mark for mark in ".," if pc.any(pc.match_substring(after, mark)).as_py()}
        return marks.pop() if len(marks) == 1 else None
    valid = {mark: _all(body, pattern) for mark, pattern in BODY.items()}
    if valid["."] != valid[","]:
        return "." if valid["."] else ","
    if not valid["."]:
        return None
    split = pc.match_substring_regex(body, "[.,]")
    if not pc.any(split).as_py():
        return None
    # Both are possible.  Who groups thousands groups all of them.
    if pc.any(pc.match_substring_regex(body, r"^\d{4,}$")).as_py():
        points = pc.any(pc.match_substring(body, ".")).as_py()
        return "." if points else ","
    return None


def _ungrouped(body: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Take out spaces and apostrophes that group thousands, and return also the texts that had some."""
    grouped = pc.fill_null(pc.match_substring_regex(body, GROUPED), False)
    bare = pc.replace_substring_regex(body, f"[{GROUPERS}]", "")
    return pc.if_else(grouped, bare, body), bare.filter(grouped)


def _scaled(body: pa.Array, scale: pa.Array) -> pa.Array:
    """Write 1.001 M as 1.001e6: a product would miss its last bit."""
    for mark in pc.unique(scale).to_pylist():
        if mark:
            body = pc.if_else(pc.equal(scale, mark), pc.binary_join_element_wise(body, f"e{SCALES[mark]}", ""), body)
    return body


def _one_kind(name: str, field: dict[str, pa.Array], fits: BoolArray) -> tuple[str, ...]:
    """Refuse two currencies, and percentages beside plain numbers."""
    if not fits.any():
        return ()
    there = pa.array(fits)
    before, after = (field[place].filter(there) for place in ("before", "after"))
    units = sorted({str(unit) for unit in [*pc.unique(before).to_pylist(), *pc.unique(after).to_pylist()] if unit})
    per_cent = {"%", "％"} & set(units)
    if len(units) > 1:
        raise DataError(f"{name} mixes {' and '.join(units[:4])}.  Convert its values to one unit.")
    if per_cent and not pc.all(pc.is_in(after, pa.array(["%", "％"]))).as_py():
        raise DataError(f"{name} mixes percentages and plain numbers.  Write all of them with % or without.")
    if per_cent:
        return (f"{name} holds percentages, which are read as percent: 0.31% is 0.31.",)
    return ()


def _signs(field: dict[str, pa.Array]) -> tuple[BoolArray, BoolArray]:
    """Return where a minus stands, or brackets in its place, and where at most one of them does."""
    there = {key: np.asarray(pc.not_equal(field[key], "")) for key in ("sign", "inner", "open", "shut", "trail")}
    minus = [np.asarray(pc.is_in(field[key], pa.array(["-", "−"]))) for key in ("sign", "inner", "trail")]
    sound = (there["open"] == there["shut"]) & (
        sum(there[key].astype(int) for key in ("sign", "inner", "open", "trail")) < 2
    )
    return np.logical_or.reduce([*minus, there["open"]]), sound


def _all(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py() in (True, None))


def _floats(texts: pa.Array) -> FloatArray:
    return texts.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
