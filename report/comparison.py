"""Many runs in one table, a row a model and setting, beside the numbers that were published.

Runs are seeds of one row only where their settings are equal: their kept configurations without the seed, or, where
one of them has none, the options of their configuration groups.  What differs becomes part of the row's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from data.contracts import CELLS
from evaluation.inference import by_cell
from evaluation.inference.significance import holm, word
from evaluation.judge import REFERENCE_WINS, why_the_reference_wins
from evaluation.rows import Question
from evaluation.scores import scores_of
from report.run_folder import Metrics, RunFolder
from report.settings import Member, told_apart
from report.table import (
    Cell,
    Column,
    Measure,
    Row,
    Table,
    digits_of,
    markdown,
    measure_of,
    print_notes,
    print_rows,
    unknown,
    winners,
)
from report.text import LEAKS, MISSING, VERDICTS, called, in_markdown, worded

PUBLISHED = Path(__file__).with_name("published")
PUBLISHED_LEAKS = {
    "paper1": "The published CEEMDAN-CNN-LSTM-AM used the future, too: it decomposed the whole series.",
    "paper2": (
        "The published numbers leak, too: rows of one cell are on both sides of the split, synthetic rows were made of "
        "both, and on HNEI the cycle number is among the inputs."
    ),
}
OF_SEEDS = "Errors are those of one seed, mean ± standard deviation over seeds; verdicts are of a run's mean forecast."
WITH_SPREAD = ("mae", "mae_scaled")  # scores whose spread a narrow console shows, too
SAME = 1e-6  # relative difference of numbers that are called equal
MISPRINT = 2.0  # ratio of a published MSE to its squared RMSE that rounding does not explain


@dataclass(frozen=True)
class Comparison:
    """All runs of one experiment on one data set.

    Parameters
    ----------
    question : Question
    dataset, experiment, title, unit, reference : str
        As in ``Metrics``.
    longest_rul : float
        What scaled errors are fractions of; NaN where there are none.
    rows : DataFrame
        A row a model and setting, the reference first, then the published models in their order, then others:
        ``model`` (with its setting), ``seeds`` (how many), ``leaks``, ``verdict`` (text, of p-values corrected over
        the whole table), ``runs``, ``better`` (how many of them are significantly better than the reference), the
        mean over seeds of every score, its standard deviation ``_std`` and what was published, ``_published``.
    notes : list of str
        Sentences without which the table misleads.
    source : str
        Where the published numbers are from; empty where there are none.
    """

    question: Question
    dataset: str
    experiment: str
    title: str
    unit: str
    reference: str
    longest_rul: float
    rows: pd.DataFrame
    notes: list[str]
    source: str = ""

    @property
    def heading(self) -> str:
        """What the table is called."""
        over = f", and over {self.longest_rul:g}" if np.isfinite(self.longest_rul) else ""
        source = f" ({self.source} in parentheses)" if self.source else ""
        return f"{self.title}, experiment {self.experiment}: errors in {self.unit}{over}{source}"

    def error(self, score: str = "mae") -> float:
        """Return an error of the reference."""
        return float(self.rows.loc[self.rows["model"] == self.reference, score].iloc[0])


def compare(runs: Sequence[RunFolder | Metrics]) -> list[Comparison]:
    """Return one comparison for each data set and experiment, in alphabetical order.

    Seeds are averaged, those within a run and those of several runs.  Of a row that several runs give with the same
    settings and seed, the run that was for it comes first, then the last one given.

    Raises
    ------
    FolderError
        If a file of a run cannot be read.
    """
    groups: dict[tuple[str, str, str], list[Member]] = {}
    for run in runs:
        member = Member(run.metrics, run.settings) if isinstance(run, RunFolder) else Member(run, {})
        metrics = member.metrics
        groups.setdefault((metrics.dataset, metrics.experiment, metrics.task), []).append(member)
    return [_comparison(group) for _, group in sorted(groups.items(), key=lambda item: item[0])]


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the table, published numbers in parentheses, and its notes."""
    print_rows(console, comparison_table(comparison))
    print_notes(console, comparison.notes)


