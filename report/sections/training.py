"""Losses of every network over the epochs, and the steps it weighs."""

from report.figures.drawing import Figure
from report.figures.heat_maps import attention_map
from report.figures.losses import losses as loss_curves
from report.figures.losses import over_seeds
from report.leaderboard.trials import trials_of
from report.parts import DRAWN, MOST, Section
from report.run_folder import RunFolder
from report.selection import time_axis


def losses(run: RunFolder) -> Section | None:
    """Draw the losses of every training, side by side."""
    content = {**(run.artifact("autoencoder.json") or {}), **(run.artifact("losses.json") or {})}
    history = {label: epochs for label, epochs in content.items() if epochs}
    if not history:
        return None
    first = list(history.items())[:MOST]
    drawings = [loss_curves(epochs, str(label)) for label, epochs in first]
    drawings += [over_seeds([epochs], f"rates of {label}", rates=True) for label, epochs in first if "eta" in epochs[0]]
    counts = [len(epochs) for epochs in history.values()]
    span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    heading = f"{len(history)} {'network' if len(history) == 1 else 'networks'} trained for {span} epochs"
    notes = [f"The first {MOST} are drawn."] if len(history) > MOST else []
    figure = Figure("losses", drawings, "Losses over the epochs", wall=True)
    return Section("losses", "Training", heading, figures=[figure], notes=notes)


def attention(run: RunFolder) -> Section | None:
    """Draw the attention of each network of the run's model."""
    table = run.artifact("attention.parquet", ["ds", "lag", "weight"])
    if table is None or table.empty:
        return None
    if "name" not in table:
        table = table.assign(name="attention")
    mean = table.groupby("lag")["weight"].mean().sort_index()
    mean = mean / mean.sum()
    recent = max(1, len(mean) // 4)
    names = list(table["name"].unique())
    budget = max(20, DRAWN // (len(mean) * min(len(names), MOST)))
    drawings = []
    for name in names[:MOST]:
        own = table[table["name"] == name]
        if "unique_id" in own:
            own = own[own["unique_id"] == own["unique_id"].iloc[0]]
        drawings.append(attention_map(own, str(name), time_axis(run), budget))
    heading = (
        f"Attention: the {recent} most recent of {len(mean)} steps take {100 * mean.iloc[:recent].sum():.0f} % of the "
        f"weight (evenly spread it would be {100 * recent / len(mean):.0f} %)"
    )
    several = "unique_id" in table and table["unique_id"].nunique() > 1
    what = run.metrics.question.group.capitalize()
    caption = f"{what} {table['unique_id'].iloc[0]}.  " if several else ""
    caption += "Weights say where the network looks, not what moves its forecast."
    says = "Attention weight of every step looked back upon, for every forecast"
    figure = Figure("attention", drawings, says, caption, "network")
    return Section("attention", "Attention", heading, figures=[figure])


def trials(run: RunFolder) -> Section | None:
    """Return the trials of settings a run is the best of, or None where nothing was tried."""
    return trials_of(run)
