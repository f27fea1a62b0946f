"""Checkpoints on disk: reading one, and why one could not be written."""

import contextlib
import pickle
from collections.abc import Iterator

import torch

from ..errors import RunError
from ..files import cause_in_system
from ..run.folder import RunFolder


def read_checkpoint(folder: RunFolder, fingerprint: str) -> dict:
    """What a run goes on from. Raises RunError when there is nothing, or the capture has changed since."""
    try:
        state = torch.load(folder.checkpoint_file, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise RunError(f"The run in {folder.path} has no checkpoint that can be read.", "Start a new run.") from error
    if state["capture_fingerprint"] != fingerprint:
        raise RunError("The capture has changed since this run was started.", "Start a new run with it.")
    return state


@contextlib.contextmanager
def why_not_written() -> Iterator[None]:
    """PyTorch tells its own complaint when a file cannot be written: raise the system's reason instead."""
    try:
        yield
    except RuntimeError as error:
        reason = cause_in_system(error)
        if reason is None:
            raise
        raise OSError(reason.errno, reason.strerror) from error
