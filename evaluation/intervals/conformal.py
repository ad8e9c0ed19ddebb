"""Conformal intervals around any forecast: how far a model's errors reach, by what it has erred before.

An interval is put around the forecast of ``y`` itself, whatever was summed up to make it.  Every
class here widens the Forecasts table (see ``evaluation.metrics``) by two columns a level,
``lo_80, hi_80, lo_95, hi_95``, in the unit of ``y``; a bound that cannot be had is NaN.

What a row may know: the errors of calibration rows, which no model has learnt from, and those
truths of the test set whose ``ds`` is not after the row's ``origin``.  Each model, series and step
of the horizon has errors of its own, and so has each fold where the table has a column ``fold``.

``latest`` returns what holds after the last row, as plain lists that fit into JSON, and ``extend``
puts it around new forecasts.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from evaluation.rows import COLUMNS, ForecastsError

FOLD = "fold"
ROW = ["unique_id", "origin", "step", "model"]  # names one forecast
STREAM = ["model", "unique_id", "step"]  # whose errors belong together
FIRST = 10  # errors that must be known before their size is believed
ANY = None  # in place of a series' name: whichever


BY_TIME = (
    "series",
    "intervals=adaptive and split learn from truths as they arrive, but a remaining life is known at the end only; "
    "choose by_cell or none.",
)
"""The only job of what learns from truths as they arrive, and why."""

OWN = "own_"  # begins the columns of what a model has learnt itself


class Offset(NamedTuple):
    """How far an interval reaches, at each of some forecasts; between them it is interpolated."""

    model: str
    unique_id: str | None
    """None if it holds for every series, as for cells."""
    step: int
    level: int
    """[%]."""
    y_hat: list[float]
    """Forecasts the reach is given at; a single one if it is the same everywhere."""
    lo: list[float]
    """To be added to the forecast for the lower bound, in the unit of ``y``; at most 0."""
    hi: list[float]


class Intervals(Protocol):
    """Put intervals around forecasts."""

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts, in their order, with the columns ``lo_<level>`` and ``hi_<level>``.

        Parameters
        ----------
        forecasts, calibration : DataFrame
            Forecasts tables of the test and the validation rows; the second may be empty.  With
            several folds both have a column ``fold``.
        """
        ...

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return one ``Offset``, as a dictionary, a model, series, step and level, for what comes next."""
        ...


class NoIntervals:
    """Leave all bounds empty.

    Parameters
    ----------
    levels : sequence of int
        Which columns to name [%].
    """

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = _valid(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with empty bounds."""
        return forecasts.assign(**dict.fromkeys(bound_columns(self.levels), np.nan))

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return nothing."""
        return []


class OwnQuantiles:
    """What a model of quantiles has learnt itself (``model/component=quantiles``); others have none.

    Nothing is calibrated: how many truths they hold is for the report to say.

    Parameters
    ----------
    levels : sequence of int
        [%] of truths an interval shall hold, as the model's quantiles have them.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = _valid(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with ``lo_<level>`` and ``hi_<level>``, NaN where a model has none."""
        absent = [f"{OWN}{name}" for name in bound_columns(self.levels) if f"{OWN}{name}" not in forecasts.columns]
        if absent:
            raise ForecastsError(
                f"No model has learnt {', '.join(absent)}.  Choose model/component=quantiles with these levels, or "
                f"another choice of intervals."
            )
        known = {name: forecasts[f"{OWN}{name}"] for name in bound_columns(self.levels)}
        return forecasts.assign(**known)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return nothing: what is not calibrated is not carried beyond the end of the data."""
        return []


class Split:
    """Give every test row the same width: a quantile of the absolute validation errors.

    The quantile is the k-th smallest of n errors with k = ceil((n + 1) level), which holds the
    level exactly if test errors are like validation errors (Papadopoulos et al., 2002; Lei et al.,
    2018).  In calm and wild times they are not.  Where n is too small for the level (19 errors for
    95 %), bounds are NaN.

    Parameters
    ----------
    levels : sequence of int
        Shares of truths the intervals shall hold [%].
    """

    only_for: ClassVar[tuple[str, str]] = BY_TIME

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = _valid(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or a calibration truth is not known at a test origin.
        """
        bounds = _Bounds(forecasts, self.levels)
        for stream in _streams(forecasts, calibration):
            _refuse_later(stream)
            for level, reach in self._reaches(stream).items():
                bounds.put(stream.rows, level, np.full(stream.rows.size, reach))
        return bounds.around(forecasts)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the same widths once more."""
        return _offsets((stream, self._reaches(stream)) for stream in _last_fold(forecasts, calibration))

    def _reaches(self, stream: "_Stream") -> dict[int, float]:
        known = np.abs(stream.error[: stream.n_calibration])
        scores = np.sort(known[np.isfinite(known)])
        return {level: _quantile(scores, 1 - level / 100, level) for level in self.levels}


class Adaptive:
    """Let the width follow the size of recent errors, and correct it when too many truths fall outside.

    The score of a forecast is its absolute error over the size of errors at its origin: the root of
    an exponentially weighted mean of the squared errors known then.  The reach of a level is that
    size times a quantile of the last ``window`` scores.  The share alpha that may fall outside is
    adapted whenever a truth arrives (Gibbs and Candes, 2021, equation 2):

        alpha <- alpha + gamma * (1 - level - miss),     miss = 1 if the truth fell outside, else 0

    so that the share of misses tends to 1 - level whatever the series does.  Where alpha asks for
    more than the largest score, the largest is taken: their interval would be infinite.

    Calibration rows are the stream's beginning; the correction starts with them.  Without any, the
    first bounds of the test set are NaN: until 10 errors are known for their size, and then until
    there are scores enough for the level (4 for 80 %, 19 for 95 %): 29 forecasts at step 1 for 95 %.

    Parameters
    ----------
    levels : sequence of int
        Shares of truths the intervals shall hold [%].
    window : int
        Scores that are remembered [forecasts].
    gamma : float
        Step of the correction; 0 leaves alpha as it is.
    halflife : float
        After so many further errors, an error counts half in their present size [forecasts].
    """

    only_for: ClassVar[tuple[str, str]] = BY_TIME

    def __init__(self, levels: Sequence[int], window: int, gamma: float, halflife: float) -> None:
        self.levels = _valid(levels)
        needed = max(_needed(level) for level in levels)
        faults = []
        if window < needed:
            faults.append(f"intervals.window={window} holds too few scores for a level of {max(levels)} %: {needed}")
        if not 0 <= gamma < 1:
            faults.append(f"intervals.gamma={gamma} must be in [0, 1)")
        if not halflife > 0:
            faults.append(f"intervals.halflife={halflife} must be above 0 forecasts")
        if faults:
            raise ValueError("; ".join(faults) + ".")
        self.window, self.gamma, self.halflife = window, gamma, halflife

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or calibration rows do not come before the test rows.
        """
        bounds = _Bounds(forecasts, self.levels)
        for stream in _streams(forecasts, calibration):
            _refuse_later(stream)
            reach, _ = self._follow(stream)
            for column, level in enumerate(self.levels):
                bounds.put(stream.rows, level, reach[:, column])
        return bounds.around(forecasts)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the widths once all truths of the table have arrived."""
        followed = ((stream, self._follow(stream)[1]) for stream in _last_fold(forecasts, calibration))
        return _offsets((stream, dict(zip(self.levels, last, strict=True))) for stream, last in followed)

    def _follow(self, stream: "_Stream") -> tuple[FloatArray, list[float]]:
        """Return the reach of every test row ``(n, level)``, and that of the next."""
        state = _Adapting(self.levels, self.window, self.gamma, self.halflife)
        n = stream.error.size
        reach = np.full((n, len(self.levels)), np.nan)
        size = np.full(n, np.nan)
        arrived = 0
        for row in range(n):
            while arrived < row and stream.ds[arrived] <= stream.origin[row]:
                state.learn(float(stream.error[arrived]), float(size[arrived]), reach[arrived])
                arrived += 1
            size[row], reach[row] = state.size, state.reaches()
        for row in range(arrived, n):
            state.learn(float(stream.error[row]), float(size[row]), reach[row])
        return reach[stream.n_calibration :], state.reaches()


class ByCell:
    """Cover the rows of a cell that nobody has learnt from, by how far off the validation cells were.

    Rows of one cell err together, so it is cells that are counted, not rows.  The score of a row is
    its absolute error over the usual error at that stage of life.  Within each validation cell the
    scores have a quantile; over the k cells, the j-th smallest of these quantiles is taken, with
    j = ceil((k + 1) level), at most k.  If cells are exchangeable, a new cell is covered at the level
    with a probability of at least j / (k + 1): with 3 validation cells, 75 %, and 95 % only from 19
    cells on.  On average over cells coverage is near the level, but a strange cell is not covered,
    and no method knows better from so few.

    The usual error is the mean absolute error of the validation rows, every cell counting the
    same, in ``stages`` equally filled parts by forecast life, between whose middles it is
    interpolated.  A bound below 0 becomes 0: no life is negative.

    Parameters
    ----------
    levels : sequence of int
        Share of the rows of a cell the intervals shall hold [%].
    stages : int
        Parts of life with a width of their own; 1 gives the same width everywhere.
    """

    only_for: ClassVar[tuple[str, str]] = ("life", "intervals=by_cell is for cells; choose adaptive, split or none.")

    def __init__(self, levels: Sequence[int], stages: int) -> None:
        self.levels = _valid(levels)
        if stages < 1:
            raise ValueError(f"intervals.stages={stages} must be at least 1.")
        self.stages = stages

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or a cell is both in the test and the calibration rows.
        """
        bounds = _Bounds(forecasts, self.levels)
        for cells in _groups(forecasts, calibration):
            for level, (at, reach) in self._reaches(cells).items():
                y_hat = forecasts["y_hat"].to_numpy(dtype=np.float64)[cells.rows]
                bounds.put(cells.rows, level, np.interp(y_hat, at, reach))
        return bounds.around(forecasts, smallest=0.0)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the widths by forecast life, for any further cell."""
        last = _last(forecasts, calibration)
        return [
            Offset(cells.model, ANY, cells.step, level, _plain(at), _plain(-reach), _plain(reach))._asdict()
            for cells in _groups(*last)
            for level, (at, reach) in self._reaches(cells).items()
            if np.isfinite(reach).all()
        ]

    def _reaches(self, cells: "_Cells") -> dict[int, tuple[FloatArray, FloatArray]]:
        """Return, for each level, forecasts ``(stages,)`` and how far an interval reaches there."""
        rows = cells.calibration
        rows = rows[np.isfinite(rows["error"])]
        if rows.empty:
            return {level: (np.zeros(1), np.full(1, np.nan)) for level in self.levels}
        at, usual = self._usual_error(rows)
        scores = rows["error"].abs() / np.interp(rows["y_hat"], at, usual)
        by_cell = [np.sort(part.to_numpy()) for _, part in scores.groupby(rows["unique_id"])]
        reaches = {}
        for level in self.levels:
            alpha = 1 - level / 100
            of_cells = np.sort([score[_rank(score.size, alpha)] for score in by_cell])
            reaches[level] = (at, usual * of_cells[_rank(of_cells.size, alpha)])
        return reaches

    def _usual_error(self, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return the middles of the stages and the mean absolute error there, ``(stages,)`` each."""
        weight = 1 / rows.groupby("unique_id")["error"].transform("size").to_numpy()
        y_hat, error = rows["y_hat"].to_numpy(dtype=np.float64), rows["error"].abs().to_numpy()
        order = np.argsort(y_hat, kind="stable")
        share = np.cumsum(weight[order]) / weight.sum()
        stage = np.empty(y_hat.size, dtype=np.int64)
        stage[order] = np.minimum((share * self.stages - 1e-9).astype(np.int64), self.stages - 1)
        present = np.unique(stage)
        at = np.array([np.average(y_hat[stage == k], weights=weight[stage == k]) for k in present])
        usual = np.array([np.average(error[stage == k], weights=weight[stage == k]) for k in present])
        tiny = np.finfo(np.float64).tiny  # a stage without any error has an interval without width
        return at, np.maximum(usual, tiny)


