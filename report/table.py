"""The result table of a run: kept as metrics.json, shown on the console, in Markdown and CSV."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.metrics import PERSISTENCE, SCORES

KEYS = ["experiment", "dataset", "title", "unit", "seed", "model", "notes", "validation", "scores"]
NUMBERS = [*SCORES, "direction_n", "n", "p_persistence", "p_corrected"]
MAYBE = ["p_mcs", "p_direction", "seed_mae", "seed_mae_std"]  # numbers that need not exist for any model
SMALL_IS_GOOD = ["mae", "rmse", "mape", "mase"]
LARGE_IS_GOOD = ["r2", "skill", "direction"]
HEADER = ["model", "MAE", "RMSE", "MAPE %", "R²", "MASE", "skill", "up/down %", "against persistence"]
WIDE = 105  # columns a console needs for intervals and p-values
MISSING = "–"
VERDICTS = {"reference": "to beat", "better": "better", "worse": "worse", "same": "no better"}
LEAKS = "uses the future"
IN_SET = "●"  # of a model that cannot be told from the best


class MetricsError(ValueError):
    """A metrics.json that is not one; the message names the file and the fault."""


@dataclass(frozen=True)
class Metrics:
    """The judgement of one run.

    Parameters
    ----------
    experiment, dataset : str
        Names of the choices, as in the configuration.
    title : str
        What a table calls the data.
    unit : str
        Unit of MAE and RMSE.
    seed : int
        Of the run.
    model : str
        Label of the model the run was for; the other rows are what it is compared with.
    scores : DataFrame
        A row a model, as ``judge`` returns it.
    notes : list of str
        Sentences shown under the table.
    validation : dict
        What the weights were chosen by, e.g. ``{"val/loss": 0.1}``.
    steps : DataFrame or None
        Scores of each step of the horizon.
    seeds : list of mapping
        ``model``, ``seed``, ``mae`` and ``rmse`` of each training by itself.
    audit : mapping or None
        As ``leakage.Audit.to_json`` returns it.
    coverage, pairwise : DataFrame or None
        As ``judge.Judgement`` has them.
    tests : list of str
        Sentences on the whole table, shown below the notes.
    """

    experiment: str
    dataset: str
    title: str
    unit: str
    seed: int
    model: str
    scores: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    validation: dict[str, float] = field(default_factory=dict)
    steps: pd.DataFrame | None = None
    seeds: list[Any] = field(default_factory=list)
    audit: dict[str, Any] | None = None
    coverage: pd.DataFrame | None = None
    pairwise: pd.DataFrame | None = None
    tests: list[str] = field(default_factory=list)


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Write metrics.json, whole or not at all; a number that does not exist becomes null."""
    content = {key: getattr(metrics, key) for key in KEYS if key not in ("scores", "validation")}
    content["validation"] = {name: or_null(value) for name, value in metrics.validation.items()}
    content["scores"] = as_records(metrics.scores)
    for name in ("steps", "coverage", "pairwise"):
        table = getattr(metrics, name)
        content[name] = None if table is None else as_records(table)
    content["seeds"] = [{name: or_null(value) for name, value in row.items()} for row in metrics.seeds]
    content |= {"audit": metrics.audit, "tests": metrics.tests}
    write_content(path, content)


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all; it holds no number that does not exist."""
    unfinished = path.with_name(path.name + ".part")
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def read_metrics(path: Path) -> Metrics:
    """Read metrics.json; null becomes NaN.

    Raises
    ------
    MetricsError
        If the file is missing, is not JSON or lacks something.
    """
    content = read_content(path)
    absent = [key for key in KEYS if key not in content]
    if absent:
        raise MetricsError(f"{path} lacks {', '.join(absent)}.  Run the experiment again.")
    validation = {name: math.nan if value is None else value for name, value in content["validation"].items()}
    steps = content.get("steps")
    return Metrics(
        **{key: content[key] for key in KEYS if key not in ("scores", "validation")},
        validation=validation,
        scores=_frame(path, content["scores"], ["verdict", "leaks", *NUMBERS]),
        steps=None if steps is None else _frame(path, steps, ["step", *SCORES, "n"]),
        seeds=content.get("seeds") or [],
        audit=content.get("audit"),
        tests=content.get("tests") or [],
        coverage=_optional(content.get("coverage")),
        pairwise=_optional(content.get("pairwise")),
    )


def read_content(path: Path) -> dict[str, Any]:
    """Read the JSON of a metrics.json of any job.

    Raises
    ------
    MetricsError
        If the file is missing, is not JSON or holds no mapping.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MetricsError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise MetricsError(f"{path} is not valid JSON ({error}).  Run the experiment again.") from None
    if not isinstance(content, dict):
        raise MetricsError(f"{path} is not the result of a run.")
    return content


