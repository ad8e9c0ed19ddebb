"""What the meta-optimiser is worth:  python -m benchmarks.meta_autoencoder

The autoencoder of paper 2 on the features of HNEI, one cell held out, trained by Adam, by momentum with
fixed rates and by the meta-optimiser, from the same weights and batches for each seed.  The loss by which
an epoch is chosen is of the last training cells; the cell held out was seen by nobody.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from data.contracts import FloatArray
from data.features.codes import last_cells
from models.meta_autoencoder import MetaAutoencoder
from report.figures.drawing import Figure
from report.figures.losses import over_seeds
from report.figures.png import save, sheet
from runtime.build import build

CONF = Path(__file__).parents[1] / "conf"
WAYS = {"Adam": "autoencoder_plain", "momentum": "autoencoder_momentum", "meta-optimiser": "autoencoder_meta"}
UNCODED = ["features.steps.codes=null", "features.steps.clusters=null"]


def configured(*overrides: str) -> DictConfig:
    """Return a composed configuration."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def features_of(source: str, cell: str | None) -> tuple[FloatArray, FloatArray, FloatArray, str]:
    """Return standardised rows to learn from, to validate by and of the cell held out, and its name."""
    cfg = configured("features=paper2", f"source={source}", *UNCODED)
    table = build(cfg.source).load().frame.set_index(["unique_id", "ds"])
    ids = table.index.get_level_values("unique_id")
    left_out = cell if cell is not None else str(ids[0])
    factors, life, known = table.drop(columns="y"), table["y"], ids != left_out
    rows = build(cfg.features).fit(factors[known], life[known]).transform(factors)
    held_out = last_cells(ids[known].to_numpy(), 0.2)
    return rows[known][~held_out].to_numpy(), rows[known][held_out].to_numpy(), rows[~known].to_numpy(), left_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="hnei", help="conf/source/<this>.yaml")
    parser.add_argument("--cell", default=None, help="cell held out; the first by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--figure", type=Path, default=Path("outputs/meta_autoencoder.png"))
    given = parser.parse_args()
    train, validation, test, cell = features_of(given.source, given.cell)
    print(
        f"{given.source} without {cell}: {len(train)} rows of {train.shape[1]} features to learn from, "
        f"{len(validation)} for validation, {len(test)} held out\n"
    )
    runs: dict[str, list[list[dict[str, float]]]] = {way: [] for way in WAYS}
    scores = []
    nodes = {
        way: configured("features=paper2", f"feature@features.steps.codes={choice}").features.steps.codes.autoencoder
        for way, choice in WAYS.items()
    }
    for seed in range(given.seeds):
        for way in WAYS:
            autoencoder: MetaAutoencoder = build(nodes[way])
            began = time.process_time()
            autoencoder.fit(train, validation, seed)
            seconds = time.process_time() - began
            runs[way].append(autoencoder.history)
            losses = [epoch["val/loss"] for epoch in autoencoder.history]
            told_again = float(np.square(autoencoder.reconstruct(test) - test).mean())
            uneven = float(np.diff(losses).clip(min=0).sum())
            scores.append((way, min(losses), told_again, uneven, len(losses), seconds))
    columns = ["optimiser", "validation", "held out", "rises", "epochs", "seconds"]
    by_way = pd.DataFrame(scores, columns=columns).groupby("optimiser", sort=False)
    means, spreads = by_way.mean().to_dict("index"), by_way.std().to_dict("index")
    print(
        "Mean squared error of the reconstruction, mean (sd) over seeds; rises: all steps up of the validation\n"
        "loss added up, 0 for a curve that only falls.\n"
    )
    print("| optimiser | validation | cell held out | rises | epochs | CPU s |\n|---|--:|--:|--:|--:|--:|")
    for way in WAYS:
        mean, spread = means[way], spreads[way]
        cells = [f"{mean[name]:.4f} ({spread[name]:.4f})" for name in ("validation", "held out", "rises")]
        print(f"| {way} | {' | '.join(cells)} | {mean['epochs']:.0f} | {mean['seconds']:.1f} |")
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    drawings = [over_seeds(own, way) for way, own in runs.items()]
    drawings += [over_seeds(own, f"rates of {way}", rates=True) for way, own in runs.items() if "eta" in own[0][0]]
    figure = Figure("meta_autoencoder", drawings, "losses of an autoencoder under several optimisers", wall=True)
    save(sheet(figure, f"Reconstruction loss on {given.source}, {given.seeds} seeds"), given.figure)
    print(f"\nLoss curves: {given.figure}")


if __name__ == "__main__":
    main()
