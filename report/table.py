"""One table of results, shown on a console, in Markdown, as CSV and in HTML.

What a column is called, its decimals and which end is good come from ``evaluation.scores`` alone: a metric that is
added there has a column everywhere.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from data.contracts import TOTAL, Kind
from evaluation.inference.significance import word
from evaluation.rows import Question
from evaluation.scores import NEITHER, Best, Score, scores_of
from report.run_folder import Metrics, RunFolder
from report.text import LEAKS, MISSING, VERDICTS, called, decimals_for, in_markdown, literal, p_value, shown, worded
from runtime.files import write_text

IN_SET = "●"  # of a model that cannot be told from the best
NO_METRIC = re.compile(r"^(n|p|seed|difference)(_|$)|_(low|high|std)$")  # numbers that explain others
START = "start"
BY = {"step": "steps ahead", "third": "third of life"}
NAMED = {"step": "step {}"}  # a group as a heading; others are called by their value
NOTHING = pd.Series(dtype=np.float64)
COLOURS = {"causal": "green", "LEAKS": "red"}  # of the verdict of the audit


class Column(NamedTuple):
    """A column: its title, whether it holds numbers, what it is in a sentence, and whether it is spared first."""

    title: str
    numeric: bool = True
    hint: str = ""
    minor: bool = False


class Cell(NamedTuple):
    """A cell: its text, what a narrow console leaves out of it, what it is sorted by, and whether it is the best."""

    text: str
    beside: str = ""
    value: float | None = None
    best: bool = False

    @property
    def whole(self) -> str:
        """All of its text."""
        return f"{self.text} {self.beside}" if self.beside else self.text


class Row(NamedTuple):
    """A row: ``kind`` is "leaks", "own" or nothing; rows set apart stay on top."""

    cells: list[Cell]
    kind: str = ""
    apart: bool = False


class Table(NamedTuple):
    """A table and what it says of itself."""

    caption: str
    columns: list[Column]
    rows: list[Row]


class Measure(NamedTuple):
    """How the numbers of one score are shown in one table."""

    score: Score
    title: str
    decimals: int

    def text(self, value: float | None) -> str:
        """Return a number of this score as a table shows it."""
        return shown(value, self.decimals, self.score.percent)


def print_table(console: Console, metrics: Metrics) -> None:
    """Print the verdict of the audit, the table and, below it, what must be known to read it."""
    if metrics.audit is not None:
        colour = COLOURS.get(str(metrics.audit.get("verdict")).partition(" ")[0], "yellow")
        console.print(Text(literal(metrics.audit.get("sentence", "")), style=f"bold {colour}"))
    print_rows(console, score_table(metrics))
    if (later := start_table(metrics)) is not None:
        print_rows(console, later)
    print_notes(console, metrics.notes)
    for sentence in metrics.tests:
        console.print(Text(literal(sentence)))


def write_tables(folder: Path) -> None:
    """Write table.md and table.csv of a run folder.

    Raises
    ------
    FolderError
        If its metrics cannot be read.
    """
    metrics = RunFolder(folder).metrics
    write_text(folder / "table.md", to_markdown(metrics))
    write_text(folder / "table.csv", to_csv(metrics))


def to_markdown(metrics: Metrics) -> str:
    """Return verdict, table, notes and the tables of steps, thirds of life, cells and seeds as Markdown."""
    table = score_table(metrics)
    verdict = [f"**{in_markdown(metrics.audit.get('sentence', ''))}**", ""] if metrics.audit is not None else []
    lines = [*verdict, f"**{in_markdown(table.caption)}**", "", *markdown(table)]
    if metrics.notes or metrics.tests:
        lines += ["", *(f"> {in_markdown(note)}  " for note in [*metrics.notes, *metrics.tests])]
    for further in group_tables(metrics):
        lines += ["", in_markdown(further.caption), "", *markdown(further)]
    return "\n".join(lines) + "\n"


def to_csv(metrics: Metrics) -> str:
    """Return every column of the scores, unrounded, as CSV with what run they are of."""
    table = metrics.scores.copy()
    for place, key in enumerate(["experiment", "dataset", "seed"]):
        table.insert(place, key, getattr(metrics, key))
    return table.to_csv(index=False, lineterminator="\n")


def score_table(metrics: Metrics, caption: str | None = None) -> Table:
    """Return a row a model: the reference apart and first, leaking rows marked, the best honest numbers marked."""
    scores = reference_first(metrics.scores, metrics.reference)
    kept = measures(metrics, scores)
    seeds = metrics.groups.get("seed")
    spread = {} if seeds is None else seeds.groupby("model")["mae"].agg(["mean", "std", "size"]).to_dict("index")
    columns = [Column("model", numeric=False)]
    for measure in kept:
        columns.append(Column(measure.title, hint=measure.score.hint))
        if measure.score.name == "mae" and spread:
            columns.append(
                Column("one seed's MAE", hint="mean ± standard deviation over seeds, each by itself", minor=True)
            )
    further = unknown(metrics.question.kind, scores)
    columns += [Column(worded(name), hint="a number this version of the program does not know") for name in further]
    against = f"against {called(metrics.reference)}"
    hint = "test of the difference in loss, p-values corrected over the table"
    if "in_mcs" in scores and scores["in_mcs"].any():
        hint += f"; {IN_SET}: in the model confidence set, not told apart from the best"
    columns.append(Column(against, numeric=False, hint=hint))
    beside = bool(metrics.simple) and "p_simple" in scores
    if beside:
        said = "the same test against the best simple baseline: of those without a network, chosen on validation rows"
        columns.append(Column(f"against {metrics.simple}", numeric=False, hint=said))
    honest = scores[~scores["leaks"] & (scores["n"] == scores["n"].max())] if {"leaks", "n"} <= set(scores) else scores
    best = {m.score.name: honest["model"][winners(honest[m.score.name], m.score.best)].tolist() for m in kept}
    rows = []
    for _, row in scores.iterrows():
        cells = [Cell(str(row["model"]), _of_what(row, scores))]
        for measure in kept:
            name = measure.score.name
            cells.append(_number(measure, row, best=row["model"] in best[name]))
            if name == "mae" and spread:
                cells.append(Cell(_one_seed(spread.get(row["model"]), measure)))
        cells += [Cell(_plain(row[name]), value=_finite(row[name])) for name in further]
        cells.append(Cell(told(row) + (f" {IN_SET}" if row.get("in_mcs", False) else "")))
        if beside:
            cells.append(Cell(told_of_simple(row, metrics.simple)))
        rows.append(Row(cells, kind_of(row, metrics.model), apart=row["model"] == metrics.reference))
    return Table(caption if caption is not None else _title(metrics), columns, rows)


def group_tables(metrics: Metrics) -> list[Table]:
    """Return tables of what the run keeps by step, third of life, cell and seed."""
    tables = []
    for group, table in metrics.groups.items():
        if group == "unique_id":
            tables.append(_by_cell(metrics, table))
        elif group == "seed":
            tables.append(_by_seed(metrics, table))
        elif group == START:
            tables += [later] if (later := start_table(metrics)) is not None else []
        elif group in table and "mae" in table:
            tables.append(_by_group(metrics, table, group))
    return [table for table in tables if table.rows]


def start_table(metrics: Metrics) -> Table | None:
    """Return the MAE of every model by how much of the beginning of the cells is hidden: a row a beginning."""
    found = metrics.groups.get(START)
    if found is None or "mae" not in found:
        return None
    digits = digits_of(metrics.question, metrics.reference, metrics.scores)
    ordered = reference_first(metrics.scores, metrics.reference)
    known = set(found["model"])
    models = [str(model) for model in ordered["model"] if model in known]
    errors = found.drop_duplicates(["model", START]).set_index([START, "model"])["mae"]
    rows = []
    for start, part in found.groupby(START):
        cells = [errors.get((start, model), math.nan) for model in models]
        best = min((error for error in cells if np.isfinite(error)), default=math.nan)
        numbers = [Cell(shown(error, digits), value=_finite(error), best=error == best) for error in cells]
        name = "from the first cycle on" if start == 0 else f"{start:g} cycles hidden"
        n_cells = int(part["n_cells"].max()) if "n_cells" in part else 0
        rows.append(Row([Cell(name), *numbers, Cell(str(n_cells), value=n_cells)]))
    columns = [Column("beginning", numeric=False), *(Column(model) for model in models), Column("cells", minor=True)]
    return Table(f"MAE in {metrics.unit} where the beginning of a record is hidden", columns, rows)


def plain_table(caption: str, frame: pd.DataFrame, titles: dict[str, str]) -> Table:
    """Return a DataFrame as a table: ``titles`` names columns and their order; a column has the same decimals."""
    kept = [name for name in titles if name in frame]
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool for name in kept}
    places = {name: _decimals(frame[name]) for name in kept if numeric[name]}
    rows = [
        Row([
            Cell(shown(row[name], places[name]), value=_finite(row[name])) if numeric[name] else Cell(_word(row[name]))
            for name in kept
        ])
        for _, row in frame.iterrows()
    ]  # fmt: skip
    return Table(caption, [Column(titles[name], bool(numeric[name])) for name in kept], rows)


def print_rows(console: Console, table: Table) -> None:
    """Print a table; a narrow console leaves out what stands beside a number, then columns, the last ones first."""
    kept = list(range(len(table.columns)))
    narrow = _width(table, kept, narrow=False) > console.width
    droppable = sorted(
        (place for place in kept[2:] if table.columns[place].numeric),
        key=lambda place: (table.columns[place].minor, place),
    )
    while narrow and droppable and _width(table, kept, narrow=True) > console.width:
        kept.remove(droppable.pop())
    left_out = [column.title for place, column in enumerate(table.columns) if place not in kept]
    fits = _width(table, kept, narrow) <= console.width
    drawn = RichTable(
        title=Text(literal(table.caption), "bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 0 if narrow else 1, 0, 0),
    )
    for place in kept:
        column = table.columns[place]
        title = literal(column.title)
        drawn.add_column(
            Text(title.replace(" ", "\n") if narrow else title),
            justify="right" if column.numeric else "left",
            no_wrap=fits and place == 0,
            overflow="fold",
        )
    for row in table.rows:
        style = "red" if row.kind == "leaks" else "cyan" if row.apart else ""
        texts = []
        for cell in (row.cells[place] for place in kept):
            told = cell.text if narrow and cell is not row.cells[0] else cell.whole
            texts.append(Text(literal(told), "bold" if cell.best else ""))
        drawn.add_row(*texts, style=style, end_section=row.apart)
    console.print(drawn)
    if left_out:
        console.print(f"A wider console shows {', '.join(left_out)}.", style="dim", highlight=False, markup=False)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print what must be known to read a table."""
    for note in notes:
        console.print(Text.assemble(("! ", "red"), literal(note)))


