"""The report page of a run: one HTML file that opens anywhere, made from the files of its folder alone.

``python -m report.page outputs/sp500/20260101-120000-000000`` makes it again.

The page may load nothing and runs no script but its own: its content security policy allows two
scripts by their hashes, so text from data or settings could not run even if it were not escaped.  The
pages of a sweep also load one script from the folder of the sweep, which holds the second of them for all.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from report.figures.plotly import spec
from report.parts import Section, Verdict
from report.run_folder import RunFolder
from report.text import called, four, listed, literal, p_value
from runtime.faults import FolderError, printable
from runtime.files import write_text

TEMPLATES = Path(__file__).with_name("templates")
SECTIONS = Path(__file__).with_name("sections")
SECTION_NAME = re.compile(r"([a-z][a-z_]*)(?:\.([a-z][a-z_]*))?")  # a module, and its function if that is not `section`
BREAKS = re.compile(r" (?=%)|(?<=\bp) (?=[=<])|(?<=\bp [=<]) ")  # spaces at which no line may end
WORDS = {"better": "is better than", "worse": "is worse than", "same": "is no better than"}


def write_page(folder: Path, sweep: Path | None = None) -> Path:
    """Make report.html of the files of a run folder and return where it is.

    Parameters
    ----------
    sweep : Path or None
        Folder of the sweep the run is a job of: its pages share one copy of what draws the figures, 2 MB, in there.

    Raises
    ------
    FolderError
        If the folder holds no finished run, or one of its files cannot be read.
    """
    run = RunFolder(folder)
    path = folder / "report.html"
    library = None if sweep is None else Path(os.path.relpath(_shared(sweep), folder)).as_posix()
    write_text(path, render(_title(run), [verdict(run)], _facts(run), sections(run), library))
    return path


def render(
    title: str,
    first_lines: Sequence[Verdict],
    facts: Sequence[str],
    parts: Sequence[Section],
    library: str | None = None,
) -> str:
    """Return the page as HTML, its scripts and styles within.

    Parameters
    ----------
    library : str or None
        Where the packed plotly.js is that several pages share, seen from the page; None puts it into the page.
    """
    drawn = any(section.figures for section in parts)
    plotly = _plotly() if drawn else b""
    own = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else literal(value),
    )
    environment.filters |= {
        "as_json": as_json,
        "bound": lambda text: BREAKS.sub("\u00a0", str(text)),
        "spec": spec,
        "in_lines": lambda text: escape(printable(str(text))),
    }
    return environment.get_template("page.html.j2").render(
        title=title,
        verdicts=first_lines,
        facts=facts,
        sections=parts,
        allowed=[Markup(f"'sha256-{_digest(script)}'") for script in (own.encode(), plotly) if script],
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        js=Markup(own),
        packed=Markup(_packed() if drawn and library is None else ""),
        library=library if drawn else None,
    )


def as_json(value: Any) -> Markup:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def verdict(run: RunFolder) -> Verdict:
    """Return what the leak audit found; it is the first thing a reader sees."""
    audit, leaks = run.metrics.audit, run.metrics.leaks
    if audit is None:
        if leaks:
            said = f"by its settings: {listed(list(leaks))} uses the future.  The run was not audited."
            return Verdict("leaks", "LEAKS", said)
        said = "Whether an input of this run depends on what comes after its forecast was not tested."
        return Verdict("unknown", "not audited", said)
    word = str(audit.get("verdict", "not audited"))
    sentence = str(audit.get("sentence", "")).removeprefix(f"{word}:").strip().removesuffix(".") + "."
    if word != "LEAKS":
        return Verdict("causal" if word.startswith("causal") else "unknown", word, sentence)
    accused = [model for model in run.metrics.scores["model"] if model in leaks]
    if accused and len(accused) < len(run.metrics.scores):
        honest = len(run.metrics.scores) - len(accused)
        sentence += f"  Only {listed(accused)} {'is' if len(accused) == 1 else 'are'} accused, "
        sentence += f"{honest} other {'row is' if honest == 1 else 'rows are'} not."
    expected = [str(stage) for stage in audit.get("expected") or []]
    found = {str(stage.get("stage")) for stage in audit["stages"] if stage.get("verdict") == "LEAKS"}
    if expected and found <= set(expected):
        sentence += f"  This experiment repeats a published protocol and expects it ({listed(expected)})."
    return Verdict("leaks", word, sentence)


def leak_note(run: RunFolder) -> str:
    """Say of the run's model that its numbers cannot be had in practice; nothing where it does not leak."""
    from evaluation.judge import leak_note as note_of  # a second to import

    sentence = run.metrics.leaks.get(run.metrics.model)
    return "" if sentence is None else note_of(run.metrics.model, sentence)


