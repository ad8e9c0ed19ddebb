"""Every configuration that is committed can be built, and every fault of another is named before it runs."""

import re
from itertools import zip_longest

import pytest
from omegaconf import OmegaConf

from pipeline.settings import LIVE, check_task
from runtime.build import ConfigError, build, check, class_of, faults_of
from runtime.faults import PACKAGES
from tests.conftest import ROOT, choices

GROUPS = [
    "source",
    "split",
    "scope",
    "decomposition",
    "scaling",
    "model",
    "baselines",
    "trainer",
    "callbacks",
    "parallel",
    "task",
    "augmentation",
    "intervals",
]


def filled(cfg):
    """Return a configuration with a word for all that a user must give, such as the name of a file."""
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, "given")
    return cfg


def candidates(cfg):
    task = build(cfg.task)(cfg)
    check_task(task)
    return task.candidates()


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_an_experiment_has_no_faults_and_its_reference_among_its_candidates(experiment, configure):
    cfg = filled(configure(f"experiment={experiment}"))
    check(cfg, LIVE)
    labels = [candidate.label for candidate in candidates(cfg)]
    assert len(labels) == len(set(labels))
    assert class_of(cfg.task._target_).reference in labels
    assert cfg.names.experiment == experiment


def rows() -> list[list[str]]:
    """Return every choice of every group, one of each group at a time; whether they go together is not asked here."""
    columns = [[f"{group}={choice}" for choice in choices(group)] for group in GROUPS]
    return [list(filter(None, row)) for row in zip_longest(*columns)]


@pytest.mark.parametrize("words", rows(), ids=" ".join)
def test_every_choice_of_every_group_is_accepted(words, configure):
    check(filled(configure("experiment=sp500", *words)), LIVE)


@pytest.mark.parametrize("choice", choices("features"))
def test_every_choice_of_features_is_accepted(choice, configure):
    check(configure("experiment=battery", f"features={choice}"), LIVE)


@pytest.mark.parametrize("step", choices("feature"))
def test_every_step_of_features_is_accepted(step, configure):
    check(configure("experiment=battery", f"+feature@features.steps.more={step}"), LIVE)


def test_choices_of_the_other_task_are_refused(configure):
    with pytest.raises(ConfigError, match="task=forecast has no use for features"):
        candidates(configure("experiment=smoke", "features=rolling"))
    with pytest.raises(ConfigError, match="task=rul has no use for scope"):
        candidates(configure("experiment=battery", "scope=rolling"))


def test_a_model_is_shown_with_and_without_its_decomposition(configure):
    labels = [c.label for c in candidates(configure("experiment=csi300_paper", "model=lstm"))]
    assert labels[:2] == ["CEEMDAN-LSTM", "Persistence"] or "LSTM" in labels
    assert {"CEEMDAN-LSTM", "LSTM", "Persistence", "Drift"} == set(labels)


@pytest.mark.parametrize("experiment", ["sp500", "csi300", "csi500", "csi300_overnight"])
def test_on_closes_the_walk_with_drift_which_loses_is_a_row_for_those_who_ask(configure, experiment):
    words = [f"experiment={experiment}"]
    assert "Drift" not in [row.label for row in candidates(configure(*words))]
    assert "Drift" in [row.label for row in candidates(configure(*words, "+model@baselines.drift=drift"))]


def test_a_naive_model_is_not_called_decomposed(configure):
    assert [c.label for c in candidates(configure("experiment=sp500", "model=drift", "baselines=naive"))] == [
        "Drift",
        "Persistence",
    ]


def test_without_decomposition_no_row_is_called_so(configure):
    labels = [c.label for c in candidates(configure("experiment=smoke", "decomposition=identity", "model=lstm"))]
    assert sorted(labels) == ["Drift", "LSTM", "Persistence"]


def test_all_faults_come_in_one_message_with_a_suggestion(configure):
    cfg = configure(
        "experiment=sp500", "+model.network.chanels=8", "+split.tset=0.1", "scope.history=long", "source=csv"
    )
    with pytest.raises(ConfigError) as error:
        check(cfg, LIVE)
    said = str(error.value)
    assert "model.network.chanels is not a parameter" in said
    assert "Did you mean 'channels'?" in said
    assert "split.tset" in said
    assert "Did you mean 'test'?" in said
    assert "scope.history=long must be of type int" in said
    assert "source.path is required" in said


