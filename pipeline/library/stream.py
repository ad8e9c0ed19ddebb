"""Forecast on: every new value moves the window and the intervals, as a run of the longer data would have it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.calendar import upcoming
from data.contracts import Decomposition, FloatArray, Panel, Scope, Windows
from data.panel import DataError, fingerprint, shown_date
from data.targets.level import Level
from data.windows import first_end
from evaluation.intervals.adaptive import Adaptive, Online
from evaluation.intervals.bounds import OWN, rounded
from pipeline.predict import Loaded
from report.run_folder import RunFolder
from runtime.build import build
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

    ds: list[Any]
    y: list[float]
    online: list[Online] = field(default_factory=list)
    """One a step of the horizon; none where intervals do not adapt."""
    pending: list[deque[Pending]] = field(default_factory=list)
    """One a step."""
    forecast: FloatArray = field(default_factory=lambda: np.empty(0))
    """``(H,)`` the latest."""
    bounds: dict[str, FloatArray] = field(default_factory=dict)
    """``(H,)`` by column: lo_95 and so on."""


class Stream:
    """A model at work: forecasts of the next steps, moved by one value at a time.

    Parameters
    ----------
    loaded : Loaded
        The model of a finished run.
    folder : Path
        The run, whose validation and test rows the intervals have learnt from.
    panel : Panel
        The data of the run.
    since : Timestamp, int or None
        Last date that counts as known; None takes all.

    Raises
    ------
    DataError
        If the data are no longer those of the run, its task is not to forecast series, or nothing is known yet.
    """

    def __init__(self, loaded: Loaded, folder: Path, panel: Panel, since: Any = None) -> None:
        task = loaded.task
        if (
            not isinstance(task, Forecast)
            or not isinstance(task.target, Level)
            or task.target.over > 1
            or panel.covariates
            or task.cfg.get("channels")
        ):
            raise DataError(
                "A stream goes on with series that are forecast as they are, without covariates or channels.  Call "
                "predict with the longer table."
            )
        if fingerprint(panel) != loaded.card["data"]["sha256"]:
            raise DataError(
                f"The data of {panel.name} are no longer those of the run in {folder}.  Restore them first."
            )
        self._loaded, self._panel = loaded, panel
        self._scope: Scope = build(task.cfg.scope)
        if not self._scope.causal:
            raise DataError(
                "The run decomposes what comes after a forecast, which a stream cannot.  Take scope=rolling."
            )
        self._decomposition: Decomposition = build(task.candidates()[0].decomposition)
        self._intervals = build(task.cfg.intervals)
        self._horizon = int(task.cfg.horizon)
        self._lookback = task.lookback_of(task.candidates()[0])
        self._first = first_end(self._scope, self._decomposition, self._lookback)
        rows = _own_rows(RunFolder(folder))
        frame = panel.frame if since is None else panel.frame[panel.frame["ds"] <= since]
        self._series: dict[str, Series] = {}
        for name, known in frame.groupby("unique_id", sort=False):
            self._series[str(name)] = self._begun(str(name), known, rows[rows["unique_id"] == name])
        if not self._series:
            raise DataError(f"{panel.name} has no row up to {shown_date(since)}.  Give a later date.")

    def forecast(self) -> pd.DataFrame:
        """Return the forecasts of the next steps: ``unique_id``, ``ds``, the model and the bounds of its intervals."""
        label = self._loaded.label
        parts = []
        for name, own in self._series.items():
            ahead = upcoming(pd.Series(own.ds), self._horizon, self._panel.calendar)
            part = pd.DataFrame({"unique_id": name, "ds": ahead, label: own.forecast})
            parts.append(part.assign(**{f"{label}-{key.replace('_', '-')}": end for key, end in own.bounds.items()}))
        return pd.concat(parts, ignore_index=True)

    def update(self, y: float | Mapping[str, float], ds: Any = None) -> pd.DataFrame:
        """Take the next value of every series, and return the forecasts that follow it.

        Parameters
        ----------
        y : float or mapping
            In the unit of the series; of several series by their names.
        ds : Timestamp, int or None
            Date of the values; None takes the next one.

        Raises
        ------
        DataError
            If a series is missing or not known, a value is no number, or the date is not after the last one.
        """
        given = dict(y) if isinstance(y, Mapping) else {next(iter(self._series)): y}
        absent, strange = self._series.keys() - given.keys(), given.keys() - self._series.keys()
        if absent or strange:
            what = f"lacks {', '.join(sorted(absent))}" if absent else f"has {', '.join(map(str, sorted(strange)))}"
            raise DataError(f"The update {what}; the run is of {', '.join(self._series)}.  Give one value a series.")
        for name, value in given.items():
            if not np.isfinite(value):
                raise DataError(f"The value of {name} is {value}, which is no number.  Leave the update out.")
            last = self._series[name].ds[-1]
            if ds is not None and not ds > last:
                raise DataError(f"{shown_date(ds)} does not come after {shown_date(last)}, the last date of {name}.")
        for name, value in given.items():
            own = self._series[name]
            own.ds.append(upcoming(pd.Series(own.ds), 1, self._panel.calendar)[0] if ds is None else ds)
            own.y.append(float(value))
            self._forecast_from(name, own, len(own.y) - 1)
        return self.forecast()

    def _begun(self, name: str, known: pd.DataFrame, rows: pd.DataFrame) -> Series:
        """Replay what the run has forecast of a series, then forecast from the steps it had no whole horizon for."""
        own = Series(known["ds"].tolist(), known["y"].tolist())
        if isinstance(self._intervals, Adaptive):
            own.online = [self._intervals.online() for _ in range(self._horizon)]
        own.pending = [deque() for _ in range(self._horizon)]
        place = {date: row for row, date in enumerate(own.ds)}
        rows = rows[rows["origin"].isin(place)]
        y_hat = rows.set_index(["origin", "step"])["y_hat"].unstack().sort_index()  # noqa: PD010
        made: NDArray[Any] = y_hat.to_numpy()
        for origin, forecast in zip(y_hat.index, made, strict=True):
            self._issue(own, place[origin], forecast)
        start = place[y_hat.index[-1]] + 1 if len(y_hat) else self._first
        for end in range(max(start, self._first), len(own.y)):
            self._forecast_from(name, own, end)
        if not len(y_hat) and len(own.y) <= self._first:
            raise DataError(f"Series {name} has {len(own.y)} steps, but a forecast needs {self._first + 1}.")
        if start == len(own.y):
            self._forecast_from(name, own, len(own.y) - 1, again=True)
        return own

    def _forecast_from(self, name: str, own: Series, end: int, again: bool = False) -> None:
        """Forecast from the window that ends with a row, and put intervals around; ``again`` where it was issued."""
        values = np.array(own.y[: end + 1])
        past = self._scope.at(self._decomposition, values, self._lookback, np.array([end])).transpose(0, 2, 1)
        unknown = np.full((1, 0, self._decomposition.n_components), np.nan)
        row = Panel(pd.DataFrame({"unique_id": [name], "ds": [own.ds[end]], "y": [own.y[end]]}), name, "")
        windows = Windows(past, unknown, unknown[:, :, 0], np.zeros(1, dtype=np.int64))
        forecast, ends = self._loaded.forecast(row, [windows] * len(self._loaded.models))
        own.forecast = forecast[0]
        if not again:
            self._issue(own, end, own.forecast)
        if ends:
            own.bounds = {key.removeprefix(OWN): bound[0] for key, bound in ends.items()}
        elif own.online:
            own.bounds = self._adaptive(own)
        else:
            own.bounds = self._fixed(name, own.forecast)
        kept = rounded(pd.DataFrame(own.bounds))  # as a run keeps them
        own.bounds = {column: kept[column].to_numpy() for column in own.bounds}

    def _issue(self, own: Series, origin: int, forecast: FloatArray) -> None:
        """Let the truths known at an origin arrive, and remember what the intervals expect of its forecasts."""
        for step, online in enumerate(own.online):
            waiting = own.pending[step]
            while waiting and waiting[0].due <= origin:
                came = waiting.popleft()
                online.learn(own.y[came.due] - came.y_hat, came.size, came.reach)
            size, reach = online.expect()
            waiting.append(Pending(origin + 1 + step, float(forecast[step]), size, reach))

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
        steps = np.arange(1, self._horizon + 1)
        table = pd.DataFrame({"unique_id": name, "step": steps, "model": label, "y_hat": forecast})
        widened = extend(table, self._loaded.offsets)
        return {str(key): widened[key].to_numpy() for key in widened if str(key).startswith(("lo_", "hi_"))}


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