def to_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return all tables as Markdown."""
    parts = []
    for comparison in comparisons:
        lines = [f"## {in_markdown(comparison.heading)}", "", *markdown(comparison_table(comparison))]
        if comparison.notes:
            lines += ["", *(f"> {in_markdown(note)}  " for note in comparison.notes)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def to_csv(comparisons: Sequence[Comparison]) -> str:
    """Return all rows, unrounded, as CSV."""
    tables = []
    for comparison in comparisons:
        table = comparison.rows.copy()
        table.insert(0, "experiment", comparison.experiment)
        table.insert(0, "dataset", comparison.dataset)
        tables.append(table)
    return pd.concat(tables, ignore_index=True).to_csv(index=False, lineterminator="\n")


def comparison_table(comparison: Comparison, caption: str | None = None) -> Table:
    """Return ours beside the published numbers, the best honest ones marked.

    With a caption of its own, as on the page, published numbers have columns of their own; else they stand in
    parentheses.
    """
    rows, apart = comparison.rows, caption is not None
    digits = digits_of(comparison.question, comparison.reference, rows)
    honest = rows[~rows["leaks"]]
    columns = [Column("model", numeric=False)]
    kept = [
        measure_of(score, digits, comparison.longest_rul)
        for score in scores_of(comparison.question.kind)
        if rows[f"{score.name}_published"].notna().any() or (score.column and rows[score.name].notna().any())
    ]
    further = unknown(comparison.question.kind, rows.drop(columns=["leaks", "runs", "seeds", "better"]))
    further = [name for name in further if not name.endswith("_published")]
    best = {m.score.name: honest["model"][winners(honest[m.score.name], m.score.best)].tolist() for m in kept}
    for measure in kept:
        published = rows[f"{measure.score.name}_published"].notna().any()
        title = measure.title + (" (paper)" if published and not apart else "")
        minor = bool(comparison.source) and not published and measure.score.name != "mae"
        columns.append(Column(title, hint=measure.score.hint, minor=minor))
        if published and apart:
            columns.append(Column("paper", hint=f"published {measure.title}"))
    columns += [Column(worded(name), hint="a number this version of the program does not know") for name in further]
    columns.append(
        Column(f"against {called(comparison.reference)}", numeric=False, hint="p-values corrected over the table")
    )
    body = []
    for _, row in rows.iterrows():
        cells = [Cell(row["model"], f"({row['seeds']} seeds)" if row["seeds"] > 1 else "")]
        for measure in kept:
            beside = apart and rows[f"{measure.score.name}_published"].notna().any()
            cells += _cells(measure, row, bool(beside), row["model"] in best[measure.score.name])
        cells += [Cell(f"{row[name]:.4g}" if np.isfinite(row[name]) else MISSING) for name in further]
        cells.append(Cell(row["verdict"]))
        body.append(Row(cells, "leaks" if row["leaks"] else "", apart=row["model"] == comparison.reference))
    return Table(comparison.heading if caption is None else caption, columns, body)


def differ(values: "pd.Series[float]") -> bool:
    """Return whether numbers differ by more than rounding does."""
    return bool(values.max() - values.min() > SAME * abs(values.max()))


def published(dataset: str) -> pd.DataFrame:
    """Return what papers tell of a data set: ``model``, ``paper``, ``source`` and scores under our names."""
    tables = [pd.read_csv(path).assign(paper=path.stem) for path in sorted(PUBLISHED.glob("*.csv"))]
    own = pd.concat([table[table["dataset"] == dataset] for table in tables], ignore_index=True)
    return own.dropna(axis=1, how="all")


def _cells(measure: Measure, row: "pd.Series[Any]", apart: bool, best: bool) -> list[Cell]:
    """Return a score of a row: the mean, its spread over seeds and what was published."""
    name = measure.score.name
    value, paper = row[name], row[f"{name}_published"]
    spread = f"±{measure.text(row[f'{name}_std'])}" if np.isfinite(row[f"{name}_std"]) and np.isfinite(value) else ""
    number = float(value) if np.isfinite(value) else None
    told = f"{paper:g}" if np.isfinite(paper) else ""  # as it was published
    text = measure.text(value) + (spread if name in WITH_SPREAD else "") + (f" ({told})" if told and not apart else "")
    ours = Cell(text, "" if name in WITH_SPREAD else spread, number, best)
    return [ours, Cell(told or MISSING, value=float(paper) if told else None)] if apart else [ours]


def _comparison(runs: Sequence[Member]) -> Comparison:
    first = runs[0].metrics
    paper = published(first.dataset)
    errors, tests, notes = _collected(runs)
    known = [score.name for score in scores_of(first.question.kind)]
    scores = [*known, *(name for name in unknown(first.question.kind, errors) if name not in known)]
    rows = []
    for model, setting in _order(errors, first.reference, list(paper["model"]) if len(paper) else []):
        ours = errors[(errors["model"] == model) & (errors["setting"] == setting)]
        own = tests[(tests["model"] == model) & (tests["setting"] == setting)]
        theirs = paper[paper["model"] == model] if len(paper) else paper
        row: dict[str, Any] = {
            "model": _named(model, setting),
            "seeds": len(ours),
            "leaks": bool(own["leaks"].any()),
            "verdict": _verdict(own),
            "runs": len(own),
            "better": int((own["verdict"] == "better").sum()),
        }
        for score in scores:
            values = ours[score] if score in ours else pd.Series(dtype=float)
            row |= {score: values.mean(), f"{score}_std": values.std(ddof=1)}
            row[f"{score}_published"] = float(theirs[score].iloc[0]) if score in theirs and len(theirs) else np.nan
        rows.append(row)
    table = pd.DataFrame(rows)
    notes += list(dict.fromkeys(n for run in runs for n in run.metrics.notes if not n.startswith(REFERENCE_WINS)))
    if any("seed" in run.metrics.groups for run in runs):
        notes.append(OF_SEEDS)
    if first.question.kind in CELLS:
        honest = table[~table["leaks"]].set_index("model")["mae"]
        notes += why_the_reference_wins(honest, first.reference, first.question, first.lives)
    notes += _reading(table, first.reference) + _about_the_paper(paper, table, first)
    source = " and ".join(dict.fromkeys(paper["source"])) if len(paper) else ""
    facts = (
        first.question,
        first.dataset,
        first.experiment,
        first.title,
        first.unit,
        first.reference,
        first.longest_rul,
    )
    return Comparison(*facts, table, notes, source)


def _collected(runs: Sequence[Member]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the scores of each model, setting and seed, the tests of each run, and what was strange about them."""
    reference = runs[0].metrics.reference
    settings = told_apart(runs)
    errors: list[pd.DataFrame] = []
    tests: list[pd.DataFrame] = []
    for run, told in zip(runs, settings, strict=True):
        metrics = run.metrics
        by_seed = metrics.groups.get("seed", pd.DataFrame(columns=["model"]))
        single = metrics.scores[~metrics.scores["model"].isin(by_seed["model"])].assign(seed=metrics.seed)
        marks = [(table, errors) for table in (single, by_seed)] + [(metrics.scores.assign(seed=metrics.seed), tests)]
        for table, kept in marks:
            if len(table):
                kept.append(table.assign(own=table["model"] == metrics.model, setting=table["model"].map(told)))
    scores, tested = pd.concat(errors, ignore_index=True), pd.concat(tests, ignore_index=True)
    notes = _differences(runs, tested)
    same = _untouched(scores, reference)
    scores.loc[scores["model"].isin(same), "setting"] = tested.loc[tested["model"].isin(same), "setting"] = ""
    for (model, setting, seed), several in scores.groupby(["model", "setting", "seed"], sort=False):
        if model != reference and differ(several["mae"]):
            notes.append(
                f"{_named(model, setting)} has {len(several)} runs with seed {seed} and MAE {several['mae'].min():.5g} "
                f"to {several['mae'].max():.5g}: other settings or other code.  One of them is shown."
            )
    scores, tested = (_once(table) for table in (scores, tested))
    tested = tested.assign(p_corrected=holm(tested["p_reference"]))  # each run corrected for its own table only
    return scores, tested.assign(verdict=[_word(row, reference) for _, row in tested.iterrows()]), notes