def extend(forecasts: pd.DataFrame, offsets: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Put intervals around forecasts beyond the end of a table, from what ``latest`` returned.

    Parameters
    ----------
    forecasts : DataFrame
        Columns ``unique_id``, ``step``, ``model`` and ``y_hat``.
    offsets : iterable of mapping
        As ``latest`` returned them.  Where a model has a single series, its offsets hold for a series of
        another name, too: a file may call it differently.

    Returns
    -------
    DataFrame
        The forecasts with ``lo_<level>`` and ``hi_<level>``, NaN where nothing is known.
    """
    known = [Offset(**offset) for offset in offsets]
    only = {
        model: len({offset.unique_id for offset in known if offset.model == model}) == 1
        for model in {offset.model for offset in known}
    }
    bounds = dict.fromkeys(bound_columns(sorted({offset.level for offset in known})), np.nan)
    result = forecasts.assign(**bounds)
    for offset in known:
        rows = (result["model"] == offset.model) & (result["step"] == offset.step)
        if not only[offset.model]:
            rows &= result["unique_id"] == offset.unique_id
        y_hat = result.loc[rows, "y_hat"].to_numpy(dtype=np.float64)
        low = y_hat + np.interp(y_hat, offset.y_hat, offset.lo)
        result.loc[rows, f"lo_{offset.level}"] = np.maximum(low, 0.0) if offset.unique_id is ANY else low
        result.loc[rows, f"hi_{offset.level}"] = y_hat + np.interp(y_hat, offset.y_hat, offset.hi)
    return result


def bound_columns(levels: Sequence[int]) -> list[str]:
    """Return the names of the columns an interval of each level has."""
    return [f"{side}_{level}" for level in levels for side in ("lo", "hi")]


class _Stream(NamedTuple):
    """Errors of one model, series and step in time order, calibration before test."""

    key: tuple[str, str, int]
    """``STREAM``."""
    rows: IntArray
    """Positions of the test rows in the table."""
    n_calibration: int
    origin: Any
    ds: Any
    error: FloatArray
    """``(calibration + test,)``, as ``ds`` and ``origin``."""


class _Cells(NamedTuple):
    """One model and step: its test rows and the calibration rows of other cells."""

    model: str
    step: int
    rows: IntArray
    calibration: pd.DataFrame


class _Adapting:
    """What is known of one stream at one moment."""

    def __init__(self, levels: Sequence[int], window: int, gamma: float, halflife: float) -> None:
        self.levels = levels
        self.target = [1 - level / 100 for level in levels]
        self.alpha = list(self.target)
        self.window, self.gamma, self.keep = window, gamma, 0.5 ** (1 / halflife)
        self.total = self.weight = 0.0
        self.count = 0
        self.scores: list[float] = []  # in the order they came, the last ``window``
        self.sorted: list[float] = []

    @property
    def size(self) -> float:
        """The present size of errors in the unit of ``y``; NaN until enough are known."""
        return math.sqrt(self.total / self.weight) if self.count >= FIRST else math.nan

    def reaches(self) -> list[float]:
        """Return how far an interval of each level reaches now."""
        pairs = zip(self.levels, self.alpha, strict=True)
        return [self.size * _quantile(self.sorted, alpha, level) for level, alpha in pairs]

    def learn(self, error: float, size: float, reach: FloatArray) -> None:
        """Take in one error, the size of errors that was expected and the reaches that were given."""
        if not math.isfinite(error):
            return
        for k, given in enumerate(reach):
            if math.isfinite(given):
                self.alpha[k] += self.gamma * (self.target[k] - (abs(error) > given))
        if size > 0:  # not where all errors so far were 0
            self._remember(abs(error) / size)
        self.total = self.keep * self.total + error**2
        self.weight = self.keep * self.weight + 1
        self.count += 1

    def _remember(self, score: float) -> None:
        self.scores.append(score)
        insort(self.sorted, score)
        if len(self.scores) > self.window:
            del self.sorted[bisect_left(self.sorted, self.scores.pop(0))]


class _Bounds:
    """How far the intervals of a table reach."""

    def __init__(self, forecasts: pd.DataFrame, levels: Sequence[int]) -> None:
        self.reach = {level: np.full(len(forecasts), np.nan) for level in levels}

    def put(self, rows: IntArray, level: int, reach: FloatArray) -> None:
        """Note the reach of some rows."""
        self.reach[level][rows] = reach

    def around(self, forecasts: pd.DataFrame, smallest: float = -math.inf) -> pd.DataFrame:
        """Return the forecasts with their bounds, none of them below ``smallest``."""
        y_hat = forecasts["y_hat"].to_numpy(dtype=np.float64)
        y_hat = np.where(np.isfinite(y_hat), y_hat, np.nan)
        bounds = {}
        for level, reach in self.reach.items():
            bounds[f"lo_{level}"] = np.maximum(y_hat - reach, smallest)
            bounds[f"hi_{level}"] = np.maximum(y_hat + reach, smallest)
        return forecasts.assign(**bounds)


def _streams(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[_Stream]:
    """Yield the streams of every fold."""
    calibration = _checked(forecasts, calibration)
    before = _by_key(calibration, _keys(forecasts, STREAM))
    for key, rows in _by_key(forecasts, _keys(forecasts, STREAM)).items():
        test = forecasts.iloc[rows]
        known = calibration.iloc[before.get(key, np.empty(0, dtype=np.int64))].sort_values("origin", kind="stable")
        order = np.argsort(test["origin"].to_numpy(), kind="stable")
        both = pd.concat([known[COLUMNS], test.iloc[order][COLUMNS]]) if len(known) else test.iloc[order]
        yield _Stream(
            key=key[-len(STREAM) :],
            rows=rows[order],
            n_calibration=len(known),
            origin=both["origin"].to_numpy(),
            ds=both["ds"].to_numpy(),
            error=(both["y"] - both["y_hat"]).to_numpy(dtype=np.float64),
        )


def _groups(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[_Cells]:
    """Yield the models of every fold with their calibration cells."""
    calibration = _checked(forecasts, calibration)
    keys = _keys(forecasts, ["model", "step"])
    before = _by_key(calibration, keys)
    for key, rows in _by_key(forecasts, keys).items():
        known = calibration.iloc[before.get(key, np.empty(0, dtype=np.int64))]
        both = set(known["unique_id"]) & set(forecasts["unique_id"].iloc[rows])
        if both:
            raise ForecastsError(
                f"The cell {min(both)} is tested and calibrates its own intervals, which would then be too narrow.  "
                f"Hold other cells out for validation."
            )
        yield _Cells(str(key[-2]), int(key[-1]), rows, known.assign(error=known["y"] - known["y_hat"]))


def _checked(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the calibration table; refuse tables that lack something or hold a forecast twice."""
    if calibration.empty:
        calibration = forecasts.iloc[:0]
    for name, table in (("forecasts", forecasts), ("calibration forecasts", calibration)):
        absent = [column for column in COLUMNS if column not in table.columns]
        if FOLD in forecasts.columns and FOLD not in table.columns:
            absent.append(FOLD)
        if absent:
            raise ForecastsError(f"The {name} lack the column {', '.join(absent)}.")
        twice = table.duplicated(_keys(forecasts, ROW))
        if twice.any():
            row = table[twice].iloc[0]
            raise ForecastsError(
                f"The {name} hold {row['unique_id']} at {row['ds']} twice for {row['model']}.  "
                f"Several folds need a column {FOLD!r}."
            )
    return calibration


def _keys(forecasts: pd.DataFrame, names: list[str]) -> list[str]:
    return [FOLD, *names] if FOLD in forecasts.columns else names


def _by_key(table: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], IntArray]:
    """Return the positions of the rows of every group, in order of first appearance."""
    if table.empty:
        return {}
    groups: dict[Any, Any] = table.groupby(keys, sort=False).indices
    return {key: np.asarray(rows, dtype=np.int64) for key, rows in groups.items()}


