"""Tell the remaining useful life (RUL) of battery cells: the cycles left at every cycle."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from data.cells.end_of_life import FILTERS, filtered
from data.cells.sequences import select_rows, sequences, short_cells
from data.cells.starts import later_windows, together
from data.cells.stretched import spread, stretched
from data.contracts import REMAINING, TEST, TRAIN, VALIDATION, FloatArray, Fold, IntArray, Panel, Windows
from data.features.chain import Chain
from data.panel import DataError, listed
from evaluation.leakage.perturb import WAYS
from evaluation.leakage.prove import Finding
from evaluation.leakage.proxies import proxies_finding, target_proxies
from evaluation.rows import Facts, Question
from runtime.build import ConfigError, build
from runtime.progress import alive
from tasks.cells import OfCells, as_table, cell_overlap, learning_from_validation, replaced
from tasks.task import Candidate, Changed, Knowledge, Prediction, Prepared, fact, once_each

CLOCK = OmegaConf.create({"_target_": "models.rul.Clock", "label": "Clock"})
ALONE = OmegaConf.create({"_target_": "models.rul.MeanRul", "label": "Filter alone"})
NOTHING = OmegaConf.create({})
ANY, BIRTH = STARTS = ("any", "birth")
WHOLE = 10**9  # [cycles] no record is as long
LATE = 2  # lookbacks after which a record begins late
COUNTS = ", counts cycles"
"""Behind the label of a row whose filter goes back to the beginning of the record, however long ago that was."""
FAR = 50.0  # ratio of medians beyond which a column is in another unit


class RUL(OfCells):
    """Tell the remaining useful life of a cell at every cycle from the ``lookback`` cycles up to it.

    Parameters
    ----------
    cfg : DictConfig
        The whole configuration, resolved.
    train_every : int
        Every so-many-th window of a cell is learnt from; neighbours are nearly the same [cycles].
    monotone : bool
        Whether a forecast may not exceed the one before it: the least one so far takes its place.
    filter : str
        Over which of a cell's own past cycles the end of life that forecasts imply is averaged: ``none``, ``bounded``
        (as many of the last as err least on validation cells) or ``from_birth`` (all on record, whose number is a
        clock: rows say so).  The clock itself is left as it is.
    filter_cycles : sequence of int
        From which ``bounded`` chooses [cycles]; 0 averages nothing.  With nothing held out it takes the largest.
    start : str
        ``any``: copies of the training cells whose beginning is hidden are learnt from too, so that a cell may come
        with a past nobody has recorded; ``birth``: every record is taken to begin with its cell.
    hidden : sequence of int
        How much of the beginning the copies hide, a copy each [cycles].
    stretched : sequence of float
        How many times as long further copies of each training cell live, as if it had aged slower or faster; each
        with every beginning hidden as above.  At most as many times, and at least one over that, as the longest life
        of the training cells is the shortest [-].
    tested_from : sequence of int
        How much is hidden from the tested cells for further rows of the report, beside none [cycles].
    before_split : bool
        Whether features and synthetic windows are learnt from all rows, the tested ones too, as where a paper makes
        them before it splits.  It LEAKS, and the audit says so.

    Raises
    ------
    ConfigError
        If a horizon is asked for, or a setting cannot work.
    """

    name: ClassVar[str] = "rul"
    question: ClassVar[Question] = Question(
        REMAINING, "remaining life", "cell", "the mean life of the training cells minus the age", decimals=2
    )
    reference: str = "Clock"
    retrains: ClassVar[bool] = True
    strangers: ClassVar[Sequence[str]] = ("scope", "decomposition", "channels", "covariates")
    sections: ClassVar[Sequence[str]] = (
        "results",
        "forecast",
        "cells",
        "audit",
        "cells.over_life",
        "cells.thirds",
        "cells.starts",
        "calibration",
        "training.attention",
        "features.factors",
        "features.bands",
        "features.clusters",
        "features.synthetic",
        "training.losses",
        "reproduce",
    )

    def __init__(
        self,
        cfg: DictConfig,
        train_every: int = 1,
        monotone: bool = False,
        filter: str = "none",
        filter_cycles: Sequence[int] = (0, 25, 50, 100, 200),
        start: str = "birth",
        hidden: Sequence[int] = (),
        stretched: Sequence[float] = (),
        tested_from: Sequence[int] = (),
        before_split: bool = False,
    ) -> None:
        if cfg.horizon != 1:
            raise ConfigError(f"horizon={cfg.horizon}: task=rul asks for the life left at one cycle; set horizon=1.")
        if train_every < 1:
            raise ConfigError(f"task.train_every={train_every} must be at least 1 cycle.")
        if filter not in FILTERS:
            raise ConfigError(f"task.filter={filter} must be one of {', '.join(FILTERS)}.")
        if not filter_cycles or min(filter_cycles) < 0:
            raise ConfigError(f"task.filter_cycles={list(filter_cycles)} must name numbers of cycles, 0 for no filter.")
        if start not in STARTS:
            raise ConfigError(f"task.start={start} must be one of {', '.join(STARTS)}.")
        if min([*hidden, *tested_from], default=1) < 1:
            raise ConfigError(
                f"task.hidden={list(hidden)} and task.tested_from={list(tested_from)} must hide at least 1 cycle each."
            )
        if min(stretched, default=1.0) <= 0:
            raise ConfigError(f"task.stretched={list(stretched)} must all be above 0; 1 is a life as it was.")
        self.stretched = stretched
        self.cfg, self.train_every, self.monotone, self.before_split = cfg, train_every, monotone, before_split
        self.start, self.hidden, self.tested_from = start, hidden if start == ANY else (), tested_from
        self.memories = {"none": [], "bounded": sorted(filter_cycles), "from_birth": [WHOLE]}[filter]

    def candidates(self) -> list[Candidate]:
        """Return the model, its baselines, what the filter makes of no model at all, and the clock, each label once."""
        nodes = [self.cfg.model, *(self.cfg.baselines or {}).values(), *([ALONE] if self.memories else []), CLOCK]
        return once_each(Candidate(self._label(node), node, NOTHING) for node in nodes)

    def _label(self, node: DictConfig) -> str:
        """Return what tables call a row: one whose filter counts the cycles on record says so."""
        label = str(node.label)
        return label + COUNTS if self.memories == [WHOLE] and label != self.reference else label

    def warm(self, panel: Panel) -> None:
        """Do nothing: features are fitted anew on every fold."""

    @property
    def bundled(self) -> bool:
        """Whether candidates share dear inputs: the features of a fold, which may have to be trained."""
        return True

    def prepare(
        self, panel: Panel, fold: Fold, candidate: Candidate, origins: IntArray | None = None, cached: bool = True
    ) -> Prepared:
        """Fit the features on the training rows of a fold and cut every cell into sequences."""
        table = as_table(panel)
        learnt = np.asarray(fold.role == TRAIN) | self.before_split
        target = pd.Series(panel.frame["y"].to_numpy(), index=table.index)
        with alive("Features"):
            features: Chain = build(self.cfg.features).fit(table[learnt], target[learnt])
        windows = sequences(features.transform(table), target, panel, self.cfg.lookback)
        copies = self._copies(panel, table, features, fold)
        thinned = [copy.take(slice(None, None, self.train_every)) for copy in copies]
        return Prepared(together([windows, *thinned]) if thinned else windows, features)

    def _copies(self, panel: Panel, table: pd.DataFrame, features: Chain, fold: Fold) -> Iterator[Windows]:
        """Yield windows of copies of the cells that may be learnt from: with a hidden beginning, and of another speed.

        A window with nothing hidden is a cell's own, and may be judged by; so a stretched copy hides a cycle at least.
        """
        lookback, rows = self.cfg.lookback, np.isin(fold.role, (TRAIN, VALIDATION))
        yield from later_windows(panel, table, features, rows, self.hidden, lookback)
        most = spread(panel, np.asarray(fold.role == TRAIN))
        for longer in self.stretched:
            other, newest = stretched(panel, rows, min(max(longer, 1 / most), most))
            everything = np.ones(len(other.frame), dtype=bool)
            for copy in later_windows(other, as_table(other), features, everything, [1, *self.hidden], lookback):
                yield copy._replace(origin=newest[copy.origin])

    def known(self, windows: Windows, fold: Fold) -> Windows:
        """Return the windows of training and validation cells, as few of a cell as in training."""
        return self.select(windows, learning_from_validation(fold), TRAIN)

    def synthetic_from(self, windows: Windows, train: Windows) -> Windows:
        """Return the training windows or, as a paper had it before its split, all there are."""
        return windows if self.before_split else train

    def later(self, panel: Panel, fold: Fold, prepared: Prepared) -> Iterator[Windows]:
        """Yield the test windows as if the record of their cell began later; none where a cell was learnt from."""
        ids, tested = panel.frame["unique_id"], np.asarray(fold.role == TEST)
        unseen = tested & ~ids.isin(ids[np.isin(fold.role, (TRAIN, VALIDATION))]).to_numpy()
        assert prepared.features is not None
        if unseen.any():
            table, lookback = as_table(panel), self.cfg.lookback
            yield from later_windows(panel, table, prepared.features, unseen, self.tested_from, lookback)

    def learnable(self, panel: Panel, fold: Fold) -> int:
        """Return how many rows of training cells are learnt from."""
        return -(-int((fold.role == TRAIN).sum()) // self.train_every)

    def select(self, windows: Windows, fold: Fold, role: int) -> Windows:
        """Return the windows whose last row has the role; of training windows one in ``train_every``."""
        return select_rows(windows, fold, role, self.train_every if role == TRAIN else 1)

    def memory(self, panel: Panel, held_out: Windows, label: str, forecast: FloatArray) -> float | None:
        """Return over how many cycles implied ends of life err least on validation cells; None for the clock."""
        if not self.memories or label == self.reference:
            return None
        if not len(held_out.origin) or not np.isfinite(forecast).all():
            return float(self.memories[-1])
        errors = [float(np.abs(self.finish(panel, held_out, forecast, m) - held_out.y).mean()) for m in self.memories]
        return float(self.memories[int(np.argmin(errors))])

    def finish(self, panel: Panel, windows: Windows, forecast: FloatArray, memory: float | None = None) -> FloatArray:
        """Return forecasts ``(n, 1)``, filtered over some cycles, not negative and, if asked, never rising."""
        cells = panel.frame["unique_id"].to_numpy()[windows.origin]
        if windows.start is not None:  # copies of a cell whose beginning is hidden are records of their own
            cells = pd.factorize(pd.MultiIndex.from_arrays([cells, windows.start]))[0]
        if memory:
            ages = panel.ages().to_numpy(dtype=np.float64)[windows.origin]
            forecast = filtered(forecast, cells, ages, memory)
        return monotone_clip(forecast, cells, self.monotone)

    def table(
        self, panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray]
    ) -> pd.DataFrame:
        """Return forecasts ``(n, 1)`` and the ends of own intervals as a Forecasts table, one row a cycle."""
        rows = panel.frame.iloc[windows.origin]
        columns = {
            "unique_id": rows["unique_id"].to_numpy(),
            "ds": rows["ds"].to_numpy(),
            "origin": rows["ds"].to_numpy(),
            "step": 0,
            "model": label,
            "y": windows.y[:, 0],
            "y_hat": forecast[:, 0],
        }
        return pd.DataFrame(columns | {name: np.maximum(end[:, 0], 0.0) for name, end in ends.items()})

    def facts(self, panel: Panel, folds: Sequence[Fold]) -> Facts:
        """Return the life of every cell."""
        return Facts(self.question, self.reference, "cycles", lives=panel.lives(), notes=self._notes(panel, folds))

    def _notes(self, panel: Panel, folds: Sequence[Fold]) -> list[str]:
        """Say what the filter does, and where fewer cells than asked for are held out."""
        asked, ids = self.cfg.split.get("validation"), panel.frame["unique_id"]
        held = min(ids[np.asarray(fold.role == VALIDATION)].nunique() for fold in folds)
        if not isinstance(asked, int) or held >= asked:
            return self._filter_notes()
        count = f"{held} of the {asked} cells of split.validation" if held else "No cell"
        return [
            *self._filter_notes(),
            f"{count} {'is' if held < 2 else 'are'} held out for validation: at least half of the cells that are not "
            f"tested are learnt from.",
        ]

    def _filter_notes(self) -> list[str]:
        """Say what the filter does to every row but the clock's, and what it would say without a model."""
        if not self.memories:
            return []
        over = f"as many of its past cycles, at most {self.memories[-1]:g}, as err least on validation cells"
        counts = ""
        if self.memories == [WHOLE]:
            over = "all its cycles on record"
            counts = ", whose number is a clock where records begin with the cell"
        clock = self.reference.lower()
        return [
            f"The end of life a row forecasts is averaged over {over}{counts}, but for the {clock}'s.  "
            f"{ALONE.label} is that filter of one and the same remaining life, the mean of the training cells: what it "
            f"tells without a sensor."
        ]

    def card(self, panel: Panel) -> dict[str, Any]:
        """Return the covariates, their usual size and the longest life."""
        return {
            "covariates": dict(panel.covariates),
            "medians": {name: float(panel.frame[name].median()) for name in panel.covariates},
            "longest_life": max(panel.lives().values()),
        }

    def artifacts(self, panel: Panel, folds: Sequence[Fold]) -> dict[str, pd.DataFrame]:
        """Return nothing: what the report draws besides forecasts is found while fitting."""
        return {}

    def checks(self, panel: Panel, folds: Sequence[Fold]) -> list[Finding]:
        """Find cells on both sides of the split, and covariates that tell the target by themselves."""
        frame = panel.frame
        cells, cycles = frame["unique_id"].to_numpy(), panel.ages().to_numpy()
        told = target_proxies(frame[list(panel.covariates)], frame["y"].to_numpy(), cells, cycles)
        return [cell_overlap(panel, folds), proxies_finding(told)]

    def leak_by_design(self, candidate: Candidate) -> str:
        """Say nothing: what leaks on cells is found by the checks."""
        return ""

    def knowledge(self, panel: Panel, fold: Fold) -> Knowledge:
        """Return the training rows, and those of training and validation."""
        return Knowledge(np.asarray(fold.role == TRAIN), np.isin(fold.role, (TRAIN, VALIDATION)))

    def own_past(self, windows: Windows) -> tuple[IntArray, IntArray | None]:
        """Return the row of each window's last cycle; its target is asked for there, and replaced with it."""
        return windows.origin, None

    def sampled(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> IntArray | None:
        """Return None: features are made for all rows at once, and cheap."""
        return None

    def changes(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Iterator[Changed]:
        """Yield panels with other held-out cells, other targets, another late life of one cell, and without it."""
        frame, ids = panel.frame, panel.frame["unique_id"].to_numpy()
        tested = np.asarray(fold.role == TEST)
        everything = [*panel.covariates, "y"]
        for how in WAYS:
            other = replaced(panel, tested, everything, how, rng)
            yield Changed(f"the tested rows are {how}", other, fold, tested)
        other = replaced(panel, tested, ["y"], "scrambled", rng)
        nobody = np.zeros_like(tested)  # no value may know it, not even that of the row itself
        yield Changed("the remaining life of the tested rows is scrambled", other, fold, nobody)
        cell = ids[tested][0]
        own = np.flatnonzero((ids == cell) & tested)
        late = np.zeros(len(frame), dtype=bool)
        late[own[len(own) // 2 :]] = True
        other = replaced(panel, late, list(panel.covariates), "shifted", rng)
        yield Changed(f"the second half of cell {cell} is shifted", other, fold, late)
        held = np.asarray(fold.role == VALIDATION)
        if held.any():
            other = replaced(panel, held, everything, "scrambled", rng)
            yield Changed("the validation rows are scrambled", other, fold, held)
        other = replace(panel, frame=frame[~late].reset_index(drop=True))
        name = f"the second half of cell {cell} is left out"
        yield Changed(name, other, Fold(fold.role[~late], fold.name), late, np.flatnonzero(~late))

    def past_replaced(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Changed:
        """Return the panel with every covariate scrambled: inputs that stay as they were are not made of them."""
        everything = np.ones(len(panel.frame), dtype=bool)
        other = replaced(panel, everything, list(panel.covariates), "scrambled", rng)
        return Changed("every covariate is replaced by another", other, fold, everything)

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        return str(self.cfg.names.source) if "path" in self.cfg.source else "cells_csv"

    def read(self, source: Any, card: Mapping[str, Any]) -> Panel:
        """Read cells, whose end need not be known, and refuse what the model was not trained on."""
        panel: Panel = source.read()
        frame, covariates = panel.frame, list(fact(card, "covariates"))
        absent = [name for name in covariates if name not in panel.covariates]
        if absent:
            raise DataError(
                f"The file lacks {listed(map(repr, absent))}, on which the model was trained; it has "
                f"{listed(map(repr, panel.covariates))}.  Give a file with these columns, in the same units."
            )
        faults = [
            f"{name} is about {frame[name].median():.4g}, but {median:.4g} in training"
            for name, median in fact(card, "medians").items()
            if median and not 1 / FAR < abs(frame[name].median() / median) < FAR
        ]
        if faults:
            raise DataError(f"The file is of other cells or in other units: {'; '.join(faults)}.")
        return replace(panel, covariates=fact(card, "covariates"))

    def asked(self, panel: Panel, candidate: Candidate, features: Chain | None) -> Windows:
        """Return a window for every cycle that has ``lookback`` cycles of its cell up to it."""
        assert features is not None
        return sequences(features.transform(as_table(panel)), panel.frame["y"], panel, self.cfg.lookback)

    def predicted(
        self, panel: Panel, windows: Windows, forecasts: Mapping[str, FloatArray], card: Mapping[str, Any]
    ) -> Prediction:
        """Return the remaining life of every cell, a row a cycle."""
        label = next(iter(forecasts))
        table = panel.frame[["unique_id", "ds"]].iloc[windows.origin].reset_index(drop=True)
        table = table.assign(step=0, **{label: forecasts[label][:, 0]})
        notes = list(short_cells(panel, self.cfg.lookback))
        notes += self._protocol(panel)
        longest = float(fact(card, "longest_life"))
        if (panel.ages() > longest).any():
            notes.append(
                f"The file has cycles beyond {longest:.0f}, older than any cell the model has learned from: what it "
                f"says of them is a guess."
            )
        columns = {"unique_id": "cell", "ds": "cycle", "step": "", label: "RUL"}
        return Prediction(table, f"Remaining life [cycles] by {label}", notes, columns)

    def _protocol(self, panel: Panel) -> list[str]:
        """Say what the model takes the beginning of a record for, and which records do not begin so."""
        if self.start == ANY:
            return [
                f"The model was trained on records that begin anywhere in a life (task.start={ANY}): a cell may have "
                f"been used before the first cycle of the file."
            ]
        told = f"The model was trained on records that begin with the cell (task.start={BIRTH})"
        first = panel.ages().groupby(panel.frame["unique_id"], sort=False).min()
        late = first[first > LATE * self.cfg.lookback]
        if late.empty:
            return [f"{told}, and takes the first cycle of the file for the first of its cell."]
        return [
            f"{told}, but the file has none of the first cycles of {listed(late.index)}: what it says of them is "
            f"likely to be far too long.  Train with task.start={ANY}."
        ]


def monotone_clip(forecast: FloatArray, cells: NDArray[Any], monotone: bool) -> FloatArray:
    """Return forecasts ``(n, 1)``, cells in cycle order, that are not negative and, if asked, never rise."""
    positive: FloatArray = np.maximum(forecast, 0.0)
    if monotone and len(positive):
        by_cell = pd.Series(positive[:, 0]).groupby(cells, sort=False)
        positive[:, 0] = by_cell.cummin()
    return positive
