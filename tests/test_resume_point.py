"""A checkpoint is replaced whole, or not at all."""

from types import SimpleNamespace

import pytest

from runtime.record import FolderError
from runtime.resume_point import ResumePoint


def trainer(save):
    return SimpleNamespace(is_global_zero=True, save_checkpoint=save)


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), RuntimeError("writing file failed")])
def test_a_full_disk_leaves_the_epoch_before_and_says_how_to_go_on(tmp_path, fault):
    (tmp_path / "unfinished").mkdir()
    point = ResumePoint(tmp_path / "unfinished" / "model.ckpt")
    point.on_train_epoch_end(trainer(lambda path, weights_only: path.write_text("first")), None)

    def fail(path, weights_only):
        path.write_text("half")
        raise fault

    with pytest.raises(FolderError, match=rf"could not be written .*resume={tmp_path}$"):
        point.on_train_epoch_end(trainer(fail), None)
    assert [path.name for path in (tmp_path / "unfinished").iterdir()] == ["model.ckpt"]
    assert point.path.read_text() == "first"
