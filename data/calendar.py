"""How fast a panel moves, when a series is measured, and which dates come next.

The dates of a series tell when the next ones come: on which days of the week, on which day of the month, at
which hours.  Holidays they do not tell; an exchange's calendar does.
"""

import difflib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.contracts import Panel
from data.panel import DataError, listed, shown_date

DAY = pd.Timedelta(days=1)
AHEAD = 800 * DAY  # [days] of an exchange's sessions that are looked up
MICROS = 86_400_000_000  # [us] of a day
MOSTLY = 0.95  # [fraction] of the gaps that are alike where the spacing is constant
FITS = 0.8  # [fraction] of the dates that a rule tells
HABIT = 0.5  # [fraction] of the weeks, or days, in which a weekday or a time of day must come
RECENT = 60, 8  # [weeks] that tell the weekdays, [weeks] that tell the times of day
HOLIDAYS = 10  # [dates] that they leave out in a row at most
MANY = 100_000  # [dates] that are counted one by one
NTH = ["first", "second", "third", "fourth", "fifth"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

Times = pd.DatetimeIndex
After = Callable[[pd.Timestamp, int], Times]


class Rhythm(NamedTuple):
    """When a series is measured."""

    name: str
    """What its dates are, in words."""
    after: After
    """Map a date and a number of steps to the dates that follow."""
    note: str | None = None
    """What is not known of the dates ahead, a sentence."""
    skips: bool = False
    """Whether days are left out that nothing tells beforehand."""


def pace(panel: Panel) -> tuple[float, float]:
    """Return the usual spacing of two rows [days or steps] and the mean absolute change between them."""
    frame = panel.frame
    ids = frame["unique_id"].to_numpy()
    same = ids[1:] == ids[:-1]
    spacing: Any = frame["ds"].diff().iloc[1:][same]
    if pd.api.types.is_timedelta64_dtype(spacing):
        spacing = spacing / DAY
    change = np.abs(np.diff(frame["y"].to_numpy(dtype=np.float64)))[same]
    return float(np.median(spacing.to_numpy(dtype=np.float64))), float(change.mean())


def upcoming(dates: "pd.Series[Any]", n_steps: int, calendar: str | None = None) -> "pd.Index[Any]":
    """Return the ``n_steps`` dates that follow a series.

    Parameters
    ----------
    dates : Series
        Timestamps or whole numbers of one series.
    n_steps : int
    calendar : str or None
        An exchange's calendar, such as XSHG; None learns weekdays, month ends and hours from the dates.

    Raises
    ------
    DataError
        If the calendar is not known.
    """
    if not _is_timed(dates):
        _refuse_calendar(calendar)
        numbers = np.unique(dates.to_numpy(dtype=np.int64))
        return pd.Index(int(numbers[-1]) + _step(numbers) * np.arange(1, n_steps + 1))
    times = _times(dates)
    return rhythm(times, calendar).after(times[-1], n_steps)


def unknown_ahead(dates: "pd.Series[Any]", calendar: str | None = None) -> str | None:
    """Say in a sentence what is not known of the dates that follow a series, such as holidays.

    Raises
    ------
    DataError
        If the calendar is not known.
    """
    if _is_timed(dates):
        return rhythm(_times(dates), calendar).note
    _refuse_calendar(calendar)
    numbers = np.unique(dates.to_numpy(dtype=np.int64))
    gaps = np.diff(numbers)
    if not gaps.size or (gaps == _step(numbers)).mean() >= MOSTLY:
        return None
    return f"The steps are {gaps.min()} to {gaps.max()} apart; those ahead are {_step(numbers)} apart, the median."


def missing_dates(dates: "pd.Series[Any]") -> str | None:
    """Say in a sentence where dates are missing in bulk, or come irregularly, if they do."""
    if len(dates) < 5:
        return None
    if not _is_timed(dates):
        return _missing_steps(np.unique(dates.to_numpy(dtype=np.int64)))
    times = _times(dates)
    found = rhythm(times)
    if found.name == "irregular":
        return found.note
    gaps = _micros(times)
    usual = int(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * usual)
    wide = wide[np.argsort(-gaps[wide], kind="stable")][:200]
    counts = [
        (times[int(place)], _between(found.after, times[int(place)], times[int(place) + 1], gaps[place] // usual))
        for place in wide
    ]
    holes = [(date, n) for date, n in counts if n > (HOLIDAYS if found.skips else 0)]
    if not holes:
        return None
    date, most = max(holes, key=lambda hole: hole[1])
    return (
        f"{sum(n for _, n in holes)} dates are missing between {shown_date(times[0])} and {shown_date(times[-1])}, "
        f"{most} of them after {shown_date(date)}: the rows around a hole count as neighbours."
    )


def rhythm(times: Times, calendar: str | None = None) -> Rhythm:
    """Tell from the times of a series, each once and in order, when it is measured.

    Raises
    ------
    DataError
        If the calendar is not known.
    """
    zone = times.tz
    # The clock on a wall tells when a market opens; what goes on through the night counts absolute hours.
    local = times if zone is None else times.tz_localize(None)
    found = _of_exchange(local, calendar) if calendar is not None else _learnt(local)
    if zone is None:
        return found

    def after(last: pd.Timestamp, n: int) -> Times:
        if found.name == "ticks":
            return found.after(last.tz_convert("UTC").tz_localize(None), n).tz_localize("UTC").tz_convert(zone)
        ambiguous = np.ones(n, dtype=bool)
        return found.after(last.tz_localize(None), n).tz_localize(
            zone, ambiguous=ambiguous, nonexistent="shift_forward"
        )

    return found._replace(after=after)


def _is_timed(dates: "pd.Series[Any]") -> bool:
    return pd.api.types.is_datetime64_any_dtype(dates)


def _times(dates: "pd.Series[Any]") -> Times:
    return Times(dates).as_unit("us").unique().sort_values()


def _micros(times: Times) -> "np.ndarray[Any, Any]":
    return np.diff(times.asi8)


def _step(numbers: "np.ndarray[Any, Any]") -> int:
    return max(int(np.median(np.diff(numbers))), 1) if numbers.size > 1 else 1


def _refuse_calendar(calendar: str | None) -> None:
    if calendar is not None:
        raise DataError(f"source.calendar={calendar} needs dates, and the series counts steps.  Set it to null.")


def _missing_steps(numbers: "np.ndarray[Any, Any]") -> str | None:
    gaps, step = np.diff(numbers), _step(numbers)
    odd = gaps != step
    if not odd.any():
        return None
    if odd.mean() > 1 - MOSTLY:
        return f"The steps come irregularly, {gaps.min()} to {gaps.max()} apart: each row counts as one step."
    at = numbers[np.flatnonzero(odd)[0]]
    missing = int(np.maximum(gaps[odd] // step - 1, 0).sum())
    return f"{missing} steps are missing, the first after {at}: the rows around a hole count as neighbours."


def _between(after: After, start: pd.Timestamp, stop: pd.Timestamp, about: int) -> int:
    """Count the dates that should lie between two."""
    return int(about) if about > MANY else int((after(start, int(about) + 2) < stop).sum())


def _learnt(times: Times) -> Rhythm:
    """Learn from times without a zone."""
    gaps = _micros(times)
    if not gaps.size:
        return Rhythm("a single date", _evenly(DAY), "One date tells no spacing: a day is assumed.")
    usual = int(np.median(gaps))
    days = times.normalize()
    if not days.is_unique or usual < 20 / 24 * MICROS:
        return _within_days(times, gaps, usual)
    spacing = pd.Timedelta(usual, unit="us")
    alike = float((gaps == usual).mean())
    if usual == MICROS and len(days) < 6 and not (_every_day(days).day_of_week > 4).any():
        note = "The file holds no weekend: that the dates ahead are Monday to Friday is an assumption."
        return Rhythm("weekdays", _on_days([0, 1, 2, 3, 4]), note, True)
    if gaps.size > 2 and alike == 1:
        return Rhythm("evenly spaced", _evenly(spacing))
    by_month = _of_months(times)
    if by_month is not None:
        return by_month
    habit = _weekdays(days)
    told = len(habit) < 7 and bool(habit) and np.isin(days.day_of_week, habit).mean() >= FITS
    if usual in (MICROS, 7 * MICROS) and alike < MOSTLY and told:
        return _weekly(habit)
    if alike >= (FITS if usual > MICROS else MOSTLY) or (usual == MICROS and len(habit) == 7):
        return Rhythm("evenly spaced", _evenly(spacing))
    return _weekly(habit) if usual < 8 * MICROS and told else _irregular(gaps, usual)


def _weekly(habit: list[int]) -> Rhythm:
    names = _in_words(habit)
    note = (
        f"The dates ahead are {names}, as in the file; holidays are not known.  source.calendar, such as XNYS or XSHG, "
        f"takes those of an exchange."
    )
    return Rhythm(names, _on_days(habit), note, True)


def _irregular(gaps: "np.ndarray[Any, Any]", usual: int) -> Rhythm:
    low, high, middle = (_shown_gap(int(gap)) for gap in (gaps.min(), gaps.max(), usual))
    note = (
        f"The dates come irregularly, {low} to {high} apart: each row counts as one step, and those ahead are {middle} "
        f"apart."
    )
    return Rhythm("irregular", _evenly(pd.Timedelta(usual, unit="us")), note)


def _evenly(spacing: pd.Timedelta) -> After:
    return lambda last, n: Times(last + spacing * np.arange(1, n + 1))


def _shown_gap(gap: int) -> str:
    units = [("days", MICROS), ("hours", MICROS // 24), ("minutes", MICROS // 1440), ("seconds", 1_000_000)]
    name, size = next(((name, size) for name, size in units if gap >= size), ("microseconds", 1))
    return f"{gap / size:.3g} {name}"


# Days of the week


def _weekdays(days: Times) -> list[int]:
    """Return the weekdays that come in at least half of the last weeks: one session on a Sunday is no habit."""
    weeks = (days - pd.to_timedelta(days.day_of_week, unit="D")).asi8
    recent = np.unique(weeks)[-RECENT[0] :]
    if recent.size > 4:
        recent = recent[1:-1]  # the first and the last may be cut off
    counts = np.bincount(days.day_of_week[np.isin(weeks, recent)], minlength=7)
    return [int(day) for day in np.flatnonzero(counts >= HABIT * recent.size)]


def _every_day(days: Times) -> Times:
    return pd.date_range(days[0], days[-1], freq="D")


def _on_days(habit: list[int]) -> After:
    soonest = 4 if len(habit) == 1 else 1  # a Thursday that stands for a Friday is not followed by it

    def after(last: pd.Timestamp, n: int) -> Times:
        span = Times(last + DAY * np.arange(soonest, soonest + 7 * (n // len(habit) + 2)))
        return span[np.isin(span.day_of_week, habit)][:n]

    return after


def _in_words(habit: list[int]) -> str:
    starts = [day for day in habit if (day - 1) % 7 not in habit]
    if len(habit) > 2 and len(starts) == 1:  # Sunday to Thursday goes on over the end of the week
        return f"{WEEKDAYS[starts[0]]} to {WEEKDAYS[(starts[0] + len(habit) - 1) % 7]}"
    return " and ".join(f"{WEEKDAYS[day]}s" for day in habit)


# Days of the month


def _of_months(times: Times) -> Rhythm | None:
    """Learn the day of the month, where the months are evenly apart and each comes once."""
    steps = np.diff(times.year * 12 + times.month)
    step = int(np.median(steps))
    if step < 1 or times.size < 3 or (steps == step).mean() < FITS:
        return None
    days = times.normalize()
    begins = days - pd.to_timedelta(days.day - 1, unit="D")
    latest, last = int(days.day.max()), days[-1]
    nth = (last.day - 1) // 7
    rules: dict[str, Callable[[Times], Times]] = {
        f"day {latest} of the month": lambda begin: _at_day(begin, latest),
        "month ends": lambda begin: _at_day(begin, 31),
        "last business days of the month": lambda begin: _back_to_weekday(_at_day(begin, 31)),
        "first business days of the month": _on_to_weekday,
        f"the {NTH[nth]} {WEEKDAYS[last.day_of_week]} of the month": lambda begin: (
            begin + pd.to_timedelta((last.day_of_week - begin.day_of_week) % 7 + 7 * nth, unit="D")
        ),
    }
    shares = {name: float((rule(begins) == days).mean()) for name, rule in rules.items()}
    name = max(shares, key=lambda name: shares[name])
    note = None
    if shares[name] < FITS:
        low = int(days.day.min())
        if latest - low > 15:
            return None
        name, rules = "months", {"months": lambda begin: _at_day(begin, last.day)}
        note = f"The day of the month changes between {low} and {latest}: the dates ahead are on day {last.day}."
    elif shares[name] < 1 or "business" in name:
        note = f"The dates ahead are {name}, as {shares[name]:.0%} of those in the file are; holidays are not known."

    def after(date: pd.Timestamp, n: int) -> Times:
        begin = date.normalize().replace(day=1)
        ahead = Times([begin + pd.DateOffset(months=step * number) for number in range(1, n + 1)])
        return rules[name](ahead) + (date - date.normalize())

    return Rhythm(name, after, note)


def _at_day(begins: Times, day: int) -> Times:
    return begins + pd.to_timedelta(np.minimum(day, begins.days_in_month) - 1, unit="D")


def _back_to_weekday(days: Times) -> Times:
    return days - pd.to_timedelta(np.maximum(days.day_of_week - 4, 0), unit="D")


def _on_to_weekday(days: Times) -> Times:
    return days + pd.to_timedelta(np.where(days.day_of_week > 4, 7 - days.day_of_week, 0), unit="D")


# Within a day


def _within_days(times: Times, gaps: "np.ndarray[Any, Any]", usual: int) -> Rhythm:
    """Learn at which times of which weekdays rows come: what follows a close is the next opening."""
    ticks = Rhythm("ticks", _evenly(pd.Timedelta(usual, unit="us")))
    alike = float((gaps == usual).mean())
    if alike >= MOSTLY and gaps.max() <= 3 * usual:
        return ticks
    slots = _slots(times, usual)
    if slots is None:
        return ticks if alike >= FITS else _irregular(gaps, usual)
    if len(slots) * usual >= 7 * MICROS:
        return ticks
    clocks = slots % MICROS
    opening, closing = (f"{at // 3_600_000_000:02d}:{at // 60_000_000 % 60:02d}" for at in (clocks.min(), clocks.max()))
    note = (
        f"The times ahead are those of the file, {_in_words(sorted(set((slots // MICROS).tolist())))}, {opening} to "
        f"{closing}; holidays are not known.  source.calendar, such as XNYS or XSHG, takes those of an exchange."
    )

    def after(last: pd.Timestamp, n: int) -> Times:
        monday = last.normalize() - DAY * last.day_of_week
        weeks = np.arange(n // len(slots) + 2) * 7 * MICROS
        ahead = Times(monday + pd.to_timedelta((weeks[:, None] + slots).ravel(), unit="us"))
        return ahead[ahead > last][:n]

    return Rhythm("sessions", after, note, True)


def _slots(times: Times, usual: int) -> "np.ndarray[Any, Any] | None":
    """Return the times of the week [us since Monday] at which rows usually come; None where there are none."""
    days = times.normalize()
    weeks = (days - pd.to_timedelta(days.day_of_week, unit="D")).asi8
    inside = np.isin(weeks, np.unique(weeks)[-RECENT[1] :])
    days, clocks = days[inside], (times - days).to_numpy().astype("timedelta64[us]").astype(np.int64)[inside]
    weekdays = np.asarray(days.day_of_week, dtype=np.int64)
    own_days = days.unique()
    active = np.bincount(own_days.day_of_week, minlength=7)
    n_weeks = np.unique(weeks[inside]).size
    if n_weeks > 2 and days[-1] - days[0] >= 14 * DAY:
        places, counts = np.unique(weekdays * MICROS + clocks, return_counts=True)
        usual_day = active >= HABIT * n_weeks
        found = places[(counts >= HABIT * active[places // MICROS]) & usual_day[places // MICROS]]
    else:
        at, counts = np.unique(clocks, return_counts=True)
        hours = at[counts >= HABIT * own_days.size]
        seen = np.unique(own_days.day_of_week).astype(np.int64)
        around_the_clock = hours.size * usual >= MICROS
        if own_days.size < 6 and seen.max(initial=0) < 5:
            seen = np.arange(7 if around_the_clock else 5)
        found = (seen[:, None] * MICROS + hours).ravel()
    covered = np.isin(weekdays * MICROS + clocks, found).mean()
    return np.sort(found) if found.size and covered >= FITS else None


# Exchanges


def _of_exchange(times: Times, code: str) -> Rhythm:
    """Take the days of an exchange's calendar, and the times of day of the series itself."""
    days = times.normalize()
    sessions, last = _sessions(code, days[0], days[-1])
    clocks = np.unique((times - days).to_numpy().astype("timedelta64[us]").astype(np.int64), return_counts=True)
    hours = clocks[0][clocks[1] >= HABIT * days.unique().size] if not days.is_unique else None
    strange = ~days.isin(sessions)
    notes = []
    if strange.any():
        shown = listed([shown_date(day) for day in days[strange].unique()], 3)
        notes.append(f"{int(days[strange].unique().size)} days of the file are no sessions of {code} ({shown}).")
    if last < days[-1] + AHEAD / 2:
        notes.append(f"The sessions of {code} are known up to {shown_date(last)}; beyond, holidays are not.")

    def after(date: pd.Timestamp, n: int) -> Times:
        ahead = sessions[sessions >= date.normalize()]
        if hours is None:
            known = ahead[ahead > date.normalize()][:n] + (date - date.normalize())
        else:
            every = (ahead.to_numpy()[:, None] + hours.astype("timedelta64[us]")).ravel()
            known = Times(every[every > date.to_numpy()][:n])
        if known.size == n:
            return known
        more = _learnt(times).after(known[-1] if known.size else date, n - known.size)
        return Times([*known, *more])

    return Rhythm(f"sessions of {code}", after, "  ".join(notes) or None, True)


def _sessions(code: str, first: pd.Timestamp, last: pd.Timestamp) -> tuple[Times, pd.Timestamp]:
    """Return the sessions of an exchange from the first day of a file on, and the last day they are known of."""
    try:
        import exchange_calendars
        from exchange_calendars import errors
    except ImportError:
        raise DataError(
            f"source.calendar={code} needs the package exchange_calendars: pip install -e .[calendars].  Without it "
            f"the calendar is learnt from the dates (source.calendar=null)."
        ) from None
    names = exchange_calendars.get_calendar_names()
    if code not in names:
        near = difflib.get_close_matches(code.upper(), names, n=1)
        guess = f"  Did you mean {near[0]}?" if near else ""
        raise DataError(f"source.calendar={code} is no calendar of exchange_calendars, such as XNYS or XSHG.{guess}")
    kind = exchange_calendars.get_calendar(code)
    start = max(first, kind.bound_min()) if kind.bound_min() is not None else first
    stop = last + AHEAD
    stop = min(stop, kind.bound_max()) if kind.bound_max() is not None else stop
    if stop <= start:
        raise DataError(f"The sessions of {code} are known up to {shown_date(stop)}, before the file begins.")
    try:
        sessions = type(kind)(start=start, end=stop).sessions
    except (ValueError, errors.CalendarError) as error:
        raise DataError(f"The sessions of {code} cannot be told from {shown_date(start)} on ({error}).") from None
    return Times(sessions).as_unit("us"), stop
