"""Forecast beyond the end of a file:  python predict.py run=outputs/csi300/... source.path=new.csv"""

import sys
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from data.calendar import pace, upcoming
from data.contracts import Panel
from data.panel import DataError
from data.windows import latest
from pipeline import PERSISTENCE, contenders, leaks, unfitted
from runtime.build import ConfigError, build
from runtime.command_line import CONF, told_in_one_sentence
from runtime.quiet import console
from runtime.record import WEIGHTS, load_run

KEYS = ["run", "source", "out"]
FAR = 10.0                              # ratio of mean changes beyond which a file is of something else


@told_in_one_sentence
def main(given: DictConfig) -> None:
    """Print and write the next ``horizon`` steps of every series of a file, persistence beside them."""
    unknown = [str(key) for key in given if key not in KEYS]
    if unknown or "run" not in given:
        raise ConfigError(f"predict.py takes run=<folder of a run>, source.path=<file> and out=<file>; got {unknown}.")
    folder = Path(given.run)
    cfg, card = load_run(folder)
    panel: Panel = build(source_of(cfg, given)).load()
    refuse_misfit(panel, card["data"])

    row = contenders(cfg)[0]
    windows = latest(panel, build(row.decomposition), build(cfg.scope), cfg.lookback)
    n_components = windows.past.shape[2]
    fitted = unfitted(cfg, row.model, n_components)
    if fitted.model.scaled:
        fitted.load(folder / WEIGHTS)
    forecasts = {row.label: fitted.forecast(windows)}
    forecasts.setdefault(PERSISTENCE.label, unfitted(cfg, PERSISTENCE, n_components).forecast(windows))

    frame = panel.frame
    parts = []
    for n, last in enumerate(windows.origin):
        key = frame["unique_id"].iloc[last]
        days = upcoming(frame.loc[frame["unique_id"] == key, "ds"], cfg.horizon)
        steps = pd.DataFrame({"unique_id": key, "ds": days, "step": range(1, cfg.horizon + 1)})
        parts.append(steps.assign(**{label: forecast[n] for label, forecast in forecasts.items()}))
    table = pd.concat(parts, ignore_index=True)
    path = Path(given.get("out", "forecast.csv"))
    table.to_csv(path, index=False)

    out = console()
    out.print(as_text(table, f"{panel.name} in {panel.unit}, after {shown(frame['ds'].max())}"))
    if leaks(cfg, row.decomposition):
        out.print(
            f"[red]![/red] {row.label} was trained on components shaped by the future, which a forecast cannot "
            f"have: expect far larger errors than its table shows.  Train with scope=rolling."
        )
    out.print(f"Written to {path}")


def source_of(cfg: DictConfig, given: DictConfig) -> DictConfig:
    """Return the source of the run, or a CSV file, with the run's column names, where one is given."""
    if "source" not in given:
        node: DictConfig = cfg.source
        return node
    csv = OmegaConf.load(Path(CONF) / "source" / "csv.yaml")
    assert isinstance(csv, DictConfig)
    if cfg.source._target_ == csv._target_:
        csv.merge_with(cfg.source)
    unknown = [str(key) for key in given.source if key not in list(csv)]
    if unknown:
        raise ConfigError(f"source.{unknown[0]} is not known; a file takes {', '.join(map(str, list(csv)[1:]))}.")
    csv.merge_with(given.source)
    return csv


def refuse_misfit(panel: Panel, trained_on: dict[str, float]) -> None:
    """Compare a file with what the model was trained on.

    Raises
    ------
    DataError
        If it moves in other steps or at another scale.
    """
    spacing, change = pace(panel)
    if abs(spacing - trained_on["spacing"]) > 0.5 * trained_on["spacing"]:
        raise DataError(
            f"{panel.name} has a value every {spacing:g} days (or steps), but the model was trained on one every "
            f"{trained_on['spacing']:g}.  Give a file of that frequency, or train on this one."
        )
    if not 1 / FAR < change / trained_on["change"] < FAR:
        raise DataError(
            f"{panel.name} moves by {change:.3g} a step, but the model was trained on moves of "
            f"{trained_on['change']:.3g}: this is another series or another unit.  Train on this one."
        )


def as_text(table: pd.DataFrame, title: str) -> Table:
    """Return the forecasts as a table for the terminal."""
    text = Table(title=title)
    for column in table.columns:
        text.add_column(str(column))
    for values in table.itertuples(index=False):
        text.add_row(*(shown(value) for value in values))
    return text


def shown(value: object) -> str:
    """Return a date without its time, and a number with six digits."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main(OmegaConf.from_cli(sys.argv[1:]))