def markdown(table: Table) -> list[str]:
    """Return the lines of a Markdown table, words left and numbers right aligned, the best numbers bold."""
    body = [
        [f"**{in_markdown(cell.whole)}**" if cell.best else in_markdown(cell.whole) for cell in row.cells]
        for row in table.rows
    ]
    header = [in_markdown(column.title) for column in table.columns]
    rule = ["--:" if column.numeric else ":--" for column in table.columns]
    return ["| " + " | ".join(row) + " |" for row in [header, rule, *body]]


def measures(metrics: Metrics, scores: pd.DataFrame) -> list[Measure]:
    """Return how each score is shown that has a column, as far as a model has a number of it."""
    digits = digits_of(metrics.question, metrics.reference, scores)
    known = [
        score
        for score in scores_of(metrics.question.kind)
        if score.column and scores.get(score.name, NOTHING).notna().any()
    ]
    return [measure_of(score, digits, metrics.longest_rul) for score in known]


def measure_of(score: Score, digits: int, longest: float) -> Measure:
    """Return how a score is shown beside errors of so many digits; fractions of the longest life say so."""
    title = score.title.replace(" scaled", f"/{longest:g}") if math.isfinite(longest) else score.title
    return Measure(score, title, digits if score.decimals is None else score.decimals)


