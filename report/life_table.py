"""The result table of a run on remaining life: kept as metrics.json, shown on the console, in Markdown and CSV."""

import math
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

from evaluation.life_metrics import CLOCK, ERRORS, SCORES, STAGES, TESTS
from report.table import (
    LEAKS,
    MISSING,
    VERDICTS,
    MetricsError,
    as_records,
    decimals_for,
    markdown_table,
    or_null,
    read_content,
    shown,
    write_content,
)

JOB = "life"
TABLES = {
    "scores": ["verdict", "leaks", *SCORES, *TESTS, "n", "n_cells"],
    "cells": ["unique_id", "life", *ERRORS, "eol", "eol_error", "eol_seen", "n"],
    "stages": ["stage", *ERRORS, "n"],
    "seed_scores": [*SCORES, "n", "n_cells", "seed"],
}
"""Tables of metrics.json, and the columns each needs besides ``model``."""
WORDS = ["model", "verdict", "leaks", "unique_id", "stage", "eol_seen"]  # columns that are no numbers
KEYS = [
    "experiment",
    "dataset",
    "title",
    "unit",
    "scale",
    "lives",
    "seed",
    "seeds",
    "model",
    "notes",
    "leaks",
    "choices",
    "validation",
]
SMALL_IS_GOOD = ["mae", "rmse", "mae_scaled", "rmse_scaled", "mape", "eol_mae"]
LARGE_IS_GOOD = ["r2", "accuracy_15", "alpha_lambda"]
LEFT_OUT = ["RMSE", "MAPE %", "±15 %", "α-λ %"]  # of a narrow console
WIDE = 130  # columns a console needs for all of them


@dataclass(frozen=True)
class LifeMetrics:
    """The judgement of one run on remaining useful life.

    Parameters
    ----------
    experiment, dataset : str
        Names of the choices, as in the configuration.
    title : str
        What a table calls the data.
    scale : float
        Longest remaining life in the data [cycles]; scaled errors are fractions of it.
    lives : mapping
        Life of every cell of the data [cycles].
    seed : int
        Of the run.
    seeds : list of int
        All seeds its networks were trained with; forecasts are their mean.
    model : str
        Label of the model the run was for; the other rows are what it is compared with.
    scores, cells, stages : DataFrame
        As ``life_metrics.judge`` returns them.
    notes : list of str
        Sentences shown under the table.
    leaks : mapping
        For the label of each model that leaks, one sentence that says how.
    choices : mapping
        What was chosen in the groups an ablation may vary, such as ``{"augmentation": "wgan_gp"}``.
    validation : mapping
        What the weights were chosen by, e.g. ``{"mae": 20.1}`` [cycles].
    seed_scores : DataFrame
        As ``life_metrics.seed_scores`` returns it.
    coverage : DataFrame or None
        How many truths the intervals hold, as ``evaluation.intervals.scoring`` returns it.
    audit : mapping or None
        As ``leakage.Audit.to_json`` returns it.
    unit : str
        Unit of errors that are not scaled.
    """

    experiment: str
    dataset: str
    title: str
    scale: float
    lives: Mapping[str, float]
    seed: int
    seeds: list[int]
    model: str
    scores: pd.DataFrame
    cells: pd.DataFrame
    stages: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    leaks: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    seed_scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame | None = None
    audit: dict[str, Any] | None = None
    unit: str = "cycles"


def write_metrics(path: Path, metrics: LifeMetrics) -> None:
    """Write metrics.json, whole or not at all; a number that does not exist becomes null."""
    content = {"job": JOB} | {key: getattr(metrics, key) for key in KEYS}
    for key in ("lives", "leaks", "choices", "validation"):
        content[key] = {name: or_null(value) for name, value in content[key].items()}
    content |= {name: as_records(getattr(metrics, name)) for name in TABLES}
    content["coverage"] = None if metrics.coverage is None else as_records(metrics.coverage)
    content["audit"] = metrics.audit
    write_content(path, content)


def read_metrics(path: Path) -> LifeMetrics:
    """Read metrics.json; null becomes NaN.

    Raises
    ------
    MetricsError
        If the file is missing, is not JSON, is of another job or lacks something.
    """
    content = read_content(path)
    if content.get("job") != JOB:
        raise MetricsError(f"{path} is not the result of a run on remaining useful life (job: {job_of(path)}).")
    absent = [key for key in [*KEYS, *TABLES] if key not in content]
    if absent:
        raise MetricsError(f"{path} lacks {', '.join(absent)}.  Run the experiment again.")
    validation = {name: math.nan if value is None else value for name, value in content["validation"].items()}
    coverage = content.get("coverage")
    given = {key: content[key] for key in KEYS} | {
        name: _frame(path, name, content[name], columns) for name, columns in TABLES.items()
    }
    given |= {"validation": validation, "audit": content.get("audit")}
    given["coverage"] = None if coverage is None else pd.DataFrame(coverage)
    return LifeMetrics(**given)


