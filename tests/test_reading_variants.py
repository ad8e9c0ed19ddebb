"""The same series, written in every way people's exports are, is read as the same series."""

import gzip
import io
import itertools
import zipfile
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from data.reading.table import read_table
from data.sources.csv import CSV

DAYS = pd.bdate_range("2022-01-03", periods=40)
PRICES = np.round(950 + np.cumsum(np.random.default_rng(3).normal(15, 40, 40)), 2)
"""Below and above a thousand, with one and two decimals."""


def grouped(value: float, thousands: str, decimal: str) -> str:
    return f"{value:,.2f}".translate({ord(","): thousands, ord("."): decimal})


NUMBERS = {
    "plain": lambda v: repr(float(v)),
    "comma": lambda v: f"{v:.2f}".replace(".", ","),
    "English": lambda v: grouped(v, ",", "."),
    "German": lambda v: grouped(v, ".", ","),
    "Swiss": lambda v: grouped(v, "'", "."),
    "Swiss typeset": lambda v: grouped(v, "’", "."),
    "French": lambda v: grouped(v, "\u202f", ","),
    "French, older": lambda v: grouped(v, "\u00a0", ","),
    "dollars": lambda v: f"${v:,.2f}",
    "euros": lambda v: grouped(v, ".", ",") + " €",
    "code": lambda v: f"USD {v:.2f}",
    "plus": lambda v: f"+{v:.2f}",
    "exponent": lambda v: f"{v:.10e}",
}
DATES = {
    "ISO": "%Y-%m-%d",
    "ISO with time": "%Y-%m-%dT%H:%M:%S",
    "ISO in UTC": "%Y-%m-%d %H:%M:%S+00:00",
    "slashes, year first": "%Y/%m/%d",
    "points, year first": "%Y.%m.%d",
    "no separators": "%Y%m%d",
    "German": "%d.%m.%Y",
    "British": "%d/%m/%Y",
    "American": "%m/%d/%Y",
    "American, short year": "%m/%d/%y",
    "name": "%d %b %Y",
    "name with hyphens": "%d-%b-%Y",
    "American name": "%B %d, %Y",
    "weekday": "%a, %d %b %Y",
    "Chinese": "%Y年%m月%d日",
    "half past": "%m/%d/%Y %I:%M:%S %p",
}
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def quoted(cell: str, separator: str) -> str:
    return f'"{cell}"' if separator in cell or "\n" in cell else cell


def lines(date: str, number: str, separator: str, head: str = "date,close") -> list[str]:
    rows = [
        separator.join(quoted(cell, separator) for cell in (f"{day:{DATES[date]}}", NUMBERS[number](value)))
        for day, value in zip(DAYS, PRICES, strict=True)
    ]
    return [head.replace(",", separator), *rows]


def text(*more: str, date: str = "ISO", number: str = "plain", separator: str = ",") -> str:
    return "\n".join([*more, *lines(date, number, separator)]) + "\n"


