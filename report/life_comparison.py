"""Many runs on remaining useful life in one table, beside the numbers of paper 2.

The paper's tables 9 to 12 are kept in ``published/paper2.csv`` with the unit of each number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.inference.significance import holm
from evaluation.life_metrics import CLOCK, CLOCK_WINS, verdict, why_the_clock_wins
from report.comparison import PAPER, SPREAD, as_markdown, differ, print_table
from report.life_table import LifeMetrics
from report.table import LEAKS, VERDICTS, decimals_for, shown

PUBLISHED = Path(__file__).with_name("published") / "paper2.csv"
PUBLISHED_AS = "paper 2, tables 9 to 12"
PUBLISHED_LEAK = (
    "The published numbers leak, too: rows of one cell are on both sides of the split, synthetic rows were made of "
    "both, and on HNEI the cycle number is among the inputs."
)
OF_SEEDS = "Errors are those of one seed, mean ± standard deviation over seeds; verdicts are of a run's mean forecast."
SCALED, CYCLES = "[0, 1]", "cycles"  # units of published numbers that ours can stand beside
IN_PAPER = {"mae": CYCLES, "mae_scaled": SCALED, "rmse_scaled": SCALED, "mse_scaled": SCALED, "r2": SCALED}
"""Scores that were published, and in which unit; their columns of the file are named without ``_scaled``."""
OURS_ONLY = ["accuracy_15", "eol_mae"]
NARROW = ["MSE", "R²", "±15 %", "end of life"]  # left out by a narrow console
WIDE = 145
MISPRINT = 2.0  # ratio of a published MSE to its squared RMSE that rounding does not explain


@dataclass(frozen=True)
class LifeComparison:
    """All runs of one experiment on one data set.

    Parameters
    ----------
    dataset, experiment, title, unit, scale : str, float
        As in ``LifeMetrics``.
    rows : DataFrame
        A row a model and variant, the clock first, then the published models in their order, then others:
        ``model`` (with its variant), ``seeds`` (how many), ``leaks``, ``verdict`` (text, of p-values corrected over
        the whole table), ``runs``, ``better`` (how many of them are significantly better than the clock), the mean
        over seeds of every score, its standard deviation ``_std`` and what was published, ``_published``.
    notes : list of str
        Sentences without which the table misleads.
    """

    dataset: str
    experiment: str
    title: str
    unit: str
    scale: float
    rows: pd.DataFrame
    notes: list[str]

    @property
    def published(self) -> bool:
        """Whether there is something to set beside our numbers."""
        return bool(self.rows[[f"{name}_published" for name in IN_PAPER]].notna().any(axis=None))

    @property
    def heading(self) -> str:
        """What the table is called."""
        source = f" ({PUBLISHED_AS} in parentheses)" if self.published else ""
        return f"{self.title}, experiment {self.experiment}: errors in {self.unit}, and over {self.scale:g}{source}"


def compare(runs: Sequence[LifeMetrics]) -> list[LifeComparison]:
    """Return one comparison for each data set and experiment, in alphabetical order.

    Runs of an experiment that differ in their choices (features, augmentation, ...) make rows of their own, named
    by what differs; a model those choices do not change has one row.  Seeds are averaged, those within a run and
    those of several runs.  Of a row that several runs give with the same seed, the run that was for it comes
    first, then the last one given.
    """
    published = pd.read_csv(PUBLISHED)
    groups: dict[tuple[str, str], list[LifeMetrics]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.experiment), []).append(run)
    return [
        _comparison(group, published[published["dataset"] == dataset]) for (dataset, _), group in sorted(groups.items())
    ]


def print_comparison(console: Console, comparison: LifeComparison) -> None:
    """Print the table, published numbers in parentheses, and its notes.

    A narrow console shows the columns that matter most; the spread over seeds is shown of MAE.
    """
    header = _header(comparison)
    left_out = [] if console.width >= WIDE else [name for name in header if name.split("/")[0].split(" (")[0] in NARROW]
    table = Table(
        title=comparison.heading,
        title_style="bold",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    kept = [place for place, column in enumerate(header) if column not in left_out]
    for column in (header[place] for place in kept):
        words = column in (header[0], header[-1])
        table.add_column(
            column, justify="left" if words else "right", no_wrap=column == header[0] and not left_out, overflow="fold"
        )
    for cells, (_, row) in zip(_cells(comparison), comparison.rows.iterrows(), strict=True):
        clock = row["model"] == CLOCK
        style = "red" if row["leaks"] else "cyan" if clock else ""
        whole = [column.startswith(("model", "MAE")) for column in header]
        shorter = [cell if keep else SPREAD.sub("", cell) for cell, keep in zip(cells, whole, strict=True)]
        table.add_row(*(Text(shorter[place]) for place in kept), style=style, end_section=clock)
    print_table(console, table, left_out, comparison.notes)


def to_markdown(comparisons: Sequence[LifeComparison]) -> str:
    """Return all tables as Markdown."""
    return as_markdown(comparisons, _header, _cells)


def _comparison(runs: Sequence[LifeMetrics], published: pd.DataFrame) -> LifeComparison:
    errors, verdicts, notes = _collected(runs)
    comparable = published[published["unit"].isin([SCALED, CYCLES])]
    paper = comparable.set_index("model").rename(columns={"mae": "mae_published"})
    rows = []
    for model, variant in _order(errors, list(paper.index)):
        ours = errors[(errors["model"] == model) & (errors["variant"] == variant)]
        tests = verdicts[(verdicts["model"] == model) & (verdicts["variant"] == variant)]
        row: dict[str, object] = {
            "model": _named(model, variant),
            "seeds": len(ours),
            "leaks": bool(tests["leaks"].any()),
            "verdict": _verdict(tests),
            "runs": len(tests),
            "better": int((tests["verdict"] == "better").sum()),
        }
        for score in [*IN_PAPER, *OURS_ONLY]:
            row[score] = ours[score].mean()
            row[f"{score}_std"] = ours[score].std(ddof=1)
            if score in IN_PAPER:
                row[f"{score}_published"] = _known(comparable, model, score)
        rows.append(row)
    table = pd.DataFrame(rows)
    first = runs[0]
    notes += list(dict.fromkeys(note for run in runs for note in run.notes if not note.startswith(CLOCK_WINS)))
    if any(len(run.seed_scores) for run in runs):
        notes.append(OF_SEEDS)
    notes += why_the_clock_wins(table[~table["leaks"]].set_index("model")["mae"], first.lives) + _reading(table)
    notes += _about_the_paper(published, first.scale, float(table.loc[table["model"] == CLOCK, "mae_scaled"].iloc[0]))
    return LifeComparison(first.dataset, first.experiment, first.title, first.unit, first.scale, table, notes)


def _collected(runs: Sequence[LifeMetrics]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the errors of each model, variant and seed, the verdict of each run, and what was strange about them."""
    errors, verdicts = [], []
    for run, variant in zip(runs, _variants(runs), strict=True):
        by_seed = run.seed_scores
        single = run.scores[~run.scores["model"].isin(by_seed["model"])] if len(by_seed) else run.scores
        tables = [single.assign(seed=run.seed), *([by_seed] if len(by_seed) else [])]
        errors += [table.assign(own=table["model"] == run.model, variant=variant) for table in tables]
        verdicts.append(run.scores.assign(seed=run.seed, own=run.scores["model"] == run.model, variant=variant))
    scores, tests = pd.concat(errors, ignore_index=True), pd.concat(verdicts, ignore_index=True)
    scores["mse_scaled"] = scores["rmse_scaled"] ** 2
    notes = _differences(runs, tests)

    same = _untouched_by_variant(scores)
    scores.loc[scores["model"].isin(same), "variant"] = ""
    tests.loc[tests["model"].isin(same), "variant"] = ""
    for (name, variety, seed), several in scores.groupby(["model", "variant", "seed"], sort=False):
        if name != CLOCK and differ(several["mae"]):
            notes.append(
                f"{_named(name, variety)} has {len(several)} runs with seed {seed} and MAE {several['mae'].min():.5g} "
                f"to {several['mae'].max():.5g}: other settings differ.  One of them is shown."
            )
    once, tested = (
        table.sort_values("own", kind="stable").drop_duplicates(["model", "variant", "seed"], keep="last")
        for table in (scores, tests)
    )
    once, tested = (_moved_by_seed(table) for table in (once, tested))
    tested = tested.assign(p_corrected=holm(tested["p_clock"]))  # each run corrected for its own table only
    return once, tested.assign(verdict=[verdict(row) for _, row in tested.iterrows()]), notes


