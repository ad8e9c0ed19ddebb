"""Bytes to text: the encoding is told by the file, or found, and said where it is a guess."""

import codecs
import re

from data.panel import DataError

MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
STRANGERS = [
    (b"\xd0\xcf\x11\xe0", "a workbook of old Excel (.xls): save it as .xlsx or .csv"),
    (b"\x89HDF", "an HDF5 file: write its table as .parquet or .csv"),
    (b"SQLite format 3", "a data base of SQLite: write its table as .csv"),
    (b"\x93NUMPY", "an array of NumPy: write it as .csv with a header line"),
    (b"\x28\xb5\x2f\xfd", "packed with zstandard: unpack it"),
    (b"Rar!", "an archive of RAR: unpack it"),
    (b"7z\xbc\xaf", "an archive of 7z: unpack it"),
    (b"%PDF", "a PDF: copy its table into a .csv file"),
    (b"\x80\x04\x95", "a pickle, which could run code: write its table as .parquet or .csv"),
    (b"\x80\x05\x95", "a pickle, which could run code: write its table as .parquet or .csv"),
    (b"Obj\x01", "an Avro file: write its table as .parquet or .csv"),
    (b"ORC", "an ORC file: write its table as .parquet or .csv"),
]
LEADS = [("shift_jis", 0x81, 0x9F), ("big5", 0xA4, 0xC6), ("euc_kr", 0xB0, 0xC8)]
"""First bytes of frequent letters: symbols in Western encodings, which seldom stand between letters."""
UNPRINTED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")
SAMPLE = 1 << 16  # [bytes] that are looked at


def text_of(name: str, content: bytes, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and what was supposed in decoding it.

    Parameters
    ----------
    name : str
        What messages call the file.
    encoding : str or None
        What the user said; None finds out.

    Raises
    ------
    DataError
        If it is no text, or not of the encoding.
    """
    stranger = next((what for mark, what in STRANGERS if content.startswith(mark)), None)
    if stranger:
        raise DataError(f"{name} is no table that can be read, but {stranger}.")
    found = encoding or _marked(content) or _found(content)
    try:
        text = content.decode(found)
    except (UnicodeDecodeError, UnicodeError) as error:
        said = f"source.encoding={encoding}" if encoding else "any encoding that was tried"
        at = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{name} is no text of {said}{at}.  Set source.encoding, such as cp1252 or gb18030.") from None
    text = text.removeprefix("\ufeff")
    head = text[:SAMPLE]
    if len(UNPRINTED.findall(head)) > len(head) // 1000:
        raise DataError(f"{name} is no text but binary data.  Give a CSV, Parquet, Feather, Excel or .tsf file.")
    start = head.lstrip()[:200].lower()
    if start.startswith(("<!doctype", "<html", "<?xml", "<table")):
        raise DataError(f"{name} is a page of HTML or XML, no table.  Was a download refused?  Give a CSV file.")
    if re.match(r"[\[{]\s*[\[{\"']", start):
        raise DataError(f"{name} is JSON.  Write its table as .csv or .parquet.")
    if encoding is None and found not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        return text, (f"{name} is read as {found}; where names look wrong, set source.encoding.",)
    return text, ()


def _marked(content: bytes) -> str | None:
    mark = next((name for mark, name in MARKS if content.startswith(mark)), None)
    if mark or b"\x00" not in content[:SAMPLE]:
        return mark
    head = content[: min(SAMPLE, len(content)) // 2 * 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    most = 0.7 * len(head) / 2
    return "utf-16-le" if odd > most > 3 * even else "utf-16-be" if even > most > 3 * odd else None


def _found(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    runs = re.findall(rb"[\x80-\xff]+", content)[:2000]
    high = b"".join(runs)
    if _decodes(content, "gb18030") and _is_chinese(high, runs):
        return "gb18030"
    if min(high) >= 0xA8 and 3 * sum(len(run) > 2 for run in runs) > len(runs) and _decodes(content, "cp1251"):
        return "cp1251"  # whole words of high bytes
    leads = re.findall(rb"([\x80-\xff])[\x40-\x7e\x80-\xff]", content)[:2000]
    for name, low, top in LEADS:
        usual = sum(low <= lead[0] <= top for lead in leads)
        if len(leads) > 1 and usual > 0.8 * len(leads) and _decodes(content, name):
            return name
    return "cp1252" if _decodes(content, "cp1252") else "latin-1"


def _is_chinese(high: bytes, runs: list[bytes]) -> bool:
    """Tell the frequent characters of GB 2312, two high bytes each, from accents and from Cyrillic."""
    if any(len(run) % 2 for run in runs) or not _decodes(high, "gb2312"):
        return False
    frequent = sum(0xA1 <= lead <= 0xD7 for lead in high[::2])
    return frequent >= 0.75 * len(high) / 2


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