def variants() -> Iterator[tuple[str, bytes, str]]:
    """Yield what is special, the bytes and the ending of a file."""
    for date, number in itertools.product(DATES, NUMBERS):
        separator = list(SEPARATORS)[(list(DATES).index(date) + list(NUMBERS).index(number)) % 4]
        content = text(date=date, number=number, separator=SEPARATORS[separator])
        yield f"{date}, {number}, {separator}", content.encode(), ".csv"
    plain = text()
    german = text(date="German", number="German", separator=";").replace("date;close", "Datum;Schlußkurs")
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"):
        yield f"German in {encoding}", german.encode(encoding), ".csv"
    for encoding, header in {
        "gb18030": "日期,收盘价",
        "shift_jis": "日付,終値",
        "big5": "日期,收盤價",
        "cp1251": "Дата,Цена",
    }.items():
        yield f"{header} in {encoding}", plain.replace("date,close", header).encode(encoding), ".csv"
    rows = plain.splitlines()
    yield "lines end as on Windows", "\r\n".join(rows).encode(), ".csv"
    yield "lines end as on old Macs", "\r".join(rows).encode(), ".csv"
    yield "no last line end", plain.strip().encode(), ".csv"
    yield "blank lines between", "\n\n".join(rows).encode(), ".csv"
    yield "newest first", "\n".join([rows[0], *rows[:0:-1]]).encode(), ".csv"
    yield "in no order", "\n".join([rows[0], *rows[20:], *rows[1:20]]).encode(), ".csv"
    yield "rows twice", "\n".join([*rows, *rows[5:9]]).encode(), ".csv"
    yield "a separator at the end of all lines", "\n".join(row + "," for row in rows).encode(), ".csv"
    yield "a separator at the end of rows", "\n".join([rows[0], *(row + "," for row in rows[1:])]).encode(), ".csv"
    yield "all cells in quotes", "\n".join('"' + row.replace(",", '","') + '"' for row in rows).encode(), ".csv"
    yield "spaces around cells", "\n".join(row.replace(",", " , ") for row in rows).encode(), ".csv"
    yield "upper case names", plain.replace("date,close", "DATE,CLOSE").encode(), ".csv"
    yield "comments", ("# made by hand\n# of prices\n" + plain).encode(), ".csv"
    yield "many comments", ("# made by a logger\n" * 400 + plain).encode(), ".csv"
    yield "the header is a comment", ("# " + plain).encode(), ".csv"
    yield "a title", ("Prices of ABC\n\n" + plain).encode(), ".csv"
    yield "a title padded by a spreadsheet", ("Prices of ABC,\n,\n" + plain).encode(), ".csv"
    yield "a footer", (plain + "Source: somebody\n").encode(), ".csv"
    yield "a footer padded by a spreadsheet", (plain + ",\nSource: somebody,\n").encode(), ".csv"
    yield "units below the names", plain.replace("close\n", "close\n-,USD\n").encode(), ".csv"
    yield "Excel's hint", ("sep=;\n" + text(number="German", separator=";")).encode(), ".csv"
    yield "row numbers", "\n".join(["," + rows[0], *(f"{k},{row}" for k, row in enumerate(rows[1:]))]).encode(), ".csv"
    yield (
        "row numbers without a name",
        "\n".join([rows[0], *(f"{k},{row}" for k, row in enumerate(rows[1:]))]).encode(),
        ".csv",
    )
    yield "the header again", "\n".join([*rows[:20], *rows]).encode().replace(b"", b""), ".csv"
    yield "spaces part columns", "\n".join(row.replace(",", "   ") for row in rows).encode(), ".txt"
    yield "no header", "\n".join(rows[1:]).encode(), ".csv"
    yield (
        "suffixes",
        "\n".join([rows[0], *(f"{d:%Y-%m-%d},{v / 1e3:.5f}K" for d, v in zip(DAYS, PRICES, strict=True))]).encode(),
        ".csv",
    )
    yield (
        "wan",
        "\n".join([rows[0], *(f"{d:%Y-%m-%d},{v / 1e4:.6f}万" for d, v in zip(DAYS, PRICES, strict=True))]).encode(),
        ".csv",
    )
    yield "seconds since 1970", _counted(1), ".csv"
    yield "milliseconds since 1970", _counted(1000), ".csv"
    yield "yfinance", _yfinance(["ABC"]), ".csv"
    wide = [
        rows[0].replace("close", "Open,Close,Volume"),
        *(f"{row.split(',')[0]},1.5,{row.split(',')[1]},1000" for row in rows[1:]),
    ]
    yield "other columns", "\n".join(wide).encode(), ".csv"
    apart = pd.DataFrame({"Year": DAYS.year, "Month": DAYS.month, "Day": DAYS.day, "close": PRICES})
    yield "year, month and day apart", apart.to_csv(index=False).encode(), ".csv"
    yield "the same in a workbook", _written(apart, "to_excel", index=False), ".xlsx"
    yield "packed by gzip", gzip.compress(plain.encode()), ".csv.gz"
    yield "packed by zip", _zipped({"prices.csv": plain.encode()}), ".zip"
    yield "packed on a Mac", _zipped({"prices.csv": plain.encode(), "__MACOSX/._prices.csv": b"x"}), ".zip"
    frame = pd.DataFrame({"date": DAYS, "close": PRICES})
    yield "Parquet", _written(frame, "to_parquet", index=False), ".parquet"
    yield "Parquet with an index", _written(frame.set_index("date"), "to_parquet"), ".parquet"
    yield "Feather", _written(frame, "to_feather"), ".feather"
    yield "Excel", _written(frame, "to_excel", index=False), ".xlsx"
    yield (
        "Excel with text",
        _written(frame.assign(date=frame["date"].dt.strftime("%d.%m.%Y")), "to_excel", index=False),
        ".xlsx",
    )
    yield "Excel below a title", _written(frame, "to_excel", index=False, startrow=3, startcol=2), ".xlsx"
    yield "a wrong ending", _written(frame, "to_excel", index=False), ".csv"
    yield "text called .xls", plain.encode(), ".xls"


