"""The Python that trains: what it has, and setting one up. Children do the work; a timer or a script calls `pump`.

What an interpreter was found to have is kept for the next start, until the interpreter itself changes.
"""

import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ...environment.builds import what_to_know, why_not
from ...environment.child import JsonChild
from ...environment.machine import Machine, this_machine
from ...environment.place import choose_place
from ...environment.requirements import Requirements, read_requirements
from ...errors import RunError, SetupError
from ..session import part, timer
from ..session.redraw import redraw
from ..settings import preferences

TICK_S = 0.25
ASK_AGAIN_S = 30.0

_KEPT = "trainer.json"


@dataclass
class SetUp:
    """A set-up that is running or over. `python` is the new interpreter once it has ended well."""

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
    asked_at: float = -math.inf  # s of the monotonic clock; kept ones were asked in another session

    @property
    def refusal(self) -> str:
        """Why this interpreter cannot train, with what to do; empty where it can, or nobody knows yet."""
        missing = [entry for entry in self.findings if entry["is_required"] and not entry["is_fine"]]
        told = [f"{entry['name']}: {entry['found']}." for entry in missing]
        return self.message or (f"The trainer Python cannot train. {' '.join(told)}" if told else "")


class Children:
    """The set-up and the examination that are running, or the last ones, and the machine that they are for."""

    def __init__(self) -> None:
        self.machine: Machine = this_machine()
        self.set_up: SetUp | None = None
        self.examination: Examination | None = None
        self.is_kept_read = False

    def close(self) -> None:
        """A set-up ends itself when its input is closed."""
        if self.set_up is not None:
            self.set_up.child.let_go()
        if self.examination is not None and self.examination.child is not None:
            self.examination.child.kill()


def _children() -> Children:
    return part(Children)


def current() -> SetUp | None:
    """The set-up that is running, or the last one; None when there was none."""
    return _children().set_up


def is_setting_up() -> bool:
    """Whether a set-up is at work."""
    return _children().set_up is not None and not _children().set_up.is_over


def start(folder: Path, device: str, requirements: Path | None = None) -> SetUp:
    """Begin to make an environment in `folder`. Raises SetupError; then nothing was started."""
    if is_setting_up():
        raise SetupError("A set-up is already running.", "Wait for it, or cancel it.")
    if refusal := why_impossible(device):
        raise refusal
    choose_place(folder, needed(device).longest_name, _children().machine)
    command = [_own_python(), "-u", "-m", "splat_addon.environment.install", str(folder), "--device", device]
    if requirements is not None:
        command += ["--requirements", str(requirements)]
    set_up = SetUp(JsonChild(command, "The set-up ended unexpectedly", "Start it again."))
    _children().set_up = set_up
    return set_up


def cancel() -> None:
    """End the set-up; what was downloaded is kept by pip."""
    set_up = _children().set_up
    if set_up is not None and not set_up.is_over:
        set_up.text = "Canceling"
        set_up.child.let_go()


def dismiss() -> None:
    """Forget how the last set-up ended."""
    if not is_setting_up():
        _children().set_up = None


def examination(python: str) -> Examination | None:
    """What is known about an interpreter, without asking it; None when nothing is."""
    key = _key(python)
    if not _children().is_kept_read:
        _children().is_kept_read = True
        kept = preferences.read_own(_KEPT)
        if isinstance(kept, dict) and {"key", "verdict", "findings"} <= set(kept):
            _children().examination = Examination(kept["key"], None, kept["verdict"], kept["findings"])
    known = _children().examination
    return known if known is not None and known.key == key else None


def examined_by_itself(python: str) -> Examination | None:
    """What is known about an interpreter, for panels: one that nobody has asked yet is asked, and one that cannot train
    is asked again now and then, since something may have been installed."""
    known = examination(python)
    is_open = known is None or (known.child is None and known.refusal)
    asked_at = known.asked_at if known is not None else -math.inf
    if is_open and time.monotonic() - asked_at > ASK_AGAIN_S and os.path.isfile(python):
        try:
            known = examine(python)
            begin_watching()
        except SetupError as error:  # it cannot be started
            known = _children().examination = Examination(
                _key(python), None, message=str(error), asked_at=time.monotonic()
            )
    return known


def why_not_ready() -> str:
    """Why the chosen interpreter cannot train, as far as was found in this session; empty where it can, or nobody has
    asked."""
    try:
        known = examination(preferences.trainer_python())
    except RunError as error:
        return str(error)
    return known.refusal if known is not None and known.asked_at > -math.inf else ""


def examine(python: str) -> Examination:
    """Ask an interpreter what it has, in a child. Raises SetupError when there is no such interpreter."""
    if not python or not Path(python).is_file():
        raise SetupError(f"The trainer Python {python or '(none)'} does not exist.", "Choose another, or set one up.")
    children = _children()
    if children.examination is not None and children.examination.child is not None:
        children.examination.child.kill()
    command = [python, "-u", "-m", "splat_addon.trainer.doctor", "--json"]
    child = JsonChild(command, "This Python cannot be checked", "")
    key, before = _key(python), children.examination
    known = children.examination = Examination(key, child, asked_at=time.monotonic())
    if before is not None and before.key == key:  # stays said until there is an answer
        known.verdict, known.findings, known.message = before.verdict, before.findings, before.message
    children.is_kept_read = True
    return known


def pump() -> bool:
    """Take in what the children said; whether any is still at work. Never waits."""
    _pump_set_up()
    _pump_examination()
    known = _children().examination
    return is_setting_up() or (known is not None and known.child is not None)


def wait() -> None:
    """Block until the children have ended. For scripts."""
    known = _children().examination
    while pump():
        for child in (_children().set_up and _children().set_up.child, known and known.child):
            if child is not None and not child.is_over:
                child.join(0.2)


def begin_watching() -> None:
    """Let the timer follow the children."""
    timer.start(_watch, TICK_S)


def _watch() -> float | None:
    was_setting_up = is_setting_up()
    goes_on = pump()
    set_up = current()
    if was_setting_up and set_up is not None and set_up.python:
        use(set_up)
        goes_on = True
    redraw("PREFERENCES", "VIEW_3D")
    return TICK_S if goes_on else None


def use(set_up: SetUp) -> None:
    """The new environment trains from now on."""
    preferences.of_addon().trainer_python = set_up.python
    bpy.context.preferences.is_dirty = True
    examine(set_up.python)


def needed(device: str) -> Requirements:
    """What an environment takes on this machine."""
    return read_requirements(device, machine=_children().machine)


def why_impossible(device: str) -> SetupError | None:
    """Why there can be no set-up on this machine, with what is possible instead; None when there can."""
    return why_not(needed(device), _children().machine)


def remark(device: str) -> str:
    """What is to be done on this machine before a set-up; empty where nothing is."""
    return what_to_know(needed(device), _children().machine)


def _pump_set_up() -> None:
    set_up = _children().set_up
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
    known = _children().examination
    if known is None or known.child is None:
        return
    for said in known.child.poll():
        if "failed" in said:
            known.message = f"{said['failed']} {said['remedy']}".strip()
        elif "findings" in said:
            known.message = ""
            known.verdict, known.findings = said["verdict"], said["findings"]
            preferences.write_own(_KEPT, {"key": known.key, "verdict": known.verdict, "findings": known.findings})
    if known.child.is_over:
        known.child = None


def _key(python: str) -> list:
    """Changes when the interpreter or what is installed next to it may have changed."""
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
