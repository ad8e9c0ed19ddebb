"""A cache may cost time, but never a wrong number."""

import errno
import hashlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from data.cached import CachedWork
from data.contracts import Decomposition, FloatArray, Scope
from data.decomposition.modwt import MODWT
from data.decomposition.wavelet_packet import WaveletPacket
from data.windows import EveryEnd, Expanding, RollingWindow, WholeSeries
from runtime import cache as cache_module
from runtime.cache import ArrayCache, CacheWarning, key_digest, main
from tests.conftest import ROOT

LIMIT = 1_000_000


class Counted:
    """A computation that knows how often it was made."""

    def __init__(self, size: int = 10) -> None:
        self.times = 0
        self.size = size

    def __call__(self) -> dict[str, Any]:
        self.times += 1
        return {"row": np.arange(self.size) / 3, "first": np.array(7)}


@pytest.fixture(autouse=True)
def _warnings_are_faults() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def cache(tmp_path: Path) -> ArrayCache:
    return ArrayCache(str(tmp_path / "kept"), LIMIT)


def only_entry(cache: ArrayCache) -> Path:
    (path,) = cache.entries()
    return path


def test_second_call_returns_the_bits_of_the_first_without_computing(cache: ArrayCache) -> None:
    compute = Counted()
    first = cache.get_or_compute({"a": 1}, compute)
    second = ArrayCache(str(cache.folder), LIMIT).get_or_compute({"a": 1}, compute)
    assert compute.times == 1
    assert second.keys() == first.keys()
    for name in first:
        assert second[name].dtype == first[name].dtype
        np.testing.assert_array_equal(second[name], first[name])


def test_constructing_a_cache_touches_no_disk(cache: ArrayCache) -> None:
    assert not cache.folder.exists()


SERIES = np.arange(6, dtype=np.int64)
KEYS: list[dict[str, Any]] = [
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {"a": 1},
    {"a": 1.0, "b": 2},
    {"a": "1", "b": 2},
    {"a": {"b": 2}},
    {"a": ["b", 2]},
    {"a": None},
    {"a": True},
    {"x": SERIES},
    {"y": SERIES},
    {"x": SERIES.tolist()},
    {"x": SERIES.reshape(2, 3)},
    {"x": SERIES.astype(np.int32)},
    {"x": SERIES.view(np.float64)},
    {"x": SERIES[::-1]},
    {"x": [SERIES[:3], SERIES[3:]]},
    {"x": [SERIES[:2], SERIES[2:]]},
    {"x": {"array": ["int64", [6], hashlib.sha256(SERIES.tobytes()).hexdigest()]}},
]


def test_every_name_type_shape_and_byte_makes_another_key() -> None:
    assert len({key_digest(key) for key in KEYS}) == len(KEYS)


def test_order_of_settings_and_layout_in_memory_do_not_matter() -> None:
    assert key_digest({"a": 1, "b": {"c": 2, "d": 3}}) == key_digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert key_digest({"x": np.repeat(SERIES, 2)[::2]}) == key_digest({"x": SERIES})


@pytest.mark.parametrize("part", [object(), np.array([None]), {1: 2}, {3}])
def test_a_key_that_cannot_be_told_apart_is_refused(part: Any) -> None:
    with pytest.raises(TypeError):
        key_digest({"a": part})


