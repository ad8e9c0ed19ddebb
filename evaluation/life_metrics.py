"""How far forecasts of remaining useful life are from the truth, next to what the age of a cell tells.

Everything is computed from the Forecasts table (see ``evaluation.metrics``), one row a cell and cycle:
``unique_id`` names the cell, ``y`` and ``y_hat`` are its remaining life [cycles].  The age of a cell is its
whole life minus ``y``, and a fraction of life is that of the true one.

The clock is always one of the models: the mean life of the training cells minus the age.  It has seen
no sensor, so whatever does not beat it has learnt from its sensors how old a cell is, and no more.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import Outcome
from evaluation.inference.significance import LEVEL, holm
from evaluation.metrics import COLUMNS, CONFIDENCE, ForecastsError

CLOCK = "Clock"
ROW = ["unique_id", "ds"]  # names one row of the truth
ERRORS = ["mae", "rmse", "r2", "mape", "accuracy_15", "bias"]
ENDS = ["alpha_lambda", "eol_mae", "eol_bias"]
SCALED = ["mae_scaled", "rmse_scaled"]
SCORES = [*ERRORS, *SCALED, *ENDS]
TESTS = ["difference", "difference_low", "difference_high", "p_clock", "p_corrected"]
STAGES = ["early", "middle", "late"]
WITHIN = 0.15  # of the truth, of BatteryLife's accuracy
CONE = 0.2  # alpha: of the truth, around it
HALFWAY = 0.5  # lambda: fraction of life at which cells are asked
NEAR = 0.01  # [fraction of life] that a forecast may lie away from it
DEAD = 0.5  # [cycles] a forecast below rounds to no life left
FEWEST = 6  # cells from which on p can be below 5 %
RESAMPLES = 10_000
CLOCK_WINS = "No model errs less than the clock"  # begin of a sentence that holds for one table only
ALIKE = 0.05  # standard deviation of lives over their mean


class Judgement(NamedTuple):
    """What can be said of the forecasts of remaining life."""

    scores: pd.DataFrame
    """A row a model: the columns of ``scores`` and ``against_clock``, and ``leaks`` (bool)."""
    cells: pd.DataFrame
    """A row a model and cell, as ``cell_scores`` returns it."""
    stages: pd.DataFrame
    """A row a model and stage, as ``stage_scores`` returns it."""
    notes: list[str]
    """Sentences to print under every table and figure of these numbers."""


def judge(
    forecasts: pd.DataFrame,
    lives: Mapping[str, float],
    scale: float,
    leaking: Mapping[str, str],
    seed: int = 0,
) -> Judgement:
    """Score every model, test it against the clock and mark those that leak.

    Parameters
    ----------
    forecasts, lives, scale
        As of ``scores``; of ``lives`` all are told, also those of cells that are not judged.
    leaking : mapping
        For the label of each model that leaks, one sentence that says how.
    seed : int
        Of the resamples.

    Raises
    ------
    ForecastsError
        If the table cannot be judged.
    """
    table = scores(forecasts, lives, scale)
    table = table.merge(against_clock(forecasts, lives, seed), on="model", validate="one_to_one")
    table["leaks"] = table["model"].isin(list(leaking))
    cells = cell_scores(forecasts, lives)
    notes = _leak_notes(table, leaking)
    honest = table[~table["leaks"] & (table["n"] == table["n"].max())].set_index("model")["mae"]
    notes += why_the_clock_wins(honest, lives) + remarks(forecasts, cells)
    return Judgement(table, cells, stage_scores(forecasts, lives), notes)


def _leak_notes(table: pd.DataFrame, leaking: Mapping[str, str]) -> list[str]:
    """Return one sentence for all models that leak in the same way."""
    models = [str(model) for model in table.loc[table["leaks"], "model"]]
    notes = []
    for sentence in dict.fromkeys(leaking[model] for model in models):
        same = [model for model in models if leaking[model] == sentence]
        notes.append(leak_note("Every row" if len(same) == len(table) else " and ".join(same), sentence))
    return notes


def leak_note(model: str, sentence: str) -> str:
    """Say in one sentence that a model's numbers cannot be had in practice, and why."""
    return f"{model} USES THE FUTURE: {sentence.rstrip('.')}, so its numbers cannot be had in practice."


