"""Decompose the whole series, cut windows, split: the protocol of many papers, caught in five lines."""

import numpy as np
import pandas as pd
from arch.data import sp500
from PyEMD import CEEMDAN, EMD

import modecast

HISTORY = 64  # [days] a causal decomposition sees


def as_published(df):
    """Decompose all closes by CEEMDAN; windows and the split come later."""
    ceemdan = CEEMDAN(trials=10, parallel=False)
    ceemdan.noise_seed(0)  # without it, the same series gives other modes
    modes = ceemdan(df["y"].to_numpy())[:4]
    return pd.DataFrame({f"mode {k + 1}": mode for k, mode in enumerate(modes)}, index=df.index)


def causal(df):
    """Decompose the HISTORY days up to each day."""
    y = df["y"].to_numpy()
    ends = range(HISTORY, len(y) + 1)
    fast = [EMD().emd(y[end - HISTORY : end], max_imf=1)[0, -1] for end in ends]
    return pd.DataFrame({"mode 1": np.array(fast)}, index=df.index[HISTORY - 1 :])


if __name__ == "__main__":
    closes = sp500.load()["Adj Close"].iloc[-300:].rename_axis("ds").rename("y").reset_index()
    print(f"as published: {modecast.audit(as_published, closes)}")
    print(f"causal: {modecast.audit(causal, closes)}")
