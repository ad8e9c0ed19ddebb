"""The results page: what finished runs have shown, each with the command that makes it again.

``python -m report.results outputs/csi300/20260101-120000-000000 [more folders] [--out docs/results.md]``
"""

import argparse
import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from report.run_folder import Metrics, RunFolder
from report.sections.reproduce import BY_HAND
from report.settings import leaves
from report.table import to_markdown
from report.text import duration, four, in_markdown, literal
from runtime.compose import composed
from runtime.faults import FolderError
from runtime.files import write_text

CONF = Path(__file__).resolve().parents[1] / "conf"
FAULT = 2  # exit code if anything given could not be used
FOLDER_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)-\d{6}")  # how train.py names the folder of a run
OPTION = re.compile(r"[\w-]+")  # of a configuration group
PLAIN = re.compile(r"[A-Za-z_./][\w./-]*")  # texts that Hydra reads as such without quotes
WORDS = {"null", "true", "false", "nan", "inf", "yes", "no", "on", "off"}


class Composed(NamedTuple):
    """What train.py would run."""

    leaves: dict[str, Any]
    """Every value by its dotted key, resolved."""
    own: set[str]
    """Keys that do not follow another one."""
    groups: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of all runs that can be read, complain of the rest and return the exit code."""
    parser = argparse.ArgumentParser(description="Write a page of the results of finished runs.")
    parser.add_argument("folders", nargs="+", type=Path, help="searched for runs, with all their subfolders")
    parser.add_argument("--out", type=Path, help="the Markdown file to write; else the page is printed")
    options = parser.parse_args(arguments)
    faults: list[str] = []
    parts = []
    for folder in found(options.folders, faults):
        try:
            parts.append(section(folder))
        except FolderError as error:
            faults.append(str(error))
    if parts and options.out is None:
        print(page(parts), end="")
    elif parts:
        try:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.out, page(parts))
            print(f"{len(parts)} {'run' if len(parts) == 1 else 'runs'} written to {options.out}")
        except OSError as error:
            faults.append(f"Nothing can be written to {options.out} ({error.strerror}).  Name another file with --out.")
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULT if faults else 0


def found(folders: Sequence[Path], faults: list[str]) -> list[Path]:
    """Return every folder of a finished run below the folders, once; what holds none is added to the faults."""
    runs: dict[Path, Path] = {}
    for folder in folders:
        below = sorted(path.parent for path in folder.rglob("metrics.json"))
        if not below:
            what = "holds no finished run: there is no metrics.json" if folder.is_dir() else "is no folder"
            faults.append(f"{folder} {what}.  Give the folder of a run that has ended.")
        runs |= {run.resolve(): run for run in below}
    return list(runs.values())


def page(sections: Sequence[str]) -> str:
    """Return the page of the sections of its runs."""
    opening = (
        "# Results\n\n"
        "Written by `python -m report.results` from the files of finished runs, not by hand.  The first bold\n"
        "sentence of each is what the [leak audit](leakage.md) found.\n"
    )
    return "\n".join([opening, *sections])


def section(folder: Path) -> str:
    """Return what a finished run has shown, as Markdown.

    Raises
    ------
    FolderError
        If one of its files is missing or broken.
    """
    run = RunFolder(folder)
    absent = [name for name in ("run.json", "config.yaml") if not (folder / name).is_file()]
    if absent:
        raise FolderError(f"{folder / absent[0]} cannot be read: there is none.  Run the experiment again.")
    metrics = run.metrics
    title = f"## {metrics.experiment}: {metrics.model} on {metrics.title}"
    lines = [in_markdown(title), "", in_markdown(made(folder, run.card)), "", *_remark(metrics.audit)]
    lines += [to_markdown(metrics).rstrip("\n"), "", in_markdown(coverage(metrics)), ""]
    lines += ["```sh", command(run.settings) or "\n".join(BY_HAND), "```"]
    return "\n".join(lines) + "\n"


def made(folder: Path, card: Mapping[str, Any]) -> str:
    """Say with what data and code a run was made, when, and how long it took."""
    data = card.get("data", {})
    facts = [f"{data['rows']} rows, SHA-256 {data['sha256']}"] if {"rows", "sha256"} <= set(data) else []
    if times := FOLDER_TIME.findall(str(folder.resolve())):
        facts.append("-".join(times[-1]))
    if card.get("commit"):
        facts.append(f"commit {str(card['commit'])[:7]}")
        facts[-1] += " and uncommitted changes" if card.get("uncommitted_changes") else ""
    seeds = card.get("seeds", [])
    facts.append(f"seed {', '.join(map(str, seeds))}" if len(seeds) < 2 else f"seeds {', '.join(map(str, seeds))}")
    spent = sum(value for value in card.get("seconds", {}).values() if isinstance(value, (int, float)))
    facts.append(f"fitted in {duration(float(spent))} on {card.get('cores')} cores")
    cost = card.get("audit", {}).get("seconds")
    if isinstance(cost, (int, float)):
        facts.append(f"audited in {duration(float(cost))}")
    return "; ".join(facts) + "."


def coverage(metrics: Metrics) -> str:
    """Say how many truths the intervals of the run's model hold."""
    rows = metrics.coverage
    told = []
    if rows is not None and len(rows):
        own = rows[(rows["model"] == metrics.model) & (rows["part"] == "all")].sort_values("level")
        told = [
            f"{row['level']:g} %: {100 * row['coverage']:.1f} % of {int(row['n'])} truths inside, mean width "
            f"{four(float(row['width']))} {metrics.unit}"
            for _, row in own.iterrows()
            if math.isfinite(row["coverage"])
        ]
    return f"Intervals of {metrics.model}: {'; '.join(told)}." if told else f"{metrics.model} has no intervals."


