"""A run folder from a stranger is data: whatever it holds is refused in one sentence, and nothing in it runs."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from runtime.build import ConfigError, build, check
from runtime.command_line import sentence
from runtime.faults import FolderError, printable
from runtime.parallel import Local
from runtime.record import load_run, open_run
from runtime.tensors import read_tensors, refuse_other_layout
from tests.attacks.conftest import assert_one_sentence
from tests.commands import run as run_here
from tests.conftest import ROOT

LIVE = {"model": {"n_components", "lookback", "horizon"}, "trainer": {"callbacks"}}
CARD = {"data": {"name": "prices", "sha256": "0" * 64}, "audit": {"verdict": "causal"}}
WEIGHTS = {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}


def settings() -> dict[str, Any]:
    """What a run keeps, with few choices."""
    chosen = {"source": "synthetic", "scaling": "minmax", "callbacks": "default", "parallel": "local"}
    groups = {group: OmegaConf.load(ROOT / "conf" / group / f"{name}.yaml") for group, name in chosen.items()}
    plain: dict[str, Any] = {group: OmegaConf.to_container(node) for group, node in groups.items()}
    for name in ("seed", "noise_seed"):
        plain["source"].pop(name, None)
    plain["source"] |= {"seed": 0}
    return {"lookback": 30, "horizon": 1, "seed": 0, "expected_leaks": [], "names": {"model": "mlp"}, **plain}


@pytest.fixture
def run(folder: Path) -> Path:
    """A sound run folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(settings()))
    (folder / "run.json").write_text(json.dumps(CARD))
    (folder / "metrics.json").write_text("{}")
    save_file(WEIGHTS, folder / "model.safetensors")
    return folder


def opened(run: Path) -> dict[str, Any]:
    """Do all that predict.py and audit.py do with what a folder holds, before they read data."""
    cfg, _ = load_run(run)
    check(cfg, LIVE)
    tensors = read_tensors(run / "model.safetensors")
    refuse_other_layout(tensors, WEIGHTS, run / "model.safetensors")
    return {name: build(cfg[name]) for name in ("source", "scaling", "parallel")} | tensors


def test_a_sound_folder_is_opened(run: Path) -> None:
    found = opened(run)
    np.testing.assert_array_equal(found["weight"], WEIGHTS["weight"])


# -- attacks ----------------------------------------------------------------------------------

Attack = Callable[[Path], object]


def file(name: str, content: str | bytes) -> Attack:
    """Put other content into a file of the folder."""
    data = content if isinstance(content, bytes) else content.encode()
    return lambda run: (run / name).write_bytes(data)


def config(**changes: Any) -> Attack:
    """Change settings; a key may be dotted with ``__``."""

    def attack(run: Path) -> None:
        plain = settings()
        for key, value in changes.items():
            node, names = plain, key.split("__")
            for name in names[:-1]:
                node = node[name]
            node[names[-1]] = value
        (run / "config.yaml").write_text(yaml.safe_dump(plain, allow_unicode=True))

    return attack


def target(name: Any) -> Attack:
    return config(scaling={"_target_": name})


def card(**data: Any) -> Attack:
    """Change what the card says of the data."""
    return file("run.json", json.dumps(CARD | {"data": CARD["data"] | data}))


