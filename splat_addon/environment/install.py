"""`python -m splat_addon.environment.install FOLDER --device cpu|cuda`: make the trainer's environment.

Standard output carries one JSON object per line: {"fraction", "text"} while it goes on, at last {"finished": python} or
{"failed": message, "remedy"}. The end of standard input means cancel. What was not completed is made again.
"""

import argparse
import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..errors import SetupError, SplatError
from ..files import remove_folder
from ..run.children.trainer_process import trainer_environment
from ..run.lines import lines_of_parent
from ..run.lock import RunLock
from .builds import why_not
from .card import find_cpp_compiler, linux_release, read_driver, why_not_card
from .failures import disk_is_full, explain
from .machine import this_machine
from .place import Place, choose_place
from .pythons import find_python
from .requirements import FILE, Requirements, is_index_reachable, read_card_needs, read_requirements
from .toolkits import system_toolkits, version_in

_FOREIGN_TO_PIP = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONUSERBASE", "PYTHONPATH")


class Canceled(Exception):
    """The parent has closed our input."""


class SetUp:
    """One set-up, step by step."""

    def __init__(self, place: Place, wanted: Requirements, base_python: str, tell: IO[str]):
        self.place, self.wanted, self.base_python, self._tell = place, wanted, base_python, tell
        self._child: subprocess.Popen | None = None
        self._is_cancelled = False

    def execute(self) -> Path:
        """Make the environment and return its Python. Raises SetupError, OSError or Canceled."""
        place = self.place
        if place.is_complete(self.wanted.stamp):
            self.check()
            return place.python
        was_complete = place.state().startswith("complete") and place.python.is_file()
        place.mark(f"begun {self.wanted.stamp}")
        free_gb = shutil.disk_usage(place.path).free / 1e9
        if not was_complete and free_gb < self.wanted.disk_gb:
            raise disk_is_full(str(place.path), self.wanted.disk_gb)
        if not was_complete:
            self.say(0.0, "Looking for a Python")
            wanted = self.wanted
            python = [self.base_python] if self.base_python else find_python(wanted.pythons, wanted.processors)
            self.say(0.05, f"Making the environment with {' '.join(python)}")
            with contextlib.suppress(OSError):  # venv and pip say what is in the way
                remove_folder(place.environment)
            self.run([*python, "-I", "-m", "venv", str(place.environment)], 0.05, 0.15)
        self.say(0.15, "Installing packages")
        is_for_card = self.wanted.device == "cuda"
        self.run(self.pip(), 0.15, 0.6 if is_for_card else 0.9)
        if is_for_card:
            self.build_kernels()
        self.check()
        place.mark(f"complete {self.wanted.stamp}")
        return place.python

    def pip(self) -> list[str]:
        """The command that installs the packages, and nothing that would have to be compiled."""
        command = [str(self.place.python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["--progress-bar", "off", "--only-binary", ":all:"]
        if self.wanted.index and (self.wanted.needs_index or self.answers(self.wanted.index)):
            command += ["--extra-index-url", self.wanted.index]
        return [*command, *self.wanted.packages]

    def answers(self, index: str) -> bool:
        """Whether an index can be reached."""
        self.say(0.15, f"Asking {index}")
        return is_index_reachable(index, str(self.place.python))

    def build_kernels(self) -> None:
        """Build gsplat's CUDA kernels, which takes minutes, and compare the card with the CPU. Raises SetupError."""
        self.say(0.6, "Building CUDA kernels; this takes minutes")
        command = [str(self.place.python), "-u", "-m", "splat_addon.trainer.backend.cuda", "--build"]
        self.run(command, 0.6, 0.9, trainer_environment(), told_by_program)

    def check(self) -> None:
        """Let the new environment say whether it can train. Raises SetupError."""
        self.say(0.9, "Trying the new environment")
        command = [str(self.place.python), "-m", "splat_addon.trainer.doctor", "--json"]
        output = self.run(command, 0.9, 1.0, trainer_environment())
        findings = json.loads(output.splitlines()[-1])
        missing = [entry for entry in findings["findings"] if entry["is_required"] and not entry["is_fine"]]
        if missing:
            raise SetupError(
                f"The environment was made, but {missing[0]['name']} does not work there: {missing[0]['found']}.",
                missing[0]["remedy"],
            )

    def say(self, fraction: float, text: str) -> None:
        print(json.dumps({"fraction": fraction, "text": text}), file=self._tell, flush=True)

    def run(
        self,
        command: list[str],
        begin: float,
        end: float,
        environment: dict[str, str] | None = None,
        why: Callable[[str], SetupError] | None = None,
    ) -> str:
        """Run a step, tell its lines, and return its output. Raises SetupError when it fails: `why` of the output."""
        clean = {name: value for name, value in os.environ.items() if name not in _FOREIGN_TO_PIP}
        clean |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        lines: list[str] = []
        with open(self.place.log_file, "a", encoding="utf-8") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment or clean,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            if self._is_cancelled:
                self.cancel()
            assert self._child.stdout is not None
            for line in (raw.decode(errors="replace").rstrip() for raw in self._child.stdout):
                lines.append(line)
                log.write(line + "\n")
                if spoken := spoken_line(line):
                    self.say(begin + (end - begin) * (1 - 0.98 ** len(lines)), spoken)
        code = self._child.wait()
        if self._is_cancelled:
            raise Canceled
        if code != 0:
            output = "\n".join(lines)
            raise why(output) if why else explain(output, str(self.place.path), self.wanted.disk_gb)
        return "\n".join(lines)

    def cancel(self) -> None:
        """End the step that runs, with everything it has started."""
        self._is_cancelled = True
        child = self._child
        if child is None or child.poll() is not None:
            return
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True)
        else:
            os.killpg(child.pid, signal.SIGKILL)


def told_by_program(output: str) -> SetupError:
    """What the last two lines of a program of ours say: what is wrong, and what to do."""
    lines = ["The set-up failed without a message.", *output.splitlines()]
    return SetupError(lines[-2], lines[-1]) if len(lines) > 2 else SetupError(lines[-1], "Start it again.")


def spoken_line(line: str) -> str:
    """What of the output of pip, and of building kernels, an artist wants to see."""
    for pattern, text in (
        (r"Downloading (\S+) \((.+)\)", "Downloading {0} ({1})"),
        (r"Collecting (\S+)", "Collecting {0}"),
        (r"Processing (\S+)", "Reading {0}"),
        (r"Installing collected packages: ", "Unpacking; this takes a minute"),
        (r"building CUDA kernels once: (\d+) of (\d+) files", "Building CUDA kernels: {0} of {1}"),
        (r"comparing the card with the CPU once", "Comparing the card with the CPU"),
    ):
        found = re.match(r"\s*" + pattern, line)
        if found:
            words = [os.path.basename(word) for word in found.groups()]
            return text.format(*words)
    return ""


def main(arguments: list[str]) -> int:
    """0 when the environment is complete, else 1; the last line says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--base-python", default="", help="the Python to make the environment with")
    parser.add_argument("--requirements", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    wanted, folder = read_requirements(options.device, options.requirements), options.folder
    try:
        machine = this_machine()
        if refusal := why_not(wanted, machine):
            raise refusal
        if wanted.device == "cuda":
            toolkits = [version_in(home) for home in system_toolkits()] if machine.system == "win32" else []
            state = read_driver(), find_cpp_compiler(), toolkits, linux_release()
            if refusal := why_not_card(read_card_needs(options.requirements), machine, *state):
                raise refusal
        place = choose_place(folder, wanted.longest_name)
        place.path.mkdir(parents=True, exist_ok=True)
        if RunLock.take(place.lock_file) is None:
            raise SetupError(f"Another set-up is running in {place.path}.", "Wait for it, or choose another folder.")
        set_up = SetUp(place, wanted, options.base_python, sys.stdout)
        threading.Thread(target=_cancel_at_end_of_input, args=(set_up,), daemon=True).start()
        last = {"finished": str(set_up.execute())}
    except Canceled:
        last = {"failed": "The set-up was canceled.", "remedy": "Start it again whenever you like."}
    except SplatError as error:
        last = {"failed": error.message, "remedy": error.remedy}
    except OSError as error:
        if error.errno == errno.ENOSPC or getattr(error, "winerror", 0) == 112:
            full = disk_is_full(str(folder), wanted.disk_gb)
            last = {"failed": full.message, "remedy": full.remedy}
        else:
            last = {
                "failed": f"{error.filename or folder} cannot be used ({error.strerror}).",
                "remedy": "Choose a folder that is yours and has space, and start the set-up again.",
            }
    print(json.dumps(last), flush=True)
    return 0 if "finished" in last else 1


def _cancel_at_end_of_input(set_up: SetUp) -> None:
    for _ in lines_of_parent():
        pass
    set_up.cancel()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
