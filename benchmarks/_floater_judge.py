"""python judge.py LABELS.npz SCORES.npy: how well a score finds the floaters of a run. NumPy is all it needs.

SCORES.npy holds one number for each splat of the run's splats.ply, in its order, the higher the more likely a floater.
"""

import sys

import numpy as np


def average_precision(score: np.ndarray, floats: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean precision over the floaters, each at its place in the order of falling scores; NaN without floaters."""
    order = np.argsort(-score, kind="stable")
    found, weight = floats[order].astype(float), np.ones(len(order)) if weight is None else weight[order]
    precision = np.cumsum(found * weight) / np.maximum(np.cumsum(weight), 1e-300)
    total = float((found * weight).sum())
    return float((precision * found * weight).sum()) / total if total > 0 else float("nan")


def judged(score: np.ndarray, labels) -> dict[str, float]:
    """AP over the visible splats, plain and weighted by what the free views see of them."""
    visible, floats = labels["visible"], labels["floats"]
    weight = labels["free_weight"][visible]
    return {
        "ap": average_precision(score[visible], floats[visible]),
        "ap_weighted": average_precision(score[visible], floats[visible], weight),
    }


if __name__ == "__main__":
    print(judged(np.load(sys.argv[2]), np.load(sys.argv[1])))
