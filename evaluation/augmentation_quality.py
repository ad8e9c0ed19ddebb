"""What synthetic windows are worth, beside what real windows of other cells or days are worth.

Shapes
------
n window, L lookback, H horizon, C channel, T target, D numbers of a window, K condition
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.neighbors import NearestNeighbors

from data.contracts import Batch, FloatArray, IntArray

MOST = 500  # windows compared of each kind
FEWEST = 20  # windows of each kind that say something
WIDTHS = (0.25, 1.0, 4.0)  # squared widths of the kernels over the median squared distance of real windows
NEIGHBOURS = 5  # whose farthest bounds what counts as near a window
COPIES = 0.01  # share of held-out windows that lie as close to training as a near copy


class _Kind(NamedTuple):
    """Windows of one kind, flattened."""

    rows: FloatArray
    """``(n, D)`` without the channels that tell the condition, in training deviations."""
    target: FloatArray
    """``(n, H)`` the last target."""
    condition: IntArray
    """``(n,)`` of the newest step."""


def augmentation_quality(
    train: Batch, held_out: Batch, synthetic: Batch, n_conditions: int, seed: int
) -> dict[str, Any]:
    """Compare synthetic windows with the real ones they were made from and with real ones never seen.

    Equally many windows of each kind are compared, at most 500, and as many of each condition; a condition
    that one of the kinds lacks is left out.  Targets are in scaled units.

    Parameters
    ----------
    train, held_out, synthetic : Batch
        Scaled windows, ``past (n, L, C)`` and ``target (n, H, T)``; the held-out ones of cells or days that
        the synthetic ones do not stem from.
    n_conditions : int
        K, how many of the last channels of ``past`` tell the condition, one of them 1.
    seed : int
        Of what is drawn, and of the trees.

    Returns
    -------
    dict
        Plain numbers, ready for JSON:

        ``mmd``: squared maximum mean discrepancy to training windows, of synthetic and of held-out ones, mean
        over the conditions.  The latter is what one more real cell would have.

        ``transfer``: MAE on held-out windows of extra trees that learnt from synthetic windows (TSTR), from
        as many real ones (TRTR), and of the median of the latter.

        ``memory``: median distance to the nearest training window, of synthetic over held-out ones, and the
        share of near copies: synthetic windows nearer than all but 1 % of the held-out ones, so that 0.01 is
        what real windows have.

        ``fidelity``, of synthetic and of held-out windows: ``precision``, the share that lies near a training window
        (Kynkaanniemi et al., 2019); ``coverage``, the share of training windows that one of them lies near (Naeem et
        al., 2020); near is nearer than the fifth nearest training window of its condition is.  ``told_apart``: how
        often trees that see half of them tell the other half from training windows, 0.5 being chance (Yoon et al.,
        2019).

        ``pca``: places ``(n, 2)`` on the first two components of the training windows; ``condition``: the
        condition of each; ``explained``: their shares of the variance.

        ``n``: windows compared of each kind.

    Raises
    ------
    ValueError
        If fewer than 20 windows of each kind can be compared, or their shapes differ.
    """
    _check_shapes(train, held_out, synthetic)
    centre, deviation = _scale(train, n_conditions)
    everything, unseen, made = (_kind(batch, n_conditions, centre, deviation) for batch in (train, held_out, synthetic))
    real, other, drawn = _matched([everything, unseen, made], np.random.default_rng(seed))
    gamma = 1.0 / _typical(real.rows)
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(everything.rows)
    near_drawn, near_other = (near.kneighbors(kind.rows)[0][:, 0] for kind in (drawn, other))
    plane = PCA(2, svd_solver="full").fit(real.rows)
    kinds = {"train": real, "held_out": other, "synthetic": drawn}
    return {
        "mmd": {
            "synthetic": _mmd_by_condition(real, drawn, gamma),
            "held_out": _mmd_by_condition(real, other, gamma),
        },
        "transfer": {
            "mae_trained_on_synthetic": _error(drawn, unseen, seed),
            "mae_trained_on_real": _error(real, unseen, seed),
            "mae_of_the_median": float(np.abs(np.median(real.target, axis=0) - unseen.target).mean()),
        },
        "memory": {
            "distance_over_held_out": float(np.median(near_drawn) / max(np.median(near_other), 1e-12)),
            "share_of_near_copies": float((near_drawn < np.quantile(near_other, COPIES)).mean()),
        },
        "fidelity": {
            f"{measure}_of_{name}": value
            for name, kind in (("synthetic", drawn), ("held_out", other))
            for measure, value in _fidelity(real, kind, seed).items()
        },
        "pca": {name: _places(plane, kind.rows) for name, kind in kinds.items()},
        "explained": plane.explained_variance_ratio_.round(4).tolist(),
        "condition": {name: kind.condition.tolist() for name, kind in kinds.items()},
        "n": {"compared": len(real.rows)},
    }


def squared_mmd(real: FloatArray, synthetic: FloatArray, gamma: float) -> float:
    """Return the squared maximum mean discrepancy of two samples (Gretton et al., 2012, equation 5).

    Never negative and 0 for equal samples; of different samples of one distribution it is about
    ``1 / n + 1 / m``.  Mean over Gaussian kernels of the widths ``WIDTHS``.

    Parameters
    ----------
    real, synthetic : FloatArray
        ``(n, D)`` and ``(m, D)``.
    gamma : float
        That of the middle kernel ``exp(-gamma |x - y|^2)``.
    """
    discrepancies = [
        rbf_kernel(real, gamma=gamma / width).mean()
        + rbf_kernel(synthetic, gamma=gamma / width).mean()
        - 2 * rbf_kernel(real, synthetic, gamma=gamma / width).mean()
        for width in WIDTHS
    ]
    return max(float(np.mean(discrepancies)), 0.0)


def _check_shapes(train: Batch, held_out: Batch, synthetic: Batch) -> None:
    for name, batch in (("held-out", held_out), ("synthetic", synthetic)):
        for part in ("past", "target"):
            found, needed = getattr(batch, part).shape[1:], getattr(train, part).shape[1:]
            if found != needed:
                raise ValueError(f"The {part} of a {name} window is {found}, but that of a training window {needed}.")


def _scale(train: Batch, n_conditions: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and deviation of each channel, so that none counts for more than another."""
    values = train.past[:, :, : train.past.shape[2] - n_conditions]
    deviation = values.std(axis=(0, 1))
    return values.mean(axis=(0, 1)), np.where(deviation > 0, deviation, 1.0)


