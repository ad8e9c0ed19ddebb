"""Versions, data, seeds, times and configuration of a run, and how to make it again."""

import pandas as pd

from report.parts import Section, Text
from report.run_folder import RunFolder
from report.table import Cell, Column, Row, Table, plain_table
from report.text import duration

BY_HAND = ["mkdir -p outputs/again && cp config.yaml outputs/again/", "python train.py resume=outputs/again"]


def section(run: RunFolder) -> Section:
    """Return what the run was made with."""
    card = run.card
    columns = [Column("what", numeric=False), Column("which", numeric=False)]
    tables = [Table("Made with", columns, [Row([Cell(what), Cell(which)]) for what, which in _facts(run)])]
    spent = pd.DataFrame(
        [
            {"model": str(part).split(", ")[0], "seconds": float(value)}
            for part, value in card.get("seconds", {}).items()
            if isinstance(value, (int, float))
        ]
    )
    total = ""
    if len(spent):
        by_model = spent.groupby("model")["seconds"].agg(["size", "sum"]).sort_values("sum", ascending=False)
        titles = {"model": "model", "size": "fits", "sum": "seconds"}
        tables.append(plain_table("Time taken, all folds and seeds", by_model.reset_index(), titles))
        total = f" in {duration(float(spent['seconds'].sum()))}"
    checkout = [f"git checkout {card['commit']}"] if card.get("commit") else []
    command = card.get("command")
    lines = [*checkout, *([str(command)] if command else BY_HAND)]
    texts = [Text("How to make this run again", "\n".join(lines), open=True)]
    if run.config:
        texts.append(Text("Configuration (config.yaml)", run.config))
    heading = f"Made{total}; the same commit, data and seed give the same numbers"
    return Section("reproduce", "Reproduce", heading, tables=tables, texts=texts)


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    card, facts = run.card, []
    data, packages = card.get("data"), card.get("packages")
    if data:
        facts.append(("data", f"{data.get('name')}, {data.get('rows')} rows, SHA-256 {data.get('sha256')}"))
    if card.get("commit"):
        changed = " and uncommitted changes" if card.get("uncommitted_changes") else ""
        facts.append(("commit", f"{card['commit']}{changed}"))
    facts.append(("seed", ", ".join(map(str, run.metrics.seeds))))
    facts += [(name, str(card[name])) for name in ("python", "platform", "cores") if card.get(name) is not None]
    if packages:
        facts.append(("packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)))
    return facts
