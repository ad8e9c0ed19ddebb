"""Every pair of choices in ``conf/``: runs so small that all of them fit into the tests.

A value that is refused beside the defaults is tried alone; of all others a covering array puts every two values of
different groups into one run at least.  Where a row of it is refused, its pairs that no other row has shown to work
are tried beside the defaults, so that every pair either worked or was refused for its own sake.
"""

import gc
import itertools
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from covertable import make_async
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from pipeline import fitting
from pipeline.run import opened, run
from report.page import write_page
from report.run_folder import RunFolder
from report.table import print_table
from runtime.command_line import sentence
from runtime.record import open_run
from runtime.settings import groups
from tests.conftest import choices

Choice = Mapping[str, str]
"""The value of every group that is not left to its default."""

FILES = {"source"}  # what data are read from: each source has tests of its own
PEERS = {"parallel": {"ray"}, "decomposition": {"ceemdan_pyemd"}}  # a cluster; an engine a hundred times slower
PAGES = 8  # the page is drawn of every so-many-th run
SMALL: Mapping[str, Any] = {
    "history": 64,
    "max_epochs": 1,
    "max_steps": 4,
    "epochs": 2,
    "folds": 2,
    "n_trees": 4,
    "trials": 4,
    "channels": 4,
    "n_members": 2,
    "n_iterations": 4,
    "swarm": 4,
}
"""What makes a run cheap, by the name of the key wherever it stands."""


Pair = frozenset[tuple[str, str]]
"""Two values, each with its group; or one."""


class _BeginsToTrain(Exception):
    """All that can be refused before training was not."""


class Outcome(NamedTuple):
    """What became of one run."""

    refused: str
    """The sentence, where it was refused before anything was fitted."""
    fault: str
    """What went wrong, where it should not have."""


class Pairs:
    """Try every pair of choices of one task.

    Parameters
    ----------
    configure : function
        Composes the configuration of a command line.
    folder : Path
    fixed : list of str
        Overrides of every run: its size and its data.
    settings : mapping
        Values of settings at the top level that are tried as choices are.
    most : int or None
        Rows of the covering array that are run, the first ones that are not refused, which hold the most pairs; None:
        all of them, until every pair has worked or was refused.
    """

    def __init__(
        self,
        configure: Callable[..., DictConfig],
        folder: Path,
        fixed: list[str],
        settings: Mapping[str, list[str]],
        monkeypatch: pytest.MonkeyPatch,
        most: int | None = None,
    ) -> None:
        self.configure, self.folder, self.fixed, self.monkeypatch = configure, folder, fixed, monkeypatch
        self.most = most
        self.number = 0
        self.values = {group: self._values(group) for group in groups() if group not in FILES | {"task"}} | settings

    def _values(self, group: str) -> list[str]:
        return [name for name in choices(group) if name not in PEERS.get(group, ())]

    def all(self) -> dict[Pair, Outcome]:
        """Return the outcome of every value alone, of every refused pair, and of every other one in some run."""
        found: dict[Pair, Outcome] = {}
        usable: dict[str, list[str]] = {}
        for group, values in self.values.items():
            for value in values:
                alone = self.outcome({group: value}, fit=False)
                found[frozenset({(group, value)})] = alone
                if not alone.refused:
                    usable.setdefault(group, []).append(value)
        array = make_async({group: values for group, values in usable.items() if len(values) > 1})
        if self.most is not None:
            return found | self._first(array, self.most)
        rows: list[Choice] = list(array)
        left = {frozenset(pair) for row in rows for pair in _pairs(row)}
        while rows:
            for row in rows:
                outcome = self.outcome(row)
                pairs = {frozenset(pair) for pair in _pairs(row)}
                if outcome.refused:
                    refused = {pair: self.outcome(dict(pair), fit=False) for pair in pairs & left}
                    found |= {pair: told for pair, told in refused.items() if told.refused}
                    if not any(pair in found for pair in pairs):
                        outcome = Outcome("", f"{dict(row)}: refused for more than a pair: {outcome.refused}")
                if not outcome.refused:
                    found |= dict.fromkeys(pairs - found.keys(), outcome)
            left -= found.keys()
            rows = _packed(left, {pair for pair, told in found.items() if told.refused})
        return found

    def _first(self, array: Iterable[Choice], most: int) -> dict[Pair, Outcome]:
        """Return the outcomes of the pairs of the first rows that are not refused; why others are is not asked."""
        found: dict[Pair, Outcome] = {}
        for row in array:
            outcome = self.outcome(row)
            if not outcome.refused:
                found |= dict.fromkeys(map(frozenset, _pairs(row)), outcome)
                most -= 1
            if not most:
                return found
        raise AssertionError(f"{most} rows are lacking: nearly every row of choices is refused.")

    def outcome(self, row: Choice, fit: bool = True) -> Outcome:
        """Run one combination, or without ``fit`` stop where training would begin."""
        self.number += 1
        gc.freeze()  # what is imported never goes: collectors that libraries call need not look at it
        folder = self.folder / str(self.number)
        fitted: list[str] = []
        train = fitting._fit

        def noted(*arguments: Any, **named: Any) -> Any:
            fitted.append("")
            if not fit:
                raise _BeginsToTrain
            return train(*arguments, **named)

        with self.monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(fitting, "_fit", noted)
            warnings.simplefilter("ignore")
            try:
                composed = small(self.configure(*self.fixed, *(f"{key}={value}" for key, value in row.items())))
                composed.folder = str(folder)
                cfg, _ = open_run(composed)
                run(cfg, folder, Console(file=StringIO(), width=200))
                print_table(Console(file=StringIO(), width=200), RunFolder(folder).metrics)
                if self.number % PAGES == 0:
                    write_page(folder)
            except _BeginsToTrain:
                return Outcome("", "")
            except Exception as error:
                told = sentence(error, "")
                if told is None:
                    return Outcome("", f"{dict(row)}: {type(error).__name__}: {error}")
                return Outcome("", f"{dict(row)}: refused after training: {told}") if fitted else Outcome(told, "")
        return Outcome("", _misjudged(cfg, folder, row))


