"""The files of a run: written by the pipeline, read by everything a person sees.

Whatever is read may come from a stranger: sizes are bounded, types are checked, nothing is imported, resolved or
fetched, and what is broken is one sentence.  ``metrics.json`` has a version; files of version 1, one kind a task, are
read too.  A number a run lacks is NaN, and one this version does not know is kept.

What a run forecasts is told by facts of its own (``question``) and by the sections it names: no task is known by name,
but for the two whose runs were made before those facts were kept (``KEPT_NO_FACTS``).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from data.contracts import CELLS, KINDS, REMAINING, SERIES, Kind
from evaluation.rows import CLOCK, PERSISTENCE, THIRDS, Question, life_of
from evaluation.scores import scores_of
from runtime.faults import FolderError, shown
from runtime.files import write_json
from runtime.kept import CONFIG_BYTES, JSON_BYTES, read_config, read_json, read_text

T = TypeVar("T")

VERSION = 2
METRICS = "metrics.json"
OF_CARD = {"data": dict, "packages": dict, "seconds": dict, "audit": dict, "seeds": list}
"""What an entry of run.json must be to count."""
ARTIFACTS = ("artifacts", "evidence")  # the second name is that of version 1
LARGEST = 1e9  # [bytes] of a table
MOST_CELLS = 100_000_000  # rows times columns of a table: every origin of ETTh1 has 22 million a model
MOST_MODELS = 1000
MOST_DECIMALS = 12
MOST_ROWS = 1_000_000  # of a table in JSON
TYPES = {list: "list", dict: "names with values", str: "text", int: "whole number"}
WORDS = {"model", "other", "verdict", "unique_id", "third", "part"}  # columns of text
FLAGS = {"leaks", "in_mcs"}
KEPT_NO_FACTS = {
    "forecast": (
        Question(SERIES),
        [
            *["results", "forecast", "audit", "results.pairs", "over_time", "over_time.regimes", "calibration"],
            *["copycat", "copycat.residuals", "components", "training.attention", "training.losses", "reproduce"],
        ],
    ),
    "rul": (
        Question(REMAINING, "remaining life", "cell", "the mean life of the training cells minus the age", 2),
        [
            *["results", "forecast", "cells", "audit", "cells.over_life", "cells.thirds", "calibration"],
            *["training.attention", "features.factors", "features.clusters", "features.synthetic"],
            *["training.losses", "reproduce"],
        ],
    ),
}
"""Question and sections of runs that do not tell theirs, by their task."""
WHOLE = {"n", "n_cells", "n_seeds", "step", "seed", "start", "level", "missing"}  # columns of whole numbers
NEEDED = {
    "coverage": ["model", "part", "level", "coverage"],
    "pairwise": ["model", "other", "difference", "p_corrected"],
    "step": ["model", "step"],
    "third": ["model", "third"],
    "unique_id": ["model", "unique_id"],
    "seed": ["model", "seed"],
    "start": ["model", "start"],
}
"""Columns without which a table is refused."""
RENAMED = {"p_persistence": "p_reference", "p_clock": "p_reference", "stage": "third"}
"""Columns of version 1."""

UNTOLD = "uses the future, by the settings of its run"


@dataclass(frozen=True)
class Metrics:
    """The evaluation of one run, as ``metrics.json`` keeps it.

    ``scores``, ``coverage``, ``pairwise``, ``notes`` and ``tests`` are those of ``evaluation.judge.Evaluation``, and
    ``groups`` its scores of parts: by ``step``, ``unique_id``, ``third``, ``seed`` and ``start``, as far as there are.

    Parameters
    ----------
    task : str
        What the task is called.
    question : Question
        What is forecast, in facts by which the run is read.
    title, unit : str
        What a table calls the data, and the unit of ``y``.
    seeds : list of int
        All seeds its models were trained with; forecasts are their mean.
    model, reference : str
        Label of the model the run was for, and of the one that all are measured against.
    validation : mapping
        What settings and weights were chosen by, e.g. ``{"mae": 20.1}``.
    simple : str
        Label of the baseline without a network that errs least on validation rows; empty where there is none.
    lives : mapping
        Life of every cell [cycles]; empty for series.
    choices : mapping
        The option of each configuration group, e.g. ``{"augmentation": "wgan_gp"}``.
    leaks : mapping
        For the label of each model that leaks, one sentence that says how.
    sections : list of str
        Parts of ``report.sections``, in the order of the page.
    """

    task: str
    question: Question
    experiment: str
    dataset: str
    title: str
    unit: str
    seed: int
    model: str
    reference: str
    scores: pd.DataFrame
    seeds: list[int] = field(default_factory=list)
    groups: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    coverage: pd.DataFrame | None = None
    pairwise: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    audit: dict[str, Any] | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    simple: str = ""
    lives: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    leaks: Mapping[str, str] = field(default_factory=dict)
    sections: list[str] = field(default_factory=list)
    version: int = VERSION

    @property
    def longest_rul(self) -> float:
        """Longest remaining life in the data [cycles], of which scaled errors are fractions; NaN without one."""
        if self.question.kind != REMAINING:
            return math.nan
        return max(self.lives.values(), default=math.nan) - 1


def write_metrics(folder: Path, metrics: Metrics) -> None:
    """Write metrics.json into a run folder, whole or not at all; a number that does not exist becomes null."""
    content: dict[str, Any] = {"version": VERSION}
    for name in (given.name for given in fields(metrics) if given.name != "version"):
        value = getattr(metrics, name)
        if isinstance(value, pd.DataFrame):
            value = as_records(value)
        elif isinstance(value, Question):
            value = asdict(value)
        elif name == "groups":
            value = {group: as_records(table) for group, table in value.items()}
        elif isinstance(value, Mapping):
            value = {str(key): or_null(item) for key, item in value.items()}
        content[name] = value
    write_json(folder / METRICS, content)


def read_metrics(path: Path) -> Metrics:
    """Read a metrics.json of any version; null becomes NaN.

    Raises
    ------
    FolderError
        If the file is missing, is no JSON, or holds something else than the metrics of a run.
    """
    content = read_json(path)
    try:
        version = content.get("version", 1)
        if version not in (1, VERSION):
            raise FolderError(f"it is of version {shown(version)}, and this program reads 1 and {VERSION}")
        return _metrics(content if version == VERSION else _from_version_1(content))
    except FolderError as fault:
        raise FolderError(f"{path} cannot be used: {fault}.  Run the experiment again.") from None


class RunFolder:
    """A folder that a finished run has left.

    Parameters
    ----------
    path : Path
        The folder.  A file is read when it is first asked for, and a broken one raises ``FolderError``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def metrics(self) -> Metrics:
        """Scores, tests and facts of the run."""
        if not (self.path / METRICS).is_file():
            raise FolderError(
                f"{self.path} holds no finished run: there is no {METRICS}.  Give the folder of a run that has ended."
            )
        return _accused(read_metrics(self.path / METRICS), self.card.get("audit"))

    @cached_property
    def card(self) -> dict[str, Any]:
        """What the run was made with, its audit and times; empty where there is no run.json."""
        path = self.path / "run.json"
        content = read_json(path) if path.exists() else {}
        return {name: value for name, value in content.items() if isinstance(value, OF_CARD.get(name, object))}

    @cached_property
    def config(self) -> str:
        """The text of config.yaml; empty where there is none."""
        path = self.path / "config.yaml"
        return read_text(path, CONFIG_BYTES) if path.exists() else ""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of config.yaml as they stand there: nothing is resolved, tricks are refused."""
        path = self.path / "config.yaml"
        return cast(dict[str, Any], OmegaConf.to_container(read_config(path))) if path.exists() else {}

    @cached_property
    def forecasts(self) -> pd.DataFrame | None:
        """The Forecasts table with its intervals, or None where it was not kept."""
        path = self.path / "forecasts.parquet"
        if not path.exists():
            return None
        rows = read_table(path, ["unique_id", "ds", "step", "model", "y", "y_hat"])
        rows = rows.assign(unique_id=rows["unique_id"].astype(str), model=rows["model"].astype(str))
        bounds = [name for name in rows if str(name).startswith(("lo_", "hi_"))]
        odd = [name for name in ["step", "y", "y_hat", *bounds] if not pd.api.types.is_numeric_dtype(rows[name])]
        if odd or len(rows) == 0 or rows["model"].nunique() > MOST_MODELS:
            fault = f"no numbers in {shown(odd[0])}" if odd else f"no forecasts of 1 to {MOST_MODELS} models"
            raise FolderError(f"{path} holds {fault}.")
        if not (pd.api.types.is_datetime64_any_dtype(rows["ds"]) or pd.api.types.is_numeric_dtype(rows["ds"])):
            raise FolderError(f"{path} holds neither dates nor numbers in ds.")
        return rows

    @cached_property
    def own(self) -> pd.DataFrame | None:
        """The forecasts of the run's model, or None."""
        rows = self.forecasts
        own = None if rows is None else rows[rows["model"] == self.metrics.model]
        return None if own is None or own.empty else own

    def life(self, rows: pd.DataFrame) -> "pd.Series[float]":
        """Return the life of the cell of every row [cycles]; where the run does not tell it, ``ds`` is the age."""
        return life_of(rows, self.metrics.lives).fillna(rows["y"] + rows["ds"])

    def spent(self, rows: pd.DataFrame) -> "pd.Series[float]":
        """Return the fraction of its cell's life that is over at every row."""
        life = self.life(rows)
        return (life - rows["y"]) / life

    def artifact(self, name: str, needed: Sequence[str] = ()) -> Any:
        """Return a JSON file or a table of the artifacts, or None where it is missing.

        ``needed`` are columns without which a table is refused.
        """
        for folder in ARTIFACTS:
            path = self.path / folder / name
            if path.is_file():
                return read_artifact(path) if path.suffix == ".json" else read_table(path, needed)
        return None


