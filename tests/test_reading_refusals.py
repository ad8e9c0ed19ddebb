"""What can be read in two ways is asked for, what is no table is refused: one sentence, no traceback, no hang."""

import bz2
import gzip
import io
import os
import random
import re
import socket
import time
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from data.panel import DataError
from data.sources.cells_csv import CellsCSV
from data.sources.csv import CSV
from tests.test_reading_variants import DAYS, PRICES, VARIANTS, _written, _zipped, text

ROWS = text().splitlines()
FRAME = pd.DataFrame({"date": DAYS, "close": PRICES})


def rows(*cells: str, head: str = "date,close") -> str:
    """A file of some rows on the days of the series."""
    return "\n".join([head, *(f"{day:%Y-%m-%d},{cell}" for day, cell in zip(DAYS, cells, strict=False))]) + "\n"


def dated(*dates: str) -> str:
    return "\n".join(["date,close", *(f"{date},{k * k}" for k, date in enumerate(dates))]) + "\n"


def said(path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        CSV(str(path), **options).load()
    return str(error.value)


# What can be read in two ways, and the options that settle it

AMBIGUOUS = {
    "a group of three behind a comma": (
        rows('"1,234"', '"1,301"', '"1,287"'),
        "source.thousands=comma or source.decimal=comma",
        {"thousands": "comma"},
        {"decimal": "comma"},
    ),
    "a group of three behind a point, in a file of semicolons": (
        rows("1.234", "1.301", "1.287").replace(",", ";"),
        "source.thousands=point or source.decimal=point",
        {"thousands": "point"},
        {"decimal": "point"},
    ),
    "a walk across a thousand, its groups behind a point": (
        rows("969", "1.007", "1.012", "978", "1.019"),
        "source.thousands=point or source.decimal=point",
        {"thousands": "point"},
        {"decimal": "point"},
    ),
    "day and month": (
        dated("01/02/2024", "02/02/2024", "03/02/2024"),
        "source.dayfirst=true or source.dayfirst=false",
        {"dayfirst": True},
        {"dayfirst": False},
    ),
    "three short numbers": (
        dated("01-02-03", "01-02-04", "01-02-05"),
        "source.dayfirst=true or source.dayfirst=false",
        {"dayfirst": True},
        {"date_format": "%y-%m-%d"},
    ),
    "days as Excel counts them": (
        dated("44562", "44563", "44566"),
        "source.date_format=excel or source.date_format=step",
        {"date_format": "excel"},
        {"date_format": "step"},
    ),
    "numbers of eight digits that are no days": (
        dated("20241301", "20241302", "20241303"),
        "to s, ms or step",
        {"date_format": "step"},
        {"date_format": "s"},
    ),
    "days with years of two digits": (
        dated("220103", "220104", "220105", "220110"),
        "such as %d%m%Y or %y%m%d",
        {"date_format": "step"},
        {"date_format": "%y%m%d"},
    ),
    "days first, without their first zero": (
        dated("3012022", "4012022", "13012022"),
        "such as %d%m%Y or %y%m%d",
        {"date_format": "step"},
        {"date_format": "s"},
    ),
    "several columns of numbers": (
        "\n".join(["date,open,high", *(f"{day:%Y-%m-%d},{k},{k * k}" for k, day in enumerate(DAYS))]),
        "source.value=..., or set source.wide=true",
        {"value": "open"},
        {"wide": True},
    ),
    "several columns of dates": (
        "\n".join(["from,to,close", *(f"{day:%Y-%m-%d},{day:%Y-%m-%d},{k * k}" for k, day in enumerate(DAYS))]),
        "source.time=",
        {"time": "from"},
        {"time": "to"},
    ),
    "missing values": (
        rows("1", "", "3", "n/a", "5"),
        "source.missing=drop or =last",
        {"missing": "drop"},
        {"missing": "last"},
    ),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_is_ambiguous_is_refused_with_the_options_that_settle_it(tmp_path, case) -> None:
    content, named, *settled = AMBIGUOUS[case]
    (tmp_path / "x.csv").write_text(content)
    assert named in said(tmp_path / "x.csv")
    first, second = (CSV(str(tmp_path / "x.csv"), **options).load().frame for options in settled)
    assert not first.equals(second) or "time" in settled[0]


def test_the_other_columns_of_a_file_tell_its_decimal_mark(tmp_path) -> None:
    english = '"1,234"', '"1,301"', '"1,287"'
    (tmp_path / "x.csv").write_text(
        rows(*(f"{cell},{k}.5" for k, cell in enumerate(english)), head="date,close,change")
    )
    assert CSV(str(tmp_path / "x.csv")).load().frame["y"].tolist() == [1234, 1301, 1287]
    (tmp_path / "y.csv").write_text("d;close;x\n" + "".join(f"0{k}.02.2024;1.23{k};{k},5\n" for k in range(1, 5)))
    assert CSV(str(tmp_path / "y.csv"), value="close").load().frame["y"].tolist() == [1231, 1232, 1233, 1234]


def test_offsets_that_change_with_daylight_saving_are_read_as_the_same_instants(tmp_path) -> None:
    hours = pd.date_range("2024-03-29", periods=96, freq="h", tz="Europe/Berlin")
    (tmp_path / "x.csv").write_text(
        "date,close\n" + "".join(f"{hour.isoformat()},{k * k}\n" for k, hour in enumerate(hours))
    )
    panel = CSV(str(tmp_path / "x.csv")).load()
    assert panel.frame["ds"].tolist() == hours.tz_convert("UTC").tolist()
    assert any("read in UTC; source.timezone" in note for note in panel.notes)
    local = CSV(str(tmp_path / "x.csv"), timezone="Europe/Berlin").load().frame["ds"]
    assert [str(hour) for hour in local] == [str(hour) for hour in hours]


def test_a_time_zone_that_is_told_is_kept(tmp_path) -> None:
    (tmp_path / "x.csv").write_text(dated(*(f"{day:%Y-%m-%d} 09:30:00+08:00" for day in DAYS)))
    assert CSV(str(tmp_path / "x.csv")).load().frame["ds"].iloc[0].isoformat() == "2022-01-03T09:30:00+08:00"
    (tmp_path / "y.csv").write_text(dated(*(f"{day:%Y-%m-%d} 09:30" for day in DAYS)))
    assert CSV(str(tmp_path / "y.csv"), timezone="Asia/Shanghai").load().frame["ds"].iloc[0].isoformat() == (
        "2022-01-03T09:30:00+08:00"
    )


# Faults

FAULTS = {
    "only a header": ("date,close\n", "has no rows"),
    "only blanks": ("  \n\n \n", "is empty"),
    "a word among the numbers": (rows("1", "2", "oops", "4"), "not a number at 2022-01-05, such as 'oops'"),
    "a day that is none": (dated("2024-02-28", "2024-02-30", "2024-03-01"), "'2024-02-30', no day or time"),
    "a month that is none": (dated("2024-12-01", "2024-13-01", "2024-14-01"), "no day or time"),
    "an hour that is none": (dated("2024-01-01 25:00", "2024-01-02 26:00"), "no day or time"),
    "dates of two forms": (dated("2024-01-01", "02.01.2024", "2024-01-03"), "'02.01.2024'"),
    "days and months mixed": (dated("13/01/2024", "01/14/2024"), "cannot be dates of one form"),
    "some offsets": (dated("2024-01-01T00:00:00Z", "2024-01-02T00:00:00"), "offset from UTC in some rows"),
    "the year 9999": (dated("2024-01-01", "9999-12-31"), "a year beyond"),
    "two values at a date": (rows("1", "2", "3") + "2022-01-03,7\n", "more than one value at 2022-01-03"),
    "a time of day apart": (
        "date,time,close\n" + "".join(f"2024-01-0{k},{h}:00,{k * h}\n" for k in range(1, 5) for h in (9, 10)),
        "Set source.clock=time",
    ),
    "tickers below each other": (
        "date,ticker,close\n" + "".join(f"2024-01-0{k},{t},{k * ord(t)}\n" for k in range(1, 5) for t in "AB"),
        "Set source.series=ticker",
    ),
    "a date too few": (rows("1", "2", "3") + ",7\n", "rows without a date"),
    "infinity": (rows("1", "inf", "3"), "infinite at 2022-01-04"),
    "too large for a double": (rows("1", "1e400", "3"), "infinite"),
    "a square that overflows": (rows("1e200", "2e200", "3e200"), "overflow in a square"),
    "a square that underflows": (rows("1e-300", "2e-300", "3e-300"), "underflow in a square"),
    "a spread below rounding": (rows("1e15", "1000000000000001", "1e15"), "than rounding does"),
    "nothing moves": (rows("5", "5", "5"), "constant (5)"),
    "one row": (rows("5"), "fewer than 2 rows"),
    "no column of numbers": (rows("a", "b", "c"), "not a number at 2022-01-03, 2022-01-04, 2022-01-05, such as 'a'"),
    "two currencies": (rows("$1.5", "€2.5", "$3.5"), "mixes $ and €"),
    "percent and numbers": (rows("1.5%", "2.5", "3.5%"), "mixes percentages and plain numbers"),
    "a bracket too few": (rows("(5.5", "2.5", "3.5"), "such as '(5.5'"),
    "two signs": (rows("1.5", "-$-2.5", "3.5"), "such as '-$-2.5'"),
    "two decimal marks": (rows('"1,5"', "2.25", '"3,5"', '"4,5"'), "not a number at 2022-01-04, such as '2.25'"),
    "commas without quotes": (rows("1,5", "2,25", "3,75"), "names 2 columns, but its rows have 3"),
    "a long row": ("\n".join([*ROWS[:5], "2022-02-01,1,2", *ROWS[6:]]), "have 3 cells where the others have 2"),
    "a short row": ("\n".join([*ROWS[:5], "2022-02-01", *ROWS[6:]]), "have 1 cells where the others have 2"),
    "an open quote": ("\n".join([*ROWS[:5], '2022-02-01,"1', *ROWS[6:]]), "quote"),
    "two kinds of separators": (text() + text(separator=";"), "rows of other columns before its table"),
    "whole numbers without a header": ("1,5\n2,5\n3,5\n", "source.separator=comma"),
    "HTML": ("<!DOCTYPE html><html><body>403</body></html>", "a page of HTML"),
    "JSON": ('[{"date": "2024-01-01", "close": 5}]', "is JSON"),
    "a second currency in words": (rows("1 apple", "2 apples", "3 apples", head="date,fruit"), "no column of numbers"),
    "a month in Finnish": (dated("1 tammikuu 2024", "2 tammikuu 2024"), "no date that is known"),
    "a step with a fraction": (dated("0.5", "1.5", "2.5"), "no date that is known"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_in_one_sentence(tmp_path, case) -> None:
    content, pattern = FAULTS[case]
    (tmp_path / "x.csv").write_text(content)
    message = said(tmp_path / "x.csv")
    assert re.search(pattern if "|" in pattern else re.escape(pattern), message)
    assert len(message.splitlines()) < 4


def test_all_faults_of_a_file_come_at_once(tmp_path) -> None:
    (tmp_path / "x.csv").write_text('when,close\n01/02/2024,"1,234"\n02/02/2024,"1,301"\n')
    message = said(tmp_path / "x.csv")
    assert "source.dayfirst" in message
    assert "source.decimal" in message
    assert "'whn'" in said(tmp_path / "x.csv", time="whn", value="clse")
    assert "'clse'" in said(tmp_path / "x.csv", time="whn", value="clse")
    assert "Did you mean 'when'?" in said(tmp_path / "x.csv", time="whn")


def test_no_message_gives_the_advice_of_another_library(tmp_path) -> None:
    for content, _ in FAULTS.values():
        (tmp_path / "x.csv").write_text(content)
        assert not re.search(r"format='|utc=True|dtype|errors=|on_bad_lines|pandas|pyarrow", said(tmp_path / "x.csv"))


def test_a_message_lists_at_most_ten_names(tmp_path) -> None:
    (tmp_path / "x.csv").write_text(",".join(f"column{k}" for k in range(500)) + "\n" + ",".join(["1"] * 500) + "\n")
    assert "and 490 more" in said(tmp_path / "x.csv", value="close")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"separator": "::"}, "source.separator=::"),
        ({"decimal": ";"}, "source.decimal=;"),
        ({"decimal": "comma", "thousands": ","}, "must differ"),
        ({"encoding": "utf-9"}, "source.encoding=utf-9"),
        ({"encoding": "rot13"}, "source.encoding=rot13"),
        ({"skip_rows": -1}, "source.skip_rows=-1"),
        ({"timezone": "Berlin"}, "source.timezone=Berlin"),
        ({"timezone": "../../etc/passwd"}, "source.timezone="),
        ({"date_format": "ISO"}, "source.date_format=ISO"),
        ({"missing": "mean"}, "source.missing=mean"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, named) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        CSV("x.csv", **options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"date_format": "%d.%m.%Y"}, "not of source.date_format=%d.%m.%Y"),
        ({"date_format": "%Q"}, "%Q"),
        ({"date_format": "ms"}, "source.date_format=ms expects whole numbers"),
        ({"time": "close"}, "no column of numbers"),
        ({"decimal": "comma"}, "not a number"),
        ({"calendar": "XNYS", "date_format": "step"}, "source.date_format=step"),
        ({"last": "2001-01-01"}, "no day up to source.last=2001-01-01"),
        ({"last": "soon"}, "source.last=soon"),
        ({"clock": "hour"}, "'hour'"),
        ({"series": "ticker"}, "'ticker'"),
        ({"value": "date"}, "cannot be both"),
    ],
)
def test_an_option_that_does_not_fit_the_file_is_named(tmp_path, options, named) -> None:
    (tmp_path / "x.csv").write_text(text())
    assert named in said(tmp_path / "x.csv", **options)