def _misjudged(cfg: DictConfig, folder: Path, row: Choice) -> str:
    """Say where the audit accuses a run that leaks neither by its split nor by its settings, or finds one causal."""
    if cfg.audit == "none":
        return ""
    task, panel, folds = opened(cfg)
    found = [finding for finding in task.checks(panel, folds) if finding.verdict == "LEAKS"]
    leaks = bool(found) or any(task.leak_by_design(candidate) for candidate in task.candidates())
    accused = RunFolder(folder).card["audit"]["verdict"] == "LEAKS"
    return "" if accused == leaks else f"{dict(row)}: {'accused' if accused else 'not accused'} by the audit"


def small(cfg: DictConfig) -> DictConfig:
    """Return the configuration with everything that costs time made small."""
    plain = OmegaConf.to_container(cfg)
    _shrink(plain)
    made = OmegaConf.create(plain)
    assert isinstance(made, DictConfig)
    return made


def _shrink(node: Any) -> None:
    items: Iterable[tuple[Any, Any]] = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if key in SMALL and isinstance(value, int):
            node[key] = min(value, SMALL[key])
        elif key == "hidden" and isinstance(value, (int, list)):
            node[key] = 4 if isinstance(value, int) else [4] * len(value)
        elif key == "candidates" and isinstance(value, list):
            node[key] = value[:2]
        elif isinstance(value, (dict, list)):
            _shrink(value)


def _pairs(row: Choice) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    return itertools.combinations(row.items(), 2)


def _packed(left: set[Pair], refused: set[Pair]) -> list[Choice]:
    """Put pairs into few rows, none of which holds a pair that is refused."""
    rows: list[dict[str, str]] = []
    for pair in sorted(left, key=sorted):
        for row in rows:
            joined = row | dict(pair)
            fits = all(row.get(group, value) == value for group, value in pair)
            if fits and refused.isdisjoint(frozenset(two) for two in _pairs(joined)):
                row.update(pair)
                break
        else:
            rows.append(dict(pair))
    return list(rows)


def main() -> None:
    """Run all rows of some tasks, and print what came of them; a fault is told as soon as it is there."""
    from tests import conftest, test_pairs_forecast, test_pairs_rul

    modules = {"forecast": test_pairs_forecast, "rul": test_pairs_rul}
    parser = ArgumentParser(prog="python -m tests.pairs", description=__doc__)
    parser.add_argument("--task", choices=modules, help="by default both")
    wanted = parser.parse_args().task
    for task, module in modules.items() if wanted is None else [(wanted, modules[wanted])]:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            pairs = Told(conftest.composer(Path(folder)), Path(folder), module.FIXED, module.SETTINGS, patch)
            found = pairs.all()
        refused = sum(bool(outcome.refused) for outcome in found.values())
        faults = {outcome.fault for outcome in found.values() if outcome.fault}
        print(
            f"{task}: {len(found)} values and pairs in {pairs.number} runs, {refused} refused before anything was "
            f"fitted, {len(faults)} faults"
        )


class Told(Pairs):
    """Pairs that tell every fault as soon as it is there."""

    def outcome(self, row: Choice, fit: bool = True) -> Outcome:
        """Run one combination."""
        found = super().outcome(row, fit)
        if found.fault:
            print(found.fault, flush=True)
        return found


if __name__ == "__main__":
    main()