def _named(model: object, variant: object) -> str:
    return f"{model}, {variant}" if variant else str(model)


def _variants(runs: Sequence[LifeMetrics]) -> list[str]:
    """Return what distinguishes each run by its choices; empty where all are the same.

    The model is no such choice: its label stands in the row.
    """
    groups = list(dict.fromkeys(group for run in runs for group in run.choices if group != "model"))
    varied = [group for group in groups if len({run.choices.get(group) for run in runs}) > 1]
    return [", ".join(f"{group} {run.choices.get(group, 'none')}" for group in varied) for run in runs]


def _untouched_by_variant(scores: pd.DataFrame) -> list[str]:
    """Return the models that have the same errors whatever the variant, seed by seed."""
    return [
        str(model)
        for model, own in scores.groupby("model")
        if not own.groupby("seed")["mae"].apply(differ).any() and (own["variant"].nunique() > 1 or model == CLOCK)
    ]


def _moved_by_seed(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of every model and variant that has the same error with every seed."""
    keys = ["model", "variant"]
    moved = table.groupby(keys)["mae"].transform(differ)
    return pd.concat([table[moved], table[~moved].drop_duplicates(keys)], ignore_index=True)


def _differences(runs: Sequence[LifeMetrics], tests: pd.DataFrame) -> list[str]:
    """Say what keeps runs from being compared."""
    clock = tests[tests["model"] == CLOCK]
    notes = []
    if differ(clock["n"]) or differ(clock["mae"]):
        notes.append(
            f"The runs were not judged on the same test rows ({clock['n'].min()} to {clock['n'].max()} forecasts): "
            f"their rows cannot be compared."
        )
    scales = sorted({run.scale for run in runs})
    if len(scales) > 1:
        notes.append(f"The runs scale errors by {scales[0]:g} to {scales[-1]:g} cycles: compare them in cycles.")
    return notes


def _order(errors: pd.DataFrame, published: list[str]) -> list[tuple[str, str]]:
    """Return models and variants: the clock, what was published, what was not; the best first."""
    ours = errors.groupby(["model", "variant"])["mae"].mean().sort_values(na_position="last").index
    rows = [(str(model), str(variant)) for model, variant in ours]
    order = []
    for model in dict.fromkeys([CLOCK, *published, *(model for model, _ in rows)]):
        order += [row for row in rows if row[0] == model] or [(model, "")]
    return order


def _known(published: pd.DataFrame, model: str, score: str) -> float:
    """Return a published number, if it is in the unit of the score."""
    rows = published[(published["model"] == model) & (published["unit"] == IN_PAPER[score])]
    return float(rows[score.removesuffix("_scaled")].iloc[0]) if len(rows) else np.nan


def _verdict(tests: pd.DataFrame) -> str:
    """Return one text for all runs of a row."""
    if tests.empty:
        return "not run"
    if tests["leaks"].any():
        return LEAKS
    counts = tests["verdict"].map(VERDICTS | {"untested": "not tested"}).value_counts()
    return str(counts.index[0]) if len(counts) == 1 else ", ".join(f"{word} {n}x" for word, n in counts.items())


def _reading(rows: pd.DataFrame) -> list[str]:
    """Say what the clock makes of the table."""
    others = rows[rows["model"] != CLOCK]
    honest = others[~others["leaks"] & others["mae"].notna()]
    if honest.empty:
        return []
    proven = int((honest["better"] == honest["runs"]).sum())
    return [
        f"{proven or 'None'} of {len(honest)} rows that do not use the future "
        f"{'is' if proven < 2 else 'are'} significantly better than the clock."
    ]


def _about_the_paper(published: pd.DataFrame, scale: float, clock: float) -> list[str]:
    """Say what must be known to read the published numbers; ``clock`` is the clock's MAE over ``scale``."""
    if published.empty:
        return []
    scaled = published[published["unit"] == SCALED]
    above = int((scaled["mae"] > clock).sum())
    sentences = [
        PUBLISHED_LEAK,
        f"{above} of {len(scaled)} published MAEs on the [0, 1] scale are above the clock's, {clock:.4f}.",
    ]
    in_cycles = published.loc[published["unit"] == CYCLES, "mae"].dropna()
    if len(in_cycles):
        best = scaled["mae"].min()
        sentences.append(
            f"The paper sets its MAE of {best:.4f}, a fraction of the longest life, beside {in_cycles.min():.4f} to "
            f"{in_cycles.max():.4f} cycles of others; in cycles its own is {best * scale:.1f}."
        )
    for _, row in scaled.iterrows():
        square = row["rmse"] ** 2
        if max(row["mse"] / square, square / row["mse"]) > MISPRINT:
            sentences.append(
                f"The published MSE of {row['model']}, {row['mse']:.4f}, is not the square of its RMSE, {square:.4f}: "
                f"a misprint."
            )
    unknown = published[~published["unit"].isin([SCALED, CYCLES])]
    if len(unknown):
        listed = ", ".join(f"{row['model']} {row['rmse']:g}" for _, row in unknown.iterrows())
        sentences.append(f"RMSEs the paper quotes without a unit stand beside none of ours: {listed}.")
    return sentences


def _header(comparison: LifeComparison) -> list[str]:
    scale = f"/{comparison.scale:g}"
    names = {
        "mae": "MAE",
        "mae_scaled": f"MAE{scale}",
        "rmse_scaled": f"RMSE{scale}",
        "mse_scaled": f"MSE{scale}²",
        "r2": "R²",
    }
    known = comparison.rows
    columns = [name + (PAPER if known[f"{score}_published"].notna().any() else "") for score, name in names.items()]
    return ["model", *columns, "±15 %", "end of life", "against the clock"]


def _cells(comparison: LifeComparison) -> list[list[str]]:
    digits = min(decimals_for(float(comparison.rows["mae"].median())), 2)
    decimals = {"mae": digits, "mse_scaled": 5, "accuracy_15": 1, "eol_mae": 1}
    body = []
    for _, row in comparison.rows.iterrows():
        seeds = f" ({row['seeds']} seeds)" if row["seeds"] > 1 else ""
        cells = [f"{row['model']}{seeds}"]
        for score in [*IN_PAPER, *OURS_ONLY]:
            percent, places = score == "accuracy_15", decimals.get(score, 4)
            cell = shown(row[score], places, percent=percent)
            if np.isfinite(row[f"{score}_std"]):
                cell += f"±{shown(row[f'{score}_std'], places, percent)}"
            known = row.get(f"{score}_published", np.nan)
            if np.isfinite(known):
                cell += f" ({known:.4g})"
            cells.append(cell)
        body.append([*cells, row["verdict"]])
    return body
