"""How a file is to be read, where it does not say so itself."""

from typing import NamedTuple

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
MARKS = {"comma": ",", "point": ".", "apostrophe": "'", "space": " "}
TYPED = ["YYYYMMDD", "s", "ms", "us", "ns", "excel", "step"]
"""Values of ``date_format`` beside a format of strptime: what a number in the time column counts."""


class Options(NamedTuple):
    """The options of a source that say how its file is written; None finds out."""

    separator: str | None = None
    """Between two columns: one character, or a word of ``SEPARATORS``."""
    decimal: str | None = None
    """Before the fraction: a character, or comma or point."""
    thousands: str | None = None
    """Between groups of three digits: a character, or a word of ``MARKS``."""
    encoding: str | None = None
    """As Python names it, such as cp1252 or gb18030."""
    skip_rows: int = 0
    """Lines before the header to pass over."""
    sheet: str | None = None
    """Name of the sheet of a workbook."""
    date_format: str | None = None
    """As of strptime, or one of ``TYPED``."""
    dayfirst: bool | None = None
    """Whether 01/02/2024 is the first of February."""
    timezone: str | None = None
    """Such as Europe/Berlin: what dates without an offset are in, and those with one are shown in."""

    def checked(self) -> "Options":
        """Return the same with words in place of characters undone.

        Raises
        ------
        ValueError
            Naming every option that cannot be, as ``source.<option>``.
        """
        faults = []
        separator = SEPARATORS.get(self.separator or "", self.separator)
        if separator is not None and len(separator) != 1:
            faults.append(f"source.separator={self.separator} must be one character, or {', '.join(SEPARATORS)}.")
        decimal = MARKS.get(self.decimal or "", self.decimal)
        if decimal not in (None, ",", "."):
            faults.append(f"source.decimal={self.decimal} must be comma or point.")
        thousands = MARKS.get(self.thousands or "", self.thousands)
        if thousands not in (None, *MARKS.values()):
            faults.append(f"source.thousands={self.thousands} must be {', '.join(MARKS)}.")
        if decimal is not None and decimal == thousands:
            faults.append(f"source.decimal={self.decimal} and source.thousands={self.thousands} must differ.")
        if self.encoding is not None and not _is_codec(self.encoding):
            faults.append(f"source.encoding={self.encoding} is no encoding; give utf-8, cp1252, gb18030 or another.")
        if isinstance(self.skip_rows, bool) or not isinstance(self.skip_rows, int) or self.skip_rows < 0:
            faults.append(f"source.skip_rows={self.skip_rows} must be a number of lines, 0 or more.")
        if self.timezone is not None and not _is_zone(self.timezone):
            faults.append(f"source.timezone={self.timezone} is no time zone; give one such as Europe/Berlin or UTC.")
        if self.dayfirst not in (None, True, False):
            faults.append(f"source.dayfirst={self.dayfirst} must be true, false or null.")
        if self.date_format is not None and "%" not in self.date_format and self.date_format not in TYPED:
            faults.append(
                f"source.date_format={self.date_format} must be a format such as %d.%m.%Y, or {', '.join(TYPED)}."
            )
        if faults:
            raise ValueError("\n  ".join(faults))
        return self._replace(separator=separator, decimal=decimal, thousands=thousands)


def _is_codec(name: str) -> bool:
    try:
        return "a".encode(name).decode(name) == "a"
    except (LookupError, ValueError, TypeError):
        return False


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True
