"""A configuration is a list of choices: whatever else it asks for is refused before anything is imported."""

import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from pipeline.fitted import unfitted
from pipeline.settings import LIVE
from runtime.build import LIBRARIES, ConfigError, build, check, class_of
from runtime.command_line import sentence
from runtime.faults import printable
from runtime.overrides import Usage, parse, prepared
from tests.attacks.conftest import assert_one_sentence

MINMAX = "data.scaling.MinMax"

TARGETS: dict[str, Any] = {
    "a function of the system": "os.system",
    "a process": "subprocess.Popen",
    "eval": "builtins.eval",
    "exec": "builtins.exec",
    "an import": "builtins.__import__",
    "a pickle": "pickle.loads",
    "a loader": "torch.load",
    "a hub": "torch.hub.load",
    "a function of torch": "torch.optim.lr_scheduler.LambdaLR",
    "a module of torch": "torch.optim.Optimizer",
    "a callback that runs anything": "pytorch_lightning.callbacks.LambdaCallback",
    "a callback that writes anywhere": "pytorch_lightning.callbacks.ModelCheckpoint",
    "a logger that phones": "pytorch_lightning.loggers.MLFlowLogger",
    "a command-line interface": "pytorch_lightning.cli.LightningCLI",
    "the builder": "hydra.utils.instantiate",
    "a getter": "hydra.utils.get_object",
    "a partial": "functools.partial",
    "a path": "pathlib.Path",
    "a module beside the run": "evil.X",
    "a module below outputs": "outputs.run.evil.X",
    "a module called as ours": "data.evil.X",
    "a module called as a model": "models.evil.X",
    "a module called as a task": "tasks.evil.X",
    "a module below a module": "data.scaling.evil.X",
    "the program": "__main__.X",
    "the tests": "tests.conftest.Path",
    "a verb": "train.Main",
    "the runtime": "runtime.cache.ArrayCache",
    "the command line": "runtime.command_line.Terminated",
    "a report": "report.page.Page",
    "a library behind ours": "data.panel.pd.read_pickle",
    "a digest behind ours": "data.panel.hashlib.sha256",
    "a class that is only imported there": "data.features.chain.DataFrame",
    "a function": "data.panel.validated",
    "a constant": "data.contracts.TEST",
    "builtins of a module": "data.panel.__builtins__",
    "a private class": "data.panel._Panel",
    "an attribute of a class": "data.scaling.MinMax.__init__",
    "a method": "data.scaling.MinMax.fit",
    "two dots": "data..scaling.MinMax",
    "a leading dot": ".data.scaling.MinMax",
    "a trailing dot": "data.scaling.MinMax.",
    "nothing": "",
    "a dot": ".",
    "a space": "data.scaling.MinMax ",
    "a line break": "data.scaling.MinMax\n",
    "a NUL": "data.scaling\0.MinMax",
    "a slash": "data/scaling.MinMax",
    "a letter that looks alike": "d\u0430ta.scaling.MinMax",
    "a letter that is normalised": "data.scaling.\uff2din\uff2dax",
    "a megabyte": "data." + "a" * 1_000_000 + ".X",
    "a thousand parts": "data." + "a." * 1000 + "X",
    "a list": ["os", "system"],
    "a mapping": {"_target_": "os.system"},
    "a number": 7,
    "a truth": True,
    "null": None,
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_target_is_refused_wherever_it_stands(name: str) -> None:
    target = TARGETS[name]
    with pytest.raises(ConfigError) as caught:
        class_of(target)
    assert_one_sentence(printable(str(caught.value)))
    if isinstance(target, dict):
        return
    for place in (target, {"_target_": MINMAX, "x": [{"y": [{"_target_": target}]}]}):
        node = OmegaConf.create(place if isinstance(place, dict) else {"_target_": place})
        with pytest.raises(ConfigError) as caught:
            build(node)
        assert_one_sentence(printable(sentence(caught.value, "") or ""))
        with pytest.raises(ConfigError):
            check(OmegaConf.create({"scaling": node}), {})


NODES: dict[str, dict[str, Any]] = {
    "positions": {"_target_": MINMAX, "_args_": [1]},
    "positions alone": {"_args_": [1]},
    "not recursive": {"_target_": MINMAX, "_recursive_": False},
    "partly, in words": {"_target_": MINMAX, "_partial_": "yes"},
    "partly, as a number": {"_target_": MINMAX, "_partial_": 1},
    "another conversion": {"_target_": MINMAX, "_convert_": "pickle"},
    "a word Hydra may learn": {"_target_": MINMAX, "_call_": "os.system"},
    "a mode": {"_target_": MINMAX, "_mode_": "call"},
    "no target": {"_partial_": True},
    "a name of Python's": {"_target_": MINMAX, "__class__": "os.system"},
    "a target below a target": {"_target_": {"_target_": "os.system"}},
    "a target from the environment": {"_target_": "${oc.env:PATH}"},
    "an object in a list": {"_target_": MINMAX, "a": [1, [{"_target_": "evil.X"}]]},
    "an object in a mapping": {"_target_": MINMAX, "a": {"b": {"c": {"_target_": "evil.X"}}}},
    "a sound object with an evil one": {"_target_": MINMAX, "a": {"_target_": MINMAX, "b": {"_target_": "evil.X"}}},
    "an environment that is not there": {"_target_": MINMAX, "a": "${oc.env:NOT_THERE}"},
    "a resolver that is not there": {"_target_": MINMAX, "a": "${run:os.system}"},
    "a circle": {"_target_": MINMAX, "a": "${scaling.a}"},
}


@pytest.mark.parametrize("name", NODES)
def test_a_hostile_node_is_refused_before_anything_is_built(name: str) -> None:
    cfg = OmegaConf.create({"scaling": NODES[name]})
    for attempt in (lambda: build(cfg.scaling), lambda: check(cfg, {})):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert_one_sentence(printable(sentence(caught.value, "") or ""))


@pytest.mark.parametrize("network", [{"hidden": 60_000}, {"hidden": 10_000, "n_layers": 900}], ids=["wide", "deep"])
def test_a_network_that_would_fill_the_memory_is_refused_before_any_is_asked_for(network, configure) -> None:
    cfg = configure("experiment=smoke", "model=lstm")
    cfg.model.network.update(network)
    check(cfg, LIVE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigError, match=r"LSTM has .* parameters by its settings, and at most 5e\+08 are built"):
        unfitted(cfg, cfg.model, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # [KiB]


def test_there_are_more_attacks_than_were_promised() -> None:
    assert len(TARGETS) + len(NODES) >= 28


def test_nothing_is_imported_for_a_target_that_is_refused() -> None:
    for target in ("turtledemo.clock.Turtle", "data.turtledemo.Turtle", "pytorch_lightning.turtledemo.Turtle"):
        with pytest.raises(ConfigError):
            class_of(target)
    assert not any("turtledemo" in name for name in sys.modules)


def test_a_class_put_into_one_of_our_modules_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.scaling.Popen", type("Popen", (), {"__module__": "subprocess"}), raising=False)
    with pytest.raises(ConfigError, match="defines no class Popen"):
        class_of("data.scaling.Popen")


@pytest.mark.parametrize("target", sorted(LIBRARIES))
def test_every_class_of_a_library_that_is_listed_is_there(target: str) -> None:
    assert isinstance(class_of(target), type)


def test_what_is_wrong_inside_a_constructor_is_a_sentence_too() -> None:
    node = OmegaConf.create({"_target_": "torch.optim.SGD", "params": 3, "lr": "fast"})
    assert isinstance(node, DictConfig)
    with pytest.raises(ConfigError, match=r"torch\.optim\.SGD cannot be built from its settings \(TypeError"):
        build(node)


@pytest.mark.parametrize(
    "word",
    [
        "hydra.callbacks.evil._target_=evil.X",
        "+hydra.callbacks.evil={_target_:evil.X}",
        "hydra/launcher=evil",
        "source=../../../etc/passwd",
        "source=/etc/passwd",
        "experiment=${oc.env:SECRET}/../../x",
        "model=\u202elstm",
    ],
)
def test_a_hostile_word_is_refused_or_left_to_hydra(word: str, folder: Path) -> None:
    """A command line is its user's own; what is pasted from somewhere still names no file outside of conf."""
    if word.lstrip("+").startswith("hydra") or "${" in word:
        assert prepared([word])[0].lstrip("+") == word.lstrip("+")
        return
    with pytest.raises(ConfigError) as caught:
        prepared([word])
    assert_one_sentence(printable(str(caught.value)))


@pytest.mark.parametrize(
    "word", ["run=a,b", "run=range(3)", "run=choice(a,b)", "~run", "__class__=3", "run.x=3", "=", "x"]
)
def test_a_hostile_word_behind_predict_is_refused(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse([word], Usage("", {"run": "<folder>"}))
    assert_one_sentence(printable(str(caught.value)))