def _kind(batch: Batch, n_conditions: int, centre: FloatArray, deviation: FloatArray) -> _Kind:
    n_drawn = batch.past.shape[2] - n_conditions
    flags = batch.past[:, -1, n_drawn:]  # (n, K)
    condition = flags.argmax(axis=1) if n_conditions else np.zeros(len(flags), dtype=np.int64)
    rows = ((batch.past[:, :, :n_drawn] - centre) / deviation).reshape(len(flags), -1)
    return _Kind(rows, batch.target[:, :, -1], condition)


def _matched(kinds: list[_Kind], rng: np.random.Generator) -> list[_Kind]:
    """Draw equally many windows of each kind and condition."""
    shared = sorted(set.intersection(*(set(kind.condition.tolist()) for kind in kinds)))
    drawn: list[list[IntArray]] = [[] for _ in kinds]
    for cluster in shared:
        places = [np.flatnonzero(kind.condition == cluster) for kind in kinds]
        count = min(MOST // len(shared), *map(len, places))
        for chosen, own in zip(drawn, places, strict=True):
            chosen.append(np.sort(rng.choice(own, count, replace=False)))
    count = sum(map(len, drawn[0]))
    if count < FEWEST:
        raise ValueError(
            f"{count} windows of each kind can be compared ({', '.join(str(len(kind.rows)) for kind in kinds)} "
            f"training, held-out and synthetic ones, {len(shared)} conditions in common), but {FEWEST} are needed."
        )
    taken = [np.concatenate(chosen) for chosen in drawn]
    return [
        _Kind(kind.rows[rows], kind.target[rows], kind.condition[rows]) for kind, rows in zip(kinds, taken, strict=True)
    ]


def _typical(rows: FloatArray) -> float:
    """Return the median squared distance of different rows."""
    typical = float(np.median(euclidean_distances(rows, squared=True)[np.triu_indices(len(rows), 1)]))
    return typical if typical > 0 else 1.0


def _mmd_by_condition(real: _Kind, other: _Kind, gamma: float) -> float:
    """Return the mean over the conditions: a window of the wrong condition is a wrong window."""
    return float(
        np.mean(
            [
                squared_mmd(real.rows[real.condition == k], other.rows[other.condition == k], gamma)
                for k in np.unique(real.condition)
            ]
        )
    )


def _error(learnt: _Kind, judged: _Kind, seed: int) -> float:
    """Return the MAE of extra trees that see whole windows."""
    forest = ExtraTreesRegressor(100, max_features=0.33, random_state=seed, n_jobs=1)
    forecast = forest.fit(learnt.rows, np.squeeze(learnt.target)).predict(judged.rows)
    return float(np.abs(forecast.reshape(judged.target.shape) - judged.target).mean())


def _fidelity(real: _Kind, other: _Kind, seed: int) -> dict[str, float]:
    """Return precision and coverage, means over conditions, and how often trees tell other windows from real ones."""
    near_any, covered = [], []
    for k in np.unique(real.condition):
        own, theirs = real.rows[real.condition == k], other.rows[other.condition == k]
        within = np.sort(euclidean_distances(own), axis=1)[:, min(NEIGHBOURS, len(own) - 1)]  # (n,) itself left out
        near = euclidean_distances(own, theirs) <= within[:, None]  # (n, m)
        near_any.append(near.any(axis=0).mean())
        covered.append(near.any(axis=1).mean())
    rows = np.concatenate([np.column_stack([one.rows, one.condition]) for one in (real, other)])
    kind = np.repeat([0, 1], [len(real.rows), len(other.rows)])
    half = np.random.default_rng(seed).permutation(len(rows)) % 2 == 0
    hits = []
    for learnt in (half, ~half):
        forest = ExtraTreesClassifier(100, random_state=seed, n_jobs=1).fit(rows[learnt], kind[learnt])
        hits.append(forest.predict(rows[~learnt]) == kind[~learnt])
    return {
        "precision": float(np.mean(near_any)),
        "coverage": float(np.mean(covered)),
        "told_apart": float(np.concatenate(hits).mean()),
    }


def _places(plane: PCA, rows: FloatArray) -> list[list[float]]:
    places: list[list[float]] = plane.transform(rows).round(4).tolist()
    return places
