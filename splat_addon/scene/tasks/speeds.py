"""How fast training was on this machine: of the last runs, for the forecast of the next. Kept next to the extension."""

from dataclasses import asdict, dataclass

from ...run.forecast import Speed
from ..session import part
from ..settings import preferences

_MEMORY = "speeds.json"
_REMEMBERED = 20  # runs


@dataclass(frozen=True)
class KnownSpeeds:
    """What is known of the backend that will train; `backend` is empty when nobody knows which that is."""

    backend: str = ""
    speeds: tuple[Speed, ...] = ()


class Kept:
    """The file, once it was read."""

    def __init__(self) -> None:
        self.values: dict | None = None


def of_device(device: str) -> KnownSpeeds:
    """The earlier runs of the backend that a device setting ("auto", "cpu", "cuda") leads to."""
    kept = _read()
    backend = kept["backends"].get(device, "" if device == "auto" else device)
    return KnownSpeeds(backend, tuple(speed for speed in kept["runs"] if speed.backend == backend))


def remember(device: str, backend: str, seconds_per_step: float, pixels: float, splats: int) -> None:
    """A run with this device setting was so fast."""
    kept = _read()
    kept["backends"][device] = backend
    kept["runs"] = [Speed(backend, seconds_per_step, pixels, splats), *kept["runs"]][:_REMEMBERED]
    preferences.write_own(_MEMORY, {"backends": kept["backends"], "runs": [asdict(speed) for speed in kept["runs"]]})


def forget_read() -> None:
    """The file may have changed: read it again."""
    part(Kept).values = None


def _read() -> dict:
    kept = part(Kept)
    if kept.values is None:
        values = preferences.read_own(_MEMORY)
        try:
            kept.values = {
                "backends": {str(device): str(backend) for device, backend in values["backends"].items()},
                "runs": [
                    Speed(str(run["backend"]), float(run["seconds_per_step"]), float(run["pixels"]), int(run["splats"]))
                    for run in values["runs"]
                ],
            }
        except (TypeError, KeyError, ValueError, AttributeError):
            kept.values = {"backends": {}, "runs": []}
    return kept.values
