"""Every configuration that is committed can be built, and every fault of another is named before it runs."""

import pytest
from omegaconf import OmegaConf

from pipeline.job import LIVE
from runtime.build import ConfigError, build, check
from tests.conftest import choices

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
    "job",
    "augmentation",
    "intervals",
]
LIFE = ("battery", "smoke_battery", "hnei", "hnei_paper", "calce", "calce_paper")
NEED_A_FILE = ("csv", "cells_csv")


def contenders(cfg):
    return build(cfg.job)(cfg).contenders()


@pytest.mark.parametrize("experiment", [name for name in choices("experiment") if name != "csv"])
def test_an_experiment_has_no_faults_and_persistence_among_its_contenders(experiment, configure):
    cfg = configure(f"experiment={experiment}")
    check(cfg, LIVE)
    labels = [contender.label for contender in contenders(cfg)]
    assert len(labels) == len(set(labels))
    assert ("Clock" if cfg.names.experiment in LIFE else "Persistence") in labels
    assert cfg.names.experiment == experiment


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)])
def test_every_choice_of_every_group_is_accepted(group, choice, configure):
    more = ["source.path=prices.csv"] if choice in NEED_A_FILE else []
    check(configure("experiment=sp500", f"{group}={choice}", *more), LIVE)


@pytest.mark.parametrize("choice", choices("features"))
def test_every_choice_of_features_is_accepted(choice, configure):
    check(configure("experiment=battery", f"features={choice}"), LIVE)


@pytest.mark.parametrize("step", choices("feature"))
def test_every_step_of_features_is_accepted(step, configure):
    check(configure("experiment=battery", f"+feature@features.steps.more={step}"), LIVE)


def test_choices_of_the_other_job_are_refused(configure):
    with pytest.raises(ConfigError, match="job=series has no use for features"):
        contenders(configure("experiment=smoke", "features=rolling"))
    with pytest.raises(ConfigError, match="job=life has no use for scope"):
        contenders(configure("experiment=battery", "scope=rolling"))


def test_a_model_is_shown_with_and_without_its_decomposition(configure):
    labels = [c.label for c in contenders(configure("experiment=csi300_paper", "model=lstm"))]
    assert labels[:2] == ["CEEMDAN-LSTM", "Persistence"] or "LSTM" in labels
    assert {"CEEMDAN-LSTM", "LSTM", "Persistence", "Drift"} == set(labels)


def test_a_naive_model_is_not_called_decomposed(configure):
    assert [c.label for c in contenders(configure("model=drift", "baselines=naive"))] == [
        "Drift",
        "Persistence",
    ]


def test_without_decomposition_no_row_is_called_so(configure):
    labels = [c.label for c in contenders(configure("decomposition=identity", "model=lstm", "baselines=undecomposed"))]
    assert sorted(labels) == ["Drift", "LSTM", "Persistence"]


def test_all_faults_come_in_one_message_with_a_suggestion(configure):
    cfg = configure("+model.network.chanels=8", "+split.tset=0.1", "scope.history=long", "source=csv")
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
    with pytest.raises(ConfigError, match="outside the trusted modules|is not the dotted name of a class"):
        build(node)
    cfg = configure()
    cfg.source = node
    with pytest.raises(ConfigError, match="outside the trusted modules|is not the dotted name of a class"):
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
