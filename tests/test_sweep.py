"""A sweep goes on: past a bad job, after a stop, and when values are added."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from runpy import run_path

import pytest
from omegaconf import OmegaConf

from runtime.files import write_json
from runtime.job_log import said_in
from runtime.processes import ended
from runtime.sweep import (
    RUNNING,
    NotRepeated,
    follows_seed,
    how_many,
    identity,
    job_began,
    job_ended,
    job_failed,
    refuse_to_repeat,
    seeds_last,
)
from tests.commands import heed_ctrl_c, in_this_process
from tests.conftest import ROOT

TRAIN = """
import os, time
import hydra
from runtime.command_line import CONF, start, told_in_one_sentence
from runtime.faults import ConfigError
from runtime.files import write_json
from runtime.record import finished, open_run


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@told_in_one_sentence
def main(composed):
    cfg, folder = open_run(composed)
    if finished(folder) is not None:
        print("nothing to do")
        return
    print("runs", cfg.lookback, cfg.seed, flush=True)
    if cfg.lookback == 100:
        raise ConfigError("lookback=100 is longer than scope.history=64.")
    if cfg.lookback == 13:
        raise ZeroDivisionError("a fault of ours")
    if cfg.lookback == 7:
        time.sleep(60)
    write_json(folder / "metrics.json", {})


start(main)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path / "train.py"


def line_of(script: Path, *words: str) -> list[str]:
    """Return what is typed: words for a sweep of the script."""
    launcher = [] if any(word.startswith("hydra/launcher") for word in words) else ["hydra/launcher=basic"]
    if "hydra/launcher=joblib" in words:
        launcher = ["hydra.launcher.n_jobs=2"]  # also where there is one core
    return ["-m", "experiment=smoke", *words, *launcher, f"hydra.sweep.dir={script.parent / 'sweep'}"]