def digits_of(question: Question, reference: str, scores: pd.DataFrame) -> int:
    """Return the decimals that show four digits of the reference's MAE; no more than the target asks for."""
    known = scores.loc[scores["mae"] > 0].set_index("model")["mae"]
    digits = decimals_for(float(known[reference] if reference in known else known.min()))
    return digits if question.decimals is None else min(digits, question.decimals)


def unknown(kind: Kind, scores: pd.DataFrame) -> list[str]:
    """Return the columns of numbers that no score of this version is called after."""
    known = {score.name for score in scores_of(kind)}
    numbers = [str(name) for name in scores.select_dtypes("number").columns]
    return [name for name in numbers if name not in known and not NO_METRIC.search(name) and scores[name].notna().any()]


def reference_first(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the rows with that of the reference on top."""
    return scores.sort_values("model", key=lambda model: model != reference, kind="stable")


def kind_of(row: "pd.Series[Any]", own: str) -> str:
    """Return what marks a row: that it leaks, or is the run's own."""
    return "leaks" if row.get("leaks", False) else "own" if row["model"] == own else ""


def told(row: "pd.Series[Any]") -> str:
    """Say how a row compares with the reference; numbers that use the future do not compare."""
    if row.get("leaks", False):
        return LEAKS
    verdict = str(row.get("verdict", "untested"))
    p = row.get("p_corrected", math.nan)
    if verdict == "reference":
        return VERDICTS[verdict]
    return f"{VERDICTS.get(verdict, verdict)} ({p_value(p)})" if np.isfinite(p) else VERDICTS["untested"]


def told_of_simple(row: "pd.Series[Any]", simple: str) -> str:
    """Say how a row compares with the best simple baseline."""
    if row.get("leaks", False):
        return LEAKS
    if row["model"] == simple:
        return VERDICTS["reference"]
    p, difference = row["p_simple"], row["difference_simple"]
    return f"{VERDICTS[word(difference, p)]} ({p_value(p)})" if np.isfinite(p) else VERDICTS["untested"]


def winners(values: "pd.Series[float]", best: Best) -> "pd.Series[bool]":
    """Say which of some numbers are at the good end; none where there is no such end."""
    if best == NEITHER or values.isna().all():
        return pd.Series(False, index=values.index)
    ranked = {"lowest": values, "highest": -values, "zero": values.abs()}[best]
    return ranked == ranked.min()


def _title(metrics: Metrics) -> str:
    scores, seeds = metrics.scores, sorted(set(metrics.seeds))
    run = f"{metrics.experiment}, {f'seed {metrics.seed}' if len(seeds) < 2 else f'mean of {len(seeds)} seeds'}"
    n = int(scores["n"].max()) if "n" in scores else 0
    noun, cells = metrics.question.noun, f"{int(scores['n_cells'].max())} test cells" if "n_cells" in scores else ""
    what = (
        f"{noun} of {cells}" if metrics.question.kind == TOTAL else f"{noun} at {n} cycles of {cells}" if cells else ""
    )
    return f"{metrics.title}: {what or f'{n} test forecasts'}, errors in {metrics.unit} ({run})"


def _of_what(row: "pd.Series[Any]", scores: pd.DataFrame) -> str:
    """Say of how many seeds a row is the mean, and where it is not of all cells."""
    told = [f"{int(row['n_seeds'])} seeds"] if row.get("n_seeds", 1) > 1 else []
    if "n_cells" in scores and row["n_cells"] < (most := scores["n_cells"].max()):
        told.append(f"{int(row['n_cells'])} of {int(most)} cells")
    return f"({', '.join(told)})" if told else ""


def _number(measure: Measure, row: "pd.Series[Any]", best: bool) -> Cell:
    """Return a score of a row; its interval or its bias, where they are scores too, stand beside it."""
    name = measure.score.name
    low, high, bias = (row.get(column, math.nan) for column in (f"{name}_low", f"{name}_high", _bias_of(name)))
    beside = ""
    if measure.score.percent and np.isfinite(low) and np.isfinite(high):
        beside = f"({shown(low, 0, percent=True)}-{shown(high, 0, percent=True)})"
    elif np.isfinite(bias):
        beside = f"({'+' if bias >= 0 else ''}{measure.text(bias)})"
    return Cell(measure.text(row[name]), beside, _finite(row[name]), best)


def _bias_of(name: str) -> str:
    """Return what the signed score is called that stands beside a mean absolute error of a part, such as the end."""
    return f"{name.removesuffix('_mae')}_bias" if name.endswith("_mae") else ""


def _one_seed(found: Mapping[Any, Any] | None, measure: Measure) -> str:
    return f"{measure.text(found['mean'])}±{measure.text(found['std'])}" if found and found["size"] > 1 else MISSING


def _by_group(metrics: Metrics, table: pd.DataFrame, group: str) -> Table:
    """Return the MAE of every model in every group: a column a group."""
    digits = digits_of(metrics.question, metrics.reference, metrics.scores)
    groups = list(table[group].drop_duplicates())
    errors = table.drop_duplicates(["model", group]).set_index(["model", group])["mae"]
    models = reference_first(metrics.scores, metrics.reference)
    rows = []
    for _, row in models.iterrows():
        found = [errors.get((row["model"], name), math.nan) for name in groups]
        cells = [Cell(shown(value, digits), value=_finite(value)) for value in found]
        apart = row["model"] == metrics.reference
        rows.append(Row([Cell(str(row["model"])), *cells], kind_of(row, metrics.model), apart))
    columns = [Column("model", numeric=False), *(Column(NAMED.get(group, "{}").format(name)) for name in groups)]
    return Table(f"MAE in {metrics.unit} by {BY.get(group, group)}", columns, rows)


def _by_cell(metrics: Metrics, table: pd.DataFrame) -> Table:
    """Return the scores of the run's model cell by cell, beside the error of the reference."""
    own = table[table["model"] == metrics.model]
    beside = table[table["model"] == metrics.reference].drop_duplicates("unique_id").set_index("unique_id")["mae"]
    digits = digits_of(metrics.question, metrics.reference, metrics.scores)
    kept = [
        measure_of(score, digits, metrics.longest_rul)
        for score in scores_of(metrics.question.kind)
        if (score.column or score.name == "bias") and not score.whole and own.get(score.name, NOTHING).notna().any()
    ]
    columns = [Column("cell", numeric=False), Column("life"), *(Column(m.title, hint=m.score.hint) for m in kept)]
    ends = bool({"eol", "eol_bias"} & set(own))
    columns += [Column("end forecast", hint="age at which the end of life is forecast")] if ends else []
    columns += [Column(f"MAE of {called(metrics.reference)}")]
    rows = []
    for _, row in own.iterrows():
        cell, life = row["unique_id"], row.get("life", metrics.lives.get(row["unique_id"], math.nan))
        end = row.get("eol", life + row.get("eol_bias", math.nan))
        numbers = [Cell(m.text(row[m.score.name]), value=_finite(row[m.score.name])) for m in kept]
        told = [Cell(shown(end, 1), "(never seen)" if row.get("eol_seen", 1.0) == 0 else "", _finite(end))] * ends
        error = beside.get(cell, math.nan)
        first = [Cell(cell), Cell(_plain(life), value=_finite(life))]
        rows.append(Row([*first, *numbers, *told, Cell(shown(error, digits), value=_finite(error))]))
    return Table(f"{metrics.model} by cell, in {metrics.unit}", columns, rows)


def _by_seed(metrics: Metrics, table: pd.DataFrame) -> Table:
    """Return how far the MAE of single trainings spreads."""
    spread = table.groupby("model", sort=False)["mae"].agg(["size", "mean", "std", "min", "max"]).reset_index()
    titles = {"model": "model", "size": "seeds", "mean": "mean", "std": "spread", "min": "lowest", "max": "highest"}
    caption = f"MAE in {metrics.unit} of each seed by itself; the table of models scores their mean forecast"
    return plain_table(caption, spread[spread["size"] > 1], titles)


def _width(table: Table, kept: Sequence[int], narrow: bool) -> int:
    """Return how many letters of a console the kept columns take."""
    total = (1 if narrow else 2) * len(kept)
    for place in kept:
        title = literal(table.columns[place].title)
        words = title.split(" ") if narrow else [title]
        texts = [row.cells[place].text if narrow and place else row.cells[place].whole for row in table.rows]
        total += max(map(cell_len, [*words, *map(literal, texts)]))
    return total


def _decimals(column: "pd.Series[Any]") -> int:
    """Return the decimals that show four digits of the largest number of a column; none of whole numbers."""
    known = column.to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    whole = not known.size or bool((known == known.round()).all())
    return 0 if whole else min(6, decimals_for(float(np.abs(known).max())))


def _word(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    return {True: "yes", False: "no"}[bool(value)] if isinstance(value, (bool, np.bool_)) else str(value)


def _plain(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else MISSING


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
