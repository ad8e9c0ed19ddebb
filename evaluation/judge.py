"""Evaluate a Forecasts table: scores by model, step, cell, third of life and seed, tests, coverage, and notes."""

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import CELLS, REMAINING, SERIES, TOTAL, Kind
from evaluation.inference import by_cell, diebold_mariano
from evaluation.inference.bootstrap import metric_intervals
from evaluation.inference.direction import direction
from evaluation.inference.model_confidence_set import model_confidence_set, superior_predictive_ability
from evaluation.intervals.scores import coverage, years
from evaluation.rows import TARGET, THIRDS, Facts, Question, date, enriched, named, where
from evaluation.scores import Score, aggregate, meaningful, scores_of

REFERENCE_WINS = "No model errs less than the "  # begin of a sentence that holds for one table only
DIRECTION, MAPE, START = "direction", "mape", "start"
ALIKE = 0.05  # standard deviation of lives over their mean
IF_ALIKE = {
    REMAINING: "so the age alone tells the remaining life, and sensors can only tell the age.",
    TOTAL: "so there is little left that the inputs could tell.",
}
IF_APART = {
    REMAINING: "and still the inputs tell less than the age does.",
    TOTAL: "and still the inputs tell less than the mean does.",
}


class Evaluation(NamedTuple):
    """What can be said of a Forecasts table."""

    scores: pd.DataFrame
    """A row a model, in the order of first appearance: every score of the target, ``n`` (and ``n_cells``), what the
    test against the reference says (``difference``, ``p_reference``, ``p_corrected``, ``verdict``; cells:
    ``difference_low`` and ``difference_high``), ``n_seeds`` and ``leaks`` (bool).  Series only: ``difference_simple``
    and ``p_simple`` against the best simple baseline, where one is named; the ends of 95 % bootstrap intervals,
    ``mae_low`` and so on; ``p_mcs`` and ``in_mcs`` of the model confidence set; ``p_direction`` of Pesaran and
    Timmermann."""
    groups: dict[str, pd.DataFrame]
    """A row a model and group, all scores that make sense there: ``step`` (of several); ``unique_id`` (cells, with
    their ``life`` and, of a remaining life, the forecast end ``eol``); ``third`` (of a remaining life: early, middle,
    late); ``seed`` (of several); ``start`` (cycles that are hidden from the beginning of a cell, with ``n_cells``)."""
    coverage: pd.DataFrame | None
    """As ``intervals.scores.coverage`` returns it, by year or third of life; None without intervals."""
    pairwise: pd.DataFrame | None
    """As ``diebold_mariano.pairwise`` returns it; None for cells."""
    notes: list[str]
    """Sentences to print under every table and figure of these numbers."""
    tests: list[str]
    """What tests over the whole table say, a sentence each; of no use beside other tables."""