def print_table(console: Console, metrics: Metrics) -> None:
    """Print the table and, below it, what must be known to read it.

    Persistence is set apart, the best row of those that do not use the future is bold, and rows
    that do use it are red.  A narrow console leaves out what stands in parentheses.
    """
    narrow = console.width < WIDE
    table = Table(
        title=_title(metrics),
        title_style="bold",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 0 if narrow else 1, 0, 0),
    )
    for column in HEADER:
        words = column in (HEADER[0], HEADER[-1])
        name = column.replace(" ", "\n") if narrow else column
        table.add_column(name, justify="left" if words else "right", no_wrap=column == HEADER[0])
    scores = _persistence_first(metrics.scores)
    best = _best(scores)
    if metrics.audit is not None:
        colour = {"causal": "green", "LEAKS": "red"}.get(metrics.audit["verdict"], "yellow")
        console.print(Text(metrics.audit["sentence"], style=f"bold {colour}"))
    for row, (_, score) in zip(_cells(scores), scores.iterrows(), strict=True):
        naive = score["model"] == PERSISTENCE
        style = "red" if score["leaks"] else "cyan" if naive else ""
        texts = []
        for column, cell in row.items():
            bold = "bold" if (score["model"], column) in best else ""
            texts.append(Text(cell.split(" (")[0] if narrow else cell, style=bold))
        table.add_row(*texts, style=style, end_section=naive)
    console.print(table)
    for note in metrics.notes:
        console.print(f"[red]![/red] {escape(note)}")
    for sentence in metrics.tests:
        console.print(sentence, highlight=False, markup=False)


def to_markdown(metrics: Metrics) -> str:
    """Return the table and its notes as Markdown, the best of each column bold."""
    scores = _persistence_first(metrics.scores)
    best = _best(scores)
    body = [
        [f"**{cell}**" if (model, column) in best else cell for column, cell in row.items()]
        for row, model in zip(_cells(scores), scores["model"], strict=True)
    ]
    verdict = [f"**{metrics.audit['sentence']}**", ""] if metrics.audit is not None else []
    lines = [f"**{_title(metrics)}**", "", *verdict, *markdown_table(HEADER, body)]
    if metrics.notes or metrics.tests:
        lines += ["", *(f"> {note}  " for note in [*metrics.notes, *metrics.tests])]
    return "\n".join(lines) + "\n"


def to_csv(metrics: Metrics) -> str:
    """Return every column of the scores, unrounded, as CSV with what run they are of."""
    table = metrics.scores.copy()
    for place, key in enumerate(["experiment", "dataset", "seed"]):
        table.insert(place, key, getattr(metrics, key))
    return table.to_csv(index=False, lineterminator="\n")


