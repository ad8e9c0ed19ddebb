"""Texts and numbers to times: what is unambiguous is read, what is not is asked for.

A column is one kind of date throughout: each kind is a pattern, and all texts must be of one.
"""

import re
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.panel import DataError, listed
from data.reading.options import Options

UNIT = "datetime64[us]"  # one resolution, so that the same dates have the same fingerprint
FIRST, LAST = 1000, 2261  # [year] beyond which a date stands for nothing
SHOWN = 200  # distinct texts that decide of which kind a column is
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
EPOCHS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
"""Digits of a Unix time since 2001, and what it counts."""

MONTHS = [
    "jan|ene|gen", "feb|fév|fev", "mar|mär|mrz|mrt|maa", "apr|avr|abr", "may|mai|maj|mag|mei", "jun|giu|juin",
    "jul|lug|juil", "aug|ago|aoû", "sep|set", "oct|okt|ott|out", "nov", "dec|dez|dic|déc",
]  # fmt: skip
"""Beginnings of the names of months in English, German, French, Spanish, Italian, Portuguese and Dutch."""

CLOCK = (
    r"(?:[T ,]\s*(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?\s*(?P<p>[AaPp]\.?[Mm]\.?|))?"
    r"\s*(?P<off>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}|)$"
)
WEEKDAY = r"(?:[A-Za-zÀ-ÿ]{2,9}\.?,?\s+)?"
NAME = rf"(?P<name>(?i:{'|'.join(MONTHS)})[A-Za-zÀ-ÿ]{{0,9}})\.?"
NTH = r"(?:st|nd|rd|th|)"
COMPACT_CLOCK = r"(?:[T ]?(?P<H>\d{2}):?(?P<M>\d{2})(?::?(?P<S>\d{2}))?)?(?P<off>Z|[+-]\d{2}:?\d{2}|)$"
KINDS = {
    "year, month, day": r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + CLOCK,
    "YYYYMMDD": r"^(?P<y>\d{4})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])" + COMPACT_CLOCK,
    "three numbers": r"^(?P<a>\d{1,2})[-/](?P<b>\d{1,2})[-/](?P<c>\d{4}|\d{2})" + CLOCK,
    "three numbers with points": r"^(?P<a>\d{1,2})\.\s?(?P<b>\d{1,2})\.\s?(?P<c>\d{4}|\d{2})" + CLOCK,
    "day, name, year": rf"^{WEEKDAY}(?P<d>\d{{1,2}}){NTH}\.?[-/, ]*{NAME}[-/., ]*(?P<y>\d{{4}}|\d{{2}})" + CLOCK,
    "name, day, year": rf"^{WEEKDAY}{NAME}[- ]+(?P<d>\d{{1,2}}){NTH}(?:,\s*|[- ]\s*)(?P<y>\d{{4}})" + CLOCK,
    "year, name, day": rf"^(?P<y>\d{{4}})[-/. ]*{NAME}[-/. ]*(?P<d>\d{{1,2}})" + CLOCK,
    "characters": r"^(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월]\s?(?:(?P<d>\d{1,2})\s?[日일])?" + CLOCK,
    "year, month": r"^(?P<y>\d{4})[-/Mm](?P<m>\d{1,2})$",  # with a point it is a number
    "month, year": r"^(?P<m>\d{1,2})[-/](?P<y>\d{4})$",
    "name, year": rf"^{NAME}[-/., ]*(?P<y>\d{{4}})$",
    "name, short year": rf"^{NAME}[-/., ]+(?P<y>\d{{2}})$",
    "year, name": rf"^(?P<y>\d{{4}})[-/., ]*{NAME}$",
    "year, quarter": r"^(?P<y>\d{4})\s?[-/.]?\s?[Qq](?P<q>[1-4])$",
    "quarter, year": r"^[Qq](?P<q>[1-4])[-/. ]*(?P<y>\d{4})$",
    "year, week": r"^(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<d>[1-7]))?$",
}
SEEN = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}
"""The same for single texts."""
NO_DATE = r"^[+-]?\d*\.?\d+$"
DAYS = r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
"""Whole numbers that are days of our times."""
TIME_OF_DAY = r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*([AaPp]\.?[Mm]\.?)?$"


