"""Where the work is done changes nothing about the result."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from data.cached import CachedWork
from data.contracts import Decomposition, FloatArray
from data.decomposition.modwt import MODWT
from data.decomposition.vmd import VMD
from data.windows import EveryEnd, RollingWindow
from runtime.build import build
from runtime.cache import ArrayCache
from runtime.parallel import Local, Processes, Ray
from tests.conftest import ROOT, choices

SERIES = [np.cumsum(np.random.default_rng(k).standard_normal(140 + k)) for k in range(5)]


def every_end(decomposition: Decomposition) -> EveryEnd:
    return EveryEnd(RollingWindow(128), decomposition, 30, 127)


def threads(_: int) -> tuple[int, int]:
    import numba

    return numba.get_num_threads(), os.getpid()


def refuse(item: int) -> int:
    raise ValueError(f"item {item} is not wanted")


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


def assert_same(found: list[FloatArray], wanted: list[FloatArray]) -> None:
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("choice", choices("parallel"))
def test_every_choice_can_be_built(choice: str) -> None:
    node = OmegaConf.load(ROOT / "conf" / "parallel" / f"{choice}.yaml")
    assert isinstance(node, DictConfig)
    assert build(node).map


@pytest.mark.parametrize("decomposition", [MODWT(level=4), VMD(modes=3)])
def test_processes_give_the_bits_of_this_process_in_order(decomposition: Decomposition) -> None:
    work = every_end(decomposition)
    assert_same(list(Processes(2).map(work, SERIES)), list(Local().map(work, SERIES)))


def test_processes_fill_the_cache_for_all(tmp_path: Path) -> None:
    cache = ArrayCache(str(tmp_path), 10_000_000)
    found, again = (
        list(CachedWork(parallel.map, cache, {})(every_end(VMD(modes=3)), SERIES))
        for parallel in (Processes(2), Local())
    )
    assert len(cache.entries()) == 1
    assert_same(again, found)


def test_a_process_takes_one_thread() -> None:
    found = list(Processes(2).map(threads, range(4)))
    assert {count for count, _ in found} == {1}
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize("parallel", [Local(), Processes(2)])
def test_a_fault_in_a_worker_reaches_the_user(parallel: Local | Processes) -> None:
    with pytest.raises(ValueError, match="item 0 is not wanted"):
        list(parallel.map(refuse, [0]))


@pytest.mark.parametrize("parallel", [Local(), Processes(2)])
def test_no_items_give_no_results(parallel: Local | Processes) -> None:
    assert list(parallel.map(refuse, [])) == []


@pytest.mark.parametrize("kind", [Processes, Ray])
def test_no_workers_at_all_are_refused(kind: type[Processes] | type[Ray]) -> None:
    with pytest.raises(ValueError, match=r"parallel\.n_jobs=0"):
        kind(n_jobs=0)


def test_missing_ray_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e \.\[ray\]"):
        list(Ray().map(abs, [-1]))


@pytest.mark.slow
def test_ray_gives_the_bits_of_this_process_with_one_thread_each(ray: Ray) -> None:
    work = every_end(VMD(modes=3))
    assert_same(list(ray.map(work, SERIES)), list(Local().map(work, SERIES)))
    assert {count for count, _ in ray.map(threads, range(4))} == {1}
