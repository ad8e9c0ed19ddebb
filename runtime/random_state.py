"""Let a resumed run draw the random numbers the unbroken run would have drawn."""

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class RandomState(pl.Callback):
    """Keep the generators of python, numpy and torch in every checkpoint.

    The state is taken when a training epoch ends and put back before the next one starts.
    It is stored as plain values and tensors, so the checkpoint loads with ``weights_only``.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every generator."""
        version, words, gauss = random.getstate()
        numpy_state: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002
        key = torch.from_numpy(numpy_state["state"]["key"].astype(np.int64))
        return {
            "python": (version, torch.tensor(words), gauss),
            "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": key}},
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the state until training goes on: building the loaders draws numbers too."""
        self._kept = state_dict

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the generators back, once."""
        if self._kept is None:
            return
        version, words, gauss = self._kept["python"]
        random.setstate((version, tuple(words.tolist()), gauss))
        numpy_state = self._kept["numpy"]
        key = numpy_state["state"]["key"].numpy().astype(np.uint32)
        np.random.set_state({**numpy_state, "state": {**numpy_state["state"], "key": key}})  # noqa: NPY002
        torch.set_rng_state(self._kept["torch"].cpu())
        torch.cuda.set_rng_state_all([state.cpu() for state in self._kept["cuda"]])
        self._kept = None