class Dates(NamedTuple):
    """What a column of dates holds."""

    parsed: "pd.Series[Any]"
    """Timestamps, with their time zone where one is told, or whole numbers that count steps; NaT where none."""
    notes: tuple[str, ...]


def is_date(text: str) -> bool:
    """Tell whether a text could be a date that is written with separators."""
    return re.match(NO_DATE, text) is None and any(
        pattern.match(text) for kind, pattern in SEEN.items() if kind != "YYYYMMDD"
    )


def is_day(text: str) -> bool:
    """Tell whether a text is a day of our times written as YYYYMMDD."""
    return re.match(DAYS, text) is not None


def times_of_day(name: str, texts: list[str | None]) -> list[str | None]:
    """Return times of day as 09:30 where a column has them as whole numbers: hours, 930 or 93000.

    Raises
    ------
    DataError
        If hours are counted from 1 to 24.
    """
    known = {text for text in texts if text}
    if not known or not all(re.fullmatch(r"\d{1,6}", text) for text in known):
        return texts
    most = max(map(int, known))
    if most <= 24:
        refuse_hour_24(name, most)
        return [text and f"{int(text):02d}:00" for text in texts]
    if most < 2400:
        return [text and f"{int(text) // 100:02d}:{int(text) % 100:02d}" for text in texts]
    return [text and f"{int(text) // 10_000:02d}:{int(text) // 100 % 100:02d}:{int(text) % 100:02d}" for text in texts]


def refuse_hour_24(name: str, most: int) -> None:
    """Raise DataError where the largest of some hours is 24: it is not known which hour they mean."""
    if most == 24:
        raise DataError(
            f"{name} counts hours to 24, and it is not known whether hour 1 begins or ends at 1:00.  Write 0 to 23."
        )


def to_dates(name: str, column: "pa.Array | pd.Series[Any]", options: Options) -> Dates:
    """Read a column of times.

    Parameters
    ----------
    name : str
        What messages call the column, with its file.
    column : Array or Series
        Texts as of ``numbers.trimmed``, or numbers, or timestamps.
    options : Options

    Raises
    ------
    DataError
        If they are no dates, or could be two, naming the option that settles it.
    """
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if isinstance(column, pd.Series) and _is_timed(column):
        times = column.reset_index(drop=True)
        return _in_zone(name, _within(name, times, times.dt.year.astype(object)), options, ())
    if isinstance(column, pd.Series):
        texts = pa.array([None if pd.isna(value) else _digits(value) for value in column.tolist()], pa.string())
    else:
        texts = column
    coded = pc.dictionary_encode(texts)
    distinct = coded.dictionary
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    if not len(distinct):
        raise DataError(f"{name} holds no date.  Set source.time to the column of the dates.")
    found, notes = _distinct(name, distinct, options)
    missing = codes < 0
    values: Any = found.iloc[np.where(missing, 0, codes)].reset_index(drop=True)
    if missing.any():
        values = values.astype("Int64") if pd.api.types.is_integer_dtype(values) else values
        values[missing] = pd.NA if isinstance(values.dtype, pd.Int64Dtype) else pd.NaT
    return _in_zone(name, values, options, notes)


