"""What the leak audit replaced, stage by stage, and what changed."""

import pandas as pd

from report.parts import Section
from report.run_folder import RunFolder
from report.table import plain_table
from report.text import listed, literal

TITLES = {
    "stage": "stage",
    "subject": "of",
    "verdict": "verdict",
    "checked": "checked",
    "changed": "changed",
    "detail": "detail",
}


def section(run: RunFolder) -> Section | None:
    """Return a row a finding; those that leak are red."""
    audit = run.metrics.audit
    if not audit or not audit["stages"]:
        return None
    stages = pd.DataFrame(audit["stages"])
    leaking = list(dict.fromkeys(stages.loc[stages["verdict"] == "LEAKS", "stage"].astype(str)))
    heading = (
        f"Leak audit: {listed(leaking)} {'uses' if len(leaking) == 1 else 'use'} the future"
        if leaking
        else f"Leak audit: none of {stages['stage'].nunique()} stages depends on what comes after the forecast"
    )
    if "subject" in stages:
        stages["subject"] = stages["subject"].fillna("").replace("", "all")
    table = plain_table("What was replaced after an origin, and how many inputs changed", stages, TITLES)
    kinds = ["leaks" if verdict == "LEAKS" else "" for verdict in stages["verdict"]]
    rows = [row._replace(kind=kind) for row, kind in zip(table.rows, kinds, strict=True)]
    cost = audit.get("seconds")
    took = f"  The audit took {cost:.3g} s." if isinstance(cost, (int, float)) else ""
    said = (
        "Everything after sampled origins was replaced by other values and the inputs were built again; what is "
        f"causal must not change.{took}"
    )
    if audit.get("taken_from"):
        said += (
            f"  This was done by the run {literal(audit['taken_from'])} of the same sweep, whose settings, data, "
            f"split, code and packages are the same but for the seed; the windows and batches of this run were made "
            f"again and compared here."
        )
    return Section("audit", "Audit", heading, [said], [table._replace(rows=rows)])
