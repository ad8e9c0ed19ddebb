"""Many runs in one table, beside the numbers that were published."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.inference.significance import holm, verdict
from evaluation.metrics import PERSISTENCE
from report.table import LEAKS, VERDICTS, WIDE, Metrics, decimals_for, markdown_table, shown

PUBLISHED = Path(__file__).with_name("published") / "paper1.csv"
PUBLISHED_AS = {"csi300": "paper 1, table 2", "csi500": "paper 1, table 3"}
PUBLISHED_LEAK = "The published CEEMDAN-CNN-LSTM-AM used the future, too: it decomposed the whole series."
IN_PAPER = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE %", "r2": "R²"}
OURS_ONLY = {"mase": "MASE", "direction": "up/down %"}
PAPER = " (paper)"
MAE_AT = 1  # place of its column
SPREAD = re.compile(r"±\S+")
SAME = 1e-6  # relative difference of numbers that are called equal


class Compared(Protocol):
    """What comparisons of all jobs have in common."""

    @property
    def dataset(self) -> str:
        """Name of the choice, as in the configuration."""
        ...

    @property
    def experiment(self) -> str:
        """Name of the choice, as in the configuration."""
        ...

    @property
    def heading(self) -> str:
        """What the table is called."""
        ...

    @property
    def rows(self) -> pd.DataFrame:
        """A row a model."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences without which the table misleads."""
        ...


@dataclass(frozen=True)
class Comparison:
    """All runs of one experiment on one data set.

    Parameters
    ----------
    dataset, experiment, title, unit : str
        As in ``Metrics``.
    rows : DataFrame
        A row a model, persistence first, then the published models in their order, then others:
        ``model``, ``seeds`` (how many), ``leaks``, ``verdict`` (text, of p-values corrected over the
        whole table), ``better`` (how many seeds are significantly better than persistence), the
        mean over seeds of every metric, its standard deviation ``_std`` and what was published,
        ``_published``.
    notes : list of str
        Sentences without which the table misleads.
    """

    dataset: str
    experiment: str
    title: str
    unit: str
    rows: pd.DataFrame
    notes: list[str]

    @property
    def published(self) -> bool:
        """Whether there is something to set beside our numbers."""
        return bool(self.rows["mae_published"].notna().any())

    @property
    def heading(self) -> str:
        """What the table is called."""
        source = f" ({PUBLISHED_AS[self.dataset]} in parentheses)" if self.published else ""
        return f"{self.title}, experiment {self.experiment}: errors in {self.unit}{source}"


def compare(runs: Sequence[Metrics]) -> list[Comparison]:
    """Return one comparison for each data set and experiment, in alphabetical order.

    A model that several runs scored with the same seed counts once: the run that was for it comes
    first, then the last one given.  Several seeds are averaged.
    """
    published = pd.read_csv(PUBLISHED)
    groups: dict[tuple[str, str], list[Metrics]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.experiment), []).append(run)
    return [
        _comparison(group, published[published["dataset"] == dataset]) for (dataset, _), group in sorted(groups.items())
    ]


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the table, published numbers in parentheses, and its notes.

    A narrow console shows the columns that matter most; the spread over seeds is shown of MAE.
    """
    left_out = [] if console.width >= WIDE + 10 else ["RMSE", "MAPE %", "up/down %"]
    table = Table(
        title=comparison.heading,
        title_style="bold",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    header = _header(comparison)
    kept = [place for place, column in enumerate(header) if column.removesuffix(PAPER) not in left_out]
    for column in (header[place] for place in kept):
        words = column in (header[0], header[-1])
        table.add_column(column, justify="left" if words else "right", no_wrap=column == header[0])
    for cells, (_, row) in zip(_cells(comparison), comparison.rows.iterrows(), strict=True):
        naive = row["model"] == PERSISTENCE
        style = "red" if row["leaks"] else "cyan" if naive else ""
        shorter = [cell if place == MAE_AT else SPREAD.sub("", cell) for place, cell in enumerate(cells)]
        table.add_row(*(Text(shorter[place]) for place in kept), style=style, end_section=naive)
    print_table(console, table, left_out, comparison.notes)


def print_table(console: Console, table: Table, left_out: Sequence[str], notes: Sequence[str]) -> None:
    """Print the table of a comparison, what the console was too narrow for, and what must be known to read it."""
    console.print(table)
    if left_out:
        console.print(f"A wider console shows {', '.join(left_out)}.", style="dim", highlight=False)
    for note in notes:
        console.print(f"[red]![/red] {escape(note)}")


def to_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return all tables as Markdown."""
    return as_markdown(comparisons, _header, _cells)


