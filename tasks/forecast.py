"""Forecast the next ``horizon`` steps of series from the components of the ``lookback`` steps before them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from data.cached import CachedWork
from data.calendar import pace, unknown_ahead, upcoming
from data.contracts import (
    SERIES,
    TEST,
    TRAIN,
    VALIDATION,
    Decomposition,
    FloatArray,
    Fold,
    IntArray,
    Panel,
    Scope,
    Source,
    Target,
    Windows,
)
from data.decomposition.analytic import Analytic
from data.decomposition.batch import components_of
from data.panel import DataError, listed, long_enough, shown_date
from data.targets.level import Level
from data.targets.log_range import LogRange
from data.windows import (
    all_of_role,
    chosen,
    cut,
    cut_at,
    first_end,
    last_handed,
    latest,
    newest,
    origins,
    select,
    why_first,
    window_rows,
)
from evaluation.leakage.directions import directions_explained
from evaluation.leakage.perturb import WAYS, How, replacement
from evaluation.leakage.prove import Finding
from evaluation.rows import PERSISTENCE as LAST_VALUE
from evaluation.rows import Facts, Question, deviation, naive_error
from models.seasonal import AUTO, find_season, series_of, steps_needed
from runtime.build import ConfigError, build
from runtime.cache import ArrayCache
from tasks import restoring
from tasks.beside import ahead_of, future_left_out, future_replaced, past_moved, refuse_other_columns, with_beside
from tasks.target_audit import audited
from tasks.task import (
    NO_AUGMENTATION,
    SAME_MEMORY,
    BoolArray,
    Candidate,
    Changed,
    Knowledge,
    Prediction,
    Prepared,
    fact,
    inputs_of,
    needs_of,
    once_each,
    windows_for_blocks,
)

if TYPE_CHECKING:  # scikit-learn, which a network does not need
    from data.features.chain import Chain

IDENTITY = OmegaConf.create({"_target_": "data.decomposition.identity.Identity"})
PERSISTENCE = OmegaConf.create({"_target_": "models.naive.Persistence", "label": "Persistence"})
NO_MOVE = OmegaConf.create({"_target_": "models.naive.NoMove", "label": "Persistence"})  # of the level
SEASONAL = "models.seasonal.SeasonalNaive"
SPANS = ("lags", "returns")
"""Parameters of models that tell over how many of the newest steps they average."""
FAR = 10.0  # ratio of mean changes beyond which a file is of something else
SAMPLED = {TRAIN: 10, VALIDATION: 3, TEST: 4}
"""Origins the audit rebuilds unless it is asked for all of them, by the role of their targets."""
FEW, MANY = 12, 240  # origins at which components are compared in two units, and more where they differ
SAME, TELLS = 1e-6, 20.0  # relative difference that is none; directions that chance does not explain [%]
ENOUGH = 30  # training origins where synthetic windows are learnt from them


class Forecast:
    """Forecast the next steps of series.

    Parameters
    ----------
    cfg : DictConfig
        The whole configuration, resolved.

    Raises
    ------
    ConfigError
        If the mean over several steps is forecast for more than one horizon.
    """

    name: ClassVar[str] = "forecast"
    question: ClassVar[Question] = Question(SERIES)
    reference: str = LAST_VALUE
    retrains: ClassVar[bool] = False
    strangers: ClassVar[Sequence[str]] = ("features",)
    sections: ClassVar[Sequence[str]] = (
        "results",
        "forecast",
        "audit",
        "results.pairs",
        "over_time",
        "over_time.regimes",
        "calibration",
        "copycat",
        "copycat.residuals",
        "economic_value",
        "components",
        "training.attention",
        "training.losses",
        "reproduce",
    )

    def __init__(self, cfg: DictConfig) -> None:
        node = cfg.get("target")  # a run of before there were targets has none
        self.cfg, self.target = cfg, Level() if node is None else cast(Target, build(node))
        if cfg.horizon > 1 and self.target.over > 1:
            raise ConfigError(
                f"target.over={self.target.over} forecasts the mean of the next {self.target.over} steps as one "
                f"number; set horizon=1."
            )

        if cfg.get("season") not in (None, 1):
            self.reference = self._seasonal().label

    @property
    def reach(self) -> int:
        """How many steps after its origin the last target of a forecast lies."""
        return max(int(self.cfg.horizon), self.target.over)

    def load(self, source: Source) -> Panel:
        """Read a source, turn its values into what is forecast, and join what is known beside them.

        Series too short for one window are left out by name: they would be in no part of a table.
        """
        panel = with_beside(self.cfg, self.target.transform(source.load()))
        first = self._first_end
        why = f"{why_first(first, int(self.cfg.lookback))} {first + 1} + horizon {self.reach}"
        return long_enough(panel, window_rows(first, self.reach, self.cfg.stride), why)

    def candidates(self) -> list[Candidate]:
        """Return the model, its baselines without decomposition, persistence and the reference, each label once."""
        return list(self._rows)

    @cached_property
    def _rows(self) -> list[Candidate]:
        cfg = self.cfg
        name = cfg.names.decomposition
        naive = not needs_of(Candidate("", cfg.model, cfg.decomposition)).scaled
        method = name.removesuffix("_paper").upper().replace("_", "-")  # the settings of a paper are no other method
        prefix = "" if name == "identity" or naive else f"{method}-"
        first = Candidate(prefix + cfg.model.label, cfg.model, cfg.decomposition, self._own_lookback(cfg.model))
        others = [*(cfg.baselines or {}).values(), *([] if cfg.season in (None, 1) else [self._seasonal()])]
        baselines = [Candidate(node.label, node, IDENTITY, self._own_lookback(node)) for node in others]
        twin = [] if naive else self._equal_memory(first)
        last = Candidate(LAST_VALUE, NO_MOVE if self.target.adds else PERSISTENCE, IDENTITY)
        rows = once_each([first, *twin, *baselines, last])
        return [last if row.label == LAST_VALUE else row for row in rows]

    def _equal_memory(self, row: Candidate) -> list[Candidate]:
        """Return the same model without decomposition, looking back as far as a decomposition has seen; maybe none."""
        cfg = self.cfg
        if cfg.equal_memory == "none" or (cfg.equal_memory == "classical" and needs_of(row).gradients):
            return []
        scope, memory, least = build(cfg.scope), build(row.decomposition).memory, int(cfg.lookback)
        if scope.history is None or memory == 0:
            return []
        seen = scope.history if memory is None else min(scope.history, max(least, self.seen_of(row)) + memory)
        if seen <= least:
            return []
        node = row.model.copy()
        node.label = f"{row.model.label} ({SAME_MEMORY}, {seen} steps)"
        doubled = [least * 2**power for power in range(seen) if least * 2**power < seen]
        return [Candidate(node.label, node, IDENTITY, seen, (*doubled, seen), row.label)]

    def _seasonal(self) -> DictConfig:
        """Return the seasonal naive forecast among the model and its baselines, or else the one without drift."""
        cfg = self.cfg
        given = [node for node in (cfg.model, *(cfg.baselines or {}).values()) if node._target_ == SEASONAL]
        plain = {"_target_": SEASONAL, "label": "Seasonal naive", "season": cfg.season, "drift": False}
        found = given[0] if given else OmegaConf.create(plain)
        assert isinstance(found, DictConfig)
        return found

    def warm(self, panel: Panel) -> None:
        """Decompose every series, once for each decomposition and lookback among the candidates."""
        for row in {inputs_of(row): row for row in self.candidates()}.values():
            self._cut(panel, row, cached=True, work=build(self.cfg.parallel).map)

    @property
    def bundled(self) -> bool:
        """Whether candidates share dear inputs: components are shared through the cache."""
        return False

    def prepare(
        self, panel: Panel, fold: Fold, candidate: Candidate, origins: IntArray | None = None, cached: bool = True
    ) -> Prepared:
        """Cut the panel into windows of components."""
        if origins is None:
            return Prepared(self._cut(panel, candidate, cached))
        cfg = self.cfg
        decomposition, scope = build(candidate.decomposition), build(cfg.scope)
        first = self._first_end
        windows = cut_at(panel, decomposition, scope, self.seen_of(candidate), self.reach, origins, first)
        return Prepared(self._averaged(self._with_channels(windows, candidate)))

    def _cut(self, panel: Panel, candidate: Candidate, cached: bool, work: Any = map) -> Windows:
        cfg, node = self.cfg, candidate.decomposition
        scope: Scope = build(cfg.scope)
        if cached:
            settings = {"scope": _plain(cfg.scope), "decomposition": _plain(node)}
            work = CachedWork(work, ArrayCache(), settings)
        windows = cut(panel, build(node), scope, self.seen_of(candidate), self.reach, work, self._first_end, cfg.stride)
        return self._averaged(self._with_channels(windows, candidate))

    def _channels_of(self, candidate: Candidate) -> Analytic | None:
        """Return what puts channels beside the components of a candidate; None where it has a single component."""
        node = self.cfg.get("channels")
        if not node or build(candidate.decomposition).n_components == 1:
            return None
        return cast(Analytic, build(node))

    def seen_of(self, candidate: Candidate) -> int:
        """Return how many steps of components the inputs of a candidate are made of: its lookback or more."""
        channels, lookback, history = self._channels_of(candidate), self.lookback_of(candidate), self._history
        if channels is None:
            return lookback
        return max(lookback, channels.span if history is None else min(channels.span, history))

    @cached_property
    def _history(self) -> int | None:
        """Steps that are decomposed before the first origin; None where the lookback is enough."""
        scope: Scope = build(self.cfg.scope)
        return scope.history

    def _with_channels(self, windows: Windows, candidate: Candidate) -> Windows:
        """Return windows as long as a candidate looks back, with the channels of what they were cut with."""
        channels, lookback = self._channels_of(candidate), self.lookback_of(candidate)
        if channels is None:
            return windows
        beside = windows.each(lambda some: channels(some.past, lookback))
        return newest(windows, lookback)._replace(channels=beside)

    def _averaged(self, windows: Windows) -> Windows:
        """Return windows whose target is the mean over the steps of ``target.over``; its components still add up."""
        if self.target.over == 1:
            return windows
        target = windows.each(lambda some: some.target.mean(axis=1, keepdims=True))
        return windows._replace(target=target, y=windows.y.mean(axis=1, keepdims=True))

    def _own_lookback(self, model: DictConfig) -> int | None:
        """Return how many steps a model looks back upon that says so; None: as many as the others.

        By a memory, a season, or spans longer than the lookback of the run: its own, or those of its core.
        """
        if "memory" in model:
            return int(model.memory)
        if "season" in model:
            return steps_needed(model.season)
        if "core" in model:
            return self._own_lookback(model.core)
        longest = max((int(span) for name in SPANS for span in model.get(name) or ()), default=0)
        return longest if longest > self.cfg.lookback else None

    def lookback_of(self, candidate: Candidate) -> int:
        """Return how many steps the windows of a candidate show."""
        return max(candidate.lookback or int(self.cfg.lookback), needs_of(candidate).lookback)

    @cached_property
    def _first_end(self) -> int:
        """The step at which the first window ends: the same for all candidates, so that rows compare."""
        return self._first_end_of({inputs_of(row): row for row in self.candidates()}.values())

    def _first_end_of(self, rows: Iterable[Candidate]) -> int:
        """Return the step at which the first window of all these rows ends."""
        scope: Scope = build(self.cfg.scope)
        return max(first_end(scope, build(row.decomposition), self.seen_of(row)) for row in rows)

    def learnable(self, panel: Panel, fold: Fold) -> int:
        """Return how many windows have all their targets in training."""
        return int(self._known_origins(panel, fold)[TRAIN].size)

    def select(self, windows: Windows, fold: Fold, role: int) -> Windows:
        """Return the windows all of whose targets have the role."""
        return select(windows, fold, role, self.reach)

    def memory(self, panel: Panel, held_out: Windows, label: str, forecast: FloatArray) -> None:
        """Choose nothing: no forecast is averaged with earlier ones."""

    def finish(self, panel: Panel, windows: Windows, forecast: FloatArray, memory: float | None = None) -> FloatArray:
        """Return the forecasts as they are: a series may go anywhere."""
        return forecast

    def known(self, windows: Windows, fold: Fold) -> Windows:
        """Return training and validation windows; none whose targets are of both parts."""
        both = [chosen(windows, fold, role, self.reach) for role in (TRAIN, VALIDATION)]
        return windows.take(np.concatenate(both))

    def synthetic_from(self, windows: Windows, train: Windows) -> Windows:
        """Return the training windows."""
        return train

    def later(self, panel: Panel, fold: Fold, prepared: Prepared) -> Sequence[Windows]:
        """Return nothing: a series has no beginning that counts."""
        return ()

    def table(
        self, panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray]
    ) -> pd.DataFrame:
        """Return forecasts ``(n, H)`` and the ends of own intervals as a Forecasts table, one row a target."""
        n_windows, horizon = windows.y.shape
        origin = np.repeat(windows.origin, horizon)
        step = np.tile(self.steps(), n_windows)
        ids, dates = panel.frame["unique_id"].to_numpy(), panel.frame["ds"].to_numpy()
        columns = {
            "unique_id": ids[origin],
            "ds": dates[origin + step],
            "origin": dates[origin],
            "step": step,
            "model": label,
            "y": windows.y.ravel(),
            "y_hat": forecast.ravel(),
        }
        return pd.DataFrame(columns | {name: end.ravel() for name, end in ends.items()})

    def facts(self, panel: Panel, folds: Sequence[Fold]) -> Facts:
        """Return the error of the (seasonal) naive forecast while training, by which MASE divides."""
        train = panel.frame[folds[0].role == TRAIN]
        given = self.cfg.season
        season = (find_season(series_of(train)) if given == AUTO else given) or 1
        if given == AUTO:
            told = f"A season of {season} steps was found" if season > 1 else "No season was found"
            notes = (f"{told} in the autocorrelation of the training rows' changes (season=auto).",)
        return Facts(
            self.question,
            self.reference,
            panel.unit,
            naive_error=naive_error(train, season, moves=self.target.adds),
            unscored=tuple(self.target.unscored),
            deviation=deviation(train) if panel.frame["unique_id"].nunique() > 1 else {},
            notes=notes if given == AUTO else (),
        )

    def steps(self) -> IntArray:
        """Return how far ahead each target lies; of a mean over several steps its last one."""
        steps = 1 + np.arange(self.cfg.horizon)
        return steps if self.target.over == 1 else np.array([self.target.over])

    def restored(self, panel: Panel, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Put truths and forecasts in the unit users think in beside those of a Forecasts table, if it is another."""
        return restoring.restored(self.target, panel, forecasts, calibration)

    def kept_errors(self, calibration: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame | None:
        """Return the validation errors of some models that restoring new forecasts needs; None where none are."""
        own = calibration[calibration["model"].isin(list(labels))]
        return restoring.errors_of(self.target, own) if self.target.curved else None

    def restored_ahead(self, panel: Panel, table: pd.DataFrame, errors: pd.DataFrame | None) -> pd.DataFrame:
        """Put forecasts and bounds of predict.py in the unit users think in beside them, if it is another."""
        return restoring.restored_ahead(self.target, panel, table, errors)

    def card(self, panel: Panel) -> dict[str, Any]:
        """Return the usual spacing of the rows, the usual change between them, and what stands beside them."""
        spacing, change = pace(panel)
        beside = {"covariates": dict(panel.covariates), "known": list(panel.known)}
        return {"spacing": spacing, "change": change} | (beside if panel.covariates or panel.known else {})

    def artifacts(self, panel: Panel, folds: Sequence[Fold]) -> dict[str, pd.DataFrame]:
        """Return the components of the last series, as the model saw them last."""
        decomposition: Decomposition = build(self.cfg.decomposition)
        first, series = last_handed(panel, decomposition)
        scope: Scope = build(self.cfg.scope)
        seen = series[-scope.history :] if scope.causal and scope.history else series
        rows = {f"c{number + 1}": component for number, component in enumerate(components_of(decomposition, seen))}
        dates = panel.frame["ds"].iloc[first + len(series) - len(seen) : first + len(series)]
        return {"components": pd.DataFrame({"ds": np.asarray(dates), **rows})}

    def checks(self, panel: Panel, folds: Sequence[Fold]) -> list[Finding]:
        """Find targets that are tested although later ones of the same series were learnt from."""
        codes = pd.factorize(panel.frame["unique_id"])[0]
        dates = pd.factorize(panel.frame["ds"], sort=True)[0]
        checked = changed = 0
        for fold in folds:
            learnt, tested = np.isin(fold.role, (TRAIN, VALIDATION)), fold.role == TEST
            last = np.full(codes.max() + 1, -1)
            np.maximum.at(last, codes[learnt], dates[learnt])
            checked += int(tested.sum())
            changed += int((dates[tested] < last[codes[tested]]).sum())
        told = f"all {checked} tested steps come after what was learnt from"
        if changed:
            told = f"{changed} of {checked} tested steps lie before steps that were learnt from"
        split = Finding("split", "LEAKS" if changed else "causal", checked, changed, told)
        target = audited(self.target, panel, self._cuts(self._known_origins(panel, folds[-1])), self.cfg.seed)
        return [split, *target, *self._strangers(panel)]

    def _strangers(self, panel: Panel) -> list[Finding]:
        """Find decompositions that know the series by heart: by its values, or by the place in it."""
        found = []
        for node in {_plain_text(row.decomposition): row.decomposition for row in self.candidates()}.values():
            finding = self._stranger(panel, node)
            labels = [row.label for row in self.candidates() if row.decomposition == node]
            leaks = finding.verdict == "LEAKS"
            found += [finding._replace(subject=label) for label in labels] if leaks else [finding]
        return found

    def _stranger(self, panel: Panel, node: DictConfig) -> Finding:
        """Compare the components of the series with those of the series in another unit.

        They keep to the unit, to rounding, or nothing can be said yet: then a series that is looked up gives itself
        away.  By its values it is not found in another unit, and what was known of the next move is gone; by the
        place, the next moves are still told where every value has been replaced.
        """
        every = origins(panel, 1, self._first_end)
        doubled = replace(panel, frame=panel.frame.assign(y=2.0 * panel.frame["y"]))
        few = _spread(every, FEW)
        one, other = (self._past(given, node, few) for given in (panel, doubled))
        if np.abs(other.past / 2 - one.past).max() <= SAME * (float(panel.frame["y"].std()) or 1.0):
            return Finding("unit", "causal", few.size, 0, "components keep to the unit of the series")
        everything = np.ones(len(panel.frame), dtype=bool)
        values = _in_each(panel, everything, "scrambled", np.random.default_rng(self.cfg.seed))
        scrambled = replace(panel, frame=panel.frame.assign(y=values))
        many = _spread(every, MANY)
        one, other, stranger = (self._past(given, node, many) for given in (panel, doubled, scrambled))
        moves = one.y[:, 0] - panel.frame["y"].to_numpy()[many]
        beside = np.concatenate([stranger.past, one.past.sum(axis=2, keepdims=True)], axis=2)
        true, in_unit, of_others = (100 * directions_explained(past, moves) for past in (one.past, other.past, beside))
        told = (
            f"components tell {true:.0f} % of directions, {in_unit:.0f} % in another unit, {of_others:.0f} % where all "
            f"values were replaced"
        )
        if true > in_unit + TELLS or of_others > 50 + TELLS:
            told += ": the series is known by heart"
            return Finding("decomposition", "LEAKS", many.size, many.size, told)
        return Finding("unit", "causal", many.size, 0, f"components depend on the unit of the series; {told}")

    def _past(self, panel: Panel, node: DictConfig, rows: IntArray) -> Windows:
        cfg = self.cfg
        return cut_at(panel, build(node), build(cfg.scope), cfg.lookback, 1, rows, self._first_end)

    def leak_by_design(self, candidate: Candidate) -> str:
        """Say how a candidate is built to see components that are shaped by what comes after, if it is."""
        decomposition: Decomposition = build(candidate.decomposition)
        if build(self.cfg.scope).causal or decomposition.causal:
            return ""
        return f"decomposition: scope {self.cfg.names.scope} decomposes what comes after the forecast, by design"

    def knowledge(self, panel: Panel, fold: Fold) -> Knowledge:
        """Return all rows up to the date of the last training target, and up to that of the last validation target."""
        dates = panel.frame["ds"].to_numpy()
        fitted = dates <= dates[fold.role == TRAIN].max()
        held_out = np.isin(fold.role, (TRAIN, VALIDATION))
        return Knowledge(fitted, dates <= dates[held_out].max())

    def own_past(self, windows: Windows) -> tuple[IntArray, IntArray | None]:
        """Return the origin of each window, and the row of its last target."""
        return windows.origin, windows.origin + self.reach

    def sampled(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> IntArray | None:
        """Return some origins of each role, the first and last among them, and those the changes begin at."""
        if self.cfg.audit == "full":
            return None
        known = self._known_origins(panel, fold)
        augmented = 0 if self.cfg.augmentation._target_ == NO_AUGMENTATION else ENOUGH
        least = max(windows_for_blocks(row.model, self.cfg.horizon) for row in self.candidates())
        sizes = SAMPLED | {TRAIN: max(SAMPLED[TRAIN], augmented, least)}
        chosen = [rng.choice(rows, min(sizes[role], rows.size), replace=False) for role, rows in known.items()]
        ends = [rows[[0, -1]] for rows in known.values() if rows.size]
        there = origins(panel, self.cfg.horizon, self._first_end, self.cfg.stride)
        last_known = there[np.maximum(np.searchsorted(there, self._cuts(known), side="right") - 1, 0)]
        return np.unique(np.concatenate([*chosen, *ends, last_known]))

    def changes(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Iterator[Changed]:
        """Yield panels whose future, after some date, was replaced in several ways; last one without a future.

        The end of training meets every kind of replacement, the later origins take turns.
        """
        cuts = self._cuts(self._known_origins(panel, fold))
        dates = panel.frame["ds"].to_numpy()
        tried = [(cuts[0], how) for how in WAYS]
        # Of the last origin a single row may be left, which has no order: it is shifted.
        tried += [(row, WAYS[(1 + place) % len(WAYS)]) for place, row in enumerate(cuts[1:], 2 - len(cuts))]
        for row, how in tried:
            later = dates > dates[row]
            other = replace(panel, frame=panel.frame.assign(y=_in_each(panel, later, how, rng)))
            other = future_replaced(other, later, how, rng)
            yield Changed(f"what comes after {shown_date(dates[row])} is {how}", other, fold, later)
        later = dates > dates[cuts[-1]]
        other = future_left_out(panel, later)
        name = f"what comes after {shown_date(dates[cuts[-1]])} is left out"
        yield Changed(name, other, Fold(fold.role[~later], fold.name), later, np.flatnonzero(~later))

    def past_replaced(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Changed:
        """Return the panel with everything replaced: inputs that stay as they were are not made of it."""
        everything = np.ones(len(panel.frame), dtype=bool)
        scrambled = _in_each(panel, everything, "scrambled", rng)
        other = past_moved(replace(panel, frame=panel.frame.assign(y=scrambled)), rng)
        return Changed("every value is replaced by another", other, fold, everything)

    def _known_origins(self, panel: Panel, fold: Fold) -> dict[int, IntArray]:
        """Return the origins that have a window, by the role of their targets."""
        ends = origins(panel, self.reach, self._first_end, self.cfg.stride)
        return {role: ends[all_of_role(ends, fold, role, self.reach)] for role in (TRAIN, VALIDATION, TEST)}

    def _cuts(self, known: Mapping[int, IntArray]) -> IntArray:
        """Return the origins after which the future is replaced: the end of training, its middle, some tested ones."""
        train, test = known[TRAIN], known[TEST]
        within = train[[train.size // 2]]  # a training window must not see its future either
        n_tested = 8 if self.cfg.audit == "full" else 3
        return np.r_[train[-1] + self.reach, within, _spread(test, n_tested)]

    def explained(self, finding: Finding, windows: Windows) -> Finding:
        """Add to a decomposition that leaks how many directions of the next move can be told from it."""
        if finding.stage != "decomposition" or finding.verdict != "LEAKS":
            return finding
        moves = windows.y[:, 0] - windows.past[:, -1].sum(axis=1)
        share = 100 * directions_explained(windows.past, moves)
        name = f"{self.cfg.names.decomposition} with scope {self.cfg.names.scope}"
        return finding._replace(detail=f"{name}, {finding.detail}; {share:.0f} % of directions explained by it")

    def n_channels(self, scaling: Mapping[str, FloatArray]) -> int:
        """Return the number of components."""
        decomposition: Decomposition = build(self.cfg.decomposition)
        return decomposition.n_components

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py: closes, or prices for a range."""
        return "ohlc" if isinstance(self.target, LogRange) else "csv"

    def read(self, source: Any, card: Mapping[str, Any]) -> Panel:
        """Read series, and refuse those that move in other steps or at another scale than in training."""
        panel = self._forecastable(self.target.transform(source.load()))
        spacing, change = pace(panel)
        if abs(spacing - fact(card, "spacing")) > 0.5 * fact(card, "spacing"):
            raise DataError(
                f"{panel.name} has a value every {spacing:g} days (or steps), but the model was trained on one every "
                f"{fact(card, 'spacing'):g}.  Give a file of that frequency, or train on this one."
            )
        if not 1 / FAR < change / fact(card, "change") < FAR:
            raise DataError(
                f"{panel.name} moves by {change:.3g} a step, but the model was trained on moves of "
                f"{fact(card, 'change'):.3g}: this is another series or another unit.  Train on this one."
            )
        panel = with_beside(self.cfg, panel, refuse=False)
        refuse_other_columns(panel, card)
        return panel

    def _forecastable(self, panel: Panel) -> Panel:
        """Leave out, by name, the series that are too short for the rows that are forecast after a run."""
        rows = self.candidates()
        asked = [row for row in rows if row is rows[0] or row.label == self.reference or self.cfg.combination != "none"]
        first = self._first_end_of(asked)
        return long_enough(panel, first + 1, f"{why_first(first, int(self.cfg.lookback))} {first + 1}")

    def asked(self, panel: Panel, candidate: Candidate, features: "Chain | None") -> Windows:
        """Return the last window of every series."""
        ahead = ahead_of(panel, list(self.cfg.get("known") or []), self.reach)
        decomposition, scope = build(candidate.decomposition), build(self.cfg.scope)
        windows = latest(panel, decomposition, scope, self.seen_of(candidate), ahead)
        return self._with_channels(windows, candidate)

    def predicted(
        self, panel: Panel, windows: Windows, forecasts: Mapping[str, FloatArray], card: Mapping[str, Any]
    ) -> Prediction:
        """Return the next steps of every series, a row a date."""
        ids, dates = panel.frame["unique_id"].to_numpy(), panel.frame["ds"]
        codes = pd.factorize(dates)[0]
        rhythms: dict[bytes, Any] = {}  # of series with the same dates the next ones are the same
        doubts: dict[str, list[str]] = {}
        told: dict[bytes, str | None] = {}
        ahead, steps = [], self.steps()
        for last in windows.origin:
            own = slice(first_row(ids, last), last + 1)
            known, key = dates.iloc[own], codes[own].tobytes()
            if key not in rhythms:
                rhythms[key] = upcoming(known, self.reach, panel.calendar)[steps - 1]
                told[key] = unknown_ahead(known, panel.calendar)
            ahead.append(rhythms[key])
            if doubt := told[key]:
                doubts.setdefault(doubt, []).append(str(ids[last]))
        n = len(windows.origin)
        columns = {
            "unique_id": np.repeat(ids[windows.origin], steps.size),
            "ds": ahead[0].append(ahead[1:]),
            "step": np.tile(steps, n),
        }
        notes = [doubt if len(own) == n else f"{listed(own)}: {doubt}" for doubt, own in doubts.items()]
        title = f"{panel.name} in {panel.unit}, after {shown_date(panel.frame['ds'].max())}"
        table = pd.DataFrame(columns | {label: forecast.ravel() for label, forecast in forecasts.items()})
        return Prediction(table, title, notes)


def _spread(rows: IntArray, n: int) -> IntArray:
    """Return at most n rows, evenly spread."""
    return rows[np.unique(np.linspace(0, rows.size - 1, n).astype(int))]


def first_row(ids: Any, last: int) -> int:
    """Return the first row of the series whose last row is given; ids are sorted."""
    return int(np.searchsorted(ids[: last + 1], ids[last], side="left"))


def _in_each(panel: Panel, replaced: BoolArray, how: How, rng: np.random.Generator) -> FloatArray:
    """Replace the values of each series by others of its own."""
    values = panel.frame["y"].to_numpy(dtype=np.float64).copy()
    for start, series in panel.series():
        own = slice(start, start + series.size)
        values[own] = replacement(series, replaced[own], how, rng)
    return values


def _plain(node: DictConfig) -> Any:
    return OmegaConf.to_container(node, resolve=True)


def _plain_text(node: DictConfig) -> str:
    return OmegaConf.to_yaml(node, sort_keys=True)
