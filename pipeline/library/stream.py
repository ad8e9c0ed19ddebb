"""Forecast on: every new value moves the window and the intervals, as a run of the longer data would have it."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.calendar import upcoming
from data.contracts import FloatArray, Panel, Scope
from data.panel import DataError, fingerprint, listed, shown_date
from data.windows import first_end
from evaluation.intervals.adaptive import Adaptive, Online
from evaluation.intervals.bounds import OWN, rounded
from pipeline.predict import Loaded
from report.run_folder import RunFolder
from runtime.build import build
from tasks.beside import with_beside
from tasks.forecast import Forecast


class Pending(NamedTuple):
    """A forecast whose truth has not come yet."""

    due: int
    """Row of its series that is its target."""
    y_hat: float
    size: float
    reach: FloatArray
    """``(level,)``, with the size what the intervals expected when it was made."""


@dataclass
class Series:
    """What is known of one series, and what was forecast of it."""

    given: pd.DataFrame
    """Its rows as the source has them."""
    panel: Panel
    """The same as they are forecast: what the target of the run makes of them, and the calendar columns beside it."""
    online: list[Online] = field(default_factory=list)
    """One a step of the horizon; none where intervals do not adapt."""
    pending: list[deque[Pending]] = field(default_factory=list)
    """One a step."""
    forecast: FloatArray = field(default_factory=lambda: np.empty(0))
    """``(H,)`` the latest."""
    bounds: dict[str, FloatArray] = field(default_factory=dict)
    """``(H,)`` by column: lo_95 and so on."""

    @property
    def dates(self) -> "pd.Series[Any]":
        """Return the dates that are forecast or forecast from."""
        return self.panel.frame["ds"]


class Held(NamedTuple):
    """A source whose panel has been read."""

    panel: Panel

    def load(self) -> Panel:
        """Return the panel."""
        return self.panel


class Stream:
    """A model at work: forecasts of the next steps, moved by one value at a time.

    Parameters
    ----------
    loaded : Loaded
        The model of a finished run.
    folder : Path
        The run, whose validation and test rows the intervals have learnt from.
    panel : Panel
        The data of the run, as its source gives them.
    since : Timestamp, int or None
        Last date that counts as known; None takes all.

    Raises
    ------
    DataError
        If the data are no longer those of the run, its task is not to forecast series, or nothing is known yet.
    """

    def __init__(self, loaded: Loaded, folder: Path, panel: Panel, since: Any = None) -> None:
        task = loaded.task
        if not isinstance(task, Forecast) or task.cfg.get("covariates"):
            raise DataError(
                "A stream goes on with series and what stands in their own rows, not with cells or covariates of other "
                "files.  Call predict with the longer table."
            )
        if fingerprint(task.load(Held(panel))) != loaded.card["data"]["sha256"]:
            raise DataError(
                f"The data of {panel.name} are no longer those of the run in {folder}.  Restore them first."
            )
        self._loaded, self._task, self._panel = loaded, task, panel
        scope: Scope = build(task.cfg.scope)
        if not scope.causal:
            raise DataError(
                "The run decomposes what comes after a forecast, which a stream cannot.  Take scope=rolling."
            )
        row = task.candidates()[0]
        self._intervals = build(task.cfg.intervals)
        self._steps = task.steps()
        self._first = first_end(scope, build(row.decomposition), task.seen_of(row))
        self._columns = ["y", *(name for name in panel.covariates if name not in panel.static)]
        rows = _own_rows(RunFolder(folder))
        frame = panel.frame if since is None else panel.frame[panel.frame["ds"] <= since]
        self._series: dict[str, Series] = {}
        kept = set(rows["unique_id"])
        for name, known in frame.groupby("unique_id", sort=False):
            if name in kept:
                self._series[str(name)] = self._begun(str(name), known, rows[rows["unique_id"] == name])
        if not self._series:
            raise DataError(f"{panel.name} has no row up to {shown_date(since)}.  Give a later date.")

    def forecast(self) -> pd.DataFrame:
        """Return the forecasts of the next steps: ``unique_id``, ``ds``, the model and the bounds of its intervals."""
        label = self._loaded.label
        parts = []
        for name, own in self._series.items():
            ahead = upcoming(own.dates, int(self._steps[-1]), self._panel.calendar)[self._steps - 1]
            part = pd.DataFrame({"unique_id": name, "ds": ahead, "step": self._steps, label: own.forecast})
            part = self._task.restored_ahead(own.panel, part.assign(**own.bounds), self._loaded.errors)
            called = {column: f"{label}-{column.replace('_', '-')}" for column in own.bounds}
            called |= {
                column: column.replace(bound, new, 1)
                for column in map(str, part)
                for bound, new in called.items()
                if column.startswith(f"{bound} in ")
            }
            parts.append(part.drop(columns="step").rename(columns=called))
        return pd.concat(parts, ignore_index=True)

    def update(self, y: float | Mapping[str, Any], ds: Any = None) -> pd.DataFrame:
        """Take the next value of every series, and return the forecasts that follow it.

        Parameters
        ----------
        y : float or mapping
            What the source would give next, in its unit; of several series by their names.  Where a row holds more
            than ``y``, such as the high and low of a day, a mapping with all of its columns.
        ds : Timestamp, int or None
            Date of the values; None takes the next one.

        Raises
        ------
        DataError
            If a series or column is missing or not known, a value is no number, or the date is not after the last one.
        """
        given = self._told(y)
        for name in given:
            last = self._series[name].given["ds"].iloc[-1]
            if ds is not None and not ds > last:
                raise DataError(f"{shown_date(ds)} does not come after {shown_date(last)}, the last date of {name}.")
        longer: dict[str, tuple[pd.DataFrame, Panel]] = {}
        for name, values in given.items():
            rows = self._series[name].given
            after = upcoming(rows["ds"], 1, self._panel.calendar)[0] if ds is None else ds
            rows = pd.concat([rows, rows.tail(1).assign(ds=after, **values)], ignore_index=True)
            longer[name] = rows, self._made(rows)  # what cannot be is refused before anything has moved
        for name, (rows, panel) in longer.items():
            own = self._series[name]
            own.given, own.panel = rows, panel
            self._forecast_from(own, len(own.dates) - 1)
        return self.forecast()

    def _told(self, y: float | Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """Return the values of an update by series and column."""
        names = list(self._series)
        alone = len(names) == 1 and not (isinstance(y, Mapping) and set(y) == set(names))
        by_name: Mapping[str, Any] = {names[0]: y} if alone or not isinstance(y, Mapping) else y
        _refuse_others(by_name, names, "the run is of", "Give one value a series.")
        given: dict[str, dict[str, float]] = {}
        for name, told in by_name.items():
            values = dict(told) if isinstance(told, Mapping) else {"y": told}
            _refuse_others(values, self._columns, f"a row of {name} holds", "Give every column of the row.")
            for column, value in values.items():
                if not (isinstance(value, int | float | np.number) and np.isfinite(value)):
                    what = name if column == "y" else f"{column} of {name}"
                    raise DataError(f"The value of {what} is {value}, which is no number.  Leave the update out.")
            given[name] = {column: float(value) for column, value in values.items()}
        return given

    def _made(self, rows: pd.DataFrame) -> Panel:
        """Return what is forecast of the rows of a series."""
        panel = self._task.target.transform(replace(self._panel, frame=rows))
        return with_beside(self._task.cfg, panel)

    def _begun(self, name: str, known: pd.DataFrame, rows: pd.DataFrame) -> Series:
        """Replay what the run has forecast of a series, then forecast from the steps it had no whole horizon for."""
        known = known.reset_index(drop=True)
        own = Series(known, self._made(known))
        if isinstance(self._intervals, Adaptive):
            own.online = [self._intervals.online() for _ in self._steps]
        own.pending = [deque() for _ in self._steps]
        place = {date: row for row, date in enumerate(own.dates)}
        rows = rows[rows["origin"].isin(place)]
        y_hat = rows.set_index(["origin", "step"])["y_hat"].unstack().sort_index()  # noqa: PD010
        made: NDArray[Any] = y_hat.to_numpy()
        for origin, forecast in zip(y_hat.index, made, strict=True):
            self._issue(own, place[origin], forecast)
        start = place[y_hat.index[-1]] + 1 if len(y_hat) else self._first
        n = len(own.dates)
        for end in range(max(start, self._first), n):
            self._forecast_from(own, end)
        if not len(y_hat) and n <= self._first:
            raise DataError(f"Series {name} has {n} steps, but a forecast needs {self._first + 1}.")
        if start == n:
            self._forecast_from(own, n - 1, again=True)
        return own

    def _forecast_from(self, own: Series, end: int, again: bool = False) -> None:
        """Forecast from the window that ends with a row, and put intervals around; ``again`` where it was issued."""
        panel = replace(own.panel, frame=own.panel.frame.iloc[: end + 1])
        forecast, ends = self._loaded.forecast(panel, self._loaded.asked(panel))
        own.forecast = forecast[0]
        if not again:
            self._issue(own, end, own.forecast)
        if ends:
            own.bounds = {key.removeprefix(OWN): bound[0] for key, bound in ends.items()}
        elif own.online:
            own.bounds = self._adaptive(own)
        else:
            own.bounds = self._fixed(str(panel.frame["unique_id"].iloc[0]), own.forecast)
        kept = rounded(pd.DataFrame(own.bounds))  # as a run keeps them
        own.bounds = {column: kept[column].to_numpy() for column in own.bounds}

    def _issue(self, own: Series, origin: int, forecast: FloatArray) -> None:
        """Let the truths known at an origin arrive, and remember what the intervals expect of its forecasts."""
        values, over = own.panel.frame["y"].to_numpy(), self._task.target.over
        for step, online in enumerate(own.online):
            waiting = own.pending[step]
            while waiting and waiting[0].due <= origin:
                came = waiting.popleft()
                truth = float(values[came.due + 1 - over : came.due + 1].mean())
                online.learn(truth - came.y_hat, came.size, came.reach)
            size, reach = online.expect()
            waiting.append(Pending(origin + int(self._steps[step]), float(forecast[step]), size, reach))

    def _adaptive(self, own: Series) -> dict[str, FloatArray]:
        reach = np.array([waiting[-1].reach for waiting in own.pending])  # (H, level)
        bounds = {}
        for number, level in enumerate(self._intervals.levels):
            bounds[f"lo_{level}"] = own.forecast - reach[:, number]
            bounds[f"hi_{level}"] = own.forecast + reach[:, number]
        return bounds

    def _fixed(self, name: str, forecast: FloatArray) -> dict[str, FloatArray]:
        """Return the bounds of intervals that stay as wide as the run has left them."""
        from evaluation.intervals.offsets import extend

        label = self._loaded.label
        table = pd.DataFrame({"unique_id": name, "step": self._steps, "model": label, "y_hat": forecast})
        widened = extend(table, self._loaded.offsets)
        return {str(key): widened[key].to_numpy() for key in widened if str(key).startswith(("lo_", "hi_"))}


def _refuse_others(given: Mapping[str, Any], wanted: Sequence[str], of: str, cure: str) -> None:
    absent, strange = [one for one in wanted if one not in given], [str(one) for one in given if one not in wanted]
    if absent or strange:
        what = f"lacks {listed(sorted(absent))}" if absent else f"has {listed(sorted(strange))}"
        raise DataError(f"The update {what}; {of} {listed(wanted)}.  {cure}")


def _own_rows(run: RunFolder) -> pd.DataFrame:
    """Return validation and test forecasts of the run's model after its last fold.

    Raises
    ------
    DataError
        If the run has not kept them.
    """
    tested = run.own
    if tested is None or "origin" not in tested:
        raise DataError(f"{run.path} holds no forecasts to go on from.  Run the experiment again.")
    if "fold" in tested:
        tested = tested[tested["fold"] == tested["fold"].iloc[-1]]
    held_out = run.artifact("calibration.parquet", ["unique_id", "origin", "step", "y_hat"])
    columns = ["unique_id", "origin", "step", "y_hat"]
    parts = [tested[columns]] if held_out is None else [held_out[columns], tested[columns]]
    return pd.concat(parts, ignore_index=True)
