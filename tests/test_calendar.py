"""Dates ahead are learnt from the dates of the file, and what they do not tell is said."""

import sys

import numpy as np
import pandas as pd
import pytest

from data.calendar import missing_dates, pace, unknown_ahead, upcoming
from data.panel import DataError, shown_date
from tests.conftest import panel_of

DAYS = pd.bdate_range("2022-06-01", "2024-01-26")
YEARS = pd.date_range("2020-01-01", "2021-12-31")
EVERY_DAY = pd.date_range("2023-01-01", "2024-01-25")


def without_holidays(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Leave out one day in thirty."""
    return days.delete(np.random.default_rng(0).choice(np.arange(5, len(days) - 5), len(days) // 30, replace=False))


def bars(days: pd.DatetimeIndex, *sessions: tuple[str, str], every: str = "5min") -> pd.DatetimeIndex:
    clocks = [
        clock - clock.normalize()
        for s in sessions
        for clock in pd.date_range(*(f"2000-01-01 {t}" for t in s), freq=every)
    ]
    return pd.DatetimeIndex([day + clock for day in days for clock in clocks])


SHANGHAI = bars(DAYS[-40:], ("09:35", "11:30"), ("13:05", "15:00"))
HOURS = pd.date_range("2024-01-01", "2024-03-01 21:00", freq="h")
CURRENCIES = HOURS[
    (HOURS.day_of_week < 4)
    | ((HOURS.day_of_week == 4) & (HOURS.hour < 22))
    | ((HOURS.day_of_week == 6) & (HOURS.hour >= 22))
]
AHEAD = {
    "weekdays": (DAYS, "2024-01-29 2024-01-30 2024-01-31"),
    "weekdays with holidays": (without_holidays(DAYS), "2024-01-29 2024-01-30 2024-01-31"),
    "one session on a Sunday": (DAYS.append(pd.DatetimeIndex(["2023-05-07"])), "2024-01-29 2024-01-30"),
    "one week of four days": (DAYS[-3:], "2024-01-29 2024-01-30"),
    "Sunday to Thursday": (EVERY_DAY[np.isin(EVERY_DAY.day_of_week, [6, 0, 1, 2, 3])], "2024-01-28 2024-01-29"),
    "every day": (EVERY_DAY, "2024-01-26 2024-01-27 2024-01-28"),
    "every day but for a hole": (EVERY_DAY.delete(slice(50, 90)), "2024-01-26 2024-01-27"),
    "three days a week": (EVERY_DAY[np.isin(EVERY_DAY.day_of_week, [0, 2, 4])], "2024-01-26 2024-01-29 2024-01-31"),
    "a market whose week changed": (
        YEARS[np.where(YEARS.year == 2020, np.isin(YEARS.day_of_week, [5, 6, 0, 1, 2]), YEARS.day_of_week != 4)]
        .to_series()
        .loc[lambda days: (days.dt.year == 2020) | (days.dt.day_of_week != 5)],
        "2022-01-02 2022-01-03",
    ),
    "Fridays": (pd.date_range("2022-01-07", "2024-01-26", freq="W-FRI"), "2024-02-02 2024-02-09"),
    "Fridays, or Thursdays before a holiday": (
        pd.DatetimeIndex(
            [
                day - pd.Timedelta(days=int(k % 9 == 4))
                for k, day in enumerate(pd.date_range("2022-01-07", periods=59, freq="W-FRI"))
            ]
        ),
        "2023-02-24 2023-03-03",
    ),
    "every other week": (pd.date_range("2023-01-03", periods=20, freq="14D"), "2023-10-10 2023-10-24"),
    "month ends": (pd.date_range("1990-01-31", "2023-02-28", freq="ME"), "2023-03-31 2023-04-30 2023-05-31"),
    "last business days": (pd.date_range("2018-01-01", "2024-03-01", freq="BME"), "2024-03-29 2024-04-30 2024-05-31"),
    "first days of months": (pd.date_range("2018-01-01", "2024-03-01", freq="MS"), "2024-04-01 2024-05-01"),
    "first business days": (pd.date_range("2018-01-01", "2024-03-01", freq="BMS"), "2024-04-01 2024-05-01 2024-06-03"),
    "third Fridays": (pd.date_range("2018-01-01", "2024-03-01", freq="WOM-3FRI"), "2024-03-15 2024-04-19"),
    "the 30th": (
        pd.DatetimeIndex([pd.Timestamp("2020-01-30") + pd.DateOffset(months=k) for k in range(25)]),
        "2022-02-28 2022-03-30",
    ),
    "quarter ends": (pd.date_range("2018-01-01", "2024-01-01", freq="QE"), "2024-03-31 2024-06-30"),
    "business quarter ends": (pd.date_range("2018-01-01", "2024-01-01", freq="BQE"), "2024-03-29 2024-06-28"),
    "quarter starts": (pd.date_range("2018-01-01", "2024-01-01", freq="QS"), "2024-04-01 2024-07-01"),
    "year ends": (pd.date_range("1990-01-01", "2024-01-01", freq="YE"), "2024-12-31 2025-12-31"),
    "hours": (pd.date_range("2024-01-01", periods=300, freq="h"), "2024-01-13 12:00|2024-01-13 13:00"),
    "five minutes at the close": (SHANGHAI, "2024-01-29 09:35|2024-01-29 09:40"),
    "five minutes before lunch": (SHANGHAI[:-24], "2024-01-26 13:05|2024-01-26 13:10"),
    "five minutes of three days": (SHANGHAI[-144:], "2024-01-29 09:35|2024-01-29 09:40"),
    "currencies on a Friday night": (CURRENCIES, "2024-03-03 22:00|2024-03-03 23:00"),
    "a day's close": (DAYS + pd.Timedelta(hours=15), "2024-01-29 15:00|2024-01-30 15:00"),
}


@pytest.mark.parametrize("case", AHEAD)
def test_dates_ahead_come_when_those_of_the_file_do(case) -> None:
    given, expected = AHEAD[case]
    wanted = expected.split("|" if ":" in expected else " ")
    found = upcoming(pd.Series(given), len(wanted))
    assert [shown_date(date) for date in found] == wanted


def test_steps_go_on_as_steps() -> None:
    assert upcoming(pd.Series([3, 5, 7, 9]), 3).tolist() == [11, 13, 15]
    assert (
        unknown_ahead(pd.Series([1, 2, 3, 10, 30]))
        == "The steps are 1 to 20 apart; those ahead are 4 apart, the median."
    )
    assert upcoming(pd.Series([7]), 2).tolist() == [8, 9]


def test_hours_go_through_a_change_of_clocks_and_sessions_do_not() -> None:
    night = pd.date_range("2024-03-01", "2024-03-31 01:00", freq="h", tz="Europe/Berlin")
    assert [shown_date(date) for date in upcoming(pd.Series(night), 2)] == [
        "2024-03-31 03:00 +02:00",
        "2024-03-31 04:00 +02:00",
    ]
    days = pd.bdate_range("2024-01-01", "2024-03-08", tz="America/New_York") + pd.Timedelta(hours=16)
    assert shown_date(upcoming(pd.Series(days), 1)[0]) == "2024-03-11 16:00 -04:00"


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (DAYS, "Monday to Friday, as in the file; holidays are not known"),
        (SHANGHAI, "09:35 to 15:00; holidays are not known"),
        (AHEAD["last business days"][0], "last business days of the month.*holidays are not known"),
        (DAYS[:3], "no weekend"),
        (DAYS[:1], "One date tells no spacing"),
        (pd.to_datetime(np.sort(np.random.default_rng(0).uniform(1.6e9, 1.7e9, 50)), unit="s"), "irregularly"),
    ],
)
def test_what_is_not_known_of_the_dates_ahead_is_said(days, said) -> None:
    assert pd.Series([unknown_ahead(pd.Series(days))]).str.contains(said).all()


@pytest.mark.parametrize("case", ["every day", "hours", "month ends", "quarter starts", "every other week"])
def test_where_all_is_known_nothing_is_said(case) -> None:
    assert unknown_ahead(pd.Series(AHEAD[case][0])) is None


def test_an_exchange_tells_its_holidays() -> None:
    pytest.importorskip("exchange_calendars")
    before = pd.Series(DAYS[DAYS <= "2024-01-26"])
    assert upcoming(before, 12, "XSHG")[-1] == pd.Timestamp("2024-02-21")  # after the Spring Festival
    known = upcoming(before, 12)
    assert known[-1] == pd.Timestamp("2024-02-13")
    assert "no sessions of XSHG" in str(unknown_ahead(before, "XSHG"))
    at_close = pd.Series(SHANGHAI)
    assert upcoming(at_close, 1, "XSHG")[0] == pd.Timestamp("2024-01-29 09:35")


def test_a_calendar_that_is_not_known_is_told(monkeypatch) -> None:
    pytest.importorskip("exchange_calendars")
    with pytest.raises(DataError, match=r"source\.calendar=XSGH is no calendar.*Did you mean XSHG\?"):
        upcoming(pd.Series(DAYS), 1, "XSGH")
    with pytest.raises(DataError, match="needs dates"):
        upcoming(pd.Series([1, 2, 3]), 1, "XSHG")
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(DataError, match=r"pip install -e \.\[calendars\]"):
        upcoming(pd.Series(DAYS), 1, "XSHG")


def test_holes_are_told_and_holidays_are_none() -> None:
    assert missing_dates(pd.Series(without_holidays(DAYS))) is None
    assert "30 dates are missing between 2022-06-01 and 2024-01-26, 30 of them after 2022-12-29" in str(
        missing_dates(pd.Series(DAYS.delete(slice(152, 182))))
    )
    assert "1 dates are missing" in str(missing_dates(pd.Series(EVERY_DAY.delete(7))))
    assert "2 steps are missing, the first after 4" in str(missing_dates(pd.Series(np.delete(np.arange(99), [5, 6]))))
    assert "irregularly" in str(missing_dates(pd.Series(np.cumsum(np.random.default_rng(0).integers(1, 9, 50)))))
    assert missing_dates(pd.Series(SHANGHAI)) is None


def test_pace_is_the_usual_spacing_and_the_mean_change() -> None:
    spacing, change = pace(panel_of(np.array([1.0, 3.0, 2.0]), np.array([10.0, 10.5])))
    assert spacing == 1.0
    assert change == pytest.approx((2 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        (pd.Timestamp("2024-01-26"), "2024-01-26"),
        (pd.Timestamp("2024-01-26 09:35"), "2024-01-26 09:35"),
        (pd.Timestamp("2024-01-26 09:35:07"), "2024-01-26 09:35:07"),
        (pd.Timestamp("2024-01-26 09:35", tz="Asia/Kolkata"), "2024-01-26 09:35 +05:30"),
        (np.datetime64("2024-01-26T09:35"), "2024-01-26 09:35"),
        (17, "17"),
    ],
)
def test_a_time_is_shown_where_there_is_one(date, shown) -> None:
    assert shown_date(date) == shown
