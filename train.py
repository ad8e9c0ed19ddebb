"""Fit one experiment and judge it:  python train.py experiment=csi300 model=lstm seed=1"""

import hydra
from omegaconf import DictConfig, OmegaConf

from data.panel import fingerprint
from evaluation.report import report
from pipeline import LIVE, closing, contenders, describe, judge, keep, opening, prepare
from runtime.build import build, check
from runtime.command_line import CONF, folder_of, start, told_in_one_sentence
from runtime.quiet import console, quiet
from runtime.record import finished, open_run, same_data, tidy

OmegaConf.register_new_resolver("folder_of", folder_of, replace=True)


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@told_in_one_sentence
def main(composed: DictConfig) -> float | None:
    """Return what a sweep minimises: the error on validation rows, in the unit of the series."""
    quiet()
    cfg, folder = open_run(composed)
    out = console()
    if (metrics := finished(folder)) is not None:
        out.print(f"{folder} holds this run, finished: nothing to do.")
        return metrics["validation"].get("mae")
    check(cfg, LIVE)

    panel = build(cfg.source).load()
    same_data(folder, fingerprint(panel))
    folds = build(cfg.split).folds(panel, cfg.horizon)
    out.print(opening(panel, folds))

    outcomes = []
    for contender in contenders(cfg):
        windows = prepare(cfg, panel, contender.decomposition)
        for fold in folds:
            outcomes.append(judge(cfg, panel, contender, windows, fold, folder))
            out.print(closing(outcomes[-1]))

    keep(cfg, folder, panel, outcomes)
    validation = report(folder, describe(cfg, panel, folds), outcomes, out)
    tidy(folder)
    out.print(f"Written to {folder}")
    return validation


if __name__ == "__main__":
    start(main)
