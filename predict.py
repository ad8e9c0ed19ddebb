"""Forecast with a finished run:  python predict.py run=outputs/csi300/... source.path=new.csv"""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from runtime.command_line import CONF, Usage, run_command

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

USAGE = Usage(
    "Forecast with a finished run:  python predict.py run=outputs/csi300/... source.path=new.csv",
    {
        "run": "<folder of a run>",
        "source.*": "<of a new file: source.path=new.csv source.value=close ...; else the data of the run>",
        "out": "<file for the forecasts; forecast.csv>",
    },
)
SHOWN = 12  # rows printed; the file holds them all


def main(given: DictConfig) -> None:
    """Print and write what a run's model makes of a file it has not seen, with its intervals."""
    from runtime.record import load_run

    folder = Path(given.run)
    cfg, card = load_run(folder)

    from pipeline.job import LIVE, Job
    from runtime.build import build, check
    from runtime.quiet import console

    check(cfg, LIVE)
    job: Job = build(cfg.job)(cfg)
    prediction = job.predict(build(source_of(cfg, given, job.any_file)), card, folder)
    path = Path(given.get("out", "forecast.csv"))
    prediction.table.to_csv(path, index=False)

    out = console()
    out.print(as_text(prediction.table, prediction.title))
    for note in prediction.notes:
        out.print(f"[red]![/red] {note}", highlight=False)
    out.print(f"Written to {path}")


def source_of(cfg: DictConfig, given: DictConfig, any_file: str) -> DictConfig:
    """Return the source of the run or, where a file is given, one that reads it, with the run's column names.

    Parameters
    ----------
    any_file : str
        What reads files: a choice of ``conf/source``.
    """
    if "source" not in given:
        own: DictConfig = cfg.source
        return own
    from runtime.faults import ConfigError

    node = OmegaConf.load(Path(CONF) / "source" / f"{any_file}.yaml")
    assert isinstance(node, DictConfig)
    if cfg.source._target_ == node._target_:
        node.merge_with(cfg.source)
        if "cells" in node:
            node.cells = None  # those of the run; a new file has others
    unknown = [str(key) for key in given.source if key not in list(node)]
    if unknown:
        raise ConfigError(f"source.{unknown[0]} is not known; a file takes {', '.join(map(str, list(node)[1:]))}.")
    node.merge_with(given.source)
    return node


def as_text(table: "pd.DataFrame", title: str) -> "Table":
    """Return the forecasts as a table for the terminal, the last of many."""
    from rich.table import Table

    text = Table(title=title)
    for column in table.columns:
        text.add_column(str(column))
    if len(table) > SHOWN:
        text.add_row(*("…" for _ in table.columns))
    for values in table.tail(SHOWN).itertuples(index=False):
        text.add_row(*(shown(value) for value in values))
    return text


def shown(value: object) -> str:
    """Return a date without its time, and a number with six digits."""
    import pandas as pd

    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_command(main, USAGE)
