"""The sections a report page has whatever the job: scores, forecast, audit, calibration, training."""

import math
from collections.abc import Mapping

import pandas as pd

from evaluation.diagnostics import covered, thirds
from evaluation.metrics import PERSISTENCE
from report import page_figures as figures
from report.page_figures import Figure, Panel
from report.page_run import Run, furthest
from report.page_tables import (
    DRAWN,
    MOST,
    Cell,
    Column,
    Row,
    Section,
    Table,
    Text,
    called,
    duration,
    flags,
    four,
    listed,
    plain_table,
    score_table,
)
from report.table import as_records, decimals_for, shown

ZOOMS = (60, 250)  # [steps]


def results(run: Run) -> Section:
    """Scores of every model, those of each seed and of each step."""
    scores = run.scores
    reference = run.reference
    naive = scores.loc[scores["model"] == reference, "mae"] if "mae" in scores else pd.Series(dtype=float)
    decimals = decimals_for(
        float(naive.iloc[0] if len(naive) else scores["mae"].min() if "mae" in scores else math.nan)
    )
    honest = scores[~flags(scores, "leaks")]
    others = honest[honest["model"] != reference]
    heading = "Scores"
    if "mae" in scores and honest["mae"].notna().any():
        best = honest.sort_values("mae", kind="stable").iloc[0]
        lowest = f"{shown(best['mae'], decimals)} {run.unit}"
        heading = (
            f"No honest model has a lower MAE than {called(reference)}, {lowest}"
            if best["model"] == reference
            else f"{best['model']} has the lowest MAE, {lowest}"
        )
        if "verdict" in scores and reference and len(others):
            heading += f"; {_proven(others, called(reference))}"
    red = "  Red rows use the future and do not compete." if len(honest) < len(scores) else ""
    table = score_table(
        scores,
        f"Errors in {run.unit}; the best number of each column is bold.{red}  A click on a heading sorts.",
        run.model,
        reference,
        decimals,
        run.metrics.get("scale"),
    )
    notes = [str(note) for key in ("notes", "tests") for note in run.metrics.get(key) or []]
    steps = run.metrics.get("steps")
    tables = [table]
    trainings = pd.DataFrame(run.trainings)
    if len(trainings) and trainings["seed"].nunique() > 1:
        spread = trainings.groupby("model", sort=False)["mae"].agg(["size", "mean", "std", "min", "max"]).reset_index()
        tables.append(
            plain_table(
                f"MAE [{run.unit}] of each seed by itself; the table above scores their mean forecast",
                as_records(spread),
                {"model": "model", "size": "seeds", "mean": "mean", "std": "spread", "min": "lowest", "max": "highest"},
            )
        )
    if steps:
        by_step = pd.DataFrame(steps)
        records = by_step.pivot_table(index="model", columns="step", values="mae", sort=False).reset_index()
        records.columns = [str(name) for name in records.columns]
        tables.append(
            plain_table(
                f"MAE [{run.unit}] by steps ahead",
                as_records(records),
                {str(name): str(name) if name == "model" else f"step {name}" for name in records},
            )
        )
    return Section("results", "Results", heading, tables=tables, notes=notes, tables_first=True)


def _proven(honest: pd.DataFrame, reference: str) -> str:
    """Say how many of the models that do not use the future are significantly better."""
    if "p_corrected" in honest and honest["p_corrected"].isna().all():
        return "nothing was tested"
    proven, count = int((honest["verdict"] == "better").sum()), len(honest)
    if count == 1:
        return f"{honest['model'].iloc[0]} is {'' if proven else 'not '}significantly better than {reference}"
    how_many = {0: "none", count: f"all {count}"}.get(proven, f"{proven} of {count}")
    if not proven:
        how_many = f"none of {count}"
    return f"{how_many} honest models {'is' if proven < 2 else 'are'} significantly better than {reference}"