@pytest.mark.parametrize("position", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_bit_is_noticed_and_mended(cache: ArrayCache, position: float) -> None:
    compute = Counted()
    whole = cache.get_or_compute({"a": 1}, compute)
    content = bytearray(only_entry(cache).read_bytes())
    content[int(position * len(content))] ^= 1
    only_entry(cache).write_bytes(content)
    with pytest.warns(CacheWarning, match="damaged"):
        mended = cache.get_or_compute({"a": 1}, compute)
    np.testing.assert_array_equal(mended["row"], whole["row"])
    cache.get_or_compute({"a": 1}, compute)  # sound again: no warning, no computation
    assert compute.times == 2


@pytest.mark.parametrize("left", [0, 1, 31, 32, 33, 200, -1])
def test_a_truncated_entry_is_noticed_and_mended(cache: ArrayCache, left: int) -> None:
    compute = Counted()
    cache.get_or_compute({"a": 1}, compute)
    only_entry(cache).write_bytes(only_entry(cache).read_bytes()[:left])
    with pytest.warns(CacheWarning, match="damaged"):
        cache.get_or_compute({"a": 1}, compute)
    cache.get_or_compute({"a": 1}, compute)
    assert compute.times == 2


def test_a_pickle_is_never_written_nor_read(cache: ArrayCache) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        cache.get_or_compute({"a": 1}, lambda: {"row": np.array([None])})
    assert cache.entries() == []


def test_a_failed_computation_leaves_nothing(cache: ArrayCache) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute({"a": 1}, lambda: {"row": np.array(1 // 0)})
    assert cache.entries() == []


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let another run begin: what was used before is no longer in use."""

    def _later() -> None:
        monkeypatch.setattr(cache_module, "_BEGAN", time.time() - 50)
        monkeypatch.setattr(cache_module, "_accounts", {})

    return _later


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, later: Callable[[], None]) -> None:
    compute = Counted(10_000)  # some 80 kB each
    cache = ArrayCache(str(tmp_path), 300_000)
    for k in range(3):
        known = set(cache.entries())
        cache.get_or_compute({"k": k}, compute)
        (new,) = set(cache.entries()) - known
        age(new, 100 - k)
    later()
    cache.get_or_compute({"k": 0}, compute)  # used again: now the youngest
    assert compute.times == 3
    cache.get_or_compute({"k": 3}, compute)
    assert len(cache.entries()) == 3
    assert sum(path.stat().st_size for path in cache.entries()) <= 300_000
    cache.get_or_compute({"k": 0}, compute)
    assert compute.times == 4
    cache.get_or_compute({"k": 1}, compute)  # the one that had gone
    assert compute.times == 5


def test_nothing_a_run_uses_is_deleted_and_a_second_pass_finds_what_fitted(tmp_path: Path) -> None:
    compute = Counted(10_000)
    cache = ArrayCache(str(tmp_path), 300_000)
    with pytest.warns(CacheWarning, match="full of what this run uses"):
        assert [cache.get_or_compute({"k": k}, compute)["first"] for k in range(8)] == [7] * 8
    assert (compute.times, len(cache.entries())) == (8, 3)
    for k in range(8):
        cache.get_or_compute({"k": k}, compute)
    assert compute.times == 13


def test_entries_are_not_counted_at_every_writing(cache: ArrayCache, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    found = cache_module._found
    monkeypatch.setattr(cache_module, "_found", lambda *given: (counted.append(given), found(*given))[1])
    for k in range(100):
        cache.get_or_compute({"k": k}, Counted())  # 50 kB in all, of a limit of 1 MB
    assert len(counted) <= 2


SLOW = """
import sys, time, numpy as np
from pathlib import Path
from runtime.cache import ArrayCache
def compute():
    with Path(sys.argv[1], "computed").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    if sys.argv[2] == "die":
        import os; os._exit(1)
    return {"row": np.arange(3)}
assert ArrayCache(sys.argv[1]).get_or_compute({"k": 1}, compute)["row"][2] == 2
"""


@pytest.mark.parametrize(("first", "times"), [("end", 1), ("die", 2)])
def test_what_several_processes_need_at_once_is_computed_by_one_of_them(tmp_path: Path, first: str, times: int) -> None:
    racers = []
    for how in (first, "end", "end"):
        racers.append(subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path), how], cwd=ROOT))
        while not (tmp_path / "computed").exists():
            time.sleep(0.01)
    assert [racer.wait(60) for racer in racers] == [int(first == "die"), 0, 0]
    assert (tmp_path / "computed").read_text() == "x" * times
    assert not list(tmp_path.glob("*-lock"))


def test_an_entry_is_readable_as_the_umask_has_it(cache: ArrayCache) -> None:
    before = os.umask(0o027)
    try:
        cache.get_or_compute({"a": 1}, Counted())
    finally:
        os.umask(before)
    assert only_entry(cache).stat().st_mode & 0o777 == 0o640


def test_what_exceeds_the_limit_alone_is_returned_but_not_kept(tmp_path: Path) -> None:
    cache = ArrayCache(str(tmp_path), 1000)
    with pytest.warns(CacheWarning, match="limit is 1000"):
        assert cache.get_or_compute({"a": 1}, Counted(10_000))["row"].size == 10_000
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_process_that_died_are_swept_away(cache: ArrayCache) -> None:
    cache.folder.mkdir()
    dead, alive = cache.folder / ".dead.arrays.1.part", cache.folder / ".alive.arrays.1.part"
    for path in (dead, alive):
        path.write_bytes(b"half")
    age(dead, 200_000)
    cache.get_or_compute({"a": 1}, Counted())
    assert not dead.exists()
    assert alive.exists()


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ArrayCache(str(tmp_path / "file" / "kept"), LIMIT)
    with pytest.warns(CacheWarning, match="cannot be"):
        assert cache.get_or_compute({"a": 1}, Counted())["first"] == 7


@pytest.mark.parametrize("failing", ["replace", "write"])
def test_a_full_disk_costs_a_warning_only(cache: ArrayCache, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*(("os.replace", full) if failing == "replace" else ("runtime.files.secrets.token_hex", full)))
    with pytest.warns(CacheWarning, match="No space left on device.*MODECAST_CACHE"):
        assert cache.get_or_compute({"a": 1}, Counted())["first"] == 7
    assert list(cache.folder.iterdir()) == []


def test_clearing_deletes_entries_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODECAST_CACHE", str(tmp_path))
    cache = ArrayCache()
    assert cache.folder == tmp_path
    cache.get_or_compute({"a": 1}, Counted())
    (tmp_path / "thesis.tex").write_text("mine")
    main(["info"])
    assert "1 entries, 0.0 MB" in capsys.readouterr().out
    main(["clear"])
    assert "Deleted 1 entries" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_a_choice_the_cache_lies_among_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODECAST_CACHE", raising=False)
    assert ArrayCache().folder == ROOT / "outputs" / ".cache"


FILL = """
import sys, warnings, numpy as np
from runtime.cache import ArrayCache
warnings.filterwarnings("ignore", message=".*full of what this run uses")
cache = ArrayCache(sys.argv[1], 400_000)
for turn in range(60):
    k = turn % 5
    row = cache.get_or_compute({"k": k}, lambda: {"row": np.full(20_000, float(k))})["row"]
    assert row.shape == (20_000,) and (row == k).all()
"""


def test_processes_may_fill_and_evict_at_once(tmp_path: Path) -> None:
    """Five entries of 160 kB fight for room for two: every reading is whole and right."""
    command = [sys.executable, "-W", "error", "-c", FILL, str(tmp_path)]
    racers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors
    assert not list(tmp_path.glob(".*.part"))


# -- work that remembers ----------------------------------------------------------------------


class Watched:
    """A decomposition that counts its calls."""

    def __init__(self, inner: Decomposition) -> None:
        self.inner = inner
        self.calls = 0
        self.n_components = inner.n_components
        self.causal, self.memory = False, None

    def __call__(self, series: FloatArray) -> FloatArray:
        self.calls += 1
        return self.inner(series)


SCOPES: dict[str, Callable[[], Scope]] = {
    "rolling": lambda: RollingWindow(128),
    "expanding": lambda: Expanding(128),
    "overall": WholeSeries,
}


def every_end(decomposition: Decomposition, scope: Scope | None = None, keep: int = 30, first: int = 127) -> EveryEnd:
    return EveryEnd(scope or RollingWindow(128), decomposition, keep, first)


@pytest.mark.parametrize("kind", SCOPES)
@pytest.mark.parametrize("inner", [MODWT(), WaveletPacket()])
def test_cached_work_returns_the_bits_of_the_work(
    cache: ArrayCache, walk: FloatArray, kind: str, inner: Decomposition
) -> None:
    decomposition = Watched(inner)
    cached = CachedWork(map, cache, {"scope": kind})
    many = [walk, walk[:200] + 1, walk[:100]]  # the last one is too short for a window
    wanted = list(map(every_end(inner, SCOPES[kind]()), many))
    for _ in range(2):
        found = list(cached(every_end(decomposition, SCOPES[kind]()), many))
        assert len(found) == len(wanted)
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, want)
    assert found[2].shape == (0, inner.n_components, 30)
    assert decomposition.calls == (2 if kind == "overall" else (300 - 127) + (200 - 127))


def test_many_series_share_an_entry_up_to_a_size(
    cache: ArrayCache, walk: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(CachedWork(map, cache, {})(every_end(MODWT()), [walk] * 5))
    assert len(cache.entries()) == 1
    monkeypatch.setattr("data.cached.AN_ENTRY", 700)
    found = list(CachedWork(map, cache, {})(every_end(MODWT()), [walk + k for k in range(5)]))
    assert len(cache.entries()) == 1 + 3
    np.testing.assert_array_equal(found[3], every_end(MODWT())(walk + 3))


def test_a_finished_entry_survives_what_interrupts_the_next(
    cache: ArrayCache, walk: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.cached.AN_ENTRY", 300)
    decomposition = Watched(MODWT())
    work = CachedWork(map, cache, {})
    with pytest.raises(ValueError, match="finite"):
        list(work(every_end(decomposition), [walk, np.full(300, np.nan)]))
    calls = decomposition.calls
    next(iter(work(every_end(decomposition), [walk, np.full(300, np.nan)])))
    assert decomposition.calls == calls


def test_series_settings_lookback_ends_and_kind_are_told_apart(cache: ArrayCache, walk: FloatArray) -> None:
    settings = {"scope": {"history": 128}}

    def ask(work: EveryEnd, series: FloatArray = walk, settings: dict[str, Any] = settings) -> None:
        list(CachedWork(map, cache, settings)(work, [series]))

    for _ in range(2):
        ask(every_end(MODWT()))
        ask(every_end(MODWT()), walk + 1)
        ask(every_end(MODWT(), keep=31))
        ask(every_end(MODWT(), first=128))
        ask(every_end(MODWT())._replace(stride=7, horizon=3))
        ask(every_end(MODWT())._replace(stride=7, horizon=4))
        ask(every_end(WaveletPacket()))
        ask(every_end(MODWT(), Expanding(128)))
        ask(every_end(MODWT()), settings={**settings, "decomposition": {"level": 6}})
    assert len(cache.entries()) == 9


def test_changed_code_or_versions_are_decomposed_anew(
    cache: ArrayCache, walk: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = CachedWork(map, cache, {})
    list(cached(every_end(MODWT()), [walk]))
    monkeypatch.setattr("data.cached._code", lambda: "another")
    list(cached(every_end(MODWT()), [walk]))
    monkeypatch.setattr("data.cached._versions", lambda: {"numpy": "99"})
    list(cached(every_end(MODWT()), [walk]))
    assert len(cache.entries()) == 3


def test_components_that_do_not_change_with_time_are_kept_once(cache: ArrayCache, walk: FloatArray) -> None:
    list(CachedWork(map, cache, {})(every_end(WaveletPacket(), WholeSeries()), [walk]))
    assert only_entry(cache).stat().st_size < 1.2 * 8 * walk.size * 8
    sliding = sliding_window_view(walk, 30)
    assert only_entry(cache).stat().st_size < sliding.size * 8
