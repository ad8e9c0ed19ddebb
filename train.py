"""Fit one experiment and judge it:  python train.py experiment=csi300 model=lstm seed=1"""

import hydra
from omegaconf import DictConfig

from runtime.command_line import CONF, start, told_in_one_sentence


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@told_in_one_sentence
def main(composed: DictConfig) -> float | None:
    """Return what a sweep minimises: the error on validation rows, in the unit of the series."""
    from runtime.quiet import console, quiet
    from runtime.record import finished, open_run, same_data, tidy

    cfg, folder = open_run(composed)
    out = console()
    if (metrics := finished(folder)) is not None:
        if not (folder / "report.html").exists():
            from report.page import write_page

            write_page(folder)
        out.print(f"{folder} holds this run, finished: nothing to do.")
        return metrics["validation"].get("mae")

    from data.panel import fingerprint
    from pipeline.job import LIVE, Job, check_settings, closing, opening
    from report.page import write_page
    from runtime.build import build, check

    quiet()
    check(cfg, LIVE)
    check_settings(cfg)

    job: Job = build(cfg.job)(cfg)
    panel = build(cfg.source).load()
    same_data(folder, fingerprint(panel))
    folds = build(cfg.split).folds(panel, cfg.horizon)
    out.print(opening(panel, folds))
    for note in panel.notes:
        out.print(f"  {note}", style="dim", highlight=False)

    outcomes = []
    for outcome in job.outcomes(panel, folds, folder):
        outcomes.append(outcome)
        out.print(closing(outcome))

    audit = job.audit(panel, folds, folder)
    validation = job.report(panel, folds, outcomes, audit, folder, out)
    tidy(folder)
    write_page(folder)
    out.print(f"Written to {folder}; look at report.html")
    return validation


if __name__ == "__main__":
    start(main)
