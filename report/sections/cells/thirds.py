"""Error in early, middle and late life."""

from evaluation.rows import THIRDS
from report.figures.drawing import Figure
from report.figures.errors import by_group
from report.parts import Section
from report.run_folder import RunFolder
from report.text import four, listed


def section(run: RunFolder) -> Section | None:
    """Draw the error of every model in each third of the life of each cell."""
    table, model, unit = run.metrics.groups.get("third"), run.metrics.model, run.metrics.unit
    if table is None or "mae" not in table:
        return None
    mean = table.pivot_table(index="model", columns="third", values="mae")
    mean = mean.reindex(columns=[third for third in THIRDS if third in mean])
    if model not in mean.index:
        return None
    own = mean.loc[model]
    mean = mean.reindex(mean.mean(axis=1).sort_values(ascending=False).index)
    drawing = by_group(mean, f"MAE [{unit}]")
    figure = Figure(
        "error_by_third", [drawing], "MAE in early, middle and late life", "Thirds of the life of each cell."
    )
    parts = [f"{four(value)} in {third}" for third, value in zip(mean.columns, own.to_numpy(dtype=float), strict=True)]
    heading = f"By third of life: {model} is off by {listed(parts)} life [{unit}]"
    return Section("regimes", "Thirds of life", heading, figures=[figure])
