"""Tell the whole life of battery cells from their first cycles, before they have visibly faded (early prediction)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from data.contracts import TEST, TOTAL, TRAIN, VALIDATION, FloatArray, Fold, IntArray, Panel, Windows
from data.features.chain import Chain
from data.panel import DataError, listed
from evaluation.leakage.perturb import WAYS
from evaluation.leakage.prove import Finding
from evaluation.rows import Facts, Question
from runtime.build import ConfigError, build
from runtime.progress import alive
from tasks.cells import OfCells, as_table, cell_overlap, learning_from_validation, replaced
from tasks.task import Candidate, Changed, Knowledge, Prediction, Prepared, fact, once_each

MEAN = OmegaConf.create({"_target_": "models.early_life.MeanLife", "label": "Mean life"})
FEWEST = 10  # [cycles] of which a life can be told
NEARLY = 0.9  # [fraction] of the first cycles that must be on record
FAR = 50.0  # ratio of medians beyond which a column is in another unit
TOLD = 1 - 1e-9  # correlation of a column with the life that no measurement has
MANY = 5  # cells from which a correlation says something


class EarlyLife(OfCells):
    """Tell how long a cell will live, once for each cell, from its first ``cycles`` cycles.

    A window is ``lookback`` records, evenly spread over those cycles: lines and trees take the newest, networks see
    all.  Nothing after the first cycles is ever looked at, and a cell that ends within them is left out.

    Parameters
    ----------
    cfg : DictConfig
        The whole configuration, resolved.
    cycles : int
        How much of a life is looked at [cycles].

    Raises
    ------
    ConfigError
        If that is too little, or more than one number is asked for.
    """

    name: ClassVar[str] = "early_life"
    question: ClassVar[Question] = Question(TOTAL, "life", "cell", "the mean of the training cells", decimals=1)
    reference: str = "Mean life"
    retrains: ClassVar[bool] = True
    strangers: ClassVar[Sequence[str]] = ("scope", "decomposition", "channels", "covariates")
    sections: ClassVar[Sequence[str]] = (
        "results",
        "cells.lives",
        "audit",
        "calibration",
        "training.losses",
        "reproduce",
    )

    def __init__(self, cfg: DictConfig, cycles: int = 100) -> None:
        if cfg.horizon != 1:
            raise ConfigError(f"horizon={cfg.horizon}: task=early_life asks for one life a cell; set horizon=1.")
        if cycles < FEWEST:
            raise ConfigError(f"task.cycles={cycles} must be at least {FEWEST} cycles.")
        if not 1 <= cfg.lookback <= NEARLY * cycles:
            raise ConfigError(f"lookback={cfg.lookback} must be 1 to {NEARLY:.0%} of task.cycles={cycles} [cycles].")
        self.cfg, self.cycles = cfg, cycles

    def candidates(self) -> list[Candidate]:
        """Return the model, its baselines and the mean life, each label once; a model may name its features."""
        nodes = [self.cfg.model, *(self.cfg.baselines or {}).values(), MEAN]
        return once_each(
            Candidate(node.label, node, OmegaConf.create({"columns": node.get("columns")})) for node in nodes
        )

    def warm(self, panel: Panel) -> None:
        """Do nothing: features are fitted anew on every fold."""

    @property
    def bundled(self) -> bool:
        """Whether candidates share dear inputs: they are cheap."""
        return False

    def prepare(
        self, panel: Panel, fold: Fold, candidate: Candidate, origins: IntArray | None = None, cached: bool = True
    ) -> Prepared:
        """Fit the features on the first cycles of the training cells, and cut one window of each cell."""
        early = self._early(panel)
        table, role = as_table(panel).iloc[early], fold.role[early]
        life = pd.Series((panel.ages() + panel.frame["y"]).to_numpy()[early], index=table.index)
        with alive("Features"):
            features: Chain = build(self.cfg.features).fit(table[role == TRAIN], life[role == TRAIN])
        return Prepared(self._windows(panel, early, features.transform(table), candidate), features)

    def learnable(self, panel: Panel, fold: Fold) -> int:
        """Return how many cells are learnt from."""
        return int(panel.frame["unique_id"][np.asarray(fold.role == TRAIN)].nunique())

    def select(self, windows: Windows, fold: Fold, role: int) -> Windows:
        """Return the windows of the cells that have the role."""
        return windows.take(fold.role[windows.origin] == role)

    def memory(self, panel: Panel, held_out: Windows, label: str, forecast: FloatArray) -> None:
        """Choose nothing: no forecast is averaged with earlier ones."""

    def finish(self, panel: Panel, windows: Windows, forecast: FloatArray, memory: float | None = None) -> FloatArray:
        """Return forecasts ``(n, 1)`` that are no shorter than what each cell has lived already."""
        lived = panel.ages().to_numpy(dtype=np.float64)[windows.origin]
        held: FloatArray = np.maximum(forecast, lived[:, None])
        return held

    def known(self, windows: Windows, fold: Fold) -> Windows:
        """Return the windows of training and validation cells."""
        return self.select(windows, learning_from_validation(fold), TRAIN)

    def later(self, panel: Panel, fold: Fold, prepared: Prepared) -> Sequence[Windows]:
        """Return nothing: the first cycles of a life are what is asked of."""
        return ()

    def table(
        self, panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray]
    ) -> pd.DataFrame:
        """Return forecasts ``(n, 1)`` and the ends of own intervals as a Forecasts table, one row a cell."""
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
        return Facts(self.question, self.reference, "cycles", naive_error={}, lives=panel.lives())

    def card(self, panel: Panel) -> dict[str, Any]:
        """Return the covariates and their usual size, and the shortest and longest life."""
        lives = panel.lives().values()
        medians = {name: float(panel.frame[name].median()) for name in panel.covariates}
        return {"covariates": dict(panel.covariates), "medians": medians, "lives": [min(lives), max(lives)]}

    def artifacts(self, panel: Panel, folds: Sequence[Fold]) -> dict[str, pd.DataFrame]:
        """Return nothing: the report draws forecasts alone."""
        return {}

    def checks(self, panel: Panel, folds: Sequence[Fold]) -> list[Finding]:
        """Find cells on both sides of the split, rows after the first cycles, and covariates that tell the life."""
        return [cell_overlap(panel, folds), self._beyond(panel), self._proxies(panel)]

    def _beyond(self, panel: Panel) -> Finding:
        """Find rows after the first cycles among those that are looked at."""
        ages = panel.ages().to_numpy()[self._early(panel)]
        late = int((ages > self.cycles).sum())
        detail = f"{late} of {ages.size} rows that are looked at lie after cycle {self.cycles}"
        return Finding("first cycles", "LEAKS" if late else "causal", ages.size, late, detail)

    def _proxies(self, panel: Panel) -> Finding:
        """Find covariates whose last early value is a line of the life."""
        last = _last_rows(panel, self._early(panel))
        life = (panel.ages() + panel.frame["y"]).to_numpy(dtype=np.float64)[last]
        n = len(panel.covariates)
        if last.size < MANY:
            return Finding("covariates", "causal", n, 0, f"{last.size} cells are too few to tell a proxy of the life")
        values = panel.frame[list(panel.covariates)].iloc[last]
        told = (
            [name for name in values if abs(float(np.corrcoef(values[name], life)[0, 1])) > TOLD] if life.std() else []
        )
        if told:
            return Finding("covariates", "LEAKS", n, len(told), f"{listed(told)} tells the life by itself, as a line")
        return Finding("covariates", "causal", n, 0, f"none of {n} covariates is a line of the life")

    def leak_by_design(self, candidate: Candidate) -> str:
        """Say nothing: what leaks on cells is found by the checks."""
        return ""

    def knowledge(self, panel: Panel, fold: Fold) -> Knowledge:
        """Return the early rows of training cells, and those of training and validation cells."""
        early = np.zeros(len(panel.frame), dtype=bool)
        early[self._early(panel)] = True
        return Knowledge(early & (fold.role == TRAIN), early & np.isin(fold.role, (TRAIN, VALIDATION)))

    def own_past(self, windows: Windows) -> tuple[IntArray, IntArray | None]:
        """Return the row of each window's last early cycle."""
        return windows.origin, None

    def sampled(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> IntArray | None:
        """Return None: there is one window a cell."""
        return None

    def changes(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Iterator[Changed]:
        """Yield panels with other held-out cells, other lives of them, and other cycles after the first, or none."""
        frame = panel.frame
        tested, held = np.asarray(fold.role == TEST), np.asarray(fold.role == VALIDATION)
        late = (panel.ages() > self.cycles).to_numpy()
        for how in WAYS:
            other = replaced(panel, tested, list(panel.covariates), how, rng)
            yield Changed(f"the tested cells are {how}", other, fold, tested)
            other = replaced(panel, late, list(panel.covariates), how, rng)
            yield Changed(f"the cycles after {self.cycles} are {how}", other, fold, late)
        other = replace(panel, frame=frame.assign(y=frame["y"].where(~tested, frame["y"] + 500.0)))
        yield Changed("the tested cells live on", other, fold, np.zeros_like(tested))  # nobody may know
        if held.any():
            other = replaced(panel, held, list(panel.covariates), "scrambled", rng)
            yield Changed("the validation cells are scrambled", other, fold, held)
        other = replace(panel, frame=frame[~late].reset_index(drop=True))
        name = f"the cycles after {self.cycles} are left out"
        yield Changed(name, other, Fold(fold.role[~late], fold.name), late, np.flatnonzero(~late))

    def past_replaced(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Changed:
        """Return the panel with every covariate of the first cycles scrambled: inputs must be made of them."""
        early = (panel.ages() <= self.cycles).to_numpy()
        other = replaced(panel, early, list(panel.covariates), "scrambled", rng)
        return Changed("every covariate of the first cycles is replaced by another", other, fold, early)

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        return str(self.cfg.names.source) if "path" in self.cfg.source else "curves_csv"

    def read(self, source: Any, card: Mapping[str, Any]) -> Panel:
        """Read the first cycles of cells, and refuse what the model was not trained on."""
        panel: Panel = source.read()
        there, medians = panel.frame, fact(card, "medians")
        absent = [name for name in fact(card, "covariates") if name not in panel.covariates]
        if absent:
            raise DataError(
                f"The file lacks {len(absent)} columns on which the model was trained, such as {absent[0]!r}.  Give "
                f"a file that has them, read with the same source.points and source.window."
            )
        odd = [
            f"{name} is about {there[name].median():.4g}, but {medians[name]:.4g} in training"
            for name in fact(card, "covariates")
            if medians[name] and not 1 / FAR < abs(there[name].median() / medians[name]) < FAR
        ]
        if len(odd) > len(medians) / 2:  # single voltages may hold nothing yet
            raise DataError(f"The file is of other cells or in other units: {odd[0]}.")
        return replace(panel, covariates=fact(card, "covariates"))

    def asked(self, panel: Panel, candidate: Candidate, features: Chain | None) -> Windows:
        """Return a window for every cell whose first cycles are on record."""
        assert features is not None
        early = self._early(panel)
        return self._windows(panel, early, features.transform(as_table(panel).iloc[early]), candidate)

    def predicted(
        self, panel: Panel, windows: Windows, forecasts: Mapping[str, FloatArray], card: Mapping[str, Any]
    ) -> Prediction:
        """Return the life of every cell, a row each."""
        label = next(iter(forecasts))
        table = panel.frame[["unique_id", "ds"]].iloc[windows.origin].reset_index(drop=True)
        table = table.assign(step=0, **{label: forecasts[label][:, 0]})
        low, high = fact(card, "lives")
        odd = table.loc[~table[label].between(low, high), "unique_id"]
        notes = [f"No training cell lived as {listed(list(map(str, odd)))} would ({low:.0f} to {high:.0f} cycles)."]
        left = sorted(set(panel.frame["unique_id"].astype(str)) - set(table["unique_id"].astype(str)))
        short = [f"{listed(left)} have no record up to cycle {self.cycles}, and are not told."]
        columns = {"unique_id": "cell", "ds": "cycle", "step": "", label: "life"}
        title = f"Life [cycles] by {label}, from the first {self.cycles} cycles"
        return Prediction(table, title, notes * bool(len(odd)) + short * bool(left), columns)

    def _early(self, panel: Panel) -> IntArray:
        """Return the rows of the first cycles of every cell that outlives them and is on record up to them."""
        frame, ages = panel.frame, panel.ages()
        first = frame[(ages <= self.cycles).to_numpy()]
        cells = first.groupby("unique_id", sort=False)
        rows = cells["ds"].transform("size") >= self.cfg.lookback
        told = ages.loc[first.index].groupby(first["unique_id"]).transform("max") >= NEARLY * self.cycles
        outlives = ~(first["y"] + ages.loc[first.index] <= self.cycles)  # also where the life is not known
        kept = np.asarray(rows & told & outlives)
        if not kept.any():
            raise DataError(
                f"{panel.name} has no cell with at least {self.cfg.lookback} records of its first {self.cycles} "
                f"cycles, the last at cycle {NEARLY * self.cycles:.0f} or later, that outlives them.  Lower cycles."
            )
        return first.index.to_numpy(dtype=np.int64)[kept]

    def _windows(self, panel: Panel, early: IntArray, features: pd.DataFrame, candidate: Candidate) -> Windows:
        """Return one window a cell, ``past (n, L, F)``, of the features the candidate is given."""
        pattern = candidate.decomposition.get("columns")
        chosen = [name for name in features if pattern is None or re.search(pattern, str(name))]
        if not chosen:
            raise DataError(f"{candidate.label} asks for features {pattern!r}; there are {listed(list(features))}.")
        values = features[chosen].to_numpy(dtype=np.float64)
        last = _last_rows(panel, early)
        ends = np.searchsorted(early, last)  # place of each cell's last row among the early ones
        begins = np.r_[0, ends[:-1] + 1]
        steps = np.linspace(begins + (ends - begins + 1) / self.cfg.lookback - 1, ends, self.cfg.lookback, axis=1)
        past = values[steps.round().astype(np.int64).clip(begins[:, None])]  # (n, L, F)
        life = (panel.ages() + panel.frame["y"]).to_numpy(dtype=np.float64)[last][:, None]  # (n, 1)
        return Windows(past, life[:, :, None], life, last)


def _last_rows(panel: Panel, early: IntArray) -> IntArray:
    """Return the last early row of each cell."""
    ids = panel.frame["unique_id"].to_numpy()[early]
    return early[np.r_[ids[1:] != ids[:-1], True]]


def _is_line(values: FloatArray, life: FloatArray) -> bool:
    """Say whether the values of all cells lie on a line of their lives."""
    return bool(values.std() and life.std()) and abs(float(np.corrcoef(values, life)[0, 1])) > TOLD