def _named(model: object, setting: object) -> str:
    return f"{model}, {setting}" if setting else str(model)


def _untouched(scores: pd.DataFrame, reference: str) -> list[str]:
    """Return the models whose settings move nothing: the same errors with every seed that two settings share.

    Settings that were run with different seeds are different rows, whatever their errors.
    """
    same = [reference]
    for model, own in scores.groupby("model"):
        seeds = [set(part["seed"]) for _, part in own.groupby("setting")]
        shared = all(seeds[0] & others for others in seeds)
        if not differ(own["mae"]) or (shared and not own.groupby("seed")["mae"].apply(differ).any()):
            same.append(str(model))
    return same


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of every model, setting and seed, and one of those that are the same with every seed."""
    keys = ["model", "setting"]
    table = table.sort_values("own", kind="stable").drop_duplicates([*keys, "seed"], keep="last")
    moved = table.groupby(keys)["mae"].transform(differ).astype(bool)
    return pd.concat([table[moved], table[~moved].drop_duplicates(keys)], ignore_index=True)


def _word(row: "pd.Series[Any]", reference: str) -> str:
    """Say in a word what the tests of a row mean after the correction for the whole table."""
    if row["model"] == reference:
        return "reference"
    if not np.isfinite(row["p_corrected"]):
        return "untested"
    if np.isfinite(row.get("difference_high", np.nan)):
        return by_cell.verdict(row["p_corrected"], row["difference_low"], row["difference_high"])
    return word(row["difference"], row["p_corrected"])


def _differences(runs: Sequence[Member], tests: pd.DataFrame) -> list[str]:
    """Say what keeps runs from being compared."""
    own = tests[tests["model"] == runs[0].metrics.reference]
    notes = []
    if differ(own["n"]) or differ(own["mae"]):
        notes.append(
            f"The runs were not judged on the same test rows ({own['n'].min():.0f} to {own['n'].max():.0f} forecasts): "
            f"their rows cannot be compared."
        )
    longest = sorted({run.metrics.longest_rul for run in runs if np.isfinite(run.metrics.longest_rul)})
    if len(longest) > 1:
        notes.append(f"The runs scale errors by {longest[0]:g} to {longest[-1]:g} cycles: compare them in cycles.")
    return notes


def _order(errors: pd.DataFrame, reference: str, printed: list[str]) -> list[tuple[str, str]]:
    """Return models and settings: the reference, what was published, what was not; the best first."""
    ours = errors.groupby(["model", "setting"])["mae"].mean().sort_values(na_position="last").index
    rows = [(str(model), str(setting)) for model, setting in ours]
    order = []
    for model in dict.fromkeys([reference, *printed, *(model for model, _ in rows)]):
        order += [row for row in rows if row[0] == model] or [(model, "")]
    return order


def _verdict(tests: pd.DataFrame) -> str:
    """Return one text for all runs of a row."""
    if tests.empty:
        return "not run"
    if tests["leaks"].any():
        return LEAKS
    counts = tests["verdict"].map(VERDICTS).value_counts()
    return str(counts.index[0]) if len(counts) == 1 else ", ".join(f"{said} {n}x" for said, n in counts.items())


def _reading(rows: pd.DataFrame, reference: str) -> list[str]:
    """Say what the reference makes of the table."""
    honest = rows[(rows["model"] != reference) & ~rows["leaks"] & rows["mae"].notna()]
    if honest.empty:
        return []
    proven = int((honest["better"] == honest["runs"]).sum())
    return [
        f"{proven or 'None'} of {len(honest)} rows that do not use the future {'is' if proven < 2 else 'are'} "
        f"significantly better than {called(reference)}."
    ]


def _about_the_paper(paper: pd.DataFrame, rows: pd.DataFrame, run: Metrics) -> list[str]:
    """Say what must be known to read the published numbers."""
    if paper.empty:
        return []
    sentences = [PUBLISHED_LEAKS[name] for name in dict.fromkeys(paper["paper"]) if name in PUBLISHED_LEAKS]
    own = rows[rows["model"] == run.reference].iloc[0]
    whose = f"{called(run.reference)}'s"
    scaled = "mae_scaled" in paper
    column, digits, which = ("mae_scaled", ".4f", " on the [0, 1] scale") if scaled else ("mae", ".4g", "")
    errors = paper[column].dropna()
    above = int((errors > own[column]).sum())
    sentences.append(
        f"{above} of {len(errors)} published MAEs{which} are above {whose}, {format(own[column], digits)}."
    )
    if scaled and "mae" in paper:
        best, others = errors.min(), paper["mae"].dropna()
        sentences.append(
            f"The paper sets its MAE of {best:.4f}, a fraction of the longest life, beside {others.min():.4f} to "
            f"{others.max():.4f} cycles of others; in cycles its own is {best * run.longest_rul:.1f}."
        )
    for _, row in paper.dropna(subset=["mse_scaled", "rmse_scaled"]).iterrows() if "mse_scaled" in paper else ():
        square = row["rmse_scaled"] ** 2
        if max(row["mse_scaled"] / square, square / row["mse_scaled"]) > MISPRINT:
            sentences.append(
                f"The published MSE of {row['model']}, {row['mse_scaled']:.4f}, is not the square of its RMSE, "
                f"{square:.4f}: a misprint."
            )
    for _, row in paper.dropna(subset=["mae_again"]).iterrows() if "mae_again" in paper else ():
        sentences.append(
            f"The paper contradicts itself: the MAE of {row['model']} is {row['mae_scaled']:.4f} in its own tables and "
            f"{row['mae_again']:.4f} where it is set beside others."
        )
    if "rmse_without_unit" in paper:
        told = paper.dropna(subset=["rmse_without_unit"])
        listed = ", ".join(f"{row['model']} {row['rmse_without_unit']:g}" for _, row in told.iterrows())
        sentences.append(f"RMSEs the paper quotes without a unit stand beside none of ours: {listed}.")
    return sentences
