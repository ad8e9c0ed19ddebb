"""Audit a pipeline of PyEMD and scikit-learn: as it is usually published, and as it should be."""

import numpy as np
from arch.data import sp500
from numpy.lib.stride_tricks import sliding_window_view
from PyEMD import CEEMDAN, EMD
from sklearn.preprocessing import MinMaxScaler

from evaluation.leakage.prove import audit

LOOKBACK = 20  # [days] a model would look back upon
HISTORY = 64  # [days] a causal decomposition sees
TRAIN = 350  # [days] the first ones, to learn from
ORIGINS = (400, 600)  # days after which the audit replaces everything: behind the training part


def windows(table):
    """Cut a table (time, channels) into windows (n, channels, LOOKBACK); the last one ends with the last day."""
    return sliding_window_view(table, LOOKBACK, axis=0)


def as_published(closes):
    """Decompose everything, scale everything, cut windows; the split comes later."""
    ceemdan = CEEMDAN(trials=10, parallel=False)
    ceemdan.noise_seed(0)  # without it, the same series gives other modes
    modes = ceemdan(closes)[:4].T  # (time, 4)
    scaled = MinMaxScaler().fit_transform(modes)
    return {"decomposition": windows(modes), "scaled inputs": windows(scaled)}


def causal(closes):
    """Decompose the HISTORY days before each origin, scale by the training part."""
    fast = np.array([EMD().emd(past, max_imf=1)[0] for past in sliding_window_view(closes, HISTORY)])
    slow = sliding_window_view(closes, HISTORY) - fast
    inputs = np.stack([fast, slow], axis=1)[:, :, -LOOKBACK:]  # (n, 2, LOOKBACK)
    train = inputs[: TRAIN - HISTORY + 1]  # their last day is day TRAIN - 1
    scaler = MinMaxScaler().fit(train.transpose(0, 2, 1).reshape(-1, 2))
    scaled = scaler.transform(inputs.transpose(0, 2, 1).reshape(-1, 2))
    return {"decomposition": inputs, "scaled inputs": scaled.reshape(-1, LOOKBACK, 2)}


if __name__ == "__main__":
    closes = sp500.load()["Adj Close"].to_numpy()[-700:]
    for pipeline in (as_published, causal):
        print(f"{pipeline.__name__}: {audit(pipeline, closes, ORIGINS)}")
