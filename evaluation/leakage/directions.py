"""What a leak is worth: the share of next moves whose direction can be told from inputs."""

import numpy as np

from data.contracts import FloatArray


def directions_explained(inputs: FloatArray, moves: FloatArray) -> float:
    """Return the share of moves whose direction a ridge regression on the inputs calls right.

    Fitted on the first 70 % of the rows and judged on the rest: near one half where the inputs
    know nothing of the move.

    Parameters
    ----------
    inputs : array ``(n, ...)``
    moves : array ``(n,)``
        From the last value known to the next.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = inputs.reshape(len(inputs), -1)
    known = int(0.7 * len(rows))
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 2, 9))).fit(rows[:known], moves[:known])
    moved = moves[known:] != 0
    return float((np.sign(model.predict(rows[known:])) == np.sign(moves[known:]))[moved].mean())