def judge(
    forecasts: pd.DataFrame,
    facts: Facts,
    leaking: Mapping[str, str],
    by_seed: pd.DataFrame | None = None,
    seed: int = 0,
    simple: str = "",
    later: pd.DataFrame | None = None,
) -> Evaluation:
    """Score every model, test it against the reference and mark those that use the future.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table (see ``evaluation.rows``), the mean over seeds, maybe with intervals.
    facts : Facts
        What must be known beside it.
    leaking : mapping
        For the label of each model that leaks, one sentence that says how.
    by_seed : DataFrame or None
        The forecasts of every training by itself, with a column ``seed``.
    seed : int
        Of the resamples.
    simple : str
        Label of the best simple baseline, against which every model is tested as well; empty: none.
    later : DataFrame or None
        Forecasts of the same cells as if their record began later, with the number of hidden cycles in ``start``.

    Raises
    ------
    ForecastsError
        If it is no Forecasts table, or the reference does not cover it.  A metric that is undefined is NaN and
        a note, never an error.
    """
    kind = facts.question.kind
    rows, scores = enriched(forecasts, facts), meaningful(scores_of(kind), facts.unscored)
    table = aggregate(rows, scores, ["model"])
    table["leaks"] = table["model"].isin(list(leaking))
    groups = _groups(rows, scores, kind)
    seeds = None if by_seed is None else _by_seed(enriched(by_seed, facts), scores, facts.reference)
    if seeds is not None:
        groups["seed"] = seeds
    if later is not None and not later.empty:
        groups[START] = _by_start(forecasts, later, facts, scores)
    n_seeds = {} if seeds is None else seeds["model"].value_counts().to_dict()
    table["n_seeds"] = table["model"].map(n_seeds).fillna(1).astype(np.int64)
    notes = [*_leak_notes(table, leaking), *facts.notes, *_remarks(rows, table, facts)]
    notes += _undefined(rows, table, scores, facts)
    pairs = diebold_mariano.pairwise(rows) if kind == SERIES else None
    tested = _by_cells(rows, table, facts, seed) if kind in CELLS else _in_time(rows, table, scores, facts)
    if pairs is not None and simple:
        against = diebold_mariano.against(pairs, simple)
        tested = tested._replace(scores=tested.scores.merge(against, on="model", how="left", validate="one_to_one"))
    part = rows["third"].map(dict(enumerate(THIRDS))) if kind == REMAINING else years(rows)
    return Evaluation(tested.scores, groups, coverage(rows, part), pairs, notes, tested.sentences)


def leak_note(model: str, sentence: str) -> str:
    """Say in one sentence that a model's numbers cannot be had in practice, and why."""
    return f"{model} USES THE FUTURE: {sentence.rstrip('.')}, so its numbers cannot be had in practice."


def why_the_reference_wins(
    mae: "pd.Series[float]", reference: str, question: Question, lives: Mapping[str, float]
) -> list[str]:
    """Return the sentence that says what it means that no honest model errs less than the reference does on cells.

    Parameters
    ----------
    mae : Series
        Error of each model that does not leak, by its label.
    reference : str
        Label of the reference.
    question : Question
        What is forecast.
    lives : mapping
        As of ``Facts``.

    Returns
    -------
    list of str
        Empty where a model errs less, or where there is nothing to compare the reference with.
    """
    honest = mae.dropna()
    if reference not in honest or len(honest) < 2 or honest.min() < honest[reference]:
        return []
    known = np.array(list(lives.values()), dtype=np.float64)
    begin = f"{REFERENCE_WINS}{reference.lower()}, {question.reference}: "
    if known.size < 2:
        return [f"{begin}with one cell there is no spread of lives that it could miss."]
    spread = float(known.std(ddof=1) / known.mean())
    told = (
        f"the {known.size} cells live {known.min():.0f} to {known.max():.0f} cycles, a standard deviation of "
        f"{100 * spread:.1f} % of their mean, "
    )
    if spread < ALIKE:
        return [f"{begin}{told}{IF_ALIKE[question.kind]}"]
    return [f"{begin}{told}{IF_APART[question.kind]}"]


class _Tested(NamedTuple):
    """A table with the columns of its tests, and what tests over the whole of it say."""

    scores: pd.DataFrame
    sentences: list[str]


def _in_time(rows: pd.DataFrame, table: pd.DataFrame, scores: Sequence[Score], facts: Facts) -> _Tested:
    """Test models whose errors come in time order."""
    leaking = list(table.loc[table["leaks"], "model"])
    against = diebold_mariano.against_reference(rows, facts.reference)
    members = model_confidence_set(rows, leaking).rename(columns={"in_set": "in_mcs"})
    found = metric_intervals(rows, [score for score in scores if score.bounded], "time")
    by_metric = {str(metric): own.set_index("model") for metric, own in found.groupby("metric", sort=False)}
    ends = {f"{metric}_{end}": own[end] for metric, own in by_metric.items() for end in ("low", "high")}
    others = [against, members, pd.DataFrame(ends).rename_axis("model").reset_index()]
    if DIRECTION not in facts.unscored:
        p = direction(rows).groupby("model", sort=False)["p_corrected"].max().rename("p_direction")
        others.append(p.reset_index())
    for other in others:
        table = table.merge(other, on="model", how="left", validate="one_to_one")
    best = superior_predictive_ability(rows, facts.reference, leaking)
    alone = set(table.loc[table["verdict"] == "better", "model"])
    return _Tested(table, _of_the_set(table) + _of_spa(best, facts.reference, alone))


