"""What a run writes appears whole, and is its reader's to read."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runtime.faults import FolderError
from runtime.files import atomic, write_json, write_text
from runtime.record import load_run, open_run
from runtime.settings import defaults


def test_a_fault_in_the_middle_leaves_what_was_there_before(tmp_path):
    path = tmp_path / "table.md"
    write_text(path, "before")

    def half():
        with atomic(path) as part:
            part.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_is_readable_as_the_umask_has_it_whoever_wrote_the_part(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_json(tmp_path / "run.json", {})
        with atomic(tmp_path / "model.safetensors") as part:
            other = tmp_path / "other"
            other.touch(0o600)
            other.replace(part)  # as safetensors does
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


def test_a_number_that_does_not_exist_is_never_written(tmp_path):
    path = tmp_path / "metrics.json"
    with suppress(ValueError):
        write_json(path, {"mae": float("nan"), "rows": [float("inf")]})
    assert not path.exists() or not {"NaN", "Infinity"} & set(path.read_text().replace(",", " ").split())


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path):
    write_text(tmp_path / ("n" * 250), "x")
    assert len(list(tmp_path.iterdir())) == 1


def composed(folder: Path, **more: object):
    place = {"folder": str(folder), "resume": None, "parallel": {"n_jobs": 1}}
    return OmegaConf.create({**defaults(), **place, **more})


def test_a_folder_goes_on_under_the_same_settings_and_no_others(tmp_path):
    cfg, folder = open_run(composed(tmp_path))
    assert "folder" not in cfg
    assert open_run(composed(tmp_path, parallel={"n_jobs": 4}))[0].parallel.n_jobs == 4
    with pytest.raises(FolderError, match="holds a run with other settings"):
        open_run(composed(folder, lookback=10))
    resumed, _ = open_run(composed(tmp_path, resume=str(tmp_path), lookback=99, parallel={"n_jobs": 2}))
    assert (resumed.lookback, resumed.parallel.n_jobs) == (30, 2)


def test_a_run_of_before_a_setting_was_added_has_it_as_it_was_without(tmp_path):
    open_run(composed(tmp_path))
    kept = tmp_path / "config.yaml"
    kept.write_text(kept.read_text().replace("figures: none\n", ""))
    assert open_run(composed(tmp_path))[0].figures == "none"
    (tmp_path / "metrics.json").write_text("{}")
    card = {"data": {"name": "a", "sha256": "b"}, "audit": {"verdict": "causal"}}
    (tmp_path / "run.json").write_text(json.dumps(card))
    cfg, _ = load_run(tmp_path)
    assert (cfg.figures, cfg.lookback) == ("none", 30)