def as_markdown(
    comparisons: Sequence[Compared], header: Callable[[Any], list[str]], cells: Callable[[Any], list[list[str]]]
) -> str:
    """Return tables of any job as Markdown; ``header`` and ``cells`` say what stands in that of a comparison."""
    parts = []
    for comparison in comparisons:
        lines = [f"## {comparison.heading}", "", *markdown_table(header(comparison), cells(comparison))]
        if comparison.notes:
            lines += ["", *(f"> {note}  " for note in comparison.notes)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def to_csv(comparisons: Sequence[Compared]) -> str:
    """Return all rows of the comparisons of a job, unrounded, as CSV."""
    tables = []
    for comparison in comparisons:
        table = comparison.rows.copy()
        table.insert(0, "experiment", comparison.experiment)
        table.insert(0, "dataset", comparison.dataset)
        tables.append(table)
    return pd.concat(tables, ignore_index=True).to_csv(index=False, lineterminator="\n")


def _comparison(runs: Sequence[Metrics], published: pd.DataFrame) -> Comparison:
    scores, notes = _one_score_a_seed(runs)
    paper = published.set_index("model")
    rows = []
    for model in _order(scores, list(paper.index)):
        ours = scores[scores["model"] == model]
        row: dict[str, object] = {
            "model": model,
            "seeds": len(ours),
            "leaks": bool(ours["leaks"].any()),
            "verdict": _verdict(ours),
            "better": int((ours["verdict"] == "better").sum()),
        }
        for metric in [*IN_PAPER, *OURS_ONLY]:
            row[metric] = ours[metric].mean()
            row[f"{metric}_std"] = ours[metric].std(ddof=1)
            if metric in IN_PAPER:
                row[f"{metric}_published"] = paper[metric].get(model, np.nan)
        rows.append(row)
    table = pd.DataFrame(rows)
    first = runs[0]
    notes += list(dict.fromkeys(note for run in runs for note in run.notes)) + _reading(table)
    return Comparison(first.dataset, first.experiment, first.title, first.unit, table, notes)


def _one_score_a_seed(runs: Sequence[Metrics]) -> tuple[pd.DataFrame, list[str]]:
    """Return the scores of all runs, each model and seed once, and what was strange about them."""
    tables = [run.scores.assign(seed=run.seed, own=run.scores["model"] == run.model) for run in runs]
    scores = pd.concat(tables, ignore_index=True)
    notes = []
    naive = scores.loc[scores["model"] == PERSISTENCE, ["n", "mae"]]
    if differ(naive["n"]) or differ(naive["mae"]):
        notes.append(
            f"The runs were not judged on the same test rows ({naive['n'].min()} to {naive['n'].max()} "
            f"forecasts): their rows cannot be compared."
        )
    for (model, seed), same in scores.groupby(["model", "seed"], sort=False):
        if model != PERSISTENCE and differ(same["mae"]):
            notes.append(
                f"{model} has {len(same)} runs with seed {seed} and MAE {same['mae'].min():.5g} to "
                f"{same['mae'].max():.5g}: other settings differ.  One of them is shown."
            )
    once = scores.sort_values("own", kind="stable").drop_duplicates(["model", "seed"], keep="last")
    moved_by_seed = once.groupby("model")["mae"].transform(differ)
    once = pd.concat([once[moved_by_seed], once[~moved_by_seed].drop_duplicates("model")], ignore_index=True)
    p = holm(once["p_persistence"])  # each run corrected for its own table only
    verdicts = [verdict(*row) for row in zip(once["model"], -once["skill"], p, strict=True)]
    return once.assign(p_corrected=p, verdict=verdicts), notes


def differ(values: pd.Series) -> bool:
    """Return whether numbers differ by more than rounding does."""
    return bool(values.max() - values.min() > SAME * abs(values.max()))


def _order(scores: pd.DataFrame, published: list[str]) -> list[str]:
    """Persistence, what was published, what was not."""
    models = [str(model) for model in scores.sort_values("mae")["model"].unique()]
    return list(dict.fromkeys([PERSISTENCE, *published, *models]))


def _verdict(ours: pd.DataFrame) -> str:
    """Return one text for all seeds."""
    if ours.empty:
        return "not run"
    if ours["leaks"].any():
        return LEAKS
    if len(ours) == 1:
        return VERDICTS[str(ours["verdict"].iloc[0])]
    counts = ours["verdict"].map(VERDICTS).value_counts()
    return counts.index[0] if len(counts) == 1 else ", ".join(f"{word} {n}x" for word, n in counts.items())


def _reading(rows: pd.DataFrame) -> list[str]:
    """Say what persistence makes of the table."""
    naive = float(rows.loc[rows["model"] == PERSISTENCE, "mae"].iloc[0])
    others = rows[rows["model"] != PERSISTENCE]
    honest = others[~others["leaks"] & others["mae"].notna()]
    sentences = []
    if len(honest):
        proven = int((honest["better"] == honest["seeds"]).sum())
        sentences.append(
            f"{proven or 'None'} of {len(honest)} models that do not use the future "
            f"{'is' if proven < 2 else 'are'} significantly better than persistence."
        )
    paper = others["mae_published"].dropna()
    if len(paper):
        sentences.append(PUBLISHED_LEAK)
        above = int((paper > naive).sum())
        sentences.append(f"{above} of {len(paper)} published MAEs are above persistence's, {naive:.4g}.")
    return sentences


def _header(comparison: Comparison) -> list[str]:
    paper = PAPER if comparison.published else ""
    published = [name + paper for name in IN_PAPER.values()]
    return ["model", *published, *OURS_ONLY.values(), "against persistence"]


def _cells(comparison: Comparison) -> list[list[str]]:
    naive = comparison.rows.loc[comparison.rows["model"] == PERSISTENCE, "mae"]
    digits = decimals_for(float(naive.iloc[0]))
    decimals = {"mae": digits, "rmse": digits, "mape": 3, "r2": 4, "mase": 3, "direction": 1}
    body = []
    for _, row in comparison.rows.iterrows():
        seeds = f" ({row['seeds']} seeds)" if row["seeds"] > 1 else ""
        cells = [f"{row['model']}{seeds}"]
        for metric in [*IN_PAPER, *OURS_ONLY]:
            percent = metric == "direction"
            cell = shown(row[metric], decimals[metric], percent=percent)
            if np.isfinite(row[f"{metric}_std"]):
                cell += f"±{shown(row[f'{metric}_std'], decimals[metric], percent)}"
            known = row.get(f"{metric}_published", np.nan)
            if np.isfinite(known):
                cell += f" ({shown(known, min(decimals[metric], 3))})"
            cells.append(cell)
        body.append([*cells, row["verdict"]])
    return body
