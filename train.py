"""Fit one experiment and judge it:  python train.py experiment=csi300 model=lstm seed=1"""

import hydra
from omegaconf import DictConfig

from runtime.command_line import CONF, start, told_in_one_sentence


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@told_in_one_sentence
def main(composed: DictConfig) -> float | None:
    """Return what a sweep minimises: the error on validation rows, in the unit of the series."""
    from runtime.quiet import console, importing, quiet
    from runtime.record import finished, open_run
    from runtime.sweep import follows_seed, of_all_seeds, refuse_to_repeat, sweep_folder

    cfg, folder = open_run(composed)  # told of before torch and Lightning are imported
    out = console()

    with importing():
        from report.page import write_page
        from report.run_folder import RunFolder

    if finished(folder) is None:
        with importing():
            from pipeline.run import by_chance, run
            from pipeline.verdicts import Verdicts
            from report.table import print_table, write_tables
            from report.tracking.record import record
            from runtime.build import build

        quiet()
        trackers = [build(node) for node in (composed.get("tracking") or {}).values()]
        shared = of_all_seeds(composed)
        if shared is not None and not (follows_seed(composed) or by_chance(cfg)):
            refuse_to_repeat(folder)
        run(cfg, folder, out, Verdicts(*shared, f"{folder.parent.name}/{folder.name}") if shared else None)
        print_table(out, RunFolder(folder).metrics)
        write_tables(folder)
        write_page(folder, sweep_folder())
        for tracker in trackers:
            out.print(
                f"Tracked in {tracker.keep(record(folder, sweep_folder()), folder)}", highlight=False, markup=False
            )
        out.print(f"Written to {folder}; look at report.html", highlight=False, markup=False)
    else:
        if not (folder / "report.html").exists():
            write_page(folder, sweep_folder())
        out.print(f"{folder} holds this run, finished: nothing to do.", highlight=False, markup=False)
    if cfg.figures == "png":
        from report.figures.png import write_pngs

        write_pngs(folder)
    return RunFolder(folder).metrics.validation.get("mae")


if __name__ == "__main__":
    start(main)
