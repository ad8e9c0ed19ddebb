"""Forecasts against the truth, a drawing a series."""

from data.contracts import SERIES
from evaluation.rows import PERSISTENCE
from report.figures.drawing import Figure
from report.figures.forecast import forecast, forecasts_of_all
from report.parts import DRAWN, MOST, Section
from report.run_folder import RunFolder
from report.selection import furthest, time_axis
from report.text import four, steps_of

ZOOMS = (60, 250)  # [steps]
ALL = 250  # [steps] on which all models are drawn together


def section(run: RunFolder) -> Section | None:
    """Draw every series at the furthest step."""
    if run.forecasts is None or run.own is None:
        return None
    rows, horizon = furthest(run.forecasts)
    names = list(rows["unique_id"].unique())
    metrics, in_time = run.metrics, run.metrics.question.kind == SERIES
    budget = max(150, DRAWN // (min(len(names), MOST) * (rows["model"].nunique() + 5)))
    x = time_axis(run)
    drawings = [
        forecast(rows[rows["unique_id"] == name], metrics.model, metrics.reference, metrics.unit, x, in_time, budget)
        for name in names[:MOST]
    ]
    longest = int(rows[rows["model"] == metrics.model].groupby("unique_id").size().max())
    caption = ["A click on a name in the legend shows or hides a line, a double click shows it alone."]
    if longest > budget:
        caption.append(f"About one of {longest / budget:.2g} forecasts is drawn.")
    if len(names) > MOST:
        caption.append(f"The first {MOST} of {len(names)} are here.")
    figure = Figure(
        "forecast",
        drawings,
        f"Forecasts of {metrics.model} against the truth" + (f", {steps_of(horizon)} ahead" if horizon > 1 else ""),
        " ".join(caption),
        metrics.question.group,
        tuple(steps for steps in ZOOMS if steps < longest) if in_time else (),
    )
    figures = [figure]
    if rows["model"].nunique() > 2:
        first = rows[rows["unique_id"] == names[0]]
        last = min(ALL, int(first["ds"].nunique()))
        drawing = forecasts_of_all(first, metrics.model, metrics.reference, metrics.unit, x, last)
        says = f"All models of {names[0]} in one panel" + (f", the last {last} steps" if last < longest else "")
        figures.append(Figure("forecast_all", [drawing], says))
    return Section("forecast", "Forecast", _heading(run), figures=figures)


def _heading(run: RunFolder) -> str:
    assert run.forecasts is not None
    rows, horizon = furthest(run.forecasts)
    metrics = run.metrics
    error = (rows["y"] - rows["y_hat"]).abs().groupby(rows["model"]).mean()
    off = f"{four(error[metrics.model])} {metrics.unit} on average"
    if metrics.question.kind != SERIES:
        heading = f"Forecast {metrics.question.noun} is off by {off}"
    else:
        heading = f"Forecasts are off by {off}" + (f", {horizon} steps ahead" if horizon > 1 else "")
        if metrics.reference == PERSISTENCE and PERSISTENCE in error:
            when = "from step to step" if horizon == 1 else f"in {horizon} steps"
            heading += f"; {when} the series moves by {four(error[PERSISTENCE])}"
    leaks = metrics.scores.set_index("model")["leaks"].get(metrics.model, False)
    return f"With the future in sight, {heading[0].lower()}{heading[1:]}" if leaks else heading
