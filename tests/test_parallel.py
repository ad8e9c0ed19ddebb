"""Where the work is done changes nothing about the result."""

import importlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from data.contracts import Decomposition, FloatArray, Scope
from data.decomposition.modwt import MODWT
from data.decomposition.vmd import VMD
from data.windows import EveryEnd, RollingWindow
from runtime.build import ConfigError, build
from runtime.command_line import sentence
from runtime.parallel import Local, Ray, WorkerLost, cores
from tests.conftest import ROOT, choices

SERIES = [np.cumsum(np.random.default_rng(k).standard_normal(140 + k)) for k in range(5)]


def tails(scope: Scope, decomposition: Decomposition, series: FloatArray) -> tuple[int, FloatArray]:
    return scope.tails(decomposition, series, 30)


def threads(_: int) -> tuple[int, int]:
    import numba

    return numba.get_num_threads(), os.getpid()


def refuse(item: int) -> int:
    raise ConfigError(f"item {item} is not wanted")


class Awkward(Exception):
    """A fault that cannot be unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail_awkwardly(item: int) -> int:
    raise Awkward(item, 2)


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def shared_out_again(_: int) -> set[int]:
    return {process for _, process in Local(2).map(threads, range(3))} - {os.getpid()}


def change(array: FloatArray) -> float:
    array[0] = 1.0
    return float(array.sum())


@pytest.fixture
def ray() -> Ray:
    """Ray on this machine, stopped again once the module is done."""
    pytest.importorskip("ray", reason="parallel=ray needs the extra: pip install -e .[ray]")
    return Ray(n_jobs=2)


@pytest.fixture(scope="module", autouse=True)
def _stop_ray() -> object:
    yield
    if "ray" in sys.modules:
        importlib.import_module("ray").shutdown()


def assert_same(found: list[tuple[int, FloatArray]], wanted: list[tuple[int, FloatArray]]) -> None:
    assert [first for first, _ in found] == [first for first, _ in wanted]
    for (_, got), (_, want) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("choice", choices("parallel"))
def test_every_choice_can_be_built(choice: str) -> None:
    node = OmegaConf.load(ROOT / "conf" / "parallel" / f"{choice}.yaml")
    assert isinstance(node, DictConfig)
    assert build(node).map


@pytest.mark.parametrize("decomposition", [MODWT(level=4), VMD(modes=3)])
def test_processes_give_the_bits_of_this_process_in_order(decomposition: Decomposition) -> None:
    work = EveryEnd(RollingWindow(128), decomposition, 30, 127)
    for one, other in zip(Local(2).map(work, SERIES), Local(1).map(work, SERIES), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_process_takes_one_thread() -> None:
    found = list(Local(2).map(threads, range(4)))
    assert {count for count, _ in found} == {1}
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize(("local", "items"), [(Local(1), range(3)), (Local(4), [7])])
def test_one_process_or_one_item_is_worked_on_here(local: Local, items: list[int]) -> None:
    assert {process for _, process in local.map(threads, items)} == {os.getpid()}


def test_a_worker_starts_no_workers() -> None:
    assert list(Local(2).map(shared_out_again, range(2))) == [set(), set()]


def test_as_many_processes_as_this_one_may_use_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert cores() == 1
    assert {process for _, process in Local().map(threads, range(3))} == {os.getpid()}


def test_results_come_as_soon_as_they_are_there_and_work_left_over_is_dropped() -> None:
    began = time.monotonic()
    for _ in Local(2).map(time.sleep, [0.0, 0.0, 60.0, 60.0]):
        break
    assert time.monotonic() - began < 30


def test_a_worker_may_write_to_what_it_is_given() -> None:
    arrays = [np.zeros(300_000), np.zeros(300_000)]  # 2.4 MB: shared between processes
    assert list(Local(2).map(change, arrays)) == [1.0, 1.0]
    assert arrays[0].sum() == 0.0


@pytest.mark.parametrize("local", [Local(1), Local(2)])
def test_a_fault_in_a_worker_reaches_the_user_as_it_was_raised(local: Local) -> None:
    with pytest.raises(ConfigError, match=r"item [01] is not wanted") as caught:
        list(local.map(refuse, [0, 1]))
    assert sentence(caught.value, "") == str(caught.value)


def test_a_fault_that_cannot_travel_is_told_in_its_words() -> None:
    with pytest.raises(RuntimeError, match=r"Awkward: \d and 2"):
        list(Local(2).map(fail_awkwardly, [0, 1]))


def test_a_worker_that_is_killed_is_told_in_a_sentence_and_the_next_work_goes_on() -> None:
    with pytest.raises(WorkerLost, match=r"was killed.*parallel\.n_jobs=1") as caught:
        list(Local(2).map(die, [0, 1]))
    assert "\n" not in (sentence(caught.value, "") or "\n")
    assert list(Local(2).map(abs, [-1, -2])) == [1, 2]


ORPHAN = """
import os, sys, time
from multiprocessing import get_context, parent_process
from runtime.parallel import end_with_parent

def late(mark):
    while os.getppid() == parent_process().pid:
        time.sleep(0.01)
    end_with_parent()
    time.sleep(5)
    open(mark, "w").close()

get_context("fork").Process(target=late, args=(sys.argv[1],)).start()
os._exit(0)
"""


def test_a_worker_whose_parent_has_ended_before_it_began_does_not_work_on(tmp_path):
    line = [sys.executable, "-c", ORPHAN, str(tmp_path / "mark")]
    subprocess.run(line, cwd=ROOT, capture_output=True, check=True, timeout=60)  # the worker holds its output open
    assert not (tmp_path / "mark").exists()


SLOW = """
import time
from runtime.command_line import Usage, run_command
from runtime.parallel import Local

def main(given):
    print("begun", flush=True)
    list(Local(2).map(time.sleep, [300.0] * 4))

run_command(main, Usage("", {}, ()), [])
"""


def children(process: int) -> list[int]:
    """Return the workers of a process, from the table of the system."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == process and b"Loky" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stop_ends_the_workers_at_once_and_leaves_none_behind(how: signal.Signals, code: int) -> None:
    line = [sys.executable, "-c", SLOW]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(line, cwd=ROOT, preexec_fn=heed, **quiet)  # type: ignore[call-overload]
    assert process.stdout.readline() == "begun\n"
    while not (workers := children(process.pid)):
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(how)
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert how is signal.SIGKILL or ("what was finished is kept" in said and "Traceback" not in said)
    for _ in range(100):
        if not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a worker outlived its parent")


@pytest.mark.parametrize("local", [Local(1), Local(2)])
def test_no_items_give_no_results(local: Local) -> None:
    assert list(local.map(refuse, [])) == []


@pytest.mark.parametrize("kind", [Local, Ray])
@pytest.mark.parametrize("n_jobs", [0, -2])
def test_no_workers_at_all_are_refused(kind: type[Local] | type[Ray], n_jobs: int) -> None:
    with pytest.raises(ValueError, match=rf"parallel\.n_jobs={n_jobs}"):
        kind(n_jobs=n_jobs)


def test_missing_ray_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e \.\[ray\]"):
        list(Ray().map(abs, [-1]))


@pytest.mark.slow
def test_ray_gives_the_bits_of_this_process_with_one_thread_each(ray: Ray) -> None:
    work = partial(tails, RollingWindow(128), VMD(modes=3))
    assert_same(list(ray.map(work, SERIES)), list(Local(1).map(work, SERIES)))
    assert {count for count, _ in ray.map(threads, range(4))} == {1}