def read_artifact(path: Path) -> Any:
    """Read JSON of a bounded size that may hold anything."""
    text = read_text(path, JSON_BYTES)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FolderError(f"{path} is damaged: {shown(str(error))}.") from None


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet file of a bounded size; ``needed`` are columns without which it is refused."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file() or path.stat().st_size > LARGEST:
        raise FolderError(f"{path} is no file of at most {LARGEST / 1e9:g} GB.")
    try:
        known = pq.ParquetFile(path).metadata
        whole = known.num_rows * known.num_columns <= MOST_CELLS
        table = pq.read_table(path).to_pandas(ignore_metadata=True) if whole else pd.DataFrame()
        table = table.astype(dict.fromkeys(table.select_dtypes(np.float32), np.float64))  # sums need the digits
    except (OSError, ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
        told = shown(str(error).partition("\n")[0])
        raise FolderError(f"{path} cannot be read ({told}).  Run the experiment again.") from None
    for column in table.select_dtypes("datetimetz"):
        table[column] = table[column].dt.tz_localize(None)  # drawn as the clock of the place shows it
    absent = [column for column in needed if column not in table.columns]
    if absent or not whole:
        fault = f"lacks the column {', '.join(absent)}" if whole else f"holds more than {MOST_CELLS:,} values"
        raise FolderError(f"{path} {fault}.  Run the experiment again.")
    return table


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON knows them: no NaN, no types of NumPy."""
    return [{str(name): or_null(value) for name, value in record.items()} for record in table.to_dict("records")]


def or_null(value: Any) -> Any:
    """Return a value that JSON knows."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _accused(metrics: Metrics, audit: Any) -> Metrics:
    """Return metrics after the last audit: audit.py looks at a run again, and leaves what it finds in run.json.

    A finding that names its subject, the label of a model, accuses that row and no other.
    """
    found = audit if isinstance(audit, dict) and audit else metrics.audit
    if found is None:
        return metrics
    stages = [stage for stage in _entry(found, "stages", list) if isinstance(stage, dict)]
    leaks = dict(metrics.leaks)
    for stage in stages:
        if stage.get("verdict") == "LEAKS" and isinstance(stage.get("subject"), str) and stage["subject"]:
            leaks.setdefault(stage["subject"], f"{stage.get('stage')}: {stage.get('detail')}")
    scores = metrics.scores.assign(leaks=metrics.scores["model"].isin(list(leaks)) | metrics.scores.get("leaks", False))
    return replace(metrics, audit=found | {"stages": stages}, leaks=leaks, scores=scores)


def _metrics(content: Mapping[str, Any]) -> Metrics:
    """Check the content of a file of version 2."""
    task = _entry(content, "task", str)
    question, sections = _told(content, task)
    groups = _entry(content, "groups", dict)
    scores = _table("scores", content.get("scores"), question.kind)
    if scores is None or len(scores) > MOST_MODELS:
        raise FolderError(f"it holds no scores of 1 to {MOST_MODELS} models")
    model, reference = _entry(content, "model", str), _entry(content, "reference", str)
    absent = [label for label in (model, reference) if label not in set(scores["model"])]
    if absent or scores["model"].duplicated().any():
        raise FolderError(f"it holds no scores of {shown(absent[0])}" if absent else "it scores a model twice")
    seed = _entry(content, "seed", int)
    audit = content.get("audit")
    return Metrics(
        task=task,
        question=question,
        experiment=_entry(content, "experiment", str),
        dataset=_entry(content, "dataset", str),
        title=_entry(content, "title", str),
        unit=_entry(content, "unit", str),
        model=model,
        reference=reference,
        seed=seed,
        seeds=[value for value in _entry(content, "seeds", list) if isinstance(value, int)] or [seed],
        scores=scores,
        groups={name: table for name in groups if (table := _table(name, groups[name], question.kind)) is not None},
        coverage=_table("coverage", content.get("coverage"), question.kind),
        pairwise=_table("pairwise", content.get("pairwise"), question.kind),
        notes=[str(note) for note in _entry(content, "notes", list)],
        tests=[str(sentence) for sentence in _entry(content, "tests", list)],
        audit=audit if isinstance(audit, dict) else None,
        validation=_numbers(content, "validation"),
        simple=str(content.get("simple") or ""),
        lives={cell: life for cell, life in _numbers(content, "lives").items() if life > 0},
        choices={name: str(option) for name, option in _entry(content, "choices", dict).items()},
        leaks={label: str(sentence) for label, sentence in _entry(content, "leaks", dict).items()},
        sections=sections,
    )


def _told(content: Mapping[str, Any], task: str) -> tuple[Question, list[str]]:
    """Return what a run says of its question and its sections; what an older one does not say follows from its task."""
    known, usual = KEPT_NO_FACTS.get(task, (None, []))
    sections = [str(name) for name in _entry(content, "sections", list)] or usual
    facts = _entry(content, "question", dict)
    if not facts:
        if known is None:
            raise FolderError(f"it says nothing of its question, and its task, {shown(task)}, is not known")
        return known, sections
    kind = _entry(facts, "kind", str)
    if kind not in KINDS:
        raise FolderError(f"its question is of the kind {shown(kind)}, which is none of {', '.join(KINDS)}")
    noun, group, reference = (_entry(facts, name, str) for name in ("noun", "group", "reference"))
    decimals = facts.get("decimals")
    sound = isinstance(decimals, int) and 0 <= decimals <= MOST_DECIMALS
    return Question(kind, noun, group, reference, decimals if sound else None), sections


def _table(name: str, records: Any, kind: Kind) -> pd.DataFrame | None:
    """Return records as a table: null is NaN, so is a score it lacks; None where there are none."""
    if not records:
        return None
    if not (isinstance(records, list) and len(records) <= MOST_ROWS and all(isinstance(row, dict) for row in records)):
        raise FolderError(f"its {shown(name)} are no table")
    table = pd.DataFrame(records)
    absent = [column for column in NEEDED.get(name, ["model"]) if column not in table]
    if absent:
        raise FolderError(f"its {shown(name)} lack {', '.join(absent)}")
    known = [score.name for score in scores_of(kind)]
    for column in table:
        if column in FLAGS:
            table[column] = table[column].map(lambda value: value is True).astype(bool)
        elif column in WORDS:
            table[column] = table[column].map(_word)
        else:
            numbers = table[column].map(_number).astype(np.float64)
            if (
                column in known
                and (numbers.isna() != table[column].map(lambda value: value is None or value != value)).any()
            ):
                raise FolderError(f"its {shown(name)} hold no number where {column} belongs")
            whole = column in WHOLE and bool(np.isfinite(numbers).all())
            table[column] = numbers.astype(np.int64) if whole else numbers
    lacking = {"leaks": False} | dict.fromkeys(known, np.nan) if name == "scores" else {}
    return table.assign(**{column: value for column, value in lacking.items() if column not in table})


def _word(value: Any) -> str:
    return THIRDS[value] if value in (0, 1, 2) and not isinstance(value, bool) else str(value)


def _number(value: Any) -> float:
    """Return a number as one, NaN for all else."""
    if not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:
        return math.nan


def _entry(content: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return an entry of the kind it must be; one that is missing is empty, but for text and numbers."""
    value = content.get(name)
    if value is None and kind in (list, dict):
        return kind()
    if not isinstance(value, kind):
        raise FolderError(f"it lacks {name}" if value is None else f"its {name} are no {TYPES[kind]}")
    return value


def _numbers(content: Mapping[str, Any], name: str) -> dict[str, float]:
    return {key: _number(value) for key, value in _entry(content, name, dict).items()}


def _from_version_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file of version 1 holds, of either task, in the names of version 2."""
    task = "rul" if content.get("job") == "life" else "forecast"
    kind = KEPT_NO_FACTS[task][0].kind
    names = {"unique_id": "cells", "third": "stages", "seed": "seed_scores"} if kind in CELLS else {"step": "steps"}
    scores = _renamed(content.get("scores"))
    rows = {row.get("model"): row for row in scores if isinstance(row, dict)} if isinstance(scores, list) else {}
    told = [label for label, row in rows.items() if row.get("verdict") == "reference"]
    reference = next((label for label in [*told, PERSISTENCE, CLOCK] if label in rows), None)
    for row in rows.values():
        mae, beside = _number(row.get("mae")), _number(rows.get(reference, {}).get("mae"))
        row.setdefault("difference", or_null(mae - beside))
    groups = {group: _renamed(content.get(name)) for group, name in names.items() if content.get(name)}
    seeds = content.get("seeds") or []
    if kind == SERIES:  # each training by itself
        trained = [row for row in seeds if isinstance(row, dict)] if isinstance(seeds, list) else []
        seeds = sorted({row["seed"] for row in trained if isinstance(row.get("seed"), int)})
        groups |= {"seed": trained} if len(seeds) > 1 else {}
    leaks = content.get("leaks")
    if leaks is None:
        noted = [str(note) for note in _entry(content, "notes", list)]
        leaks = {
            str(label): next((note for note in noted if note.startswith(f"{label} USES")), f"{label} {UNTOLD}")
            for label, row in rows.items()
            if row.get("leaks") is True
        }
    return {**content, "task": task, "reference": reference, "scores": scores, "groups": groups} | {
        "seeds": seeds,
        "leaks": leaks,
        "unit": content.get("unit", "cycles"),
    }


def _renamed(records: Any) -> Any:
    """Return records under the names of version 2."""
    if not (isinstance(records, list) and all(isinstance(row, dict) for row in records)):
        return records
    renamed = [{RENAMED.get(name, name): value for name, value in row.items()} for row in records]
    for row in renamed:
        if math.isfinite(error := _number(row.get("rmse_scaled"))):
            row.setdefault("mse_scaled", error**2)
    return renamed
