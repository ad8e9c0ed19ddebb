"""From what was typed to a study, and from a study to the run that judges its best setting."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.study import Study
from rich.console import Console

from data.panel import fingerprint
from pipeline.run import opened
from pipeline.tuning.record import best_of, record
from pipeline.tuning.space import DEFAULT, Space, as_words, defaults_of, read_space, space_for
from pipeline.tuning.study import open_study
from pipeline.tuning.trials import Plan, seen_while_choosing, settings_of
from report.run_folder import RunFolder, write_metrics
from runtime.build import ConfigError
from runtime.compose import composed
from runtime.files import ROOT, write_json
from runtime.sweep import identity

DEFAULT_TRIALS = 30
SECTION = "training.trials"
ARTIFACT = Path("artifacts", "trials.json")


def planned(given: DictConfig) -> tuple[Plan, Path]:
    """Return the plan of a study, which is begun where there is none, and the folder of its runs.

    Raises
    ------
    ConfigError
        If the space does not go with the settings, nothing is held out, or the data have changed.
    """
    words = tuple(map(str, OmegaConf.to_container(given.train, resolve=False)))  # type: ignore[arg-type]
    cfg, chosen = composed(words)
    search = space_for(str(given.get("search", DEFAULT)), str(chosen.get("model")))
    space = read_space(search)
    defaults = defaults_of(space, cfg, chosen, search)
    settings = settings_of(words)
    task, panel, folds = opened(settings)
    base = Path("outputs", str(settings.names.experiment), "tune")
    own = identity(settings) + hashlib.sha256(repr((sorted(space.items()), settings.seed)).encode()).hexdigest()[:4]
    name = str(given.get("study", f"{settings.names.experiment}-{search}-{own}"))
    storage = str(given.get("storage", f"sqlite:///{base / 'study.db'}"))
    if "storage" not in given:
        base.mkdir(parents=True, exist_ok=True)
    seen, tested = seen_while_choosing(task, panel, folds)
    facts: dict[str, Any] = {
        "data": fingerprint(panel),
        "unit": panel.unit,
        "title": panel.name,
        "search": search,
        "words": " ".join(words),
        "space": {key: entry._asdict() for key, entry in space.items()},
        "settings": own,
        "defaults": defaults,
        "seen": seen,
        "tested": tested,
    }
    study = open_study(storage, name, settings.seed)
    _begin(study, facts, space)
    trials = int(given.get("trials", DEFAULT_TRIALS))
    plan = Plan(words, space, storage, name, settings.seed, trials, str(facts["data"]))
    return plan, base / name


def shown(plan: Plan, out: Console) -> None:
    """Print how the trials ended, why some failed, and the best setting beside the default one."""
    found = record(plan.open())
    counts, unit = found["counts"], found["facts"]["unit"]
    told = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    out.print(f"{sum(counts.values())} trials: {told}", highlight=False)
    failures: dict[str, list[int]] = {}
    for trial in found["trials"]:
        if trial["outcome"] == "failed":
            failures.setdefault(str(trial["said"]).strip().splitlines()[-1], []).append(trial["number"])
    for said, numbers in failures.items():
        out.print(f"Failed ({', '.join(map(str, numbers))}): {said}", style="red", highlight=False, markup=False)
    best = next((trial for trial in found["trials"] if trial["number"] == found["best"]), None)
    if best is None:
        return
    setting = "  ".join(as_words(best["params"]))
    out.print(f"Best on validation: {best['mae']:.5g} {unit}, trial {best['number']}: {setting}", highlight=False)
    first = found["trials"][0]
    if first["params"] == found["facts"]["defaults"] and first["mae"] is not None:
        out.print(f"The default settings: {first['mae']:.5g} {unit}", highlight=False)


def judged(plan: Plan, folder: Path, out: Console) -> Path:
    """Judge the best setting by a run with its audit, add the trials to it, and return its folder.

    Raises
    ------
    ConfigError
        If no trial was completed.
    SystemExit
        If the run did not end.
    """
    study = plan.open()
    if best_of(study) is None:
        raise ConfigError("No trial was completed, so there is nothing to judge.")
    words = [*plan.words, *as_words(study.best_params)]
    run = folder / f"best-{identity(settings_of(words))}"
    if (run / "metrics.json").exists():
        out.print(f"{run} has judged it: nothing to do.", highlight=False, markup=False)
    else:
        line = [sys.executable, str(ROOT / "train.py"), *words, f"hydra.run.dir={run}"]
        done = subprocess.run(line, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
    looks = sorted({*study.user_attrs.get("judged", []), run.name})
    study.set_user_attr("judged", looks)
    add_trials(run, record(study))
    if len(looks) > 1:
        said = (
            f"The test rows have now been looked at {len(looks)} times, for as many best settings of this study: "
            f"to choose among them by their test errors is no test."
        )
        out.print(said, style="yellow", highlight=False, markup=False)
    return run


def add_trials(run: Path, found: dict[str, Any]) -> None:
    """Keep the trials in a run folder, and name them as a part of its page."""
    write_json(run / ARTIFACT, found)
    metrics = RunFolder(run).metrics
    sections = [name for name in metrics.sections if name != SECTION]
    at = sections.index("reproduce") if "reproduce" in sections else len(sections)
    write_metrics(run, replace(metrics, sections=[*sections[:at], SECTION, *sections[at:]]))


def _begin(study: Study, facts: dict[str, Any], space: Space) -> None:
    """Keep what a study is about, or refuse to go on with another one under its name; the defaults are tried first."""
    before = study.user_attrs.get("settings")
    if before is None:
        for key, value in facts.items():
            study.set_user_attr(key, value)
        defaults = facts["defaults"]
        if all(space[key].holds(value) for key, value in defaults.items()) and not study.trials:
            study.enqueue_trial(defaults)
    elif before != facts["settings"]:
        raise ConfigError(
            f"The study {study.study_name} was begun with other settings or another search space "
            f"({study.user_attrs.get('words')}).  Give another name with study=..., or none."
        )
    elif study.user_attrs.get("data") != facts["data"]:
        raise ConfigError("The data have changed since the study began.  Restore them, or begin another with study=...")
