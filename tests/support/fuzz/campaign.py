"""Many cases of one format, in a child process that may be lost: with a limit of memory, and of time for each case."""

import contextlib
import gc
import importlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .trial import Format, Workplace, described, trial_of

CASE_S = 20.0  # for one case, likewise
START_S = 300.0  # for a child to start, on a machine that is busy
MEMORY_BYTES = 1 << 30  # beyond what the child takes when it has started
NOT_STARTED = "the child did not start"
NOT_MADE = "the case could not be made"
FORMATS = {
    "ply": "splat_files:ply",
    "compressed-ply": "splat_files:compressed_ply",
    **{name: f"exchange_files:{name}" for name in ("spz", "splat", "ksplat", "gltf", "sog", "usd")},
    "colmap-binary": "captures:colmap_binary",
    "colmap-text": "captures:colmap_text",
    "transforms": "captures:transforms",
    "photo-head": "captures:photo_head",
    "events": "runs:events",
    "run-folder": "runs:run_folder",
    "config": "runs:config",
    "commands": "runs:commands",
    "checkpoint": "checkpoints:checkpoint",
}
"""Name -> where its function is."""


@dataclass
class Outcome:
    """What came of some cases. `failures` has the number of the first case of each kind, by what it said."""

    format: str
    seed: int
    cases: int = 0
    accepted: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)

    def add(self, what: str, case: int) -> None:
        """Count a failure."""
        self.failures[what] = min(case, self.failures.get(what, case))
        self.counts[what] += 1

    def include(self, other: "Outcome") -> None:
        """Add what came of other cases."""
        self.cases += other.cases
        self.accepted += other.accepted
        self.counts += other.counts
        for what, case in other.failures.items():
            self.failures[what] = min(case, self.failures.get(what, case))


def format_named(name: str) -> Format:
    """The function of a format, or of "module:function" in this package."""
    module, _, function = FORMATS.get(name, name).partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), function)


def run(
    name: str,
    seed: int,
    seconds: float | None = None,
    cases: int | None = None,
    case_s: float = CASE_S,
    tell: Callable[[str, int], None] = lambda what, case: None,
    jobs: int = 1,
) -> Outcome:
    """Try cases 0, 1, 2, … until the time or the number is reached, in so many children at a time. A child that dies or
    hangs is replaced, and what it was at is a failure; `tell` hears of each kind of failure at once."""
    deadline = None if seconds is None else time.monotonic() + seconds

    def lane(first: int) -> Outcome:
        outcome = Outcome(name, seed)
        while (cases is None or first < cases) and (deadline is None or time.monotonic() < deadline):
            left = None if deadline is None else deadline - time.monotonic()
            first = _run_child(outcome, Part(first, jobs, left, cases), case_s, tell)
            if NOT_STARTED in outcome.failures:
                break
        return outcome

    total = Outcome(name, seed)
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lane, range(jobs)):
            total.include(outcome)
    return total


class Part(NamedTuple):
    """The cases of a child: from `first` on each `step`-th, for so many `seconds` or up to the number `cases`."""

    first: int
    step: int
    seconds: float | None
    cases: int | None


def _run_child(outcome: Outcome, part: Part, case_s: float, tell) -> int:
    """Have a child try its cases; the number from which to go on."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "files").mkdir()
        (folder / "elsewhere").mkdir()
        progress, results = folder / "progress", folder / "results"
        progress.write_bytes(part.first.to_bytes(8, "little") + b"\0")  # where the child is, and whether it has begun
        order = {"format": outcome.format, "seed": outcome.seed, **part._asdict()}
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(results, "wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.campaign", str(folder), json.dumps(order)],
                stdout=output,
                stderr=subprocess.DEVNULL,
                cwd=folder / "elsewhere",
                env=environment,
            )
            is_hung, seen, since = False, None, time.monotonic()
            while child.poll() is None:
                time.sleep(0.05)
                now = progress.read_bytes()
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since > (case_s if now[8] else START_S):
                    is_hung = True
                    child.kill()
                    child.wait()
        *number, has_begun = progress.read_bytes()
        at = int.from_bytes(bytes(number), "little")
        for line in results.read_bytes().splitlines():
            values = json.loads(line)
            if "what" in values:
                if values["what"] not in outcome.failures:
                    tell(values["what"], values["case"])
                outcome.add(values["what"], values["case"])
            else:
                outcome.accepted += values["accepted"]
        if list((folder / "elsewhere").iterdir()):
            outcome.add("Broken: something was written where the reader was started", part.first)
    outcome.cases += (at - part.first) // part.step
    if child.returncode == 0:
        return at
    what = "hung" if is_hung else f"ended the interpreter with code {child.returncode}"
    what = what if has_begun else NOT_STARTED
    tell(what, at)
    outcome.add(what, at)
    outcome.cases += 1
    return at + part.step


def _child(folder: Path, order: dict) -> None:
    """Try cases until told to stop; the number of the one that is tried is in the file `progress`."""
    name, seed, case = order["format"], order["seed"], order["first"]
    format_ = format_named(name)
    workplace = Workplace(folder / "files")
    deadline = None if order["seconds"] is None else time.monotonic() + order["seconds"]
    accepted = 0
    with open(folder / "progress", "r+b") as file, mmap.mmap(file.fileno(), 9) as progress:
        with contextlib.suppress(Exception):  # which the case itself will tell
            trial_of(format_, name, seed, case)  # what is made once is made before memory is counted
        gc.freeze()  # and is not looked through for what can be let go
        _limit_memory()
        progress[8] = 1
        while (order["cases"] is None or case < order["cases"]) and (deadline is None or time.monotonic() < deadline):
            try:
                trial = trial_of(format_, name, seed, case)
            except Exception as error:  # the campaign's own: said as such, so that no reader is looked at for it
                was_accepted, wrong = False, f"{NOT_MADE}: {described(error)}"
            else:
                was_accepted, wrong = workplace.try_out(trial)
            accepted += was_accepted
            if wrong:
                print(json.dumps({"case": case, "what": wrong}), flush=True)
            case += order["step"]
            progress[:8] = case.to_bytes(8, "little")
    print(json.dumps({"accepted": accepted}), flush=True)


def _limit_memory() -> None:
    """As far as the system has such a limit: Linux does."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    _child(Path(sys.argv[1]), json.loads(sys.argv[2]))