def markdown_table(header: list[str], body: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table, its first column left and the others right aligned."""
    rows = [header, [":--", *["--:"] * (len(header) - 1)], *body]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def shown(value: float, decimals: int, percent: bool = False) -> str:
    """Return a number with so many decimals, or a dash if it does not exist."""
    if not np.isfinite(value):
        return MISSING
    return f"{100 * value:.{decimals}f}" if percent else f"{value:.{decimals}f}"


def decimals_for(size: float) -> int:
    """Return the decimals that show four digits of a number of this size."""
    if not np.isfinite(size) or size <= 0:
        return 2
    return max(0, 3 - math.floor(math.log10(size)))


def _title(metrics: Metrics) -> str:
    n = int(metrics.scores["n"].max())
    run = f"{metrics.experiment}, seed {metrics.seed}"
    return f"{metrics.title}: {n} test forecasts, errors in {metrics.unit} ({run})"


def _persistence_first(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values("model", key=lambda model: model != PERSISTENCE, kind="stable")


def _cells(scores: pd.DataFrame) -> list[dict[str, str]]:
    """Return the text of every row by the column its number comes from."""
    naive = scores.loc[scores["model"] == PERSISTENCE, "mae"]
    digits = decimals_for(float(naive.iloc[0]) if len(naive) else math.nan)
    return [
        {
            "model": str(row["model"]) + (f" ({int(row['n_seeds'])} seeds)" if row.get("n_seeds", 1) > 1 else ""),
            "mae": shown(row["mae"], digits),
            "rmse": shown(row["rmse"], digits),
            "mape": shown(row["mape"], 3),
            "r2": shown(row["r2"], 4),
            "mase": shown(row["mase"], 3),
            "skill": shown(row["skill"], 3),
            "direction": _direction(row),
            "verdict": _verdict(row) + (f" {IN_SET}" if row.get("in_mcs", False) is True else ""),
        }
        for _, row in scores.iterrows()
    ]


def _direction(row: "pd.Series[Any]") -> str:
    if not np.isfinite(row["direction"]):
        return MISSING
    low, high = shown(row["direction_low"], 0, percent=True), shown(row["direction_high"], 0, percent=True)
    return f"{shown(row['direction'], 1, percent=True)} ({low}-{high})"


def _verdict(row: "pd.Series[Any]") -> str:
    """Say how the row compares with persistence; numbers that use the future do not compare."""
    if row["leaks"]:
        return LEAKS
    words = VERDICTS[str(row["verdict"])]
    p = row["p_corrected"]
    if row["verdict"] == "reference":
        return words
    if not np.isfinite(p):
        return "not tested"
    return f"{words} (p < 0.001)" if p < 0.001 else f"{words} (p = {p:.3f})"


def _best(scores: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the model and column of the best numbers among the rows that do not use the future."""
    honest = scores[~scores["leaks"].astype(bool)]
    best = set()
    for column in [*SMALL_IS_GOOD, *LARGE_IS_GOOD]:
        values = honest[column].dropna()
        if len(values):
            extreme = values.min() if column in SMALL_IS_GOOD else values.max()
            best |= {(str(model), column) for model in honest.loc[values.index[values == extreme], "model"]}
    return best


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


def _optional(records: Any) -> pd.DataFrame | None:
    return None if records is None else pd.DataFrame(records)


def _frame(path: Path, records: Any, needed: list[str]) -> pd.DataFrame:
    """Return the records as a table, with NaN where a number is null."""
    if not (isinstance(records, list) and records and all(isinstance(record, dict) for record in records)):
        raise MetricsError(f"{path} holds no scores.  Run the experiment again.")
    table = pd.DataFrame(records)
    absent = [column for column in ["model", *needed] if column not in table.columns]
    if absent:
        raise MetricsError(f"{path} lacks the scores {', '.join(absent)}.  Run the experiment again.")
    try:
        numbers = {column: pd.to_numeric(table[column]) for column in [*NUMBERS, *MAYBE] if column in table.columns}
    except (TypeError, ValueError):
        raise MetricsError(f"{path} holds text where a score belongs.  Run the experiment again.") from None
    return table.assign(**{name: column.astype(np.float64) for name, column in numbers.items()}).astype({"n": np.int64})
