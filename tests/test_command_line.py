"""What people type is understood, or answered with what they meant."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from rich.table import Table
from rich.text import Text

from runtime.command_line import CONF, Usage, run_command, sentence
from runtime.faults import ConfigError, FolderError
from runtime.overrides import RENAMED, parse, prepared
from runtime.quiet import PlainConsole
from runtime.settings import RULES, fault_of, known_settings
from tests.conftest import ROOT

USAGE = Usage(
    "Forecast with a finished run.", {"run": "<folder>", "source.*": "<file>", "out": "<file>", "audit": "<how>"}
)
AWKWARD = [
    "收盘",
    "收盘 价",
    "/home/\u6570\u636e/\u4ef7\u683c (1).csv",
    "Schlusskurs €",
    "Preço",
    "Unnamed: 0",
    "%Y-%m-%d",
    "%d.%m.%Y %H:%M",
    "a=b.csv",
    "it's",
    '5" disk',
    "\\",
    "C:\\data\\prices.csv",
    "~/prices.csv",
    "close[0]",
    "{x}",
    "#1",
    "a;b",
    "<none>",
    "100 %",
    "007",
    "x&y",
]


def answered(line: list[str]) -> tuple[int, str, set[str]]:
    """Run a command in a process of its own and say which large libraries it has imported."""
    code = (
        "import sys, runpy, atexit\n"
        "names = {'torch', 'pytorch_lightning', 'pandas', 'sklearn', 'joblib', 'matplotlib', 'numba', 'numpy'}\n"
        "atexit.register(lambda: print('HEAVY', *names & set(sys.modules)))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, *line], cwd=ROOT, capture_output=True, text=True, check=False)
    out, _, names = done.stdout.rpartition("HEAVY")
    return done.returncode, out + done.stderr, set(names.split())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["train.py", "--help"], "decomposition: ceemdan"),
        (["train.py", "model=lstmm"], "Did you mean 'lstm'"),
        (["train.py", "modle=lstm"], "Did you mean 'model'"),
        (["train.py", "horizon=2.5"], "must be a whole number"),
        (["predict.py", "--help"], "run=outputs/"),
        (["predict.py", "rum=x"], "Did you mean 'run'"),
        (["predict.py", "run=nowhere"], "run=nowhere holds no run"),
        (["audit.py", "--help"], "audit=full"),
        (["audit.py", "run=x", "audit=ful"], "Did you mean 'full'"),
    ],
)
def test_help_and_a_typo_are_answered_before_anything_large_is_imported(line, said):
    code, answer, names = answered(line)
    assert said in answer
    assert "Traceback" not in answer
    assert code == (0 if "--help" in line else 2)
    assert names == set()


@pytest.mark.parametrize("value", AWKWARD)
def test_a_value_is_taken_as_it_was_typed_by_every_command(value):
    (word,) = prepared([f"source.value={value}"])
    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose("train", overrides=["source=csv", word])
    assert cfg.source.value == value
    assert parse(["run=x", f"source.value={value}"], USAGE).source.value == value


@pytest.mark.parametrize("value", AWKWARD)
def test_a_value_in_quotes_stays_what_is_in_them(value):
    quoted = "'" + value.replace("\\", "\\\\" if value == "\\" else "\\").replace("'", "\\'") + "'"
    assert parse(["run=x", f"source.value={quoted}"], USAGE).source.value == value


def test_lists_and_sweeps_of_awkward_values_are_several_values():
    assert parse(["run=x", "source.columns=[收盘,开盘 1,close]"], USAGE).source.columns == ["收盘", "开盘 1", "close"]
    words = prepared(["-m", "experiment=csv", "source.value=收盘,开盘"])
    assert "++source.value='收盘','开盘'" in words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lookbak=10"], "lookbak is not a setting.  Did you mean 'lookback'?"),
        (["+lookbak=10"], "lookbak is not a setting.  Did you mean 'lookback'?"),
        (["+horizn=5"], "horizn is not a setting.  Did you mean 'horizon'?"),
        (["+unknown=5"], "unknown is not a setting"),
        (["experment=smoke"], "Did you mean 'experiment'?"),
        (["seeds=1.5"], "seeds=1.5 must be a whole number of at least 1"),
        (["seed=-1"], "seed=-1 must be a whole number of at least 0"),
        (["horizon=2.5"], "horizon=2.5 must be a whole number"),
        (["horizon=true"], "horizon=True must be a whole number"),
        (["lookback=abc"], "lookback=abc must be a whole number"),
        (["threads=0"], "threads=0 must be a whole number of at least 1"),
        (["batch_size=null"], "batch_size=None must be a whole number"),
        (["audit=ful"], "audit=ful is not known; it is one of sampled, full, none.  Did you mean 'full'?"),
        (["figures=jpg"], "figures=jpg is not known; it is one of none, png."),
        (["expected_leaks=split"], "expected_leaks=split must be a list of names"),
        (["model=lstmm"], "Could not find 'model/lstmm'.  Did you mean 'lstm'?"),
        (["model/componnt=joint"], "Did you mean 'model/component'?"),
        (["model=lstm,ridge"], "gives several values: add -m"),
        (["sp500"], "sp500 is not of the form key=value.  Did you mean experiment=sp500 or source=sp500?"),
        (["resume=outputs/x", "model=lstm"], "leave out model"),
        (["收盘=3"], "cannot be read as key=value"),
    ],
)
def test_a_mistyped_setting_never_runs_and_says_what_was_meant(words, said):
    with pytest.raises(ConfigError) as caught:
        prepared(words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_of_a_command_line_come_at_once():
    words = ["horizn=3", "model=lstmm", "threads=0", "model.network.hiden=3", "split.tset=0.2", "trainer.max_epochs=2"]
    words.append("experiment=sp500")
    with pytest.raises(ConfigError) as caught:
        prepared(words)
    told = str(caught.value).splitlines()[1:]
    assert len(told) == 5
    for name in ("'horizon'", "'lstm'", "threads=0", "'hidden'", "'test'"):
        assert sum(name in line for line in told) == 1, told


def test_values_a_constructor_refuses_come_with_all_other_faults():
    words = ["experiment=csv", "source.path=x.csv", "source.decimal=semicolon", "split.validation=2", "split.tset=0.1"]
    with pytest.raises(ConfigError) as caught:
        prepared([*words, "intervals.levels=[80,200]", "lokback=3"])
    told = str(caught.value)
    for named in ("source.decimal=semicolon", "split.tset", "intervals.levels=[80, 200]", "'lookback'"):
        assert named in told


def test_every_stage_that_cannot_leak_is_told_with_all_other_faults_of_a_command_line():
    with pytest.raises(ConfigError) as caught:
        prepared(
            ["experiment=sp500", "model.network.hiden=3", "split.tset=0.2", "expected_leaks=[decomp,splt,scaling]"]
        )
    told = str(caught.value).splitlines()[1:]
    assert len(told) == 3
    for name in ("'hidden'", "'test'", "has decomp, splt, which is none of split, "):
        assert sum(name in line for line in told) == 1, told
    assert sum("Did you mean 'decomposition'? Did you mean 'split'?" in line for line in told) == 1, told
    assert fault_of("expected_leaks", ["decomposition"]) is None


def test_every_rule_is_of_a_setting_and_allows_its_default(configure):
    cfg = configure()
    for name in RULES:
        assert name in known_settings()
        assert fault_of(name, list(cfg[name]) if name in ("expected_leaks", "known") else cfg[name]) is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("job=series", "job is now task: task=forecast"),
        ("job=life", "job is now task: task=rul"),
        ("job.train_every=4", "job is now task: task.train_every=4"),
        ("+job.train_every=4", "job is now task: task.train_every=4"),
        ("parallel=processes", "parallel=processes is now parallel=local."),
        ("model.cost=1.0", "model.cost is now model.C: model.C=1.0"),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(word, said):
    with pytest.raises(ConfigError) as caught:
        prepared([word])
    assert str(caught.value) == said
    assert any(word.lstrip("+").startswith(old) for old in RENAMED)


def test_words_may_come_in_any_order():
    words = prepared(["lookback=10,20", "-m", "model=ridge", "--config-dir", "mine"])
    assert words[:3] == ["-m", "--config-dir", "mine"]


def test_a_run_that_goes_on_may_be_told_where_to_compute():
    assert prepared(["resume=outputs/x", "parallel.n_jobs=1"])[0] == "resume=outputs/x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "run=<folder> is needed."),
        (["run=x", "hotizon=3"], "hotizon is not known.  It takes run=<folder>"),
        (["run=x", "source=csv"], "source is not known.  Did you mean 'source.*'?"),
        (["run=x", "source.value=a,b"], "must give one value.  A value is taken as it is in quotes"),
        (["run=x", "audit=none", "audit=all"], "audit=all is not known"),
    ],
)
def test_predict_says_what_it_takes(words, said):
    with pytest.raises(ConfigError) as caught:
        parse(words, USAGE)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("horizon=10", "the run forecasts 1 step; train again with horizon=10."),
        ("lookback=10", "lookback is settled by the run; train again with lookback=10."),
        ("model.alpha=2", "model.alpha is settled by the run; train again with model.alpha=2."),
        ("lookbak=10", "lookbak is not known."),
    ],
)
def test_what_a_run_has_settled_is_said_to_be(tmp_path: Path, word, said):
    (tmp_path / "config.yaml").write_text("horizon: 1\nlookback: 30\nmodel: {alpha: 1.0}\n")
    for words in ([f"run={tmp_path}", word], [word, f"run={tmp_path}"]):
        with pytest.raises(ConfigError) as caught:
            parse(words, USAGE)
        assert str(caught.value).startswith(said)


def test_names_of_files_that_look_like_numbers_stay_names():
    given = parse(["run=2024", "out=007"], USAGE)
    assert (given.run, given.out) == ("2024", "007")


def test_faults_of_ours_keep_their_traceback_and_those_of_a_user_have_none(capsys):
    def fail(error):
        def main(given):
            raise error

        return main

    with pytest.raises(KeyError):
        run_command(fail(KeyError("ours")), USAGE, ["run=x"])
    for error in (ConfigError("yours"), FolderError("yours"), OSError(28, "No space left on device", "yours")):
        with pytest.raises(SystemExit) as caught:
            run_command(fail(error), USAGE, ["run=x"])
        assert caught.value.code == 2
        assert "yours" in capsys.readouterr().err


def test_a_table_of_a_terminal_obeys_nothing_in_it():
    out = StringIO()
    table = Table(title="\x1b[2Jtitle")
    table.add_column("\u202ecolumn")
    table.add_row(Text("\x1b]0;cell\x07"))
    console = PlainConsole(file=out, force_terminal=True)
    console.print(table)
    console.print("[bold]note[/bold] \x1b[31m", markup=False, highlight=False)
    said = out.getvalue()
    for obeyed in ("\x1b[2J", "\x1b]0", "\u202e", "\x07", "\x1b[31m"):
        assert obeyed not in said
    assert "title" in said
    assert "[bold]note[/bold]" in said


def test_what_a_file_says_is_text_for_a_terminal_too(capsys):
    def main(given):
        raise FolderError("a\x1b[2J\u202eb")

    with pytest.raises(SystemExit):
        run_command(main, USAGE, ["run=x"])
    assert capsys.readouterr().err == "Error: a\ufffd[2J\ufffdb\n"
    assert sentence(MemoryError("16 GiB"), "").startswith("The memory is not enough (16 GiB)")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["experiment=battery", "features.steps.drfit=null"],
            "features.steps.drfit is not there.  Did you mean 'drift'?",
        ),
        (["features.steps.drift=null"], "No features is chosen, so nothing can be set below it: add features=..."),
        (["~split.tset"], "split.tset"),
    ],
)
def test_what_hydra_objects_to_is_told_with_what_was_meant(words, said):
    code, answer, _ = answered(["train.py", *words])
    assert code == 2
    assert said in answer
    assert "Traceback" not in answer
    assert "use +" not in answer
