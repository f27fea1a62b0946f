"""The Python that trains: what it has, and setting one up. Children do the work; a timer or a script calls `pump`.

What an interpreter was found to have is kept for the next start, until the interpreter itself changes.
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ...environment.child import JsonChild
from ...environment.place import choose_place
from ...environment.requirements import read_requirements
from ...errors import SetupError
from ..settings import preferences

_KEPT = "trainer.json"


@dataclass
class SetUp:
    """A set-up that goes on or is over. `python` is the new interpreter once it has ended well."""

    child: JsonChild
    fraction: float = 0.0
    text: str = "Starting"
    message: str = ""
    python: str = ""

    @property
    def is_over(self) -> bool:
        return bool(self.message or self.python)


@dataclass
class Examination:
    """What an interpreter has: `findings` as `trainer/doctor.py` tells them, or why nobody knows."""

    key: list
    child: JsonChild | None = None
    verdict: str = ""
    findings: list[dict] = field(default_factory=list)
    message: str = ""


class _Current:
    set_up: SetUp | None = None
    examination: Examination | None = None
    is_kept_read = False


def current() -> SetUp | None:
    """The set-up that goes on, or the last one; None when there was none."""
    return _Current.set_up


def is_setting_up() -> bool:
    """Whether a set-up is at work."""
    return _Current.set_up is not None and not _Current.set_up.is_over


def start(folder: Path, device: str, requirements: Path | None = None) -> SetUp:
    """Begin to make an environment in `folder`. Raises SetupError; then nothing was started."""
    if is_setting_up():
        raise SetupError("A set-up is at work already.", "Wait for it, or cancel it.")
    choose_place(folder)
    command = [_own_python(), "-u", "-m", "splat_addon.environment.install", str(folder), "--device", device]
    if requirements is not None:
        command += ["--requirements", str(requirements)]
    _Current.set_up = SetUp(JsonChild(command, "The set-up ended unexpectedly", "Start it again."))
    return _Current.set_up


def cancel() -> None:
    """End the set-up; what was downloaded is kept by pip."""
    if is_setting_up() and _Current.set_up is not None:
        _Current.set_up.text = "Cancelling"
        _Current.set_up.child.let_go()


def dismiss() -> None:
    """Forget how the last set-up ended."""
    if not is_setting_up():
        _Current.set_up = None


def examination(python: str) -> Examination | None:
    """What is known about an interpreter, without asking it; None when nothing is."""
    key = _key(python)
    if not _Current.is_kept_read:
        _Current.is_kept_read = True
        kept = preferences.read_own(_KEPT)
        if isinstance(kept, dict) and {"key", "verdict", "findings"} <= set(kept):
            _Current.examination = Examination(kept["key"], None, kept["verdict"], kept["findings"])
    known = _Current.examination
    return known if known is not None and known.key == key else None


def examine(python: str) -> Examination:
    """Ask an interpreter what it has, in a child. Raises SetupError when there is no such interpreter."""
    if not python or not Path(python).is_file():
        raise SetupError(f"The trainer Python {python or '(none)'} does not exist.", "Choose another, or set one up.")
    known = _Current.examination
    if known is not None and known.child is not None:
        known.child.kill()
    command = [python, "-u", "-m", "splat_addon.trainer.doctor", "--json"]
    child = JsonChild(command, "This Python cannot be asked what it has", "")
    _Current.examination, _Current.is_kept_read = Examination(_key(python), child), True
    return _Current.examination


def pump() -> bool:
    """Take in what the children said; whether any is still at work. Never waits."""
    _pump_set_up()
    _pump_examination()
    known = _Current.examination
    return is_setting_up() or (known is not None and known.child is not None)


def wait() -> None:
    """Block until the children have ended. For scripts."""
    known = _Current.examination
    while pump():
        for child in (_Current.set_up and _Current.set_up.child, known and known.child):
            if child is not None and not child.is_over:
                child.join(0.2)


def close() -> None:
    """Before the add-on goes: a set-up ends itself when its input is closed."""
    if _Current.set_up is not None:
        _Current.set_up.child.let_go()
    if _Current.examination is not None and _Current.examination.child is not None:
        _Current.examination.child.kill()
    _Current.set_up, _Current.examination, _Current.is_kept_read = None, None, False


def needed_gb(device: str) -> float:
    """How much room an environment takes."""
    return read_requirements(device).disk_gb


def _pump_set_up() -> None:
    set_up = _Current.set_up
    if set_up is None or set_up.is_over:
        return
    for said in set_up.child.poll():
        if "text" in said:
            set_up.fraction, set_up.text = said["fraction"], said["text"]
        elif "finished" in said:
            set_up.fraction, set_up.python = 1.0, said["finished"]
        elif "failed" in said:
            set_up.message = f"{said['failed']} {said['remedy']}"


def _pump_examination() -> None:
    known = _Current.examination
    if known is None or known.child is None:
        return
    for said in known.child.poll():
        if "failed" in said:
            known.message = f"{said['failed']} {said['remedy']}".strip()
        elif "findings" in said:
            known.verdict, known.findings = said["verdict"], said["findings"]
            preferences.write_own(_KEPT, {"key": known.key, "verdict": known.verdict, "findings": known.findings})
    if known.child.is_over:
        known.child = None


def _key(python: str) -> list:
    """Changes when the interpreter or what is installed beside it may have changed."""
    times = []
    for path in (Path(python), Path(python).parent.parent / "pyvenv.cfg"):
        try:
            times.append(os.stat(path).st_mtime)
        except OSError:
            times.append(0.0)
    return [python, *times]


def _own_python() -> str:
    """Blender's Python, which starts the set-up. Raises SetupError where a build hides it."""
    if sys.executable and Path(sys.executable).name.lower().startswith("python"):
        return sys.executable
    raise SetupError(
        "This Blender does not say where its Python is.",
        "Make an environment by hand, as docs/set-up.md describes, and choose its Python.",
    )