def _last_fold(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[_Stream]:
    return _streams(*_last(forecasts, calibration))


def _last(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the fold that comes last in the table: its model is the one that goes on."""
    calibration = _checked(forecasts, calibration)
    if FOLD not in forecasts.columns:
        return forecasts, calibration
    last = forecasts[FOLD].iloc[-1]
    return forecasts[forecasts[FOLD] == last], calibration[calibration[FOLD] == last]


def _refuse_later(stream: _Stream) -> None:
    n = stream.n_calibration
    if n and stream.rows.size and stream.ds[:n].max() > stream.origin[n]:
        raise ForecastsError(
            f"The calibration truth of {stream.key[1]} at {pd.Series(stream.ds[:n]).max()} is not known at the first "
            f"test origin, {pd.Series(stream.origin).iloc[n]}.  Calibrate on rows before the test set, or, where "
            f"whole cells are held out, with intervals=by_cell."
        )


def _offsets(reaches: Iterable[tuple[_Stream, Mapping[int, float]]]) -> list[dict[str, Any]]:
    return [
        Offset(str(model), str(unique_id), int(step), level, [0.0], [-float(reach)], [float(reach)])._asdict()
        for (model, unique_id, step), by_level in ((stream.key, by_level) for stream, by_level in reaches)
        for level, reach in by_level.items()
        if math.isfinite(reach)
    ]


def _quantile(scores: Sequence[float] | FloatArray, alpha: float, level: int) -> float:
    """Return the quantile of sorted scores that a share alpha exceeds; NaN if too few for the level."""
    return float(scores[_rank(len(scores), alpha)]) if len(scores) >= _needed(level) else math.nan


def _rank(n: int, alpha: float) -> int:
    """Return the place, from 0, of the conformal quantile among n sorted scores."""
    return min(max(math.ceil((n + 1) * (1 - alpha) - 1e-9), 1), n) - 1


def _needed(level: int) -> int:
    """Return how many scores it takes so that the largest is exceeded by at most 1 - level."""
    return math.ceil(100 / (100 - level) - 1e-9) - 1


def _valid(levels: Sequence[int]) -> list[int]:
    if not levels or any(not (isinstance(level, int) and 0 < level < 100) for level in levels):
        raise ValueError(f"intervals.levels={list(levels)} must be whole numbers between 0 and 100, in percent.")
    if len(set(levels)) < len(levels):
        raise ValueError(f"intervals.levels={list(levels)} names a level twice.")
    return sorted(levels)


def _plain(values: FloatArray) -> list[float]:
    return [float(value) for value in values]
