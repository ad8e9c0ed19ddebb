"""Error over the fraction of life that is over."""

from report.figures.drawing import Figure
from report.figures.errors import over_time
from report.parts import Section
from report.run_folder import RunFolder
from report.text import four

BINS = 20


def section(run: RunFolder) -> Section | None:
    """Draw the error of every model over the life of the cells."""
    rows, model, unit = run.forecasts, run.metrics.model, run.metrics.unit
    if rows is None or run.own is None:
        return None
    bins = (run.spent(rows).mul(BINS).floordiv(1).clip(0, BINS - 1) / BINS + 0.5 / BINS).rename("spent")
    table = (rows["y"] - rows["y_hat"]).abs().groupby([bins, rows["model"]]).mean().unstack("model")
    early, late = table[model].iloc[:5].mean(), table[model].iloc[-5:].mean()
    drawing = over_time(table, model, run.metrics.reference, f"MAE [{unit}]", "fraction of life that is over")
    figure = Figure("error_over_life", [drawing], "MAE over the fraction of life that is over")
    heading = f"Over life: the error goes from {four(early)} {unit} in the first quarter to {four(late)} in the last"
    return Section("time", "Over life", heading, figures=[figure])