def _by_cells(rows: pd.DataFrame, table: pd.DataFrame, facts: Facts, seed: int) -> _Tested:
    """Test models whose errors come cell by cell."""
    n_cells = table["model"].map(rows.groupby("model")["unique_id"].nunique())
    table.insert(list(table).index("n") + 1, "n_cells", n_cells)
    table = table.merge(by_cell.against_reference(rows, facts.reference, seed), on="model", validate="one_to_one")
    honest = table[~table["leaks"] & (table["n"] == table["n"].max())].set_index("model")["mae"]
    return _Tested(table, why_the_reference_wins(honest, facts.reference, facts.question, facts.lives))


def _groups(rows: pd.DataFrame, scores: Sequence[Score], kind: Kind) -> dict[str, pd.DataFrame]:
    if kind == SERIES:
        return {"step": aggregate(rows, scores, ["model", "step"])} if rows["step"].nunique() > 1 else {}
    cells = aggregate(rows, scores, ["model", "unique_id"])
    life = cells["unique_id"].map(rows.drop_duplicates("unique_id").set_index("unique_id")["life"])
    if kind != REMAINING:
        return {"unique_id": cells.assign(life=life)}
    cells = cells.assign(life=life, eol=life + cells["eol_bias"])
    thirds = aggregate(rows, [score for score in scores if not score.whole], ["model", "third"])
    return {"unique_id": cells, "third": thirds.assign(third=thirds["third"].map(dict(enumerate(THIRDS))))}


def _by_start(forecasts: pd.DataFrame, later: pd.DataFrame, facts: Facts, scores: Sequence[Score]) -> pd.DataFrame:
    """Score every model by how many cycles of the beginning of the cells were hidden, none of them first."""
    kept = [score for score in scores if not score.whole]
    tables = []
    for start, rows in [(0, forecasts), *later.groupby(START)]:
        table = aggregate(enriched(rows, facts), kept, ["model"])
        n_cells = table["model"].map(rows.groupby("model")["unique_id"].nunique())
        tables.append(table.assign(**{START: start, "n_cells": n_cells}))
    return pd.concat(tables, ignore_index=True)


def _by_seed(rows: pd.DataFrame, scores: Sequence[Score], reference: str) -> pd.DataFrame | None:
    """Score every training by itself of the models that were trained with several seeds; None where none was."""
    rows = rows[(rows.groupby("model")["seed"].transform("nunique") > 1) & (rows["model"] != reference)]
    return None if rows.empty else aggregate(rows, scores, ["model", "seed"])


def _leak_notes(table: pd.DataFrame, leaking: Mapping[str, str]) -> list[str]:
    """Return one sentence for all models that leak in the same way."""
    models = [str(model) for model in table.loc[table["leaks"], "model"]]
    notes = []
    for sentence in dict.fromkeys(leaking[model] for model in models):
        same = [model for model in models if leaking[model] == sentence]
        notes.append(leak_note("Every row" if len(same) == len(table) else " and ".join(same), sentence))
    return notes