def scores(forecasts: pd.DataFrame, lives: Mapping[str, float], scale: float) -> pd.DataFrame:
    """Score every model over all its forecasts, the rows of all cells and folds pooled.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table.
    lives : mapping
        Life of each cell [cycles]: its age when ``y`` is 0.
    scale : float
        Longest remaining life in the data [cycles], 1133 of HNEI.  Errors divided by it are those of
        a target scaled to [0, 1], as paper 2 gives them.

    Returns
    -------
    DataFrame
        A row a model, in the order of first appearance:

        - ``mae``, ``rmse``, ``bias`` (mean of forecast minus truth: above 0 promises too much life) [cycles], ``r2``
          around the mean of all rows.
        - ``mape`` [%]: over the rows in which there is life left; the last cycles weigh most.
        - ``accuracy_15``: share of rows within 15 % of the truth [fraction] (BatteryLife, Tan et al., 2025); a
          row without life left counts if that is forecast exactly.
        - ``mae_scaled``, ``rmse_scaled``: the same errors over ``scale``.
        - ``alpha_lambda``: share of cells within 20 % of the truth halfway through life [fraction]
          (Saxena et al., 2010, alpha .2, lambda .5; ``alpha_lambda`` gives other lambdas).
        - ``eol_mae``, ``eol_bias`` [cycles]: error of the end of life over cells, absolute and signed; above
          0 is too late (see ``cell_scores``).
        - ``n``: number of forecasts; ``n_cells``: of cells.

        A model with a forecast that is not finite has no scores (NaN).  One that does not forecast
        every row is scored on its own; ``remarks`` says so of both.

    Raises
    ------
    ForecastsError
        If the table is not one, the clock is missing, a life is not known, or the scale is not above 0.
    """
    if not (np.isfinite(scale) and scale > 0):
        raise ForecastsError(
            f"The longest remaining life, {scale} cycles, must be above 0 to scale errors to [0, 1].  "
            f"Give at least one cell that lives on after its first row."
        )
    rows = checked(forecasts, lives)
    ends = _ends(rows)
    table = []
    for model, part in rows.groupby("model", sort=False):
        own = _errors(part)
        own |= {f"{name}_scaled": own[name] / scale for name in ("mae", "rmse")}
        error = ends.loc[ends["model"] == model, "eol_error"]
        own["alpha_lambda"] = _in_cone(part, HALFWAY)["share"]
        own |= {"eol_mae": error.abs().mean(), "eol_bias": error.mean()}
        if not np.isfinite(part["y_hat"]).all():
            own = dict.fromkeys(own, np.nan)
        table.append({"model": model, **own, "n": len(part), "n_cells": part["unique_id"].nunique()})
    return pd.DataFrame(table)[["model", *SCORES, "n", "n_cells"]]


def cell_scores(forecasts: pd.DataFrame, lives: Mapping[str, float]) -> pd.DataFrame:
    """Score every model on every cell.

    The end of life a model forecasts is when it first says that less than half a cycle is left: that
    age plus what it says, which is not below 0.  One false alarm early in life therefore counts in full.
    If it never says so, the end is read from its last forecast, age plus remaining life.

    Returns
    -------
    DataFrame
        A row a model and cell: ``model``, ``unique_id``, ``life`` [cycles], the errors of ``scores``, ``eol`` (the
        age at which the cell was forecast to end), ``eol_error`` (that minus ``life``: above 0 is too late)
        [cycles], ``eol_seen`` (whether the model ever said that the end has come) and ``n``.
    """
    rows = checked(forecasts, lives)
    table = [
        {"model": model, "unique_id": cell, "life": part["life"].iloc[0], **_errors(part), "n": len(part)}
        for (model, cell), part in rows.groupby(["model", "unique_id"], sort=False)
    ]
    return pd.DataFrame(table).merge(_ends(rows), on=["model", "unique_id"], how="left", validate="one_to_one")


def stage_scores(forecasts: pd.DataFrame, lives: Mapping[str, float]) -> pd.DataFrame:
    """Score every model in each third of the true life: a row a model and ``stage``, early first.

    A stage in which a model forecasts nothing has no row.
    """
    rows = checked(forecasts, lives)
    third = (rows["age"] / rows["life"] * 3).astype(np.int64).clip(upper=2)
    table = []
    for model, own in third.groupby(rows["model"], sort=False):
        for number, stage in enumerate(STAGES):
            part = rows.loc[own.index[own == number]]
            if len(part):
                table.append({"model": model, "stage": stage, **_errors(part), "n": len(part)})
    return pd.DataFrame(table)


