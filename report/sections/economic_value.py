"""What trading by the sign of the forecasts would have earned, beside buy-and-hold."""

from data.contracts import SERIES
from evaluation.economic_value import HOLD, LONG_FLAT, economic_value, verdict_on
from report.figures.drawing import Figure
from report.figures.errors import over_time
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import first_series, time_axis
from report.table import plain_table

PRICED = ("", "level", "change", "return")
"""Targets whose forecasts say where a price goes; none is named where the level is."""
TITLES = {
    "strategy": "strategy",
    "yearly": "return a year %",
    "sharpe": "Sharpe",
    "drawdown": "drawdown %",
    "turnover": "trades a year",
    "difference": "Sharpe less buy-and-hold's",
    "interval": "its 95 % interval",
    "verdict": "against buy-and-hold",
}
WORDS = {"better": "better", "worse": "worse", "same": "not distinguishable", "reference": "to beat"}


def section(run: RunFolder) -> Section | None:
    """Return the table of strategies, of models that do not use the future; none without ``cost_bps``.

    Where forecasts are made on the day they are for, none is judged: the last close is no longer to be had.
    """
    cost, metrics = run.settings.get("cost_bps"), run.metrics
    rows = first_series(run)
    priced = str(metrics.choices.get("target", "")) in PRICED
    if rows is None or not isinstance(cost, int | float) or metrics.question.kind != SERIES or not priced:
        return None
    if isinstance(moment := run.settings.get("decided_at"), dict) and moment.get("day") == "next":
        return _too_late(str(moment.get("at")))
    name, several = rows["unique_id"].iloc[0], run.forecasts is not None and run.forecasts["unique_id"].nunique() > 1
    leaking = list(metrics.scores.loc[metrics.scores["leaks"], "model"])
    found = economic_value(rows[~rows["model"].isin(leaking)], float(cost), metrics.seed)
    if found is None:
        return None
    shown = found.table.assign(
        yearly=100 * found.table["yearly"],
        drawdown=100 * found.table["drawdown"],
        interval=[
            f"{low:.2f} to {high:.2f}" if low == low else "–" for low, high in found.table[["low", "high"]].to_numpy()
        ],
        verdict=found.table["verdict"].map(WORDS),
    )
    of = f" of {name}" if several else ""
    caption = (
        f"Long where the forecast{of} lies above the last value known, else flat or short; {cost:g} basis points a "
        f"trade; a riskless rate of 0.  The interval is a circular block bootstrap's, verdicts are corrected for the "
        f"number of strategies."
    )
    own = f"{metrics.model}, {LONG_FLAT}"
    lead = own if own in found.wealth else str(found.wealth.columns[1])
    figure = Figure(
        "wealth",
        [over_time(found.wealth, lead, HOLD, "wealth", time_axis(run), 1.0)],
        "What 1 has become",
        "After costs.  A click on a name in the legend shows or hides a line.",
    )
    left_out = [f"{', '.join(leaking)}: left out, its forecasts use the future."] if leaking else []
    return Section(
        "economic_value",
        "Economic value",
        f"Economic value: {verdict_on(found.table)}",
        tables=[plain_table(caption, shown, TITLES)],
        figures=[figure],
        notes=[*left_out, "What was forecast with the close is traded at that close: no delay, no slippage, no tax."],
    )


def _too_late(at: str) -> Section:
    """Say why no strategy is judged where forecasts are made after the close they start from."""
    told = (
        f"Each forecast is made on the day it is for (decided_at: {'its open' if at == 'open' else at}), after the "
        f"close it starts from.  A strategy would have to buy at the price of that moment, which the series does not "
        f"hold; at the last close it would earn what the night had brought already.  So no strategy is judged, and a "
        f"better direction here is no profit."
    )
    return Section("economic_value", "Economic value", "Economic value: not told by closes", paragraphs=[told])
