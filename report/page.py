"""The report page of a run: one HTML file that opens anywhere, made from the files of its folder alone.

``python -m report.page outputs/sp500/20260101-120000-000000`` makes it again.

The page may load nothing and runs no script but its own: its content security policy allows two
scripts by their hashes, so text from data or settings could not run even if it were not escaped.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from report import page_life as life
from report import page_sections as common
from report import page_series as series
from report.page_run import PageError, Run, read_run
from report.page_tables import Section, Verdict, called, four, listed, p_value

TEMPLATES = Path(__file__).with_name("templates")
BREAKS = re.compile(r" (?=%)|(?<=\bp) (?=[=<])|(?<=\bp [=<]) ")  # spaces at which no line may end
SERIES: list[Callable[[Run], Section | None]] = [
    common.results,
    common.forecast,
    common.audit_stages,
    series.pairs,
    series.over_time,
    series.regimes,
    common.calibration,
    series.copycat,
    series.residuals,
    series.components,
    common.attention,
    common.losses,
    common.reproduce,
]
LIFE: list[Callable[[Run], Section | None]] = [
    common.results,
    common.forecast,
    life.cells,
    common.audit_stages,
    life.over_life,
    life.stages,
    common.calibration,
    common.attention,
    life.factors,
    life.clusters,
    life.synthetic,
    common.losses,
    common.reproduce,
]
"""The parts of the page of each job, in their order."""


def write_page(folder: Path) -> Path:
    """Make report.html of the files of a run folder and return where it is.

    Raises
    ------
    PageError
        If the folder holds no finished run, or one of its files cannot be read.
    """
    run = read_run(folder)
    path = folder / "report.html"
    write_whole(path, render(_title(run), verdicts(run), _facts(run), sections(run)))
    return path


def render(title: str, first_lines: Sequence[Verdict], facts: Sequence[str], parts: Sequence[Section]) -> str:
    """Return the page as HTML, its scripts and styles within."""
    drawn = any(section.figures for section in parts)
    plotly, packed = _library() if drawn else (b"", "")
    own = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["as_json"] = as_json
    environment.filters["bound"] = lambda text: BREAKS.sub("\u00a0", str(text))
    return environment.get_template("page.html.j2").render(
        title=title,
        verdicts=first_lines,
        facts=facts,
        sections=parts,
        allowed=[Markup(f"'sha256-{_digest(script)}'") for script in (own.encode(), plotly) if script],
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        js=Markup(own),
        packed=Markup(packed),
    )


def as_json(value: Any) -> Markup:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def verdicts(run: Run) -> list[Verdict]:
    """Return what the leak audit found; it is the first thing a reader sees."""
    audit = run.card.get("audit") or run.metrics.get("audit")
    declared = [str(label) for label, leaks in (run.card.get("leaks") or {}).items() if leaks]
    if not isinstance(audit, Mapping):
        if declared:
            return [
                Verdict(
                    "leaks", "LEAKS", f"by its settings: {listed(declared)} uses the future.  The run was not audited."
                )
            ]
        return [
            Verdict(
                "unknown",
                "not audited",
                "Whether an input of this run depends on what comes after its forecast was not tested.",
            )
        ]
    sentence = str(audit.get("sentence", ""))
    word = str(audit.get("verdict", ""))
    sentence = sentence.removeprefix(f"{word}:").strip().removesuffix(".") + "."
    expected = [str(stage) for stage in audit.get("expected") or []]
    if word == "causal":
        return [Verdict("causal", "causal", sentence)]
    found = [str(stage.get("stage")) for stage in audit.get("stages", []) if stage.get("verdict") == "LEAKS"]
    if expected and set(found) <= set(expected):
        sentence += f"  This experiment repeats a published protocol and expects it ({listed(expected)})."
    return [Verdict("leaks", "LEAKS", sentence)]


def sections(run: Run) -> list[Section]:
    """Return every part for which the run has left a file, in the order of the page."""
    makers = LIFE if run.life else SERIES
    return [section for make in makers if (section := make(run)) is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page of every folder given and return the exit code."""
    parser = argparse.ArgumentParser(description="Make report.html again from the files of finished runs.")
    parser.add_argument("folders", nargs="+", type=Path, help="of finished runs")
    code = 0
    for folder in parser.parse_args(arguments).folders:
        try:
            print(f"Written to {write_page(folder)}")
        except (PageError, OSError) as error:
            print(error, file=sys.stderr)
            code = 2
    return code


def _title(run: Run) -> str:
    scores = run.scores
    about = str(run.metrics.get("title") or run.metrics.get("experiment") or run.folder.name)
    own = scores[scores["model"] == run.model]
    if own.empty:
        return about
    row, reference = own.iloc[0], run.reference
    if row.get("leaks", False):
        return f"{about}: {run.model} uses the future, its numbers cannot be had in practice"
    if "verdict" in row and reference and run.model != reference and np.isfinite(row.get("p_corrected", np.nan)):
        words = {"better": "is better than", "worse": "is worse than", "same": "is no better than"}.get(
            str(row["verdict"])
        )
        if words:
            return f"{about}: {run.model} {words} {called(reference)} ({p_value(row['p_corrected'])})"
    if "mae" not in row:
        return f"{about}: {run.model}"
    beside = scores.loc[scores["model"] == reference, "mae"]
    sentence = f"{about}: {run.model} is off by {four(row['mae'])} {run.unit} on average"
    if len(beside) and reference != run.model:
        sentence += f", {called(reference)} by {four(float(beside.iloc[0]))}"
    return sentence


def _facts(run: Run) -> list[str]:
    """Return the line under the title."""
    seeds = run.seeds
    commit = run.card.get("commit")
    parts = [f"experiment {run.metrics.get('experiment')}", f"data {run.metrics.get('dataset')}"]
    if "n" in run.scores:
        parts.append(f"{int(run.scores['n'].max())} test forecasts")
    parts.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}")
    if commit:
        parts.append(
            f"commit {str(commit)[:7]}" + (" with uncommitted changes" if run.card.get("uncommitted_changes") else "")
        )
    return parts


@cache
def _library() -> tuple[bytes, str]:
    """Return plotly.js, and how it stands in the page: packed, as letters."""
    script = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    return script, base64.b64encode(gzip.compress(script, 9, mtime=0)).decode()


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


if __name__ == "__main__":
    sys.exit(main())