def alpha_lambda(forecasts: pd.DataFrame, lives: Mapping[str, float], at: Iterable[float]) -> pd.DataFrame:
    """Return the share of cells whose forecast lies in the cone at some fractions of life.

    The forecast nearest to ``lambda`` times the life is asked whether it is within ``CONE`` of the truth; a
    cell without a forecast so near (1 % of its life) does not count.

    Returns
    -------
    DataFrame
        A row a model and ``lambda``: ``share`` [fraction] of ``n_cells``.
    """
    rows = checked(forecasts, lives)
    fractions = list(at)
    return pd.DataFrame(
        [
            {"model": model, "lambda": fraction, **_in_cone(part, fraction)}
            for model, part in rows.groupby("model", sort=False)
            for fraction in fractions
        ]
    )


def against_clock(forecasts: pd.DataFrame, lives: Mapping[str, float], seed: int = 0) -> pd.DataFrame:
    """Test every model against the clock, cell by cell.

    Rows of one cell err together, so cells are what is drawn and counted.  A model is called better or
    worse only if two tests agree: Wilcoxon's signed-rank test of the differences in MAE over cells,
    corrected for the table with Holm's method, and the 95 % interval of the difference in MAE over all
    rows (10,000 resamples of cells; bias-corrected and accelerated, Efron, 1987).  Below 6 cells the
    smallest p there is lies above 5 %, and nothing is tested.

    Parameters
    ----------
    forecasts, lives
        As of ``scores``.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    DataFrame
        A row a model:

        - ``difference``: MAE minus that of the clock on the same rows [cycles], with ``difference_low`` and
          ``difference_high``.
        - ``p_clock``: two-sided p-value; NaN for the clock and where nothing was tested.
        - ``p_corrected``: the same after Holm's correction.
        - ``verdict``: ``better``, ``worse``, ``same``, ``untested``; ``reference`` for the clock itself.
    """
    rows = checked(forecasts, lives)
    lost = (rows["y"] - rows["y_hat"]).abs() - (rows["y"] - rows["clock"]).abs()
    table = []
    for model, part in lost.groupby(rows["model"], sort=False):
        by_cell = part.groupby(rows["unique_id"]).agg(["sum", "count"])
        whole = bool(np.isfinite(part).all())
        tested = whole and model != CLOCK and len(by_cell) >= FEWEST
        low, high = _interval(by_cell, seed) if tested else (np.nan, np.nan)
        p = _wilcoxon(by_cell["sum"] / by_cell["count"]) if tested else np.nan
        table.append((model, part.mean() if whole else np.nan, low, high, p))
    result = pd.DataFrame(table, columns=["model", *TESTS[:-1]])
    result["p_corrected"] = holm(result["p_clock"])
    result["verdict"] = [verdict(row) for _, row in result.iterrows()]
    return result


def verdict(row: "pd.Series") -> str:
    """Say in a word what the tests of a row of ``against_clock`` mean."""
    if row["model"] == CLOCK:
        return "reference"
    if not np.isfinite(row["p_corrected"]):
        return "untested"
    if row["p_corrected"] < LEVEL and row["difference_high"] < 0:
        return "better"
    return "worse" if row["p_corrected"] < LEVEL and row["difference_low"] > 0 else "same"


