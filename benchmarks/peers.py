"""Walk-forward with refits as whole commands, ours against neuralforecast's and darts': CPU seconds and errors.

``python -m benchmarks.peers`` forecasts the S&P 500's close one day ahead with an LSTM of two layers that is trained
anew six times, each time for the same number of steps of 32 windows.  Ours prints its table, tests every difference,
audits itself and writes the page; the peers forecast.  ``--python`` names the interpreter that has the peers, where
they are not installed beside ours (``pip install neuralforecast darts``).
"""

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from data.sources.sp500 import SP500
from runtime.files import ROOT

TEST, EVERY, LOOKBACK, HIDDEN, EPOCHS, BATCH = 1006, 168, 30, 128, 3, 32
STEPS = EPOCHS * 110  # 3500 windows or so a refit
OURS = [
    "experiment=sp500", "decomposition=identity", "model=lstm", "split=walk_forward", f"split.every={EVERY}",
    "baselines=naive", f"lookback={LOOKBACK}", f"model.network.hidden={HIDDEN}", f"trainer.max_epochs={EPOCHS}",
    f"batch_size={BATCH}", "parallel.n_jobs=1",
]  # fmt: skip
NEURALFORECAST = f"""
import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.models import LSTM
frame = pd.read_parquet("closes.parquet")
model = LSTM(h=1, input_size={LOOKBACK}, encoder_n_layers=2, encoder_hidden_size={HIDDEN}, decoder_layers=1,
             max_steps={STEPS}, windows_batch_size={BATCH}, batch_size=1, scaler_type="standard", random_seed=0,
             logger=False, enable_progress_bar=False, enable_checkpointing=False, accelerator="cpu")
made = NeuralForecast([model], freq=1).cross_validation(frame, n_windows={TEST}, step_size=1, refit={EVERY})
made.rename(columns={{"LSTM": "forecast"}})[["ds", "forecast"]].to_parquet("made.parquet")
"""
DARTS = f"""
import pandas as pd
from darts import TimeSeries
from darts.models import BlockRNNModel
frame = pd.read_parquet("closes.parquet")
series = TimeSeries.from_values((frame["y"] / frame["y"].iloc[: -{TEST}].max()).to_numpy("float32"))
model = BlockRNNModel("LSTM", input_chunk_length={LOOKBACK}, output_chunk_length=1, hidden_dim={HIDDEN}, n_rnn_layers=2,
                      batch_size={BATCH}, n_epochs={EPOCHS}, random_state=0,
                      pl_trainer_kwargs=dict(logger=False, enable_progress_bar=False, accelerator="cpu"))
start = len(series) - {TEST}
made = model.historical_forecasts(series, start=start, forecast_horizon=1, retrain={EVERY}, verbose=False)
values = made.values().ravel() * frame["y"].iloc[: -{TEST}].max()
pd.DataFrame(dict(ds=frame["ds"].iloc[-len(values):].to_numpy(), forecast=values)).to_parquet("made.parquet")
"""


def main() -> None:
    """Print CPU seconds, their ratio to ours, and the mean absolute error of persistence's, for each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the peers")
    peers = parser.parse_args().python
    closes = SP500().load().frame["y"].to_numpy()
    frame = pd.DataFrame({"unique_id": "a", "ds": range(len(closes)), "y": closes})
    naive = frame["y"].diff().abs().tail(TEST).mean()
    with TemporaryDirectory() as folder:
        frame.to_parquet(Path(folder, "closes.parquet"))
        ours = command([sys.executable, str(ROOT / "train.py"), *OURS, "hydra.run.dir=ours"], folder)
        made = pd.read_parquet(Path(folder, "ours", "forecasts.parquet"))
        own = made[made["model"] == "LSTM"]
        error = (own["y_hat"] - own["y"]).abs().mean() / naive
        print(f"modecast: {ours:.1f} CPU s, {error:.3f} of persistence's error (audit, tests and page included)")
        for name, program in (("neuralforecast", NEURALFORECAST), ("darts", DARTS)):
            if subprocess.run([peers, "-c", f"import {name}"], capture_output=True, check=False).returncode:
                print(f"{name}: not installed in {peers}; pip install {name}")
                continue
            spent = command([peers, "-c", program], folder)
            made = pd.read_parquet(Path(folder, "made.parquet")).merge(frame, on="ds")
            error = (made["forecast"] - made["y"]).abs().mean() / naive
            print(f"{name}: {spent:.1f} CPU s, {spent / ours:.2f} x ours, {error:.3f} of persistence's error")


def command(line: list[str], folder: str) -> float:
    """Run a command on one thread and return its CPU seconds."""
    before = _children()
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run(line, cwd=folder, check=True, capture_output=True, env=os.environ | threads)
    return _children() - before


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
