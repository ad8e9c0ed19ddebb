"""What distinguishes the settings of runs: their kept configurations without the seed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from report.run_folder import Metrics

OF_A_PLACE = {"folder", "resume", "names", "seed", "seeds", "parallel", "threads", "audit", "expected_leaks", "figures"}
"""Settings that change no number."""
NO_CHOICE = {"model", "experiment", "source"}  # groups the label of a row, or its table, tells of
TARGET = "_target_"  # key of a class
TOLD = 4  # settings a row is named by; of more it is said that there are


class Member(NamedTuple):
    """A run among those it is compared with."""

    metrics: Metrics
    settings: Mapping[str, Any]
    """Its kept configuration; empty where it has none."""


def told_apart(runs: Sequence[Member]) -> list[dict[str, str]]:
    """Return for each run, and each label of its rows, what distinguishes the row from those of the other runs.

    That is nothing where a label has the same settings in all runs.  Where a run has no configuration, the options of
    the configuration groups are all there is to compare.
    """
    told: list[dict[str, str]] = [{} for _ in runs]
    whole = all(run.settings for run in runs)
    for label in dict.fromkeys(label for run in runs for label in run.metrics.scores["model"]):
        having = [place for place, run in enumerate(runs) if label in set(run.metrics.scores["model"])]
        choices = [_choices(runs[place]) for place in having]
        groups = _varied(choices)
        settings = [_settings_of(runs[place], label) for place in having] if whole else [{} for _ in having]
        settings = without_seeds(settings, [runs[place].metrics.seed for place in having])
        keys = _beside(_varied(settings), groups)
        names = _shortest(keys)
        said = [
            [f"{group} {choice.get(group, 'none')}" for group in groups]
            + [f"{names[key]} {own.get(key)}" for key in keys]
            for choice, own in zip(choices, settings, strict=True)
        ]
        long = list(dict.fromkeys(tuple(parts) for parts in said if len(parts) > TOLD))
        for place, parts in zip(having, said, strict=True):
            number = f" and more ({long.index(tuple(parts)) + 1})" if len(parts) > TOLD else ""
            told[place][str(label)] = ", ".join(parts[:TOLD]) + number
    return told


def own_settings(runs: Sequence[Member]) -> list[dict[str, Any]]:
    """Return the settings that made the row each run was for, without the seed; empty where one of them kept none."""
    whole = all(run.settings for run in runs)
    settings = [_settings_of(run, run.metrics.model) if whole else {} for run in runs]
    return without_seeds(settings, [run.metrics.seed for run in runs])


def without_seeds(settings: Sequence[dict[str, Any]], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Leave out the seeds that follow that of the run, such as ``features.seed: ${seed}``.

    A kept configuration is resolved, so what follows is known by its values alone: they are the run's seed in every
    run.  A seed that is the same in all runs, such as that of a source, follows nothing.
    """
    keys = {key for own in settings for key in own if key.rpartition(".")[2] == "seed"}
    follow = {
        key
        for key in keys
        if len({repr(own[key]) for own in settings if key in own}) > 1
        and all(own[key] == seed for own, seed in zip(settings, seeds, strict=True) if key in own)
    }
    return [{key: value for key, value in own.items() if key not in follow} for own in settings]


def telling(runs: Sequence[Member]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return for each run the settings that vary among all, by their shortest names, and these names in order.

    The model comes first, then the choices of configuration groups, then values that no group tells of.
    """
    names = [{"model": run.metrics.choices.get("model", run.metrics.model)} for run in runs]
    names = [own | {"experiment": run.metrics.experiment} for own, run in zip(names, runs, strict=True)]
    choices = [own | _choices(run) for own, run in zip(names, runs, strict=True)]
    groups = _varied(choices)
    settings = own_settings(runs)
    keys = _beside(_varied(settings), [group for group in groups if group != "experiment"])
    short = _shortest(keys)
    told = [
        {group: choice.get(group) for group in groups} | {short[key]: own.get(key) for key in keys}
        for choice, own in zip(choices, settings, strict=True)
    ]
    return told, [*groups, *(short[key] for key in keys)]


def leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every value that is no mapping by its dotted key."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        found |= leaves(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found


def _choices(run: Member) -> dict[str, str]:
    """Return the options of the configuration groups that a row does not tell by its label."""
    names = run.metrics.choices or run.settings.get("names")
    known = names.items() if isinstance(names, Mapping) else ()
    return {str(group): str(option) for group, option in known if group not in NO_CHOICE}


def _settings_of(run: Member, label: str) -> dict[str, Any]:
    """Return the settings that made a row: those of the run and of the row's model."""
    shared = {key: value for key, value in run.settings.items() if key not in {*OF_A_PLACE, "model", "baselines"}}
    baselines = run.settings.get("baselines")
    beside = [b for b in baselines.values() if isinstance(b, dict)] if isinstance(baselines, dict) else []
    own = run.settings.get("model") if label == run.metrics.model else None
    model = own if isinstance(own, dict) else next((b for b in beside if b.get("label") == label), {})
    return {
        key: value.rpartition(".")[2] if key.endswith(TARGET) and isinstance(value, str) else value
        for key, value in leaves(shared | {"model": model}).items()
        if key != "model.label"
    }


def _varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys that do not have the same value everywhere."""
    keys = dict.fromkeys(key for own in settings for key in own)
    return [key for key in keys if len({repr(own.get(key)) for own in settings}) > 1]


def _beside(keys: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the keys that neither a group nor the class they are parameters of tells of."""
    above = [f"{group.replace('/', '.')}." for group in groups]
    above += [key.removesuffix(TARGET) for key in keys if key.endswith(f".{TARGET}")]
    kept = [key for key in keys if not key.startswith(tuple(above))]
    classes = [key for key in keys if key.endswith(f".{TARGET}") and not key.startswith(tuple(above[: len(groups)]))]
    return sorted([*kept, *classes], key=list(keys).index)


def _shortest(keys: Sequence[str]) -> dict[str, str]:
    """Return for each dotted key its last part, that of a class the part before, or the whole where two are alike."""
    whole = [key.removesuffix(f".{TARGET}") for key in keys]
    last = [key.rpartition(".")[2] for key in whole]
    return {key: short if last.count(short) == 1 else long for key, long, short in zip(keys, whole, last, strict=True)}
