"""Losses of every network over the epochs."""

from report.figures.drawing import Figure
from report.figures.losses import losses
from report.parts import MOST, Section
from report.run_folder import RunFolder


def section(run: RunFolder) -> Section | None:
    """Draw the losses of every training, side by side."""
    content = run.artifact("losses.json")
    history = {label: epochs for label, epochs in (content or {}).items() if epochs}
    if not history:
        return None
    drawings = [losses(epochs, str(label)) for label, epochs in list(history.items())[:MOST]]
    counts = [len(epochs) for epochs in history.values()]
    span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    heading = f"{len(history)} {'network' if len(history) == 1 else 'networks'} trained for {span} epochs"
    notes = [f"The first {MOST} are drawn."] if len(history) > MOST else []
    figure = Figure("losses", drawings, "Losses over the epochs", wall=True)
    return Section("losses", "Training", heading, figures=[figure], notes=notes)
