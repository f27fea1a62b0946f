"""What can be installed on which machine, said before anything is downloaded, and what is possible there instead.

Which builds there are of the pinned versions is in `requirements.json`.
"""

from ..errors import SetupError
from .machine import Machine
from .requirements import Requirements

INSTEAD = (
    "Everything but training works here. Train on another machine with the command line (docs/command-line.md), and"
    " open the run here."
)


def why_not(wanted: Requirements, machine: Machine) -> SetupError | None:
    """Why no Python of this machine can have what is wanted, and what is possible; None when one can."""
    torch = wanted.packages[0].replace("==", " ").replace("torch", "PyTorch")
    if machine.system == "darwin" and wanted.device == "cuda":
        return SetupError("Macs cannot train on an NVIDIA card.", "Choose CPU.")
    if machine.system == "darwin" and machine.processor == "x86_64":
        return SetupError(f"{torch} has no build for Macs with an Intel processor.", INSTEAD)
    if machine.system == "darwin" and machine.macos and machine.macos[0] < wanted.oldest_macos:
        return SetupError(
            f"{torch} needs macOS {wanted.oldest_macos} or newer, and this is macOS"
            f" {'.'.join(map(str, machine.macos))}.",
            f"Update macOS. {INSTEAD}",
        )
    if not runs_on(machine) & set(wanted.processors):
        return SetupError(f"{torch} has no build for this machine, {machine.title}.", INSTEAD)
    return None


def what_to_know(wanted: Requirements, machine: Machine) -> str:
    """What may have to be done before a set-up that is possible; empty where there is nothing to say."""
    if machine.system == "win32" and machine.processor not in wanted.processors:
        return (
            "PyTorch has no build for Windows on ARM. A Python for x64 (python.org: Windows installer, 64-bit) can"
            " train in Windows' emulation, slower; install it first. This has not been tried."
        )
    if machine.system == "darwin" and machine.python_processor != machine.processor:
        return (
            "This Blender is the one for Intel Macs, translated, and may find no Python that can train. Use the Blender"
            " for Apple silicon."
        )
    return ""


def runs_on(machine: Machine) -> set[str]:
    """The processors whose Pythons can train on this machine: its own, on Windows also the one that it emulates."""
    return {machine.processor, "x86_64"} if machine.system == "win32" else {machine.processor}