def instead(name: str, make: Callable[[Path], object]) -> Attack:
    """Put something that is no file in the place of one."""

    def attack(run: Path) -> None:
        (run / name).unlink()
        make(run / name)

    return attack


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> Attack:
    """Write a safetensors file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    return file("model.safetensors", size.to_bytes(8, "little") + text + data)


def entry(kind: str, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def weights(**changes: Any) -> Attack:
    kept = {name: value for name, value in (WEIGHTS | changes).items() if value is not None}
    return lambda run: save_file(kept, run / "model.safetensors")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
SYSTEM = "!!python/object/apply:os.system ['touch EXECUTED']"

ATTACKS: dict[str, tuple[Attack, str]] = {
    # config.yaml as a file
    "config: empty": (file("config.yaml", ""), "holds nothing"),
    "config: a comment": (file("config.yaml", "# nothing\n"), "holds nothing"),
    "config: a list": (file("config.yaml", "- a\n- b\n"), "holds a list"),
    "config: a word": (file("config.yaml", "hello"), "hello is not a setting"),
    "config: truncated": (file("config.yaml", "source: {path: [a"), "is damaged in line"),
    "config: not UTF-8": (file("config.yaml", b"label: \xff\xfe"), "is not UTF-8"),
    "config: UTF-16": (file("config.yaml", "seed: 0\n".encode("utf-16")), "is not UTF-8|is damaged"),
    "config: NUL": (file("config.yaml", b"seed: 0\0\n"), "is damaged"),
    "config: two megabytes": (file("config.yaml", "a: " + "x" * 2_000_000), "no run writes more than"),
    "config: a billion laughs": (file("config.yaml", BOMB), "YAML alias"),
    "config: cyclic": (file("config.yaml", "a: &a {b: *a}\n"), "YAML alias"),
    "config: a merge key": (file("config.yaml", "a: &a {x: 1}\nb: {<<: *a}\n"), "YAML alias"),
    "config: a tag that runs": (file("config.yaml", f"seed: {SYSTEM}"), "YAML tag"),
    "config: a tag that names": (file("config.yaml", "seed: !!python/name:os.system"), "YAML tag"),
    "config: without end": (file("config.yaml", "a: " + "[" * 10_000), "nested more than|damaged"),
    "config: a key twice": (file("config.yaml", "seed: 0\nseed: 1\n"), "is damaged"),
    "config: too many entries": (file("config.yaml", "a: [" + "1," * 60_000 + "]"), "more than 50000 entries"),
    "config: absent": (lambda run: (run / "config.yaml").unlink(), "cannot be read"),
    "config: a folder": (instead("config.yaml", Path.mkdir), "is not a file"),
    "config: a pipe": (instead("config.yaml", os.mkfifo), "is not a file"),
    "config: a device": (instead("config.yaml", lambda path: path.symlink_to("/dev/zero")), "is not a file"),
    "config: a loop of links": (instead("config.yaml", lambda path: path.symlink_to(path)), "cannot be read"),
    # values
    "value: NaN": (file("config.yaml", "seed: .nan\n"), "is no number"),
    "value: infinite": (file("config.yaml", "seed: -.inf\n"), "is no number"),
    "value: another type": (config(lookback="thirty"), "lookback=thirty must be a whole number"),
    "value: out of range": (config(horizon=10**9), "horizon=1000000000 must be"),
    "value: a number for an object": (config(scaling=3), "scaling=3 is not a choice"),
    "value: the environment in a path": (config(source__name="x${oc.env:SECRET}"), "is the interpolation"),
    "value: the environment in a label": (config(names={"model": "${oc.env:SECRET}"}), "is the interpolation"),
    "value: an interpolation in a list": (config(expected_leaks=["${seed}"]), "is the interpolation"),
    "value: an interpolation as a key": (config(names={"${oc.env:SECRET}": "a"}), "is the interpolation"),
    "value: an interpolation as an object": (config(scaling="${oc.create:${source}}"), "is the interpolation"),
    "value: an interpolation that is escaped": (config(names={"model": "\\${oc.env:SECRET}"}), "is the interpolation"),
    "value: not set": (config(source__name="???"), "is not set"),
    "value: a name that is a number": (file("config.yaml", "1: 2\n"), "a name that is no text"),
    "value: a web address": (config(source__name="http://example.com/${oc.env:SECRET}"), "interpolation|address"),
    "value: a secure web address": (config(source__name="https://example.com/prices.csv"), "is the address"),
    "value: a bucket": (config(source__name="s3://bucket/prices.csv"), "is the address"),
    "value: FTP": (config(source__name="ftp://example.com/prices.csv"), "is the address"),
    "value: a file address": (config(source__name="file:/etc/passwd"), "is the address"),
    "value: an address in an archive": (config(source__name="zip://a.csv::http://example.com/a.zip"), "is the address"),
    "value: an address as a key": (config(names={"http://example.com": "a"}), "is the address"),
    # targets
    "target: a function of the system": (target("os.system"), "outside the trusted modules"),
    "target: a module below outputs": (target("outputs.run.evil.X"), "outside the trusted modules"),
    "target: a module beside the run": (target("evil.X"), "outside the trusted modules"),
    "target: a module called as ours": (target("data.evil.X"), "this project has no module data.evil"),
    "target: a module below one of ours": (target("data.scaling.evil.X"), "this project has no module"),
    "target: a module of a package without init": (target("tasks.evil.X"), "this project has no module"),
    "target: a poem": (target("this.X"), "outside the trusted modules"),
    "target: the program": (target("__main__.X"), "outside the trusted modules"),
    "target: a library behind ours": (target("data.panel.pd.read_pickle"), "is not the dotted name of a class"),
    "target: a class behind ours": (target("data.cells.cells.Path"), "defines no class|no module"),
    "target: an empty part": (target("data.sources..x.X"), "is not the dotted name of a class"),
    "target: builtins": (target("data.__builtins__.Eval"), "is not the dotted name of a class"),
    "target: eval": (target("builtins.eval"), "outside the trusted modules"),
    "target: a letter that looks alike": (target("d\u0430ta.scaling.MinMax"), "outside the trusted modules"),
    "target: a letter that looks alike, later": (target("data.sc\u0430ling.MinMax"), "is not the dotted name"),
    "target: a line break": (target("data.scaling.MinMax\n"), "is not the dotted name"),
    "target: up": (target("..data.scaling.MinMax"), "outside the trusted modules"),
    "target: private": (target("data.scaling._MinMax"), "is not the dotted name"),
    "target: a loader": (target("torch.load"), "outside the trusted modules"),
    "target: the builder itself": (target("hydra.utils.instantiate"), "outside the trusted modules"),
    "target: a callback that runs anything": (target("pytorch_lightning.callbacks.LambdaCallback"), "outside the"),
    "target: a logger that phones": (target("pytorch_lightning.loggers.WandbLogger"), "outside the trusted"),
    "target: a list": (target(["os", "system"]), "is not the dotted name of a class"),
    "target: a number": (target(7), "is not the dotted name of a class"),
    "target: a megabyte": (target("data." + "a" * 500_000 + ".X"), "is not the dotted name of a class"),
    "target: escapes of a terminal": (target("\x1b[2J\u202eevil.X"), "outside the trusted modules"),
    "target: hidden in a list": (config(source__name=[[{"a": {"_target_": "evil.X"}}]]), r"source\.name\.0\.0\.a"),
    "target: among the callbacks": (config(callbacks__more={"_target_": "evil.X"}), r"callbacks\.more\._target_"),
    "target: with positions": (config(scaling___args_=["a"]), "_args_ is not allowed"),
    "target: not built": (config(scaling___recursive_=False), "_recursive_=False is not known"),
    "target: a word Hydra may learn": (config(scaling___call_="evil.X"), "_call_ is not allowed"),
    "target: an unknown group": (config(hydra={"callbacks": {"a": {"_target_": "evil.X"}}}), "hydra is not a setting"),
    "target: another kind of thing": (target("models.allocation.Joint"), "is no scaling: a scaling is of data.scaling"),
    "target: a split for a source": (config(source={"_target_": "data.splits.ByTime"}), "is no source"),
    "target: a source among the baselines": (
        config(baselines={"a": {"_target_": "data.sources.csv.CSV", "path": "x"}}),
        r"baselines\.a\._target_=data\.sources\.csv\.CSV is no model",
    ),
    "size: endless trials": (
        config(decomposition={"_target_": "data.decomposition.ceemdan.CEEMDAN", "trials": 10**12, "n_components": 5}),
        r"decomposition\.trials=1000000000000 is more than is built: at most",
    ),
    "size: endless series": (config(source__n_series=10**15), "source.n_series=1000000000000000 is more than is built"),
    # run.json and metrics.json
    "card: empty": (file("run.json", ""), "run.json is damaged"),
    "card: a list": (file("run.json", "[]"), "holds a list"),
    "card: truncated": (file("run.json", '{"data": {"name"'), "is damaged"),
    "card: NaN": (file("run.json", '{"data": NaN}'), "NaN is no number"),
    "card: too large a number": (file("run.json", '{"data": 1e999}'), "is no number"),
    "card: too many digits": (file("run.json", '{"data": ' + "9" * 10_000 + "}"), "is damaged"),
    "card: without end": (file("run.json", '{"a":' * 100_000), "is damaged|nested"),
    "card: not UTF-8": (file("run.json", b'{"a": "\xff"}'), "is not UTF-8"),
    "card: no data": (file("run.json", '{"audit": {"verdict": "causal"}}'), "data.name is 'None'"),
    "card: data is a text": (file("run.json", '{"data": "sha256"}'), "data.name is"),
    "card: a verdict that is a number": (
        file("run.json", json.dumps(CARD | {"audit": {"verdict": True}})),
        "audit.verdict is 'True'",
    ),
    "card: a text for a number": (card(spacing="one"), "data.spacing is 'one'"),
    "card: nothing for a number": (card(change=0), "data.change is '0'"),
    "card: a list for names": (card(covariates=[1, {}]), "data.covariates is"),
    "card: texts for numbers": (card(medians={"a": "x"}), "data.medians is"),
    "card: a number for a sentence": (
        file("run.json", json.dumps(CARD | {"audit": {"verdict": "LEAKS", "sentence": 3}})),
        "audit.sentence is '3'",
    ),
    "card: a pipe": (instead("run.json", os.mkfifo), "is not a file"),
    "metrics: truncated": (file("metrics.json", "{"), "metrics.json is damaged"),
    "metrics: absent": (lambda run: (run / "metrics.json").unlink(), "holds an unfinished run"),
    # model.safetensors
    "tensors: empty": (file("model.safetensors", b""), "is damaged"),
    "tensors: a pickle": (file("model.safetensors", pickle.dumps(os.system)), "is damaged"),
    "tensors: a huge header": (tensors({}, length=2**60), "header of 1152921504606846976 bytes does not fit"),
    "tensors: a header that is no JSON": (tensors(b"{"), "header cannot be read"),
    "tensors: a header that is a list": (tensors([1]), "header cannot be read"),
    "tensors: a header without end": (tensors(b'{"a":' * 200_000), "header cannot be read"),
    "tensors: an entry that is none": (tensors({"weight": 3}), "header cannot be read"),
    "tensors: BF16": (tensors({"weight": entry("BF16", [2], 0, 4)}, b"0" * 4), "as BF16; a run writes"),
    "tensors: a type that is none": (tensors({"weight": entry("pickle", [2], 0, 8)}, b"0" * 8), "as pickle"),
    "tensors: too few bytes": (tensors({"weight": entry("F32", [3], 0, 8)}, b"0" * 8), "does not fit its bytes"),
    "tensors: beyond the end": (tensors({"weight": entry("F32", [4], 0, 16)}, b"0" * 8), "does not fit its bytes"),
    "tensors: a negative shape": (tensors({"weight": entry("F32", [-1, -2], 0, 8)}, b"0" * 8), "cannot be read"),
    "tensors: a broken shape": (tensors({"weight": entry("F32", [0.5, 4], 0, 8)}, b"0" * 8), "cannot be read"),
    "tensors: an endless shape": (tensors({"weight": entry("F32", [2**62, 0], 0, 0)}), "cannot be read"),
    "tensors: overlapping": (
        tensors({"weight": entry("F32", [2], 0, 8), "bias": entry("F32", [2], 4, 12)}, b"0" * 12),
        "overlap or leave gaps",
    ),
    "tensors: a gap": (tensors({"weight": entry("F32", [1], 4, 8)}, b"0" * 8), "overlap or leave gaps"),
    "tensors: NaN": (weights(bias=np.full(3, np.nan, np.float32)), "that do not exist"),
    "tensors: int64": (weights(bias=np.zeros(3, np.int64)), r"holds bias as int64 \(3,\), but"),
    "tensors: misshapen": (weights(weight=np.ones((3, 2), np.float32)), r"holds weight as float32 \(3, 2\), but"),
    "tensors: one is missing": (weights(bias=None), "lacks bias"),
    "tensors: one too many": (weights(baas=np.zeros(3, np.float32)), "holds baas.*Did you mean 'bias'"),
    "tensors: a folder": (instead("model.safetensors", Path.mkdir), "is not a file"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_folder_is_refused_in_one_sentence(run: Path, name: str) -> None:
    attack, said = ATTACKS[name]
    attack(run)
    with pytest.raises((FolderError, ConfigError), match=said) as caught:
        opened(run)
    assert_one_sentence(printable(sentence(caught.value, "") or ""))


def test_there_are_more_attacks_than_were_promised() -> None:
    assert len(ATTACKS) >= 51


@pytest.mark.parametrize("name", [name for name in ATTACKS if name.startswith(("config", "value"))])
def test_a_hostile_folder_is_not_gone_on_with(run: Path, name: str) -> None:
    attack, _ = ATTACKS[name]
    attack(run)
    here = {"_target_": "runtime.parallel.Local"}
    composed = OmegaConf.create({"resume": str(run), "folder": None, "parallel": here})
    with pytest.raises((FolderError, ConfigError)) as caught:
        check(open_run(composed)[0], LIVE)
    assert_one_sentence(printable(sentence(caught.value, "") or ""))


def test_the_machines_of_a_stranger_are_not_asked(run: Path) -> None:
    config(parallel={"_target_": "runtime.parallel.Ray", "address": "203.0.113.1:6379"})(run)
    assert isinstance(opened(run)["parallel"], Local)


SEARCHED_FIRST = """
import sys
from runtime.build import class_of
sys.path.insert(0, sys.argv[1])
class_of("data.scaling.MinMax")
"""


def test_a_package_of_our_name_that_python_would_find_first_is_not_imported(folder: Path) -> None:
    (folder / "data" / "__init__.py").write_text((folder / "evil.py").read_text())
    done = subprocess.run([sys.executable, "-c", SEARCHED_FIRST, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"would be imported from ['{folder}/data'], not from {ROOT}/data" in done.stderr


@pytest.mark.parametrize("command", ["predict.py", "audit.py"])
def test_the_commands_refuse_a_hostile_folder(run: Path, command: str) -> None:
    target("outputs.run.evil.X")(run)
    done = run_here(command, f"run={run}", cwd=run)
    assert done.returncode == 2
    assert "outputs.run.evil.X is outside the trusted modules" in done.stderr
    assert_one_sentence(done.stderr)
