"""Checkpoints on disk: reading one, and why one could not be written."""

import contextlib
import re
from collections.abc import Iterator

import numpy as np
import torch

from ..capture.camera import LARGEST_NUMBER
from ..errors import RunError
from ..files import cause_in_system
from ..run.folder import RunFolder
from .stored import Misfit, random_state, read_stored, real_number, row_of
from .training_frame import WORLD, TrainingFrame

_EARLIER_FINGERPRINT = re.compile("[0-9a-f]{16}")
SMALLEST_UNIT = 1e-100  # of a frame, whose volume is still a number


def read_checkpoint(folder: RunFolder, fingerprint: str) -> dict:
    """What a run goes on from. Raises RunError when there is nothing, or the capture has changed since."""
    with belongs_to_run(folder):
        try:
            state = read_stored(folder.checkpoint_file)
        except OSError as error:
            raise RunError(
                f"The run in {folder.path} has no checkpoint that can be read.", "Start a new run."
            ) from error
    stored = state["capture_fingerprint"]
    if not isinstance(stored, str) or (is_comparable(state) and stored != fingerprint):
        raise RunError("The capture has changed since this run was started.", "Start a new run with it.")
    return state


def is_comparable(state: dict) -> bool:
    """Whether a checkpoint tells of what capture it is, on every machine: those of earlier versions do not."""
    return _EARLIER_FINGERPRINT.fullmatch(state["capture_fingerprint"]) is None


def frame_of(state: dict, folder: RunFolder) -> TrainingFrame:
    """The coordinates that a checkpoint was trained in; those of the capture where it names none, as earlier versions
    did not. Raises RunError when they are impossible."""
    if "frame" not in state:
        return WORLD
    with belongs_to_run(folder):
        origin, unit = row_of(2, state["frame"], "frame")
        x, y, z = (real_number(value, "frame", -LARGEST_NUMBER, LARGEST_NUMBER) for value in row_of(3, origin, "frame"))
        return TrainingFrame((x, y, z), real_number(unit, "frame", SMALLEST_UNIT, 1 / SMALLEST_UNIT))


@contextlib.contextmanager
def belongs_to_run(folder: RunFolder) -> Iterator[None]:
    """What does not fit is a RunError."""
    try:
        yield
    except Misfit as error:
        raise RunError(
            f"{folder.checkpoint_file} is damaged, or not of this run with these settings ({error}).",
            "Start a new run; the splats that this one has saved can be imported.",
        ) from error


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


def random_numbers(random: np.random.Generator, device: torch.device) -> dict:
    """The states of all random numbers of a run, for a checkpoint: those of a card, too, where it is one."""
    states = {"random": random.bit_generator.state, "torch_random": torch.get_rng_state()}
    return {**states, "card_random": torch.cuda.get_rng_state()} if device.type == "cuda" else states


def set_random_numbers(state: dict, random: np.random.Generator, device: torch.device) -> None:
    """Go on with what `random_numbers` gave. Raises Misfit."""
    generator = random.bit_generator
    numbers = random_state(state["random"], generator.state, "random")
    try:
        generator.state = numbers
        torch.set_rng_state(state["torch_random"])
        if device.type == "cuda" and "card_random" in state:
            torch.cuda.set_rng_state(state["card_random"])
    except (TypeError, ValueError, KeyError, OverflowError, RuntimeError) as error:
        raise Misfit("its random numbers cannot go on") from error