def _distinct(name: str, texts: pa.Array, options: Options) -> tuple["pd.Series[Any]", tuple[str, ...]]:
    """Return the time of each distinct text."""
    form = options.date_format
    if form == "YYYYMMDD":
        form = "%Y%m%d"
    if form is not None and "%" in form:
        return _of_format(name, texts, form), ()
    whole = pc.match_substring_regex(texts, r"^[+-]?\d{1,19}(\.0*)?$")
    if pc.all(whole).as_py():
        digits = pc.replace_substring_regex(texts, r"\.0*$", "")
        return _of_integers(name, digits, form)
    if form is not None:
        if pc.all(pc.match_substring_regex(texts, r"^[+-]?\d+\.?\d*([eE]\+?\d+)?$")).as_py() and form != "step":
            return _counted(name, texts.cast(pa.float64()).to_numpy(zero_copy_only=False), form), ()
        example = texts.filter(pc.invert(whole))[0].as_py()
        raise DataError(f"{name} holds {example!r}, where source.date_format={form} expects whole numbers.")
    shown = texts.slice(0, SHOWN).to_pylist()
    kind = max(SEEN, key=lambda kind: sum(SEEN[kind].match(text) is not None for text in shown))
    fits = pc.match_substring_regex(texts, KINDS[kind])
    if not pc.all(fits).as_py():
        raise _no_date(name, texts, fits)
    parts = pc.extract_regex(texts, KINDS[kind])
    fields = {part.name: pc.struct_field(parts, part.name) for part in parts.type}
    return _assembled(name, texts, kind, fields, options)


def _no_date(name: str, texts: pa.Array, fits: pa.Array) -> DataError:
    n = len(texts) - int(pc.sum(fits).as_py() or 0)
    wrong = texts.filter(pc.invert(fits)).slice(0, 3).to_pylist()
    shown = ", ".join(repr(text[:60]) for text in wrong)
    if n == len(texts):
        return DataError(
            f"{name} holds {shown}, which is no date that is known.  Set source.date_format, such as %d.%m.%Y, or "
            f"source.time to the column of the dates."
        )
    rest = texts.filter(fits)[0].as_py()
    return DataError(
        f"{name} holds {n} texts that are no dates as the others ({rest!r}) are: {shown}.  Correct or remove these "
        f"rows, or set source.date_format."
    )


def _of_format(name: str, texts: pa.Array, form: str) -> "pd.Series[Any]":
    given = pd.Series(texts.to_pylist(), dtype=object)
    offset = "%z" in form or "%Z" in form
    try:
        found = pd.to_datetime(given, format=form, errors="coerce", utc=offset)
    except (ValueError, TypeError, re.error) as error:
        raise DataError(f"source.date_format={form} is no format of dates ({str(error).split(';')[0]}).") from None
    wrong = found.isna().to_numpy()
    if wrong.any():
        example = given[wrong].iloc[0]
        raise DataError(
            f"{name} holds {str(example)[:60]!r}, which is not of source.date_format={form}.  Correct the format, "
            f"or set it to null to have it found."
        )
    return _within(name, found, given)


