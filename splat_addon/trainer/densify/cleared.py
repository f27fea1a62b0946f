"""Space from which splats were deleted, and where none are to grow again."""

import numpy as np
import torch
from torch import Tensor

from ...gaussians.cloud import GaussianCloud
from ...inspection.grid import cell_keys, grid_origin, packed
from ...inspection.surfaces import mass_places

CELLS_ACROSS = 2.0  # cells in the usual size of a deleted splat


class ClearedSpace:
    """Where the mass of deleted splats was and nothing of those that were kept is, as cells of a grid."""

    def __init__(self, deleted: GaussianCloud, kept: GaussianCloud):
        """Both in the frame of training. What both fill stays open: there is a surface."""
        self._cell = max(float(np.median(deleted.scales.max(axis=1))), 1e-9) * 2 / CELLS_ACROSS
        self._origin = grid_origin(deleted.means, self._cell)
        self._keys = np.setdiff1d(self._cells_of(deleted), self._cells_of(kept))

    def _cells_of(self, cloud: GaussianCloud) -> np.ndarray:
        places = np.concatenate([cloud.means[:, None].astype(np.float64), mass_places(cloud)], axis=1)
        return np.unique(packed(cell_keys(places.reshape(-1, 3), self._cell, self._origin)))

    def holds(self, means: Tensor) -> Tensor:
        """(N,) whether places (N, 3) are in it."""
        keys = packed(cell_keys(means.detach().cpu().numpy().astype(np.float64), self._cell, self._origin))
        if len(self._keys) == 0:
            return torch.zeros(len(keys), dtype=torch.bool, device=means.device)
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return torch.from_numpy(self._keys[found] == keys).to(means.device)