def _counted(factor: int) -> bytes:
    seconds = (DAYS - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    return "\n".join(["date,close", *(f"{s * factor},{v}" for s, v in zip(seconds, PRICES, strict=True))]).encode()


def _yfinance(tickers: list[str]) -> bytes:
    head = [
        ",".join(["Price", *("Close" for _ in tickers), *("High" for _ in tickers)]),
        ",".join(["Ticker", *tickers, *tickers]),
        ",".join(["Date", *("" for _ in tickers * 2)]),
    ]
    body = [
        ",".join([f"{d:%Y-%m-%d}", *(repr(float(v + k)) for k in range(len(tickers))), *("1.5" for _ in tickers)])
        for d, v in zip(DAYS, PRICES, strict=True)
    ]
    return "\n".join([*head, *body]).encode()


def _zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _written(frame: pd.DataFrame, method: str, **options: object) -> bytes:
    out = io.BytesIO()
    getattr(frame, method)(out, **options)
    return out.getvalue()


VARIANTS = list(variants())


@pytest.mark.parametrize(("content", "ending"), [v[1:] for v in VARIANTS], ids=[v[0] for v in VARIANTS])
def test_the_series_is_the_same_however_it_is_written(tmp_path, content, ending) -> None:
    path = tmp_path / f"prices{ending}"
    path.write_bytes(content)
    frame = CSV(str(path)).load().frame
    dates = frame["ds"].dt.tz_localize(None)
    assert dates.tolist() == DAYS.tolist()
    np.testing.assert_allclose(frame["y"], PRICES, rtol=0, atol=1e-9)


def test_hours_beside_the_date_are_times_of_day(tmp_path) -> None:
    hours = pd.date_range("2022-01-03", periods=40, freq="h")
    written = {
        "hours": [str(at.hour) for at in hours],
        "four digits": [f"{at:%H%M}".lstrip("0") or "0" for at in hours],
        "six digits": [f"{at:%H%M%S}" for at in hours],
        "text": [f"{at:%H:%M}" for at in hours],
    }
    for texts in written.values():
        frame = pd.DataFrame({"date": hours.strftime("%Y-%m-%d"), "Hour": texts, "load": PRICES})
        (tmp_path / "x.csv").write_text(frame.to_csv(index=False))
        assert CSV(str(tmp_path / "x.csv"), value="load", clock="Hour").load().frame["ds"].tolist() == hours.tolist()
    apart = pd.DataFrame(
        {"year": hours.year, "month": hours.month, "day": hours.day, "hour": hours.hour, "load": PRICES}
    )
    assert CSV(apart, value="load").load().frame["ds"].tolist() == hours.tolist()


def test_a_column_a_month_is_one_series() -> None:
    months = pd.period_range("2020-01", periods=36, freq="M")
    values = np.arange(36.0) ** 2
    table = pd.DataFrame(values.reshape(3, 12), columns=[f"{month:%b}" for month in months[:12]])
    table.insert(0, "Year", [2020, 2021, 2022])
    panel = CSV(table.assign(Annual=1.0)).load()
    assert panel.frame["y"].tolist() == values.tolist()
    assert panel.frame["ds"].tolist() == months.to_timestamp().tolist()
    assert any("'Annual' are left out" in note for note in panel.notes)
    table.loc[2, "Jul":] = np.nan  # the year is not over
    assert CSV(table.iloc[::-1]).load().frame["y"].tolist() == values[:30].tolist()
    assert CSV(table, value="Jan").load().frame["y"].tolist() == [0.0, 144.0, 576.0]


def test_a_data_frame_is_a_table_too() -> None:
    frame = pd.DataFrame({"date": DAYS, "close": PRICES})
    for given in (frame, frame.set_index("date"), frame.astype({"date": str, "close": str})):
        np.testing.assert_array_equal(CSV(given).load().frame["y"], PRICES)


def test_numbers_are_read_to_the_last_bit(tmp_path) -> None:
    values = np.random.default_rng(0).standard_normal(300) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 300)
    (tmp_path / "x.csv").write_text("t,x\n" + "\n".join(f"{k},{float(v)!r}" for k, v in enumerate(values)))
    np.testing.assert_array_equal(read_table(tmp_path / "x.csv").numbers("x").parsed, values)


def test_a_suffix_costs_no_bit(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("t,x\n0,1.001M\n1,2.3k\n2,1e3k\n3,0.07bn\n4,1.1万\n")
    numbers = read_table(tmp_path / "x.csv").numbers("x")
    assert numbers.parsed[[0, 1, 3, 4]].tolist() == [1001000.0, 2300.0, 7e7, 11000.0]
    assert numbers.wrong.tolist() == [False, False, True, False, False]  # an exponent and a suffix


@pytest.mark.parametrize("tickers", [["ABC", "DEF"], ["007", "700", "9988"]])
def test_several_tickers_side_by_side_are_series(tmp_path, tickers) -> None:
    (tmp_path / "many.csv").write_bytes(_yfinance(tickers))
    frame = CSV(str(tmp_path / "many.csv"), value="Close").load().frame
    assert frame["unique_id"].unique().tolist() == tickers
    for k, ticker in enumerate(tickers):
        np.testing.assert_allclose(frame.loc[frame["unique_id"] == ticker, "y"], PRICES + k)
