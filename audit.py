"""Audit a finished run again, for leaks:  python audit.py run=outputs/csi300/... audit=full"""

from pathlib import Path

from omegaconf import DictConfig

from runtime.command_line import Usage, run_command

USAGE = Usage(
    "Audit a finished run again, for leaks:  python audit.py run=outputs/csi300/... audit=full",
    {"run": "<folder of a run>", "audit": "<sampled or full; full rebuilds every origin>"},
)
KINDS = ("sampled", "full")
LEAKS = 1  # exit code where a leak is found that nobody announced


def main(given: DictConfig) -> int:
    """Make a run again from data whose future is replaced, print what changes and keep it."""
    from runtime.faults import ConfigError
    from runtime.record import load_run

    folder = Path(given.run)
    cfg, card = load_run(folder)
    cfg.audit = given.get("audit", "full")
    if cfg.audit not in KINDS:
        raise ConfigError(f"audit={cfg.audit} audits nothing; it is one of {', '.join(KINDS)}.")

    from data.panel import DataError, fingerprint
    from pipeline.audit import audit
    from pipeline.results import keep_audit
    from pipeline.run import opened
    from report.page import write_page
    from report.run_folder import RunFolder
    from report.sections.audit import section
    from report.table import print_rows, write_tables
    from runtime.quiet import console, quiet

    quiet()
    task, panel, folds = opened(cfg)
    if fingerprint(panel) != card["data"]["sha256"]:
        raise DataError(f"The data of {panel.name} are no longer those of the run in {folder}.  Restore them first.")
    found = audit(task, panel, folds, card.get("learnt_from") or {})
    keep_audit(folder, task, found)
    write_tables(folder)
    write_page(folder)

    out = console()
    told = section(RunFolder(folder))
    if told is not None:
        print_rows(out, told.tables[0])
    style = "bold red" if found.leaks else "bold green"
    out.print(found.sentence, style=style, highlight=False, markup=False)
    if found.leaks and not found.unexpected:
        out.print("All of it is part of the protocol that is reproduced.")
    out.print(f"{found.seconds:.1f} s.  Kept in {folder / 'run.json'}, its tables and its report.html")
    return LEAKS if found.unexpected else 0


if __name__ == "__main__":
    run_command(main, USAGE)
