"""What a task must offer the pipeline.  Read this file first.

A task is one kind of question a run can answer: the next steps of a series (``tasks/forecast.py``), the
remaining useful life of a cell (``tasks/rul.py``).  It says what the inputs are, what they may know, what
reference forecast stands in every table and what a report shows.  Everything else - folds, candidates,
seeds, fitting, judging, auditing, writing - is the pipeline's, once for all tasks.

Shapes
------
n window, H horizon
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig

from data.contracts import FloatArray, Fold, IntArray, Panel, Source, Windows
from data.panel import DataError
from evaluation.leakage.prove import Finding
from evaluation.rows import Facts, Question
from models.model import Needs
from runtime.build import ConfigError, class_of

if TYPE_CHECKING:  # scikit-learn, which a network does not need
    from data.features.chain import Chain

BoolArray = NDArray[np.bool_]


SAME_MEMORY = "same memory"
"""In the label of a row that stands beside a decomposed one."""


NO_AUGMENTATION = "data.augmentation.identity.Identity"
"""Target of the choice that makes no synthetic windows."""


class Candidate(NamedTuple):
    """A model on its inputs: one row of the table."""

    label: str
    model: DictConfig
    decomposition: DictConfig
    """How its inputs are decomposed; empty where the task decomposes nothing."""
    lookback: int | None = None
    """Steps it looks back upon, where these are its own; None: ``lookback`` of the run."""
    lookbacks: tuple[int, ...] = ()
    """Those it chooses from on validation rows, ascending; the last is ``lookback``.  Empty: no choice."""
    beside: str = ""
    """Label of the decomposed row beside which it stands, undecomposed but with the same memory; else empty."""


class Prepared(NamedTuple):
    """The inputs of one candidate on one fold, for every origin there is."""

    windows: Windows
    features: "Chain | None" = None

    @property
    def n_conditions(self) -> int:
        """How many of the last channels tell the cluster of a step."""
        return self.features.n_conditions if self.features is not None else 0


class Knowledge(NamedTuple):
    """What the audit holds the inputs of one fold to."""

    fitted_on: BoolArray
    """``(row,)``: rows that scaling, features and synthetic windows may have learnt from."""
    chosen_on: BoolArray
    """``(row,)``: rows that weights and settings may have been chosen by as well."""


class Changed(NamedTuple):
    """A panel of which a part was replaced, to see what notices."""

    name: str
    """What was replaced, in words."""
    panel: Panel
    fold: Fold
    replaced: BoolArray
    """``(row,)`` of the panel as it was."""
    rows: IntArray | None = None
    """Where rows were left out: for each row that stays its number before; else None."""


class Prediction(NamedTuple):
    """What the model of a finished run makes of a file it has not seen."""

    table: pd.DataFrame
    title: str
    notes: list[str]
    """Sentences without which the table misleads."""
    columns: Mapping[str, str] = {}
    """What columns are called in the end; an empty name leaves a column out."""


class Task(Protocol):
    """One kind of question, built as ``task(cfg)`` with the whole configuration."""

    name: ClassVar[str]
    question: ClassVar[Question]
    """What is forecast, in facts that a run folder keeps: scores, tests and the report go by them, not by the name."""
    reference: str
    """Label of the forecast anyone can make, beside which every number stands."""
    retrains: ClassVar[bool]
    """Whether ``refit`` trains networks anew: cells are few, and in no order of time."""
    strangers: ClassVar[Sequence[str]]
    """Groups of ``conf/`` that it has no use for."""
    sections: ClassVar[Sequence[str]]
    """Sections of the report page, in their order."""
    cfg: DictConfig

    @property
    def reach(self) -> int:
        """How many steps after its origin the last target of a forecast lies."""
        ...

    def load(self, source: Source) -> Panel:
        """Read a source, and turn its values into what is forecast."""
        ...

    def candidates(self) -> list[Candidate]:
        """Return the model, its baselines and the reference, each label once; the model comes first."""
        ...

    def prepare(
        self, panel: Panel, fold: Fold, candidate: Candidate, origins: IntArray | None = None, cached: bool = True
    ) -> Prepared:
        """Turn a panel into windows: features fitted on training rows, components of the past.

        Parameters
        ----------
        origins : array or None
            Rows of the panel whose windows are asked for; None: all.
        cached : bool
            Whether components that were kept from an earlier run may be taken.
        """
        ...

    def warm(self, panel: Panel) -> None:
        """Do, with every core, what the work on all folds shares and a cache keeps."""
        ...

    @property
    def bundled(self) -> bool:
        """Whether the candidates of one fold and seed share inputs that are dear to prepare."""
        ...

    def learnable(self, panel: Panel, fold: Fold) -> int:
        """Return how many training windows a fold has, at most: told before anything is cut."""
        ...

    def select(self, windows: Windows, fold: Fold, role: int) -> Windows:
        """Return the windows whose targets have a role; of training windows those that are learnt from."""
        ...

    def memory(self, panel: Panel, held_out: Windows, label: str, forecast: FloatArray) -> float | None:
        """Choose, by a row's forecasts of validation windows, over how much of the past ``finish`` averages [steps].

        None where nothing is averaged.
        """
        ...

    def finish(self, panel: Panel, windows: Windows, forecast: FloatArray, memory: float | None = None) -> FloatArray:
        """Hold forecasts ``(n, H)`` to what the target can be, such as not below zero.

        Parameters
        ----------
        memory : float or None
            What ``memory`` has chosen.
        """
        ...

    def known(self, windows: Windows, fold: Fold) -> Windows:
        """Return what is learnt from once validation has chosen the settings: training and validation windows."""
        ...

    def synthetic_from(self, windows: Windows, train: Windows) -> Windows:
        """Return the windows that synthetic ones are made of: training windows, but where a paper had it otherwise."""
        ...

    def later(self, panel: Panel, fold: Fold, prepared: Prepared) -> Iterable[Windows]:
        """Return windows of the test rows as if the record of their cell began later, for every beginning asked for."""
        ...

    def table(
        self, panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray]
    ) -> pd.DataFrame:
        """Return forecasts ``(n, H)``, and the ends of a model's own intervals, as a Forecasts table."""
        ...

    def restored(self, panel: Panel, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Put truths and forecasts in the unit users think in beside those of a Forecasts table, if it is another."""
        ...

    def kept_errors(self, calibration: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame | None:
        """Return the validation errors of some models that restoring new forecasts needs; None where none are."""
        ...

    def restored_ahead(self, panel: Panel, table: pd.DataFrame, errors: pd.DataFrame | None) -> pd.DataFrame:
        """Put forecasts and bounds of predict.py in the unit users think in beside them, if it is another."""
        ...

    def facts(self, panel: Panel, folds: Sequence[Fold]) -> Facts:
        """Return what the scores are measured by."""
        ...

    def card(self, panel: Panel) -> dict[str, Any]:
        """Return what a file given to predict.py is compared with, as JSON can hold it."""
        ...

    def artifacts(self, panel: Panel, folds: Sequence[Fold]) -> dict[str, pd.DataFrame]:
        """Return tables the report draws besides forecasts, by the name of their file."""
        ...

    def checks(self, panel: Panel, folds: Sequence[Fold]) -> list[Finding]:
        """Find what leaks by the split or the columns alone, before anything is fitted."""
        ...

    def leak_by_design(self, candidate: Candidate) -> str:
        """Say how a candidate uses the future by its settings alone; empty if it does not."""
        ...

    def knowledge(self, panel: Panel, fold: Fold) -> Knowledge:
        """Return which rows may have been learnt from."""
        ...

    def own_past(self, windows: Windows) -> tuple[IntArray, IntArray | None]:
        """Return up to which row each window's inputs, and its targets, may know their own series."""
        ...

    def sampled(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> IntArray | None:
        """Return the origins the audit rebuilds; None: all, where that is cheap."""
        ...

    def changes(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Iterable[Changed]:
        """Yield panels in which what must not matter was replaced, in several ways and places."""
        ...

    def past_replaced(self, panel: Panel, fold: Fold, rng: np.random.Generator) -> Changed:
        """Return a panel in which everything up to some origins was replaced: their inputs must move."""
        ...

    def explained(self, finding: Finding, windows: Windows) -> Finding:
        """Add to what was found what it is worth, where that can be said."""
        ...

    def n_channels(self, scaling: Mapping[str, NDArray[Any]]) -> int:
        """Return how many channels the windows of a finished run have, by what its scaling has learnt."""
        ...

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        ...

    def read(self, source: Any, card: Mapping[str, Any]) -> Panel:
        """Read a file to forecast from, and refuse one that does not fit what the model was trained on."""
        ...

    def asked(self, panel: Panel, candidate: Candidate, features: "Chain | None") -> Windows:
        """Return the windows of a file that are forecast from; their targets are not known."""
        ...

    def predicted(
        self, panel: Panel, windows: Windows, forecasts: Mapping[str, FloatArray], card: Mapping[str, Any]
    ) -> Prediction:
        """Return forecasts ``(n, H)`` by label as a table ``unique_id, ds, step`` and a column a label."""
        ...


def fact(card: Mapping[str, Any], name: str) -> Any:
    """Return what the card of a run says of its data; of which type it is has been checked.

    Raises
    ------
    DataError
        If it says nothing.
    """
    if name not in card:
        raise DataError(f"The run.json of the run lacks data.{name}: it is damaged.  Train the run again.")
    return card[name]


def windows_for_blocks(model: DictConfig, horizon: int) -> int:
    """Return how many training windows a model needs that learns from them block by block; 0 where it does not.

    The first block must be longer than a forecast, so that its targets have come when the next one begins.
    """
    blocks = model.get("blocks")
    return (int(blocks) + 1) * (horizon + 1) if blocks else 0


def once_each(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, the first of each label, in their order."""
    unique: dict[str, Candidate] = {}
    for candidate in candidates:
        unique.setdefault(candidate.label, candidate)
    return list(unique.values())


def inputs_of(candidate: Candidate) -> str:
    """Name the inputs of a candidate: rows of the table with the same name can share what was prepared."""
    return f"{candidate.decomposition} {candidate.lookback} {needs_of(candidate).lookback}"


def needs_of(candidate: Candidate) -> Needs:
    """Return what the model of a candidate needs.

    Raises
    ------
    ConfigError
        If its class is no model.
    """
    model: Any = class_of(candidate.model._target_)
    if not isinstance(getattr(model, "needs", None), Needs):
        raise ConfigError(f"{candidate.model._target_} is no model: choose one of conf/model.")
    return cast(Needs, model.needs)