def test_what_is_odd_and_can_be_read_is_told(tmp_path) -> None:
    """A column that stands there twice, and a number that stands for no value."""
    (tmp_path / "x.csv").write_text(
        rows(*(f"{-999 if k == 7 else k * k},5" for k in range(20)), head="date,close,close")
    )
    notes = CSV(str(tmp_path / "x.csv"), value="close").load().notes
    assert any("more than one column called 'close'" in note and "'close.1'" in note for note in notes)
    assert any("stand for missing ones" in note and "x: -999, 1 times" in note for note in notes)
    (tmp_path / "x.csv").write_text(rows(*(str(0 if k == 7 else 900 + k) for k in range(20))))
    assert any("x: 0, 1 times" in note for note in CSV(str(tmp_path / "x.csv")).load().notes)
    (tmp_path / "x.csv").write_text(rows(*(str(-900 - 11 * k) for k in range(20))))  # one of them is -999
    assert not any("stand for missing ones" in note for note in CSV(str(tmp_path / "x.csv")).load().notes)


# Files that are none


def _bomb(unpacked: int) -> bytes:
    return _zipped({"x.csv": b"1,2\n" * (unpacked // 4)})


def _book(change) -> bytes:
    book = openpyxl.Workbook()
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _far(row: int, column: int) -> bytes:
    def change(book) -> None:
        sheet = book.active
        for cells in [["date", "close"], *([f"{d:%Y-%m-%d}", float(v)] for d, v in zip(DAYS, PRICES, strict=True))]:
            sheet.append(cells)
        sheet.cell(row, column, "x")

    return _book(change)


def _charts_alone() -> bytes:
    def change(book) -> None:
        book.create_chartsheet("Chart")
        book.remove(book["Sheet"])

    return _book(change)


def _rewritten(content: bytes, member: str, change) -> bytes:
    """Return a workbook with one part changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[member] = change(parts[member])
    return _zipped(parts)


def _entities() -> bytes:
    levels = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    head = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "boom">{levels}]>'.encode()
    book = _written(FRAME, "to_excel", index=False)
    return _rewritten(book, "xl/worksheets/sheet1.xml", lambda part: head + re.sub(rb"<\?xml[^>]*>", b"", part))


def _nested() -> bytes:
    return _zipped({"inner.zip": _zipped({"x.csv": text().encode()})})


BOOK = _written(FRAME, "to_excel", index=False)
PARQUET = _written(FRAME, "to_parquet", index=False)
FEATHER = _written(FRAME, "to_feather")
HOSTILE = {
    "empty": (b"", "is empty"),
    "binary": (np.random.default_rng(0).bytes(5000), "Give a CSV|Set source.encoding"),
    "zeros": (b"\x00" * 5000, "binary data"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(2000), ""),
    "a pickle": (b"\x80\x04\x95" + b"cposix\nsystem\n" * 5, "a pickle"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "old Excel"),
    "SQLite": (b"SQLite format 3\x00" + b"\x00" * 100, "data base"),
    "one endless line": (b"date,close," + b"1," * 4_000_000, "characters, as no table has"),
    "one endless cell": (b"date,close\n2024-01-01," + b"9" * 6_000_000, "characters, as no table has"),
    "a million quotes": (b'"' * 1_000_000, ""),
    "two files in an archive": (_zipped({"a.csv": b"1", "b.csv": b"2"}), "holds 2 files (a.csv, b.csv)"),
    "an empty archive": (_zipped({}), "holds 0 files"),
    "an archive in an archive": (_nested(), "an archive in an archive"),
    "a zip bomb": (_bomb(80 << 20), "as no table does"),
    "a gzip bomb": (gzip.compress(b"0" * (80 << 20), 1), "as no table does"),
    "a bzip2 bomb": (bz2.compress(b"0" * (80 << 20)), "as no table does"),
    "half an archive": (_zipped({"a.csv": text().encode()})[:200], "cannot be read"),
    "half a gzip": (gzip.compress(text().encode())[:100], "cannot be read"),
    "half a workbook": (BOOK[: len(BOOK) // 2], "cannot be read|holds 0 files"),
    "half a Parquet": (PARQUET[: len(PARQUET) // 2], "no Parquet file"),
    "half a Feather": (FEATHER[: len(FEATHER) // 2], "no Feather file"),
    "a Parquet of lists": (_written(pd.DataFrame({"x": [[1], [2]]}), "to_parquet"), "lists or records"),
    "charts alone": (_charts_alone(), "no sheet with cells"),
    "an empty workbook": (_book(lambda book: None), "no cell with a value"),
    "a cell at the end of the sheet": (_far(1_048_576, 16_384), "far beyond its table"),
    "a cell far below": (_far(50_000, 1), "far beyond its table"),
    "a cell far to the right": (_far(3, 5_000), "far beyond its table"),
    "entities in a workbook": (_entities(), "none of Excel's"),
    "a workbook with a broken part": (
        _rewritten(BOOK, "xl/worksheets/sheet1.xml", lambda part: part[: len(part) // 2]),
        "is not a workbook",
    ),
    "a workbook without its sheet": (
        _zipped({"xl/workbook.xml": b"<workbook/>", "xl/worksheets/sheet1.xml": b"<x/>"}),
        "is not a workbook",
    ),
    "a workbook that unpacks to much": (
        _rewritten(BOOK, "xl/worksheets/sheet1.xml", lambda part: part + b" " * (64 << 20)),
        "as no workbook of a table does",
    ),
    "an OpenDocument sheet": (_zipped({"mimetype": b"application/vnd.oasis", "content.xml": b"<x/>"}), "OpenDocument"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("source", [CSV, CellsCSV])
def test_a_file_that_is_no_table_gets_a_sentence_and_takes_no_time(tmp_path, case, source) -> None:
    content, pattern = HOSTILE[case]
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(DataError) as error:
        source(str(path)).load()
    assert time.process_time() - began < 5
    assert re.search(pattern if "|" in pattern else re.escape(pattern), str(error.value))
    assert len(str(error.value)) < 700


def test_pipes_devices_and_folders_are_no_files(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for name, what in {
        "pipe.csv": "is a pipe",
        "s": "cannot be read",
        "folder.csv": "is a folder",
        "loop.csv": "cannot be read",
        "/dev/zero": "is a device",
        "a\x00b": "cannot be read",
        "x" * 5000: "cannot be read",
        "nowhere/x.csv": "There is no file",
    }.items():
        assert what in said(tmp_path / name)
    listener.close()


@pytest.mark.parametrize(
    "path", ["http://127.0.0.1:9/x.csv", "https://example.org/x", "file:///etc/passwd", "s3://b/x"]
)
@pytest.mark.parametrize("source", [CSV, CellsCSV])
def test_nothing_is_fetched_because_a_configuration_says_so(path, source) -> None:
    with pytest.raises(DataError, match=r"is a web address.*python -m data\.fetch"):
        source(path).load()


def test_a_table_of_five_thousand_columns_is_asked_about_or_read(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=(30, 5000)).round(3)
    frame = pd.DataFrame(values, columns=[f"s{k}" for k in range(5000)])
    frame.insert(0, "date", DAYS[:30])
    frame.to_csv(tmp_path / "x.csv", index=False)
    began = time.process_time()
    assert "and 4990 more" in said(tmp_path / "x.csv")
    panel = CSV(str(tmp_path / "x.csv"), wide=True).load()
    assert time.process_time() - began < 15
    assert panel.frame["unique_id"].nunique() == 5000


def test_a_sheet_is_chosen_by_name_and_the_others_are_told(tmp_path) -> None:
    with pd.ExcelWriter(tmp_path / "x.xlsx") as book:
        FRAME.assign(close=1 / PRICES).to_excel(book, sheet_name="first", index=False)
        FRAME.to_excel(book, sheet_name="second", index=False)
    panel = CSV(str(tmp_path / "x.xlsx")).load()
    np.testing.assert_allclose(panel.frame["y"], 1 / PRICES)
    assert "is read from its sheet 'first'; 'second' are not (source.sheet)" in panel.notes[0]
    np.testing.assert_allclose(CSV(str(tmp_path / "x.xlsx"), sheet="second").load().frame["y"], PRICES)
    assert "has no sheet 'third'; it has 'first', 'second'" in said(tmp_path / "x.xlsx", sheet="third")


# Chance

WORDS = [
    b'"',
    b",",
    b";",
    b"\n",
    b"\x00",
    b"\xff",
    b"1e999",
    b"nan",
    b"#",
    b"-",
    b"\t",
    b'"\n"',
    "万".encode(),
    b"%",
    b"$",
]


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Change some bytes of a file as a bad copy, an editor or a person does."""
    made = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(made)) if made else 0
        kind = chance.choice(["flip", "cut", "twice", "word", "end", "other"])
        if kind == "flip" and made:
            made[at] = chance.randrange(256)
        elif kind == "cut":
            del made[at : at + chance.choice([1, 3, 20])]
        elif kind == "twice":
            made[at:at] = made[at : at + chance.choice([1, 10, 60])]
        elif kind == "word":
            made[at:at] = chance.choice(WORDS)
        elif kind == "end":
            del made[at:]
        else:
            other = chance.choice(VARIANTS)[1]
            made[at:] = other[chance.randrange(len(other)) :]
    return bytes(made)


@pytest.mark.parametrize("seed", range(20))
def test_a_spoilt_file_is_read_right_or_refused(tmp_path, seed) -> None:
    """Of 400 spoilt files every one is refused in words, or all but a few of its values are those of the series."""
    chance = random.Random(seed)
    for number in range(20):
        _, content, ending = chance.choice(VARIANTS)
        path = tmp_path / f"{number}{ending}"
        path.write_bytes(spoilt(content, chance))
        began = time.process_time()
        try:
            frame = CSV(str(path)).load().frame
        except DataError:
            continue
        else:
            strange = ~np.isclose(frame["y"].to_numpy()[:, None], PRICES, rtol=0, atol=1e-5).any(axis=1)
            assert strange.sum() <= 5, path.read_bytes()
            assert pd.api.types.is_datetime64_any_dtype(frame["ds"]), path.read_bytes()
        assert time.process_time() - began < 2


def test_numbers_that_leave_one_value_a_date_are_named(tmp_path) -> None:
    for column, values, option in (
        ("Store", [1, 2, 7], "source.series=Store"),
        ("Hour", [0, 1], "source.clock=Hour"),
    ):
        lines = [f"{day:%Y-%m-%d},{value},{k}.{value}" for k, day in enumerate(DAYS) for value in values]
        (tmp_path / "x.csv").write_text("\n".join([f"date,{column},sales", *lines]))
        assert option in said(tmp_path / "x.csv", value="sales")
    lines = [f"{day:%Y-%m-%d},{hour},{hour}.5" for day in DAYS for hour in range(1, 25)]
    (tmp_path / "x.csv").write_text("\n".join(["date,Hour,load", *lines]))
    assert "whether hour 1 begins or ends" in said(tmp_path / "x.csv", value="load", clock="Hour")
