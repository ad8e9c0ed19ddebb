"""The settings a command line leads to, without running it."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf, open_dict

from runtime.settings import CONF


def composed(words: Sequence[str]) -> tuple[DictConfig, dict[str, str | None]]:
    """Return what train.py would run, not yet resolved, and the choice of every group.

    The folder of the run, and what Hydra itself is told, are of a place and left out; ``names`` holds the choices,
    which are known to Hydra only while it runs.

    Raises
    ------
    HydraException, OmegaConfBaseException
        If the words do not go together.
    """
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose("train", overrides=list(words), return_hydra_config=True)
    choices = {str(group): choice for group, choice in cfg.hydra.runtime.choices.items()}
    with open_dict(cfg):
        for name in {"hydra", "folder", "resume", "tracking"} & set(map(str, cfg.keys())):
            del cfg[name]  # not popped: that would look for what it stands for
        cfg.names = {name: choices[str(name)] for name in cfg.names}
    return cfg, choices


def settled(words: Sequence[str]) -> DictConfig:
    """Return the settings train.py would run under these words, resolved."""
    return resolved(composed(words)[0])


def resolved(cfg: DictConfig) -> DictConfig:
    """Return settings in which nothing refers to anything else."""
    plain = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    assert isinstance(plain, DictConfig)
    return plain
