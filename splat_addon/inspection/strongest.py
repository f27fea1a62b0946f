"""The strongest reason of every splat as a number, for colors; reasons.py has them in words."""

import numpy as np

from .evidence import Evidence
from .reasons import CLOSE, LEAST_PART, SWARM_FROM
from .score import LONELY_AROUND_WEIGHT, LONELY_WEIGHT, Findings

NONE, BEHIND, LOOKED_THROUGH, SWARM, ALONE, CLOSE_TO_CAMERA, ONE_PHOTO = range(7)


def strongest(findings: Findings, evidence: Evidence | None) -> np.ndarray:
    """(N,) float32: which of the reasons above weighs most with each splat, by the weights of `reasons`."""
    lonely = (LONELY_WEIGHT + LONELY_AROUND_WEIGHT) * findings.lonely
    parts = np.zeros((7, len(lonely)), np.float32)
    parts[NONE], parts[ALONE] = LEAST_PART, lonely
    if evidence is not None:
        parts[BEHIND] = np.where(evidence.behind > 0, evidence.hang, 0)
        parts[LOOKED_THROUGH] = np.where(evidence.looked_through > 0, evidence.view_open, 0)
        parts[SWARM] = findings.open - SWARM_FROM
        parts[CLOSE_TO_CAMERA] = np.where(evidence.nearness < CLOSE, 0.2, 0)
        parts[ONE_PHOTO] = np.where(evidence.used == 1, 0.06, 0)
    return parts.argmax(axis=0).astype(np.float32)