def command(settings: Mapping[str, Any]) -> str | None:
    """Return the command that composes these settings, or None where none is found.

    The experiment comes first, then the choices and the values that differ from what it would compose
    by itself.  What is returned has been composed and compared with every setting.

    Parameters
    ----------
    settings : mapping
        The content of config.yaml.
    """
    names = settings.get("names")
    if not isinstance(names, Mapping) or "experiment" not in names:
        return None
    if not all(choice is None or OPTION.fullmatch(str(choice)) for choice in names.values()):
        return None  # no name of a file of conf/
    kept = leaves({key: value for key, value in settings.items() if key != "tracking"})  # of a place, not of a run
    words = [f"experiment={names['experiment']}"]
    try:
        composed = _composed(tuple(words))
        words += [
            f"{group}={_text(choice)}"
            for group, choice in names.items()
            if choice is not None and group in composed.groups and composed.leaves.get(f"names.{group}") != choice
        ]
        words += _swapped(words, kept, names)
        for own in (True, False):  # first what others follow by interpolation, such as the seed
            composed = _composed(tuple(words))
            words += [
                f"{key}={_text(value)}"
                for key, value in kept.items()
                if key in composed.leaves and composed.leaves[key] != value and (key in composed.own) is own
            ]
        same = _composed(tuple(words)).leaves == kept
    except (HydraException, OmegaConfBaseException):
        return None  # made with settings this version does not know
    line = f"python train.py {shlex.join(words)}"
    return line if same and literal(line) == line and "`" not in line else None


def _swapped(words: Sequence[str], kept: Mapping[str, Any], noted: Mapping[str, Any]) -> list[str]:
    """Return the choices of groups that are not noted that bring the settings closer to those kept."""
    swapped: list[str] = []
    start = _composed(tuple(words))
    closest = start.leaves
    for group in start.groups:
        key = group.replace("/", ".")
        if group in noted or "@" in group or _below(closest, key) == _below(kept, key):
            continue
        best = None
        for option in sorted(path.stem for path in (CONF / group).glob("*.yaml")):
            try:
                tried = _composed((*words, *swapped, f"{group}={option}")).leaves
            except (HydraException, OmegaConfBaseException):
                continue  # not every choice goes with every other
            if _apart(tried, kept) < _apart(closest, kept):
                best, closest = option, tried
        if best is not None:
            swapped.append(f"{group}={best}")
    return swapped


@cache  # runs on one page are mostly variants of each other
def _composed(words: tuple[str, ...]) -> Composed:
    cfg, choices = composed(words)
    written, resolved = (
        cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=resolve)) for resolve in (False, True)
    )
    return Composed(
        leaves=leaves(resolved),
        own={key for key, value in leaves(written).items() if not str(value).startswith("${")},
        groups=[group for group in choices if not group.startswith("hydra/")],
    )


def _below(leaves: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in leaves.items() if name == key or name.startswith(f"{key}.")}


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Count the keys that are not in both with the same value."""
    return sum(key not in one or key not in other or one[key] != other[key] for key in one.keys() | other.keys())


def _text(value: Any) -> str:
    """Return a value as Hydra reads it on a command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, str) and not (PLAIN.fullmatch(value) and value.lower() not in WORDS):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def _remark(audit: Mapping[str, Any] | None) -> list[str]:
    """Return what must be said of an audit besides its sentence, which the table has."""
    if audit is None:
        return ["**not audited**", ""]
    expected = audit.get("expected") or []
    if audit.get("verdict") == "LEAKS" and expected:
        return [f"Repeats a published protocol, whose leak is expected in: {', '.join(expected)}.", ""]
    return []


if __name__ == "__main__":
    sys.exit(main())
