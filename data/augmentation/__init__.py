"""Make further windows to learn from, out of training windows and nothing else."""

import numpy as np

from data.contracts import FloatArray, IntArray


def conditions_of(past: FloatArray, n_conditions: int) -> IntArray:
    """Return the cluster ``(n,)`` of the newest step of windows ``(n, L, C)``; all 0 where there are none.

    Raises
    ------
    ValueError
        If the last ``n_conditions`` channels are not zeros and a single one.
    """
    n_channels = past.shape[2]
    if not 0 <= n_conditions < n_channels:
        raise ValueError(
            f"{n_conditions} of {n_channels} channels are said to tell the cluster; at least one must remain to be "
            f"augmented.  Change features."
        )
    if n_conditions == 0:
        return np.zeros(len(past), dtype=np.int64)
    flags = past[:, :, n_channels - n_conditions :]  # (n, L, K)
    if not (np.isin(flags, (0, 1)).all() and (flags.sum(axis=2) == 1).all()):
        raise ValueError(
            f"The last {n_conditions} channels must tell the cluster of a step by a single 1 among zeros, but hold "
            f"values from {flags.min():.3g} to {flags.max():.3g}.  Choose a scaling that leaves such channels as "
            f"they are (scaling=standard), or features without clusters."
        )
    return flags[:, -1].argmax(axis=1).astype(np.int64)
