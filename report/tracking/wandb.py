"""Keep a run for Weights & Biases."""

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from report.tracking.record import Child, Record

MODES = ("offline", "online")


class WandB:
    """Keep a run and, in its group, a run a training, named by label, fold and seed.

    Parameters
    ----------
    folder : str
        Where the files lie; ``wandb sync`` sends those of mode ``offline`` to a server.
    mode : str
        ``offline`` connects to nobody; ``online`` needs a login (``wandb login``).
    project : str or None
        What Weights & Biases calls the collection; None takes the experiment of the run.

    Raises
    ------
    ModuleNotFoundError
        If wandb is not installed.
    ValueError
        If the mode is another.
    """

    def __init__(self, folder: str = "outputs/wandb", mode: str = "offline", project: str | None = None) -> None:
        if find_spec("wandb") is None:
            raise ModuleNotFoundError(
                "tracking=wandb needs wandb, which is not installed.  Run: pip install -e .[wandb]"
            )
        if mode not in MODES:
            raise ValueError(f"tracking.wandb.mode={mode} is not known; it is one of {', '.join(MODES)}.")
        self.folder, self.mode, self.project = folder, mode, project

    def keep(self, record: Record, folder: Path) -> str:
        """Write or send the runs, and return where the first of them is."""
        import wandb

        group = f"{Path(record.sweep).name}/{record.name}".strip("/")
        config = {"settings": dict(record.parameters), "tags": dict(record.tags)}
        run = self._begun(record, record.name, group, "run", config)
        run.summary.update(dict(record.scores))
        for path in record.artefacts:
            own = shutil.copy(path, run.dir)  # a link to a run folder would not outlive it
            run.save(own, base_path=run.dir, policy="end")
        place = str(run.url if self.mode == "online" else Path(run.dir).parent)
        run.finish()
        for child in record.children:
            self._child(record, child, group)
        wandb.teardown()  # until then what is kept may lie in the memory of its other process
        return place

    def _child(self, record: Record, child: Child, group: str) -> None:
        about = {"label": child.label, "fold": child.fold, "seed": child.seed}
        run = self._begun(record, child.name, group, "training", about)
        for epoch in child.epochs:
            run.log({key: value for key, value in epoch.items() if key != "epoch"}, step=int(epoch["epoch"]))
        run.summary["seconds"] = child.seconds
        run.finish()

    def _begun(self, record: Record, name: str, group: str, kind: str, config: Mapping[str, Any]) -> Any:
        import wandb

        if self.mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would connect to somebody
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.project or record.experiment,
            name=name,
            group=group,
            job_type=kind,
            config=dict(config),
            dir=self.folder,
            mode=self.mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )
