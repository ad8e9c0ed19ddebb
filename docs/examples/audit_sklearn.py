"""A pipeline of scikit-learn: scaled before the split, as it is often published, and as it should be."""

import pandas as pd
from arch.data import sp500
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures

import modecast

SPLIT = 0.7  # share of the days that is learnt from


def scaled_first(df):
    """Scale all closes to [0, 1]; whoever splits afterwards has used the test part's extremes."""
    return pd.DataFrame(MinMaxScaler().fit_transform(df[["y"]]), columns=["scaled"], index=df.index)


split_first = make_pipeline(MinMaxScaler(), PolynomialFeatures(2, include_bias=False))
"""An object is fitted on the first 70 % of the days, and transforms all."""

if __name__ == "__main__":
    closes = sp500.load()["Adj Close"].iloc[-700:].rename_axis("ds").rename("y").reset_index()
    print(f"scaled first: {modecast.audit(scaled_first, closes, train=SPLIT)}")
    print(f"split first: {modecast.audit(split_first, closes, train=SPLIT)}")
