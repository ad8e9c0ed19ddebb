"""Audit a finished run again, for leaks:  python audit.py run=outputs/csi300/... audit=full"""

from pathlib import Path

from omegaconf import DictConfig

from runtime.command_line import Usage, run_command

USAGE = Usage(
    "Audit a finished run again, for leaks:  python audit.py run=outputs/csi300/... audit=full",
    {"run": "<folder of a run>", "audit": "<sampled or full; full rebuilds every origin>"},
)
LEAKS = 1  # exit code where a leak is found that nobody announced


def main(given: DictConfig) -> int:
    """Rebuild the inputs of a run from data whose future is replaced, print what changes and keep it."""
    from runtime.record import finished, load_run

    folder = Path(given.run)
    cfg, card = load_run(folder)

    from data.panel import DataError, fingerprint
    from pipeline.job import LIVE, Job, check_settings
    from report.page import write_page
    from runtime.build import build, check
    from runtime.files import write_json
    from runtime.quiet import console, quiet

    quiet()
    cfg.audit = given.get("audit", "full")
    check(cfg, LIVE)
    check_settings(cfg)
    panel = build(cfg.source).load()
    if fingerprint(panel) != card["data"]["sha256"]:
        raise DataError(f"The data of {panel.name} are no longer those of the run in {folder}.  Restore them first.")
    job: Job = build(cfg.job)(cfg)
    folds = build(cfg.split).folds(panel, cfg.horizon)
    audit = job.audit(panel, folds, folder)
    write_json(folder / "run.json", card | {"audit": audit.to_json()})
    metrics = finished(folder) or {}
    write_json(folder / "metrics.json", metrics | {"audit": audit.to_json()})
    write_page(folder)

    out = console()
    out.print(audit.table())
    out.print(audit.sentence, style="bold green" if audit.verdict == "causal" else "bold red", highlight=False)
    if audit.leaks and not audit.unexpected:
        out.print("All of it is part of the protocol that is reproduced.")
    out.print(f"{audit.seconds:.1f} s.  Kept in {folder / 'run.json'} and its report.html")
    return LEAKS if audit.unexpected else 0


if __name__ == "__main__":
    run_command(main, USAGE)
