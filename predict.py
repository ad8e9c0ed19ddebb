"""Forecast with a finished run:  python predict.py run=outputs/csi300/... source.path=new.csv"""

from pathlib import Path

from omegaconf import DictConfig

from runtime.command_line import Usage, run_command

USAGE = Usage(
    "Forecast with a finished run:  python predict.py run=outputs/csi300/... source.path=new.csv",
    {
        "run": "<folder of a run>",
        "source.*": "<of a new file: source.path=new.csv source.value=close ...; else the data of the run>",
        "out": "<file for the forecasts; forecast.csv>",
    },
)


def main(given: DictConfig) -> None:
    """Print and write what a run's model makes of a file it has not seen, with its intervals."""
    from runtime.record import load_run

    folder = Path(given.run)
    cfg, card = load_run(folder)

    from pipeline.predict import predict, source_of
    from report.predictions import as_text
    from runtime.files import atomic
    from runtime.quiet import console

    prediction = predict(cfg, card, folder, source_of(cfg, given.get("source")))
    path = Path(given.get("out", "forecast.csv"))
    with atomic(path) as part:
        prediction.table.to_csv(part, index=False)

    out = console()
    out.print(as_text(prediction.table, prediction.title))
    for note in prediction.notes:
        out.print(f"! {note}", highlight=False, markup=False)
    out.print(f"Written to {path}", markup=False, highlight=False)


if __name__ == "__main__":
    run_command(main, USAGE)