def job_of(path: Path) -> str:
    """Return what kind of question a metrics.json answers: ``series``, or ``life``.

    Raises
    ------
    MetricsError
        If the file is missing or is not JSON.
    """
    return str(read_content(path).get("job", "series"))


def print_table(console: Console, metrics: LifeMetrics) -> None:
    """Print the table and, below it, what must be known to read it.

    The clock is set apart above, the best row of those that do not leak is bold, and rows that do are
    red.  A narrow console leaves out what matters less.
    """
    if metrics.audit is not None:
        colour = {"causal": "green", "LEAKS": "red"}.get(metrics.audit["verdict"], "yellow")
        console.print(Text(metrics.audit["sentence"], style=f"bold {colour}"))
    narrow = console.width < WIDE
    header = _header(metrics)
    kept = [place for place, column in enumerate(header) if not (narrow and column in LEFT_OUT)]
    table = Table(
        title=_title(metrics),
        title_style="bold",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place in kept:
        words = place in (0, len(header) - 1)
        name = header[place].replace(" ", "\n") if narrow else header[place]
        table.add_column(name, justify="left" if words else "right", no_wrap=place == 0)
    scores = _clock_first(metrics.scores)
    best = _best(scores)
    for row, (_, score) in zip(_cells(metrics, scores), scores.iterrows(), strict=True):
        clock = score["model"] == CLOCK
        style = "red" if score["leaks"] else "cyan" if clock else ""
        cells = list(row.items())
        texts = []
        for column, cell in (cells[place] for place in kept):
            bold = "bold" if (score["model"], column) in best else ""
            texts.append(Text(cell.split(" (")[0] if narrow and column == "eol_mae" else cell, style=bold))
        table.add_row(*texts, style=style, end_section=clock)
    console.print(table)
    if narrow:
        console.print(f"A wider console shows {', '.join(LEFT_OUT)}.", style="dim", highlight=False)
    for note in metrics.notes:
        console.print(f"[red]![/red] {escape(note)}")


def to_markdown(metrics: LifeMetrics) -> str:
    """Return the table, its notes, the errors by stage of life and those of each cell as Markdown."""
    scores = _clock_first(metrics.scores)
    best = _best(scores)
    body = [
        [f"**{cell}**" if (row["model"], column) in best else cell for column, cell in row.items()]
        for row in _cells(metrics, scores)
    ]
    found = [f"**{metrics.audit['sentence']}**", ""] if metrics.audit is not None else []
    lines = [*found, f"**{_title(metrics)}**", "", *markdown_table(_header(metrics), body)]
    if metrics.notes:
        lines += ["", *(f"> {note}  " for note in metrics.notes)]
    by_stage = markdown_table(["model", *STAGES], _by_stage(metrics))
    lines += ["", f"MAE in {metrics.unit} by third of life", "", *by_stage]
    lines += ["", f"{metrics.model} by cell, in {metrics.unit}", "", *markdown_table(*_by_cell(metrics))]
    return "\n".join(lines) + "\n"


def to_csv(metrics: LifeMetrics) -> str:
    """Return every column of the scores, unrounded, as CSV with what run they are of."""
    table = metrics.scores.copy()
    for place, key in enumerate(["experiment", "dataset", "seed"]):
        table.insert(place, key, getattr(metrics, key))
    return table.to_csv(index=False, lineterminator="\n")


def _title(metrics: LifeMetrics) -> str:
    scores = metrics.scores
    n, n_cells = int(scores["n"].max()), int(scores["n_cells"].max())
    seeds = f"seed {metrics.seed}" if len(metrics.seeds) < 2 else f"mean of {len(metrics.seeds)} seeds"
    return (
        f"{metrics.title}: remaining life at {n} cycles of {n_cells} test cells, errors in {metrics.unit} "
        f"({metrics.experiment}, {seeds})"
    )


def _header(metrics: LifeMetrics) -> list[str]:
    scale = f"{metrics.scale:g}"
    one_seed = ["one seed's MAE"] if len(metrics.seed_scores) else []
    return [
        "model",
        "MAE",
        *one_seed,
        "RMSE",
        f"MAE/{scale}",
        f"RMSE/{scale}",
        "R²",
        "MAPE %",
        "±15 %",
        "α-λ %",
        "end of life",
        "against the clock",
    ]


def _cells(metrics: LifeMetrics, scores: pd.DataFrame) -> list[dict[str, str]]:
    """Return the text of every row by the column its number comes from, in the order of the header."""
    typical = scores["mae"].median()
    digits = min(decimals_for(float(typical)), 2)
    most = scores["n_cells"].max()
    return [
        {
            "model": f"{row['model']}" + (f" ({row['n_cells']} of {most} cells)" if row["n_cells"] < most else ""),
            "mae": shown(row["mae"], digits),
            **({"one_seed": _one_seed(metrics, row["model"], digits)} if len(metrics.seed_scores) else {}),
            "rmse": shown(row["rmse"], digits),
            "mae_scaled": shown(row["mae_scaled"], 4),
            "rmse_scaled": shown(row["rmse_scaled"], 4),
            "r2": shown(row["r2"], 4),
            "mape": shown(row["mape"], 1),
            "accuracy_15": shown(row["accuracy_15"], 1, percent=True),
            "alpha_lambda": shown(row["alpha_lambda"], 0, percent=True),
            "eol_mae": _end(row),
            "verdict": told(row),
        }
        for _, row in scores.iterrows()
    ]


def told(row: "pd.Series[Any]") -> str:
    """Say how a row compares with the clock; numbers that leak do not compare."""
    if row["leaks"]:
        return LEAKS
    if row["verdict"] == "reference":
        return VERDICTS["reference"]
    p = row["p_corrected"]
    if not np.isfinite(p):
        return "not tested"
    word = VERDICTS[str(row["verdict"])]
    return f"{word} (p < 0.001)" if p < 0.001 else f"{word} (p = {p:.3f})"


def _one_seed(metrics: LifeMetrics, model: str, digits: int) -> str:
    own = metrics.seed_scores.loc[metrics.seed_scores["model"] == model, "mae"]
    return f"{shown(own.mean(), digits)}±{shown(own.std(ddof=1), digits)}" if len(own) > 1 else MISSING


def _end(row: "pd.Series[Any]") -> str:
    """Return the error of the end of life, and in parentheses its sign: above 0 is too late."""
    if not np.isfinite(row["eol_mae"]):
        return MISSING
    return f"{row['eol_mae']:.1f} ({row['eol_bias']:+.1f})"


def _by_stage(metrics: LifeMetrics) -> list[list[str]]:
    errors = metrics.stages.set_index(["model", "stage"])["mae"]
    return [
        [model, *(shown(errors.get((model, stage), np.nan), 2) for stage in STAGES)]
        for model in _clock_first(metrics.scores)["model"]
    ]


def _by_cell(metrics: LifeMetrics) -> tuple[list[str], list[list[str]]]:
    own = metrics.cells[metrics.cells["model"] == metrics.model]
    clock = metrics.cells[metrics.cells["model"] == CLOCK].set_index("unique_id")["mae"]
    header = ["cell", "life", "MAE", "RMSE", "bias", "±15 %", "end forecast", "MAE of the clock"]
    body = [
        [
            str(row["unique_id"]),
            f"{row['life']:g}",
            *(shown(row[name], 2) for name in ("mae", "rmse", "bias")),
            shown(row["accuracy_15"], 1, percent=True),
            shown(row["eol"], 1) + ("" if row["eol_seen"] else " (never seen)"),
            shown(clock[row["unique_id"]], 2),
        ]
        for _, row in own.iterrows()
    ]
    return header, body


def _clock_first(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values("model", key=lambda model: model != CLOCK, kind="stable")


def _best(scores: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the model and column of the best numbers among the rows that do not leak and forecast everything."""
    honest = scores[~scores["leaks"].astype(bool) & (scores["n"] == scores["n"].max())]
    best = set()
    for column in [*SMALL_IS_GOOD, *LARGE_IS_GOOD]:
        values = honest[column].dropna()
        if len(values):
            extreme = values.min() if column in SMALL_IS_GOOD else values.max()
            best |= {(str(model), column) for model in honest.loc[values.index[values == extreme], "model"]}
    return best


def _frame(path: Path, name: str, records: Any, needed: list[str]) -> pd.DataFrame:
    """Return the records as a table, with NaN where a number is null; only seed_scores may be empty."""
    if not (isinstance(records, list) and all(isinstance(record, dict) for record in records)):
        raise MetricsError(f"{path} holds no table of {name}.  Run the experiment again.")
    if not records:
        if name != "seed_scores":
            raise MetricsError(f"{path} holds no {name}.  Run the experiment again.")
        return pd.DataFrame(columns=["model", *needed])
    table = pd.DataFrame(records)
    absent = [column for column in ["model", *needed] if column not in table.columns]
    if absent:
        raise MetricsError(f"{path} lacks {', '.join(absent)} among the {name}.  Run the experiment again.")
    try:
        numbers = {column: pd.to_numeric(table[column]) for column in table.columns if column not in WORDS}
    except (TypeError, ValueError):
        raise MetricsError(
            f"{path} holds text where a number of the {name} belongs.  Run the experiment again."
        ) from None
    whole = [column for column in ("n", "n_cells", "seed") if column in table.columns]
    return table.assign(**{column: values.astype(np.float64) for column, values in numbers.items()}).astype(
        dict.fromkeys(whole, np.int64)
    )