def _of_integers(name: str, texts: pa.Array, form: str | None) -> tuple["pd.Series[Any]", tuple[str, ...]]:
    """Whole numbers: dates without separators, Unix times, or steps."""
    numbers = pd.Series([int(text) for text in texts.to_pylist()], dtype=object)
    if form is None:
        lengths = pc.unique(pc.utf8_length(texts)).to_pylist()
        length = lengths[0] if len(lengths) == 1 else 0
        calendar = {8: "%Y%m%d", 6: "%Y%m", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(length)
        dated = None if calendar is None else _calendar_days(numbers, calendar)
        if dated is not None and calendar is not None:
            told = calendar.replace("%Y", "YYYY").replace("%m", "MM").replace("%d", "DD").replace("%H", "HH")
            told = told.replace("%M", "MM").replace("%S", "SS")
            note = f"{name} holds numbers such as {numbers.iloc[0]}, which are read as dates {told}."
            return dated, (note,) if length != 8 else ()
        if length in EPOCHS and (numbers > 0).all() and _is_recent(numbers, EPOCHS[length]):
            unit = EPOCHS[length]
            note = f"{name} holds numbers such as {numbers.iloc[0]}, which are read as Unix times [{unit}], in UTC."
            return _counted(name, numbers.to_numpy(), unit), (note,)
        _refuse_odd_ones(name, numbers)
        low, high = int(numbers.min()), int(numbers.max())
        if low > 20_000 and high < 80_000 and len(numbers) > 1:
            raise DataError(
                f"{name} holds numbers such as {low}, which may be days as Excel counts them or steps: set "
                f"source.date_format=excel or source.date_format=step."
            )
        short = length == 6 and pd.to_datetime(texts.to_pandas(), format="%y%m%d", errors="coerce").notna().all()
        if low >= 1_000_000 or high > 99_999_999 or (short and len(numbers) > 2):
            raise DataError(
                f"{name} holds numbers such as {texts[0].as_py()}, which may be dates, Unix times or steps: set "
                f"source.date_format to a format such as %d%m%Y or %y%m%d, or to s, ms or step."
            )
        form = "step"
    if form == "step":
        return numbers.astype(np.int64), ()
    return _counted(name, numbers.to_numpy(), form), ()


def _refuse_odd_ones(name: str, numbers: "pd.Series[Any]") -> None:
    """Where nearly all numbers are days, the others are faults, no steps."""
    days = np.array([is_day(str(number)) for number in numbers])
    if 0.5 < days.mean() < 1:
        raise DataError(
            f"{name} holds days such as {numbers[days].iloc[0]}, and {listed(numbers[~days], 3)}, which are none.  "
            f"Correct or remove these rows, or set source.date_format=step."
        )


def _calendar_days(numbers: "pd.Series[Any]", form: str) -> "pd.Series[Any] | None":
    text = numbers.astype(str)
    found = pd.to_datetime(text, format=form, errors="coerce")
    if found.isna().any() or not found.dt.year.between(1700, 2200).all():
        return None
    return _at_one_resolution(found)


def _is_recent(numbers: "pd.Series[Any]", unit: str) -> bool:
    seconds = numbers.astype(float) * SECONDS[unit]
    return bool(seconds.between(946_684_800, 4_102_444_800).all())  # 2000 to 2100


def _counted(name: str, numbers: "np.ndarray[Any, Any]", form: str) -> "pd.Series[Any]":
    """Times that are counted from 1970, or in days as Excel does."""
    if form == "excel":
        micros = np.array([round((float(number) - 25569) * 86_400e3) * 1000 for number in numbers], dtype=object)
    else:
        scale = {"s": 1_000_000, "ms": 1000, "us": 1}.get(form)
        if scale is None:
            micros = np.array([int(number) // 1000 for number in numbers], dtype=object)
        else:
            micros = np.array(
                [number * scale if isinstance(number, int) else round(float(number) * scale) for number in numbers],
                dtype=object,
            )
    bound = 9_000_000_000_000_000
    if any(abs(micro) > bound for micro in micros):
        example = next(number for number, micro in zip(numbers, micros, strict=True) if abs(micro) > bound)
        raise DataError(f"{name} holds {example}, which is no time of source.date_format={form}.")
    found = pd.Series(micros.astype(np.int64).view(UNIT))
    return found if form == "excel" else found.dt.tz_localize("UTC")


def _assembled(
    name: str, texts: pa.Array, kind: str, fields: dict[str, pa.Array], options: Options
) -> tuple["pd.Series[Any]", tuple[str, ...]]:
    """Put the parts of dates together."""
    notes: list[str] = []
    if "a" in fields:
        fields, notes = _ordered(name, texts, fields, options, points=kind.endswith("points"))
    number = {key: _integers(fields[key]) for key in "ymdqwHMS" if key in fields}
    years = _full_years(name, texts, fields["y"], number["y"], notes)
    if "name" in fields:
        number["m"] = _months(fields["name"])
    month = number.get("m", np.ones(len(texts), dtype=np.int64))
    if "q" in number:
        month = 3 * number["q"] - 2
    day = np.where(number["d"] < 0, 1, number["d"]) if "d" in number and "w" not in number else np.ones_like(month)
    table = {"year": years, "month": month, "day": day}
    given = pd.Series(texts.to_pylist(), dtype=object)
    if "w" in number:
        weekday = np.where(number.get("d", np.full(len(texts), -1)) < 0, 1, number.get("d", 1))
        week = [f"{year:04d}-{int(w):02d}-{int(d)}" for year, w, d in zip(years, number["w"], weekday, strict=True)]
        found = pd.to_datetime(pd.Series(week), format="%G-%V-%u", errors="coerce")
    else:
        found = pd.to_datetime(pd.DataFrame(table), errors="coerce")
    if not {"d", "w"} & set(number) or (number.get("d", np.zeros(1)) < 0).all():
        what = "week" if "w" in number else "quarter" if "q" in number else "month"
        notes.append(f"{name} names a {what} a row; its first day stands for it.")
    hours, odd = _hours(fields, number, len(texts))
    wrong = found.isna().to_numpy() | odd
    if wrong.any():
        raise DataError(
            f"{name} holds {listed([repr(text) for text in given[wrong]], 3)}, no day or time of the calendar.  "
            f"Correct or remove these rows, or set source.date_format."
        )
    found = _within(
        name, _at_one_resolution(found) + pd.to_timedelta(hours, unit="us").astype("timedelta64[us]"), given
    )
    return _with_offsets(name, found, fields.get("off"), options, notes), tuple(notes)


def _ordered(
    name: str, texts: pa.Array, fields: dict[str, pa.Array], options: Options, points: bool
) -> tuple[dict[str, pa.Array], list[str]]:
    """Tell day, month and year apart where three numbers stand."""
    first, second, third = (_integers(fields[key]) for key in "abc")
    short = bool((pc.utf8_length(fields["c"]).to_numpy(zero_copy_only=False) == 2).any())
    orders = {
        "dmy": bool((first <= 31).all() and (second <= 12).all() and (first > 0).all() and (second > 0).all()),
        "mdy": bool((first <= 12).all() and (second <= 31).all() and (first > 0).all() and (second > 0).all()),
        "ymd": short and bool(((second <= 12) & (third <= 31) & (second > 0) & (third > 0)).all()),
    }
    wanted = {True: "dmy", False: "mdy"}
    if options.dayfirst is not None:
        orders = {order: fits and order == wanted[options.dayfirst] for order, fits in orders.items()}
    left = [order for order, fits in orders.items() if fits]
    told = []
    if left == ["dmy", "mdy"] and points and not short:
        left = ["dmy"]
        told = [f"{name} holds {texts[0].as_py()!r}, which is read as day, month, year."]
    if len(left) > 1:
        example = texts[0].as_py()
        more = ", or source.date_format=%y-%m-%d or another" if "ymd" in left else ""
        raise DataError(
            f"{name} holds {example!r}, and no row tells which number is the day: set source.dayfirst=true or "
            f"source.dayfirst=false{more}."
        )
    if not left:
        if options.dayfirst is not None:
            raise DataError(f"{name} holds dates that source.dayfirst={str(options.dayfirst).lower()} does not fit.")
        late = texts.filter(pa.array(first > 12)), texts.filter(pa.array(second > 12))
        shown = " and ".join(repr(part[0].as_py()) for part in late if len(part))
        raise DataError(f"{name} holds {shown}, which cannot be dates of one form.  Correct these rows.")
    keys = dict(zip(left[0], "abc", strict=True))
    rest = {key: value for key, value in fields.items() if key not in "abc"}
    return rest | {part: fields[key] for part, key in keys.items()}, told


def _full_years(name: str, texts: pa.Array, written: pa.Array, years: "np.ndarray[Any, Any]", notes: list[str]) -> Any:
    """Years of two digits are those from 1969 to 2068, as strptime has it."""
    short = pc.equal(pc.utf8_length(written), 2).to_numpy(zero_copy_only=False)
    if short.any():
        notes.append(
            f"{name} holds years of two digits, such as {texts[0].as_py()!r}: they are those from 1969 to 2068."
        )
    return np.where(short, np.where(years < 69, 2000 + years, 1900 + years), years)


def _months(names: pa.Array) -> "np.ndarray[Any, Any]":
    distinct = pc.unique(pc.utf8_lower(names)).to_pylist()
    number = {
        word: next(month for month, starts in enumerate(MONTHS, 1) if re.match(starts, word)) for word in distinct
    }
    return np.array([number[word] for word in pc.utf8_lower(names).to_pylist()], dtype=np.int64)


def _hours(fields: dict[str, pa.Array], number: dict[str, Any], n: int) -> tuple[Any, Any]:
    """Return the time of day [us], and where there is no such time."""
    if "H" not in number:
        return np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    hour, minute, second = (np.maximum(number.get(key, np.zeros(n, dtype=np.int64)), 0) for key in "HMS")
    odd = (hour > 23) | (minute > 59) | (second > 59)
    if "p" in fields:
        half = pc.utf8_lower(pc.utf8_slice_codeunits(pc.fill_null(fields["p"], ""), 0, 1)).to_numpy(
            zero_copy_only=False
        )
        odd |= (half != "") & ((hour < 1) | (hour > 12))
        hour = np.where(half == "p", hour % 12 + 12, np.where(half == "a", hour % 12, hour))
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000
    if "f" in fields:
        fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(fields["f"], ""), 6, "0"), 0, 6)
        micros = micros + _integers(fraction)
    return micros, odd


def _with_offsets(
    name: str, found: "pd.Series[Any]", offsets: pa.Array | None, options: Options, notes: list[str]
) -> "pd.Series[Any]":
    if offsets is None:
        return found
    written = pc.fill_null(offsets, "")
    distinct = pc.unique(written).to_pylist()
    if distinct == [""]:
        return found
    if "" in distinct:
        raise DataError(
            f"{name} has an offset from UTC in some rows and none in others.  Give all of them one, or none."
        )
    minutes = {text: _minutes(text) for text in distinct}
    shift = np.array([minutes[text] for text in written.to_pylist()], dtype=np.int64)
    absolute = (found - pd.to_timedelta(shift, unit="m").astype("timedelta64[us]")).dt.tz_localize("UTC")
    if len(set(minutes.values())) > 1 and options.timezone is None:
        notes.append(
            f"{name} has offsets that change ({listed(sorted(distinct), 4)}), as daylight saving does: its times are "
            f"read in UTC; source.timezone, such as Europe/Berlin, shows them as clocks did."
        )
        return absolute
    if set(minutes.values()) == {0}:
        return absolute
    return (
        absolute.dt.tz_convert(pd.Timestamp(0, tz=f"UTC{_signed(shift[0])}").tz)
        if options.timezone is None
        else absolute
    )


def _signed(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _minutes(offset: str) -> int:
    if not offset.startswith(("+", "-")):
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return (-1 if offset[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


def _in_zone(name: str, values: "pd.Series[Any]", options: Options, notes: tuple[str, ...]) -> Dates:
    """Give times the zone the user names."""
    if not _is_timed(values):
        return Dates(values, notes)
    zone = getattr(values.dt, "tz", None)
    values = _at_one_resolution(values)
    if options.timezone is None:
        return Dates(values, notes)
    if zone is not None:
        return Dates(values.dt.tz_convert(ZoneInfo(options.timezone)), notes)
    turned = slice(
        None, None, -1 if values.is_monotonic_decreasing else 1
    )  # the hour that comes twice is told by order
    try:
        local = values.iloc[turned].dt.tz_localize(ZoneInfo(options.timezone), ambiguous="infer")
        return Dates(local.iloc[turned], notes)
    except (ValueError, KeyError):
        raise DataError(
            f"{name} has times that source.timezone={options.timezone} does not have once, such as the hour of a "
            f"change of clocks.  Write times with their offset, or in UTC."
        ) from None


def _digits(number: Any) -> str:
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def _at_one_resolution(values: Any) -> "pd.Series[Any]":
    return values.dt.as_unit("us")


def _is_timed(values: "pd.Series[Any]") -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _within(name: str, found: "pd.Series[Any]", given: "pd.Series[Any]") -> "pd.Series[Any]":
    beyond = ~(found.isna() | found.dt.year.between(FIRST, LAST)).to_numpy()
    if beyond.any():
        raise DataError(
            f"{name} holds {listed([repr(text) for text in given[beyond]], 3)}, a year beyond {FIRST} .. {LAST}.  "
            f"Correct or remove these rows."
        )
    return found


def _integers(texts: pa.Array) -> "np.ndarray[Any, Any]":
    """Return whole numbers, -1 where nothing stands."""
    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), "-1", texts)
    return filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
