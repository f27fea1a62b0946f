"""`python -m splat_addon.trainer.doctor`: what this Python has for training, and for each missing piece the remedy.

It starts in any Python, with or without PyTorch. What only an NVIDIA card needs is not required.
"""

import importlib.metadata
import json
import platform
import sys
from dataclasses import asdict, dataclass

from ..environment.builds import why_not
from ..environment.card import read_driver
from ..environment.failures import does_not_start, is_broken
from ..environment.machine import this_machine
from ..environment.remedies import install_command
from ..environment.requirements import read_requirements


@dataclass(frozen=True)
class Piece:
    """One thing training needs, `is_required` on every machine or for NVIDIA cards alone."""

    name: str
    found: str
    is_fine: bool
    is_required: bool
    remedy: str = ""


def examine() -> list[Piece]:
    """All pieces, those that every training needs first."""
    required = [_python(), *map(_package, read_requirements("cpu").packages)]
    if not all(piece.is_fine for piece in required):
        return required
    return [*required, _cpu_kernels(), *_for_nvidia()]


def _python() -> Piece:
    wanted = read_requirements("cpu").pythons
    remedy = f"Use Python {', '.join(wanted)}: Set Up Trainer makes an environment."
    return Piece("Python", platform.python_version(), sys.version_info >= (3, 11), True, remedy)


def _package(requirement: str) -> Piece:
    """A package that must import. Another version than the pinned one is accepted, except of numba."""
    name, _, version = requirement.partition("==")
    title = {"torch": "PyTorch", "numpy": "NumPy", "pillow": "Pillow"}.get(name, name)
    remedy = install_command([requirement])
    try:
        found = importlib.metadata.version(name)
        __import__({"pillow": "PIL"}.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        refusal = why_not(read_requirements("cpu"), this_machine())
        remedy = refusal.remedy if refusal else remedy  # pip would find nothing
        return Piece(title, "not installed", False, True, remedy)
    except Exception as error:  # a package that is there may fail to import in any way
        remedy = does_not_start(requirement, error).remedy if is_broken(error) else remedy
        return Piece(title, f"does not start ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
                     False, True, remedy)  # fmt: skip
    is_fine = name != "numba" or found == version  # its internals are used
    return Piece(title, found, is_fine, True, remedy)


def _cpu_kernels() -> Piece:
    from .backend.cpu.kernel_cache import cache_folder

    is_built = (cache_folder() / "kernels.json").is_file()
    found = "built" if is_built else "not built yet"
    return Piece("CPU kernels", found, is_built, False, "They are built at the first run, in about 5 seconds.")


def _for_nvidia() -> list[Piece]:
    """What gsplat needs, where there is a card; else one line that says that there is none."""
    import torch

    card = _nvidia_card()
    if not torch.cuda.is_available() and card is None:
        return [Piece("NVIDIA card", "not found", True, False)]
    from .backend.cuda import doctor

    pieces = [Piece(piece.name, piece.found, piece.is_fine, False, piece.remedy) for piece in doctor.examine()]
    return ([Piece("NVIDIA card", card, True, False)] if card else []) + pieces


def _nvidia_card() -> str | None:
    """The card that would train, as its driver calls it, whatever PyTorch can do with it."""
    driver = read_driver()
    if driver is None or not driver.cards:
        return None
    others = f"; the first of {len(driver.cards)}" if len(driver.cards) > 1 else ""
    cuda = ".".join(map(str, driver.cuda))
    return f"{driver.cards[0].name}, driver {driver.version or '?'} (CUDA {cuda}){others}"


def verdict(pieces: list[Piece]) -> str:
    """What this Python trains on, in one line."""
    missing = [piece.name for piece in pieces if piece.is_required and not piece.is_fine]
    if missing:
        return f"Cannot train: {', '.join(missing)} missing"
    from .backend.cuda import doctor

    if doctor.is_proven():
        return "Trains on the NVIDIA card"
    on_card = ", and on the NVIDIA card where Device is CUDA" if doctor.is_cuda_ready() else ""
    return f"Trains on the CPU{on_card}"


def main(arguments: list[str]) -> int:
    """Print the pieces, for people 1 when this Python cannot train; or with --json for programs, and 0."""
    pieces = examine()
    can_train = all(piece.is_fine for piece in pieces if piece.is_required)
    if "--json" in arguments:
        print(json.dumps({"findings": [asdict(piece) for piece in pieces], "verdict": verdict(pieces)}))
    else:
        for piece in pieces:
            print(f"{'ok     ' if piece.is_fine else 'missing'} {piece.name}: {piece.found}")
            if not piece.is_fine:
                print(f"        {piece.remedy}")
        print(verdict(pieces))
    return 0 if can_train or "--json" in arguments else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
