"""What the output of venv and pip means, in one sentence with its remedy."""

import platform
import re

from ..errors import SetupError

_NO_SPACE = r"No space left on device|Errno 28|WinError 112|not enough space on the disk|Disk quota exceeded"
_NO_NETWORK = (
    r"connection broken by|Could not fetch URL|timed out|ConnectionError|ProxyError|SSLError|IncompleteRead"
    r"|Network is unreachable|[Nn]ame resolution|Name or service not known|getaddrinfo failed|HTTP error"
    r"|RemoteDisconnected|DO NOT MATCH THE HASHES"
)
_AGAIN = "start the set-up again"


def disk_is_full(place: str, needed_gb: float, again: str = _AGAIN) -> SetupError:
    return SetupError(
        f"The disk is full: the environment needs about {needed_gb:g} GB in {place}.",
        f"Make room, or choose a folder on another disk, and {again}.",
    )


def explain(output: str, place: str, needed_gb: float, again: str = _AGAIN) -> SetupError:
    """The failure behind the output of a step that ended with an error; `again` is what to do when it is mended."""
    start_again = f"What was downloaded is kept by pip; {again}."
    if re.search(_NO_SPACE, output):
        return disk_is_full(place, needed_gb, again)
    if re.search(_NO_NETWORK, output):
        return SetupError("A download failed.", f"Check the network, or pip's proxy and index settings. {start_again}")
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return SetupError(
            f"{missing.group(1)} was not found: there is no network, or no build of it for this machine"
            f" ({platform.system()} {platform.machine()}).",
            f"Check the network, or pip's proxy and index settings. {start_again}",
        )
    if re.search(r"Permission denied|Errno 13|WinError 5\b", output):
        return SetupError(f"{place} cannot be written.", f"Choose a folder that is yours, and {again}.")
    if "ensurepip" in output:
        return SetupError(
            "The Python that was found cannot make environments: it lacks pip.",
            "Install Python from python.org (on Debian and Ubuntu: apt install python3-venv) and try again.",
        )
    lines = [line for line in output.splitlines() if line.strip()] or ["no output"]
    errors = [line for line in lines if line.startswith(("ERROR", "Error"))]
    return SetupError(f"The installation failed: {(errors or lines)[-1].strip()}", f"Correct that. {start_again}")