def seed_scores(outcomes: Iterable[Outcome], lives: Mapping[str, float], scale: float) -> pd.DataFrame:
    """Score every seed by itself of the models that were trained with several.

    Returns
    -------
    DataFrame
        The columns of ``scores`` and ``seed``; empty where every model has one seed.
    """
    rows = pd.concat([outcome.forecasts.assign(seed=outcome.seed) for outcome in outcomes], ignore_index=True)
    several = rows.groupby("model")["seed"].transform("nunique") > 1
    rows = rows[several | (rows["model"] == CLOCK)]
    clock = rows[rows["model"] == CLOCK].drop(columns="seed")
    parts = []
    for seed, own in rows[rows["model"] != CLOCK].groupby("seed"):
        part = scores(pd.concat([clock, own], ignore_index=True), lives, scale)
        parts.append(part[part["model"] != CLOCK].assign(seed=int(str(seed))))
    empty = pd.DataFrame(columns=["model", *SCORES, "n", "n_cells", "seed"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def why_the_clock_wins(mae: "pd.Series[float]", lives: Mapping[str, float]) -> list[str]:
    """Return the sentence that says what it means that no honest model errs less than the clock.

    Parameters
    ----------
    mae : Series
        Error of each model that does not leak, by its label.
    lives : mapping
        As of ``judge``.

    Returns
    -------
    list of str
        Empty where a model errs less, or where there is nothing to compare the clock with.
    """
    honest = mae.dropna()
    if CLOCK not in honest or len(honest) < 2 or honest.min() < honest[CLOCK]:
        return []
    known = np.array(list(lives.values()), dtype=np.float64)
    begin = f"{CLOCK_WINS}, the mean life of the training cells minus the age: "
    if known.size < 2:
        return [f"{begin}with one cell there is no spread of lives that it could miss."]
    spread = float(known.std(ddof=1) / known.mean())
    told = (
        f"the {known.size} cells live {known.min():.0f} to {known.max():.0f} cycles, a standard deviation of "
        f"{100 * spread:.1f} % of their mean, "
    )
    if spread < ALIKE:
        return [f"{begin}{told}so the age alone tells the remaining life, and sensors can only tell the age."]
    return [f"{begin}{told}and still the inputs tell less than the age does."]


def remarks(forecasts: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """Return a sentence for every number that could not be computed or needs a warning.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table.
    cells : DataFrame
        As ``cell_scores`` returns it.
    """
    sentences = []
    bad = forecasts[~np.isfinite(forecasts["y_hat"])]
    for model, rows in bad.groupby("model", sort=False):
        first = rows.iloc[0]
        sentences.append(
            f"{model} is not scored: {len(rows)} of its forecasts are not finite, the first for "
            f"{first['unique_id']} at {first['ds']}."
        )
    n_rows, n_cells = len(forecasts[ROW].drop_duplicates()), forecasts["unique_id"].nunique()
    for label, own in forecasts.groupby("model", sort=False):
        if len(own) < n_rows:
            sentences.append(
                f"{label!s} forecasts {len(own)} of {n_rows} rows, in {own['unique_id'].nunique()} of {n_cells} cells, "
                f"and is scored on these alone: its row is not comparable, its test against the clock is."
            )
    over = int((forecasts.drop_duplicates(ROW)["y"] == 0).sum())
    if over:
        sentences.append(f"MAPE leaves out {over} rows in which no life is left.")
    if n_cells < FEWEST:
        sentences.append(f"Nothing is tested: {n_cells} cells are too few cells to test, {FEWEST} are needed.")
    unseen = ~cells["eol_seen"].astype(bool) & cells["eol"].notna()
    if unseen.any():
        sentences.append(
            "Where a model never forecasts less than half a cycle, its end of life is read from its last forecast."
        )
    return sentences


def checked(forecasts: pd.DataFrame, lives: Mapping[str, float]) -> pd.DataFrame:
    """Return the columns of a Forecasts table with ``life``, ``age`` and the forecast of the ``clock`` beside each.

    Raises
    ------
    ForecastsError
        If it is not a Forecasts table of remaining lives, holds a forecast twice, a truth that is not
        finite or two truths of one row, a cell whose life is not known, or the clock does not cover
        every row.
    """
    absent = [column for column in COLUMNS if column not in forecasts.columns]
    if absent:
        raise ForecastsError(f"The forecasts lack the column {', '.join(absent)}.")
    if forecasts.empty:
        raise ForecastsError("There are no forecasts to judge.")
    rows = forecasts[COLUMNS].reset_index(drop=True)
    twice = rows.duplicated([*ROW, "model"])
    if twice.any():
        raise ForecastsError(f"{_name(rows[twice])} is forecast twice by {rows.loc[twice, 'model'].iloc[0]}.")
    unknown = ~np.isfinite(rows["y"])
    if unknown.any():
        raise ForecastsError(f"The truth of {_name(rows[unknown])} is not known; it cannot be judged.")
    differs = rows["y"] != rows.groupby(ROW)["y"].transform("first")
    if differs.any():
        raise ForecastsError(f"{_name(rows[differs])} has two truths; all models must be judged by the same one.")
    life = rows["unique_id"].map({cell: float(life) for cell, life in lives.items()})
    without = sorted(rows.loc[~(life > 0), "unique_id"].unique())
    if without:
        raise ForecastsError(f"The life of {', '.join(without)} is not known or not above 0; it cannot be judged.")
    odd = (rows["y"] < 0) | (rows["y"] > life)
    if odd.any():
        raise ForecastsError(
            f"The truth of {_name(rows[odd])}, {rows.loc[odd, 'y'].iloc[0]:g} cycles, is no remaining life of a cell "
            f"that lives {life[odd].iloc[0]:g}."
        )
    clock = rows.loc[rows["model"] == CLOCK, [*ROW, "y_hat"]].rename(columns={"y_hat": "clock"})
    if clock.empty:
        raise ForecastsError(
            f"{CLOCK} is not among the forecasts ({', '.join(rows['model'].unique())}), and without it no "
            f"number can be read.  Add it to the baselines."
        )
    rows = rows.assign(life=life, age=life - rows["y"]).merge(clock, on=ROW, how="left", validate="many_to_one")
    alone = ~np.isfinite(rows["clock"])
    if alone.any():
        raise ForecastsError(
            f"{CLOCK} has no finite forecast for {_name(rows[alone])}, so {rows.loc[alone, 'model'].iloc[0]} cannot be "
            f"judged there."
        )
    return rows


def _errors(rows: pd.DataFrame) -> dict[str, float]:
    """Return the errors of one model's forecasts."""
    y, y_hat = rows["y"].to_numpy(dtype=np.float64), rows["y_hat"].to_numpy(dtype=np.float64)
    if not np.isfinite(y_hat).all():
        return dict.fromkeys(ERRORS, np.nan)
    error = y_hat - y
    alive = y > 0
    variance = float(y.var())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": 1 - float(np.square(error).mean()) / variance if variance > 0 else np.nan,
        "mape": 100 * float(np.abs(error[alive] / y[alive]).mean()) if alive.any() else np.nan,
        "accuracy_15": float((np.abs(error) <= WITHIN * y).mean()),
        "bias": float(error.mean()),
    }


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``eol``, ``eol_error`` and ``eol_seen`` of every model and cell; NaN where a forecast is not finite."""
    table = []
    in_time = rows.sort_values(["age", "ds"])
    for (model, cell), part in in_time.groupby(["model", "unique_id"], sort=False):
        said = part["y_hat"].to_numpy(dtype=np.float64)
        over = np.flatnonzero(said < DEAD)
        at = int(over[0]) if over.size else said.size - 1
        eol = float(part["age"].iloc[at] + max(said[at], 0.0)) if np.isfinite(said).all() else np.nan
        table.append((model, cell, eol, eol - float(part["life"].iloc[0]), bool(over.size)))
    return pd.DataFrame(table, columns=["model", "unique_id", "eol", "eol_error", "eol_seen"])


def _in_cone(rows: pd.DataFrame, fraction: float) -> dict[str, float]:
    """Return the share of cells of one model that are within the cone at a fraction of life."""
    rows = rows.sort_values(["age", "ds"])  # of two that are equally near the earlier is asked
    away = (rows["age"] - fraction * rows["life"]).abs()
    nearest = away.groupby(rows["unique_id"]).idxmin()
    reach = np.maximum(NEAR * rows.loc[nearest, "life"], 1.0)
    asked = rows.loc[nearest[(away[nearest] <= reach).to_numpy()]]
    hits = (asked["y_hat"] - asked["y"]).abs() <= CONE * asked["y"]
    known = len(asked) > 0 and bool(np.isfinite(rows["y_hat"]).all())
    return {"share": float(hits.mean()) if known else np.nan, "n_cells": len(asked)}


def _interval(by_cell: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean loss difference over rows, from resampled cells."""
    from scipy.stats import bootstrap  # a second to import

    total, count = by_cell["sum"].to_numpy(dtype=np.float64), by_cell["count"].to_numpy(dtype=np.float64)
    means = total / count
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        return float(means[0]), float(means[0])  # every resample is the same
    result = bootstrap(
        (total, count),
        lambda total, count, axis: total.sum(axis=axis) / count.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _wilcoxon(differences: "pd.Series[float]") -> float:
    """Return the two-sided p-value that differences over cells lie symmetrically around 0."""
    from scipy.stats import wilcoxon  # a second to import

    return float(wilcoxon(differences).pvalue) if (differences != 0).any() else 1.0


def _name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['unique_id']} at {first['ds']}"