def begun(script: Path, *words: str) -> subprocess.Popen[str]:
    """Begin a sweep in a process of its own, to be stopped or to start others."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, str(script), *line_of(script, *words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


def swept(script: Path, *words: str) -> tuple[int, list[str], str]:
    """Return the exit code, which jobs have run, and all that was said."""
    if any(word.startswith("hydra/launcher") for word in words):
        process = begun(script, *words)
        out, err = process.communicate(timeout=120)
        code = process.returncode
    else:
        code, out, err = in_this_process(lambda: run_path(str(script)) and None, script, line_of(script, *words))
    return code, re.findall(r"^runs (\d+ \d+)$", out, re.MULTILINE), out + err


def folders(script: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(script.parent / "sweep")) for path in script.parent.rglob("config.yaml"))


def test_the_jobs_behind_a_bad_one_run_and_it_is_told_at_the_end(script):
    code, jobs, said = swept(script, "lookback=10,100,20")
    assert (code, jobs) == (1, ["10 0", "100 0", "20 0"])
    assert "3 jobs in" in said
    assert "2 finished, 1 failed" in said
    last = said[said.index("3 jobs in") :]
    assert re.search(r"Failed: lookback-100_\w{8}/seed-0: lookback=100 is longer than scope.history=64.", last)
    assert "Traceback" not in said
    (failure,) = (script.parent / "sweep").rglob("failure.json")
    assert json.loads(failure.read_text())["error"] == "lookback=100 is longer than scope.history=64."


def test_the_same_command_goes_on_with_what_is_missing_also_with_values_added(script):
    swept(script, "lookback=10,100", "seed=0,1")
    code, jobs, said = swept(script, "seed=0,1,2", "lookback=100,5,10")
    assert code == 1
    assert sorted(jobs) == ["10 2", "100 0", "100 1", "100 2", "5 0", "5 1", "5 2"]
    assert "4 finished, 2 finished before, 3 failed" in said
    code, jobs, _ = swept(script, "lookback=10,5", "seed=1")
    assert (code, jobs) == (0, [])


def test_a_run_is_known_again_whatever_words_led_to_it(script):
    assert swept(script, "lookback=10", "seed=0")[1] == ["10 0"]
    assert swept(script, "lookback=10,20", "horizon=1", "seed=0,1")[1] == ["20 0", "10 1", "20 1"]
    assert swept(script, "lookback=20,10", "trainer.max_epochs=2,3")[1] == ["20 0", "10 0"]  # 2 is the default
    names = {name.split("/")[0].rpartition("_")[2] for name in folders(script)}
    assert len(names) == 4
    assert all(re.fullmatch(r"[\w.-]+_[0-9a-f]{8}/seed-\d", name) for name in folders(script))


def test_where_a_run_computes_is_no_part_of_it(script):
    swept(script, "lookback=10", "parallel.n_jobs=1")
    assert swept(script, "lookback=10", "parallel.n_jobs=2")[1] == []


def test_a_fault_of_ours_does_not_end_a_sweep_either_and_keeps_its_traceback(script):
    code, jobs, said = swept(script, "lookback=13,10")
    assert (code, jobs) == (1, ["13 0", "10 0"])
    assert "Traceback" in said
    assert "ZeroDivisionError: a fault of ours" in said
    (failure,) = (script.parent / "sweep").rglob("failure.json")
    assert "in main" in json.loads(failure.read_text())["traceback"]


def test_a_choice_without_a_parameter_of_another_fails_alone(script):
    """Hydra would refuse the whole sweep: ridge has no network."""
    code, jobs, said = swept(script, "model=mlp,ridge", "model.network.hidden=[8]")
    assert len(jobs) == 2  # this program does not check them
    assert code == 0, said


@pytest.mark.parametrize(
    ("how", "code", "word"), [(signal.SIGTERM, 143, "Terminated"), (signal.SIGINT, 130, "Interrupted")]
)
def test_a_stop_is_no_success_and_says_how_the_sweep_goes_on(script, how, code, word):
    process = begun(script, "lookback=7,10", "source.name=x y")
    while "runs 7 0" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"{word}; what was finished is kept." in err
    again = "python train.py -m experiment=smoke lookback=7,10 'source.name=x y' hydra/launcher=basic"
    assert f"Go on with: {again} hydra.sweep.dir=" in err
    assert "Traceback" not in err
    assert "runs 10" not in out
    assert "lookback-7_" in folders(script)[0]


def test_a_failure_is_forgotten_once_its_job_has_run(script):
    swept(script, "lookback=100,10")
    (failure,) = (script.parent / "sweep").rglob("failure.json")
    script.write_text(TRAIN.replace("== 100", "== 1000"))
    assert swept(script, "lookback=100,10")[:2] == (0, ["100 0"])
    assert not failure.exists()


def test_an_identity_follows_from_everything_but_the_seed_and_the_place():
    base = {
        "seed": 0,
        "lookback": 10,
        "model": {"seed": "${seed}", "alpha": 1.0},
        "parallel": {"n_jobs": 1},
        "folder": "a",
    }
    own = identity(OmegaConf.create(base))
    for same in ({"seed": 5}, {"parallel": {"n_jobs": 9}}, {"folder": "b"}, {"hydra": {"x": 1}}):
        assert identity(OmegaConf.create(base | same)) == own
    for other in ({"lookback": 11}, {"model": {"seed": 3, "alpha": 1.0}}, {"model": {"alpha": 1.0}}, {"more": None}):
        assert identity(OmegaConf.create(base | other)) != own


def test_a_job_is_written_down_whole(tmp_path):
    write_json(tmp_path / "failure.json", {"error": "ü"})
    assert json.loads((tmp_path / "failure.json").read_text(encoding="utf-8")) == {"error": "ü"}


# ---- the same run with another seed


def job(sweep: Path, seed: int, **left: object) -> Path:
    """Begin a job in its folder, with the files it has left."""
    folder = sweep / "model-ridge_12345678" / f"seed-{seed}"
    job_began(folder)
    for name, content in left.items():
        write_json(folder / f"{name}.json", content)
    return folder


def test_a_run_without_chance_is_not_repeated_where_another_has_ended_or_is_at_work(tmp_path):
    first, second = job(tmp_path, 0), job(tmp_path, 1)
    refuse_to_repeat(first)  # it began first
    with pytest.raises(NotRepeated, match="seed-0 is the same"):
        refuse_to_repeat(second)
    write_json(second / "metrics.json", {})
    with pytest.raises(NotRepeated, match="seed-1 is the same"):
        refuse_to_repeat(first)


def test_a_run_whose_process_was_killed_stands_for_no_other(tmp_path):
    first, second = job(tmp_path, 0), job(tmp_path, 1)
    mark = json.loads((first / RUNNING).read_text())
    write_json(first / RUNNING, mark | {"process": [*mark["process"][:2], "1"]})
    refuse_to_repeat(second)


def test_a_failed_run_stands_for_no_other(tmp_path):
    first = job(tmp_path, 0)
    began = {"folder": str(first), "outcome": "finished", "began": time.time()}
    job_failed(began, ValueError("no"), "no")
    job_ended(tmp_path, began)
    refuse_to_repeat(job(tmp_path, 1))


def test_a_seed_that_settings_follow_is_seen():
    base = {"seed": 3, "model": {"alpha": 1.0}, "split": {"seed": 3}}
    assert not follows_seed(OmegaConf.create(base))
    assert follows_seed(OmegaConf.create(base | {"split": {"seed": "${seed}"}}))


def test_a_job_that_is_not_repeated_leaves_no_folder_and_is_told(script):
    script.write_text(
        TRAIN.replace('print("runs"', 'refuse_to_repeat(folder)\n    print("runs"').replace(
            "from runtime.record", "from runtime.sweep import refuse_to_repeat\nfrom runtime.record"
        )
    )
    code, jobs, said = swept(script, "lookback=10", "seed=0,1,2")
    assert (code, jobs) == (0, ["10 0"])
    assert "1 finished, 2 not repeated" in said
    assert len(folders(script)) == 1
    assert not list((script.parent / "sweep").glob("*/seed-1"))


# ---- what jobs say, and jobs side by side


def test_every_job_has_a_log_of_its_own_without_colours(script):
    swept(script, "lookback=10,100")
    logs = sorted(path.read_text().splitlines() for path in script.parent.rglob("log.txt"))
    assert logs == [["runs 10 0"], ["runs 100 0", "Error: lookback=100 is longer than scope.history=64."]]
    with said_in(script.parent / "own.txt", aloud=False):
        print("\x1b[31mred\x1b[0m", end="")
        assert not sys.stdout.isatty()
    assert (script.parent / "own.txt").read_text() == "red"


@pytest.mark.parametrize("seeds", ["0,1", "range(2)", "3"])
def test_the_seed_varies_slowest_whatever_the_order_of_the_words(seeds):
    sweeper = {"params": {"model": "lstm,mlp"}}
    hydra = {"overrides": {"task": [f"seed={seeds}", "lookback=1,2", "season=null"]}, "sweeper": sweeper}
    config = OmegaConf.create({"hydra": hydra})
    before = how_many(config)
    seeds_last(config)
    assert list(config.hydra.sweeper.params.items()) == [("seed", seeds), ("model", "lstm,mlp")]
    assert config.hydra.overrides.task == ["lookback=1,2", "season=null"]
    assert how_many(config) == before
    config.hydra.sweeper.params = {"model": "lstm,mlp", "seed": seeds}  # as a file of conf/sweep has it
    seeds_last(config)
    assert list(config.hydra.sweeper.params) == ["seed", "model"]


def test_the_number_of_jobs_is_known_before_they_begin():
    hydra = {"overrides": {"task": ["lookback=1,2", "model=mlp", "seed=range(3)"]}, "sweeper": {"params": {"x": "a,b"}}}
    assert how_many(OmegaConf.create({"hydra": hydra})) == 12


def in_logs(script: Path) -> list[str]:
    return sorted(
        line for path in script.parent.rglob("log.txt") for line in re.findall(r"runs \d+ \d+", path.read_text())
    )


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_side_by_side_go_past_a_bad_one(script, launcher):
    pytest.importorskip(
        f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher", reason="the extra `sweeps` is not installed"
    )
    code, _, said = swept(script, "lookback=10,100,20", f"hydra/launcher={launcher}")
    assert code == 1
    assert in_logs(script) == ["runs 10 0", "runs 100 0", "runs 20 0"]
    assert "2 finished, 1 failed" in said
    assert len(list(script.parent.rglob("metrics.json"))) == 2
    code, _, said = swept(script, "lookback=10,20", f"hydra/launcher={launcher}")
    assert (code, len(in_logs(script))) == (0, 3)
    assert "2 finished before" in said


def test_a_job_that_is_told_to_end_ends_alone(script):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra `sweeps` is not installed")
    process = begun(script, "lookback=7,10,20", "hydra/launcher=joblib")
    while not (found := list(script.parent.rglob("lookback-7*/**/running.json"))) or "runs 7 0" not in in_logs(script):
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(json.loads(found[0].read_text())["process"][1], signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "2 finished, 1 failed" in out
    assert "Terminated; what was finished is kept." in out


def test_no_job_outlives_a_sweep_that_is_killed_with_9(script):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra `sweeps` is not installed")
    process = begun(script, "lookback=7,10", "hydra/launcher=joblib")
    while "runs 7 0" not in in_logs(script):
        assert process.poll() is None
        time.sleep(0.1)
    (mark,) = script.parent.rglob("lookback-7*/**/running.json")
    job = json.loads(mark.read_text())["process"]
    process.kill()
    process.wait()
    end = time.monotonic() + 30  # the job would sleep for a minute
    while not ended(job):
        assert time.monotonic() < end, "the job works on"
        time.sleep(0.1)
    process.communicate()