def test_a_parameter_that_is_missing_is_named(configure):
    cfg = configure("~split.validation")
    with pytest.raises(ConfigError, match=r"split\.validation is missing; data\.splits\.ByTime needs it"):
        check(cfg, LIVE)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "data.panel.pd.read_pickle",
        "data.panel.hashlib.sha256",
        "subprocess.Popen",
        "torch.load",
        "builtins.eval",
    ],
)
def test_only_classes_defined_in_trusted_modules_are_built(target, configure):
    node = OmegaConf.create({"_target_": target})
    with pytest.raises(ConfigError, match=r"outside the trusted modules|is not the dotted name of a class"):
        build(node)
    cfg = configure()
    cfg.source = node
    with pytest.raises(ConfigError, match=r"outside the trusted modules|is not the dotted name of a class"):
        check(cfg, LIVE)


def test_a_target_hidden_below_is_found():
    node = OmegaConf.create({"_target_": "data.scaling.MinMax", "x": [{"y": {"_target_": "os.system"}}]})
    with pytest.raises(ConfigError, match=r"x\.0\.y"):
        build(node)


def test_a_class_that_does_not_exist_is_told():
    with pytest.raises(ConfigError, match=r"data\.scaling defines no class MinMaks.  Did you mean .MinMax"):
        build(OmegaConf.create({"_target_": "data.scaling.MinMaks"}))


def test_a_value_the_constructor_refuses_is_told_in_its_words(configure):
    with pytest.raises(ConfigError, match=r"^split\.validation=0\.9 and split\.test=0\.2 must be fractions"):
        build(configure("split.validation=0.9").split)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+lookbak=10"], "lookbak is not a setting.  Did you mean 'lookback'?"),
        (["lookback=0"], "lookback=0 must be a whole number of at least 1"),
        (["horizon=2.5"], "horizon=2.5 must be a whole number"),
        (["seeds=1.5"], "seeds=1.5 must be a whole number"),
        (["expected_leaks=[decomp]"], "Did you mean 'decomposition'?"),
        (["+callbacks.best_wights.patience=3"], "callbacks.best_wights belongs to nothing that is built"),
        (["+callbacks.best_wights.patience=3"], "Did you mean 'best_weights'?"),
        (["+features.steps=3"], "features.steps is given, but no features is chosen: add features=..."),
        (["++model.component=joint"], "model.component=joint must be a"),
        (["+model._args_=[1]"], "model._args_ is not allowed"),
        (["+trainer.max_epoch=3"], "Did you mean 'max_epochs'?"),
    ],
)
def test_a_fault_of_any_kind_is_told_with_what_was_meant(words, said, configure):
    with pytest.raises(ConfigError) as error:
        check(configure("experiment=sp500", *words), LIVE)
    assert said in str(error.value)


def test_without_what_comes_at_run_time_nothing_is_said_to_be_missing(configure):
    assert faults_of(configure(), None) == []


def test_names_become_code_in_one_place_only():
    """Whoever imports by name, or lets Hydra do so, judges it first: ``runtime.build``, and the page its sections."""
    files = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("*.py"))
    words = r"\b(get_object|get_class|get_method|import_module|instantiate)\(|(?<![.\w])(exec|eval|__import__)\("
    found = {path.relative_to(ROOT).as_posix() for path in files if re.search(words, path.read_text(encoding="utf-8"))}
    assert found == {"runtime/build.py", "report/page.py"}


@pytest.mark.parametrize("choice", choices("task"))
def test_every_section_a_task_names_is_there(choice, configure):
    """The page leaves out what it does not know, so a misspelt name would go unseen."""
    for name in class_of(configure(f"task={choice}").task._target_).sections:
        module, _, function = name.partition(".")
        text = (ROOT / "report" / "sections" / f"{module}.py").read_text(encoding="utf-8")
        assert f"\ndef {function or 'section'}(" in text, name