def sections(run: RunFolder) -> list[Section]:
    """Return every part the run names and has left files for, in the order of the page.

    A name is looked up among the files of ``report/sections/`` before anything is imported; what this version does
    not know is left out.

    Raises
    ------
    FolderError
        If a file of the run does not hold what a part needs.
    """
    made = []
    for name in run.metrics.sections:
        named = SECTION_NAME.fullmatch(name)
        if named is None or not (SECTIONS / f"{named[1]}.py").is_file():
            continue
        module = import_module(f"report.sections.{named[1]}")
        make = vars(module).get(named[2] or "section")
        if not isinstance(make, FunctionType) or make.__module__ != module.__name__:
            continue
        try:
            section = make(run)
        except FolderError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            told = f"{type(error).__name__}: {literal(error)}"
            raise FolderError(f"The part {name} of the page cannot be made of {run.path} ({told}).") from error
        made += [] if section is None else [section]
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page of every folder given and return the exit code."""
    parser = argparse.ArgumentParser(description="Make report.html again from the files of finished runs.")
    parser.add_argument("folders", nargs="+", type=Path, help="of finished runs")
    code = 0
    for folder in parser.parse_args(arguments).folders:
        try:
            print(f"Written to {write_page(folder)}")
        except OSError as error:
            print(error, file=sys.stderr)
            code = 2
    return code


def _title(run: RunFolder) -> str:
    metrics = run.metrics
    about, model = metrics.title or metrics.experiment, metrics.model
    scores, reference = metrics.scores.set_index("model").to_dict("index"), called(metrics.reference)
    row = scores[model]
    if row["leaks"]:
        return f"{about}: {model} uses the future, its numbers cannot be had in practice"
    word = WORDS.get(str(row.get("verdict")))
    if word and np.isfinite(row.get("p_corrected", np.nan)):
        return f"{about}: {model} {word} {reference} ({p_value(row['p_corrected'])})"
    sentence = f"{about}: {model} is off by {four(row['mae'])} {metrics.unit} on average"
    if model != metrics.reference:
        sentence += f", {reference} by {four(scores[metrics.reference]['mae'])}"
    return sentence


def _facts(run: RunFolder) -> list[str]:
    """Return the line under the title."""
    metrics, commit = run.metrics, run.card.get("commit")
    parts = [f"experiment {metrics.experiment}", f"data {metrics.dataset}"]
    if "n" in metrics.scores:
        parts.append(f"{int(metrics.scores['n'].max())} test forecasts")
    parts.append(f"seed{'s' if len(metrics.seeds) > 1 else ''} {', '.join(map(str, metrics.seeds))}")
    if commit:
        changed = " with uncommitted changes" if run.card.get("uncommitted_changes") else ""
        parts.append(f"commit {str(commit)[:7]}{changed}")
    return parts


@cache
def _plotly() -> bytes:
    return files("plotly").joinpath("package_data/plotly.min.js").read_bytes()


@cache
def _packed() -> str:
    """Return plotly.js as it stands in a page: packed, as letters."""
    return base64.b64encode(gzip.compress(_plotly(), 9, mtime=0)).decode()


def _shared(sweep: Path) -> Path:
    """Return the script that hands the packed plotly.js to the pages of a sweep; its name follows from its content.

    It is no more than a text: a page still runs it only if it is the plotly.js whose hash the page allows.
    """
    path = sweep / f"plotly-{hashlib.sha256(_plotly()).hexdigest()[:8]}.js"
    if not path.exists():
        write_text(path, f'globalThis.packedPlotly = "{_packed()}";\n')
    return path


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


if __name__ == "__main__":
    sys.exit(main())