def _remarks(rows: pd.DataFrame, table: pd.DataFrame, facts: Facts) -> list[str]:
    """Return a sentence for every row that is not scored, or scored on fewer rows, and other warnings."""
    sentences, kind = [], facts.question.kind
    for model, bad in rows[~np.isfinite(rows["y_hat"])].groupby("model", sort=False):
        first = where(bad) if kind in CELLS else date(bad["ds"].iloc[0])
        sentences.append(f"{model} is not scored: {len(bad)} of its forecasts are not finite, the first for {first}.")
    n_rows, n_cells = int(table["n"].max()), rows["unique_id"].nunique()
    for model, n in zip(table["model"], table["n"], strict=True):
        if n < n_rows:
            own = rows.loc[rows["model"] == model, "unique_id"].nunique()
            cells = f", in {own} of {n_cells} cells" if kind in CELLS else ""
            name = facts.reference.lower() if kind in CELLS else "reference"
            sentences.append(
                f"{model} forecasts {n} of {n_rows} rows{cells}, and is scored on these alone: its row is not "
                f"comparable, its test against the {name} is."
            )
    zeros = int((rows.drop_duplicates(TARGET)["y"] == 0).sum())
    if kind == SERIES:
        if zeros and MAPE not in facts.unscored:
            sentences.append(f"MAPE is undefined: the truth is 0 in {zeros} rows.")
        if rows["step"].max() > 1 and DIRECTION not in facts.unscored:
            sentences.append("Directions of overlapping horizons are not independent: their intervals are too narrow.")
        return sentences
    if zeros and kind == REMAINING:
        sentences.append(f"MAPE leaves out {zeros} rows in which no life is left.")
    if n_cells < by_cell.FEWEST:
        sentences.append(f"Nothing is tested: {n_cells} cells are too few cells to test, {by_cell.FEWEST} are needed.")
    if kind == REMAINING and (table["eol_seen"] < 1).any():
        sentences.append(
            "Where a model never forecasts less than half a cycle, its end of life is read from its last forecast."
        )
    return sentences


def _undefined(rows: pd.DataFrame, table: pd.DataFrame, scores: Sequence[Score], facts: Facts) -> list[str]:
    """Return a sentence for every score that a model with finite forecasts does not have."""
    sentences = []
    scored = table[table["mae"].notna()]
    for score in scores:
        missing = scored.loc[scored[score.name].isna(), "model"]
        if score.undefined and len(missing):
            of = "" if len(missing) == len(scored) else f" of {named(list(missing))}"
            sentences.append(f"{score.title.removesuffix(' %')} is undefined{of}: {score.undefined}.")
    if facts.question.kind == SERIES and (without := rows.loc[rows["naive_error"].isna(), "unique_id"].unique()).size:
        sentences.append(
            f"MASE is undefined: it needs two different training values of every series, and "
            f"{named(sorted(map(str, without)))} {'has' if len(without) == 1 else 'have'} none."
        )
    return sentences


def _of_the_set(table: pd.DataFrame) -> list[str]:
    """Say which models cannot be told from the best."""
    members = table.loc[table["in_mcs"].astype(bool), "model"]
    if not len(members) or table["p_mcs"].isna().all():
        return []
    if len(members) == 1:
        return [f"{members.iloc[0]} alone is in the 95 % model confidence set."]
    return [
        f"{len(members)} of {int((~table['leaks']).sum())} models cannot be told from the best (●, the 95 % model "
        f"confidence set)."
    ]


def _of_spa(test: pd.DataFrame, reference: str, better: Set[str]) -> list[str]:
    """Say what the joint test tells: of the best model only where its own test tells the same."""
    row = test.iloc[0]
    if not np.isfinite(row["p"]):
        return []
    tried = f"given that {row['n_models']} were tried (SPA, p = {row['p']:.3f})."
    if row["verdict"] == "better" and row["best"] not in better:
        return [
            f"Some model, which need not be the one of the smallest error, is better than {reference.lower()} {tried}"
        ]
    if row["verdict"] == "better":
        return [f"{row['best']}, the best by its mean error, is better than {reference.lower()} even {tried}"]
    return [f"None of the models is better than {reference.lower()}, {tried}"]