def forecast(run: Run) -> Section | None:
    """Forecast against truth, a panel a series."""
    if run.forecasts is None or run.model not in set(run.forecasts["model"]):
        return None
    rows, horizon = furthest(run.forecasts)
    names = list(rows["unique_id"].unique())
    reference = run.reference or run.model
    budget = max(150, DRAWN // (min(len(names), MOST) * (rows["model"].nunique() + 5)))
    panels = [
        Panel(
            str(name),
            figures.forecast(
                rows[rows["unique_id"] == name], run.model, reference, run.unit, run.x, not run.life, budget
            ),
        )
        for name in names[:MOST]
    ]
    longest = int(rows[rows["model"] == run.model].groupby("unique_id").size().max())
    zooms = tuple(steps for steps in ZOOMS if steps < longest) if not run.life else ()
    own = rows[rows["model"] == run.model]
    off = float((own["y"] - own["y_hat"]).abs().mean())
    caption = ["A click on a name in the legend shows or hides a line, a double click shows it alone."]
    if longest > budget:
        caption.append(f"About one of {longest / budget:.2g} forecasts is drawn.")
    if len(names) > MOST:
        caption.append(f"The first {MOST} of {len(names)} are here.")
    ahead = f", {horizon} steps ahead" if horizon > 1 else ""
    figure = Figure(
        panels,
        f"Forecasts of {run.model} against the truth",
        " ".join(caption),
        "cell" if run.life else "series",
        last=zooms,
    )
    if run.life:
        heading = f"Forecast remaining life is off by {four(off)} {run.unit} on average"
    else:
        heading = f"Forecasts are off by {four(off)} {run.unit} on average{ahead}"
        naive = rows[rows["model"] == reference]
        if reference == PERSISTENCE and len(naive):
            moved = float((naive["y"] - naive["y_hat"]).abs().mean())
            heading += f"; from step to step the series moves by {four(moved)}" if horizon == 1 else ""
            heading += f"; in {horizon} steps the series moves by {four(moved)}" if horizon > 1 else ""
    if bool(flags(run.scores, "leaks")[run.scores["model"] == run.model].any()):
        heading = f"With the future in sight, {heading[0].lower()}{heading[1:]}"
    return Section("forecast", "Forecast", heading, figures=[figure])


def audit_stages(run: Run) -> Section | None:
    """What the leak audit replaced, stage by stage, and what changed."""
    audit = run.card.get("audit") or run.metrics.get("audit")
    stages = audit.get("stages") if isinstance(audit, Mapping) else None
    if not stages:
        return None
    leaking = [str(stage["stage"]) for stage in stages if stage.get("verdict") == "LEAKS"]
    heading = (
        f"Leak audit: {listed(leaking)} {'uses' if len(leaking) == 1 else 'use'} the future"
        if leaking
        else f"Leak audit: none of {len(stages)} stages depends on what comes after the forecast"
    )
    table = plain_table(
        "What was replaced after an origin, and how many inputs changed",
        stages,
        {"stage": "stage", "verdict": "verdict", "checked": "checked", "changed": "changed", "detail": "detail"},
    )
    rows = [row._replace(kind="leaks" if any(cell.text == "LEAKS" for cell in row.cells) else "") for row in table.rows]
    cost = audit.get("seconds") if isinstance(audit, Mapping) else None
    paragraphs = [
        "Everything after sampled origins was replaced by other values and the inputs were built again; what is "
        "causal must not change by a single bit."
        + (f"  The audit took {cost:.3g} s." if isinstance(cost, (int, float)) else "")
    ]
    return Section("audit", "Audit", heading, paragraphs, [table._replace(rows=rows)])


def calibration(run: Run) -> Section | None:
    """How many truths the intervals hold."""
    if run.forecasts is None:
        return None
    rows = run.forecasts[run.forecasts["model"] == run.model]
    if not any(rows[name].notna().any() for name in rows if str(name).startswith("lo_")):
        return None
    if run.life:
        group, what, order = thirds(rows, run.lives), "third of life", ["early", "middle", "late"]
    elif pd.api.types.is_datetime64_any_dtype(rows["ds"]):
        group, what, order = rows["ds"].dt.year.astype(str), "year", []
    else:
        fifth = (5 * rows["ds"].rank(pct=True)).clip(upper=4.999).astype(int) + 1
        group, what, order = fifth.astype(str) + "/5", "fifth of the test set", []
    parts = covered(rows, group).sort_values("group", key=lambda names: names.map(order.index) if order else names)
    records, said = [], []
    for total in as_records(covered(rows, pd.Series("all", index=rows.index))):
        own = parts[parts["level"] == total["level"]]
        worst = own.sort_values("coverage").iloc[0]
        share = f"{100 * total['coverage']:.1f}"
        said.append(f"the {total['level']} % interval holds {share} %")
        records.append(
            {
                "level": f"{total['level']} %",
                "share": f"{share} ({100 * total['low']:.1f}–{100 * total['high']:.1f})",
                "worst": f"{100 * worst['coverage']:.1f} ({worst['group']})",
            }
            | {name: total[name] for name in ("width", "winkler", "crps", "n")}
        )
    table = plain_table(
        f"Intervals of {run.model} [{run.unit}]",
        records,
        {
            "level": "interval",
            "share": "truths inside %",
            "worst": f"worst {what} %",
            "width": "mean width",
            "winkler": "Winkler score",
            "crps": "CRPS",
            "n": "forecasts",
        },
    )
    figure = Figure(
        [Panel("", figures.coverage(parts, what))],
        f"Coverage by {what}",
        "Dotted: what was promised.  Bars: 95 % binomial intervals, rather too narrow where errors follow each other.",
    )
    heading = " and ".join(reversed(said)) + " of the truths"
    return Section("calibration", "Calibration", heading[0].upper() + heading[1:], tables=[table], figures=[figure])


def attention(run: Run) -> Section | None:
    """Where the networks look."""
    table = run.evidence("attention.parquet")
    if table is None or table.empty:
        return None
    if "name" not in table:
        table = table.assign(name="attention")
    mean = table.groupby("lag")["weight"].mean().sort_index()
    mean = mean / mean.sum()
    recent = max(1, len(mean) // 4)
    names = list(table["name"].unique())
    budget = max(20, DRAWN // (len(mean) * min(len(names), MOST)))
    panels = []
    for name in names[:MOST]:
        own = table[table["name"] == name]
        if "unique_id" in own:
            own = own[own["unique_id"] == own["unique_id"].iloc[0]]
        panels.append(Panel(str(name), figures.attention_map(own, run.x, limit=budget)))
    heading = (
        f"Attention: the {recent} most recent of {len(mean)} steps take {100 * mean.iloc[:recent].sum():.0f} % of the "
        f"weight (evenly spread it would be {100 * recent / len(mean):.0f} %)"
    )
    several = "unique_id" in table and table["unique_id"].nunique() > 1
    where = f"{'Cell' if run.life else 'Series'} {table['unique_id'].iloc[0]}.  " if several else ""
    figure = Figure(
        panels,
        "Attention weight of every step looked back upon, for every forecast",
        f"{where}Weights say where the network looks, not what moves its forecast.",
        "network",
    )
    return Section("attention", "Attention", heading, figures=[figure])


def losses(run: Run) -> Section | None:
    """Losses of every network over the epochs."""
    content = run.evidence("losses.json")
    history = {label: epochs for label, epochs in (content or {}).items() if epochs}
    if not history:
        return None
    wall = [
        Figure(
            [Panel(str(label), figures.losses(epochs, str(label)))], f"Losses of {label} over the epochs", small=True
        )
        for label, epochs in list(history.items())[:MOST]
    ]
    counts = [len(epochs) for epochs in history.values()]
    span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    heading = f"{len(history)} {'network' if len(history) == 1 else 'networks'} trained for {span} epochs"
    notes = [f"The first {MOST} are drawn."] if len(history) > MOST else []
    return Section("losses", "Training", heading, figures=wall, notes=notes)


def reproduce(run: Run) -> Section:
    """Configuration, versions and how to make the run again."""
    card, facts = run.card, []
    data = card.get("data") or {}
    if data:
        facts.append(("data", f"{data.get('name')}, {data.get('rows')} rows, SHA-256 {data.get('sha256')}"))
    if card.get("commit"):
        facts.append(
            ("commit", str(card["commit"]) + (" and uncommitted changes" if card.get("uncommitted_changes") else ""))
        )
    facts.append(("seed", ", ".join(run.seeds)))
    for name in ("python", "platform", "cores"):
        if card.get(name) is not None:
            facts.append((name, str(card[name])))
    packages = [f"{name} {version}" for name, version in (card.get("packages") or {}).items() if version]
    if packages:
        facts.append(("packages", ", ".join(packages)))
    tables = [
        Table("Made with", [Column("what", False), Column("which", False)], [Row([Cell(a), Cell(b)]) for a, b in facts])
    ]
    seconds = pd.DataFrame(
        [
            {"model": str(part).split(", ")[0], "seconds": float(value)}
            for part, value in (card.get("seconds") or {}).items()
            if isinstance(value, (int, float))
        ]
    )
    total = ""
    if len(seconds):
        spent = seconds.groupby("model")["seconds"].agg(["size", "sum"]).sort_values("sum", ascending=False)
        titles = {"model": "model", "size": "fits", "sum": "seconds"}
        tables.append(plain_table("Time taken, all folds and seeds", as_records(spent.reset_index()), titles))
        total = f" in {duration(float(seconds['seconds'].sum()))}"
    checkout = [f"git checkout {card['commit']}"] if card.get("commit") else []
    command = card.get("command")
    lines = (
        [str(command)]
        if command
        else ["mkdir -p outputs/again && cp config.yaml outputs/again/", "python train.py resume=outputs/again"]
    )
    texts = [Text("How to make this run again", "\n".join([*checkout, *lines]), open=True)]
    if run.config:
        texts.append(Text("Configuration (config.yaml)", run.config))
    return Section(
        "reproduce",
        "Reproduce",
        f"Made{total}; the same commit, data and seed give the same numbers",
        tables=tables,
        texts=texts,
        tables_first=False,
    )
