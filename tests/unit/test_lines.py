"""Lines from a parent: in whatever pieces they come, and without a read that waits where that holds up others.

Windows' pipes are stood in for by a pipe of this system that is looked into in the same way. While somebody is inside
its `read`, its handle is taken, and whoever asks about standard input, as libraries do while they are loaded, waits.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from splat_addon.run.events import encode_command
from splat_addon.run.inbox import CommandLines, Inbox
from splat_addon.run.lines import lines_in, waiting_inside, without_waiting

fcntl = pytest.importorskip("fcntl", reason="looks into pipes as POSIX lets one")

LIMIT_S = 10.0


class PeekedPipe:
    """A pipe that can be looked into. `always_reads` is the mistake: it reads without having looked."""

    def __init__(self, descriptor: int, always_reads: bool = False):
        self._descriptor, self._always_reads = descriptor, always_reads
        self.handle = threading.Lock()
        self.is_listened_to = threading.Event()

    def waiting(self) -> int:
        import select
        import termios

        if self._always_reads:
            self.is_listened_to.set()
            return 1
        count = int.from_bytes(fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
        look = select.poll()
        look.register(self._descriptor, select.POLLIN)
        if count == 0 and any(flags & select.POLLHUP for _, flags in look.poll(0)):
            raise BrokenPipeError("the pipe has been ended")
        return count

    def read(self, most_bytes: int) -> bytes:
        with self.handle:
            return os.read(self._descriptor, most_bytes)

    def rest(self) -> None:
        self.is_listened_to.set()
        time.sleep(0.005)

    def can_be_asked(self, limit_s: float) -> bool:
        """Whether a library that asks about the pipe while it is loaded is answered."""
        is_answered = self.handle.acquire(timeout=limit_s)
        if is_answered:
            self.handle.release()
        return is_answered


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends, reading and writing. Who closes the second is the parent that is gone."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


WAYS = {"looking first": lambda end: without_waiting(PeekedPipe(end)), "plainly": waiting_inside}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntw", b"o\n"], ["one", "two"]),
        ([b"one\r\ntwo\r", b"\n\r\n"], ["one", "two", ""]),
        ([b"gr\xc3", b"\xbc\xc3\x9fe\n\xe2", b"\x82\xac\n"], ["grüße", "€"]),
        ([b"one\nthe rest"], ["one", "the rest"]),
        ([b"\xff\n"], ["\ufffd"]),
        ([], []),
    ],
    ids=["in pieces", "CRLF", "UTF-8 in pieces", "without a last end", "not UTF-8", "nothing"],
)
def test_lines_come_whole_until_the_parent_is_gone(pipe, way: Callable, pieces, lines):
    """Each piece is taken before the next one is written, as when time passes between them."""
    taken = threading.Semaphore(0)

    def counted() -> Iterator[bytes]:
        for chunk in way(pipe[0]):
            yield chunk
            taken.release()

    def write() -> None:
        for piece in pieces:
            os.write(pipe[1], piece)
            taken.acquire(timeout=LIMIT_S)
        os.close(pipe[1])

    threading.Thread(target=write, daemon=True).start()
    assert list(lines_in(counted())) == lines


def test_what_was_said_before_the_parent_went_is_still_heard(pipe):
    os.write(pipe[1], b"one\ntwo\n")
    os.close(pipe[1])
    assert list(lines_in(without_waiting(PeekedPipe(pipe[0])))) == ["one", "two"]


@pytest.mark.parametrize("always_reads", [False, True], ids=["as it is", "a read that waits"])
def test_a_library_can_be_loaded_while_the_parent_says_nothing(pipe, tmp_path, always_reads):
    """The trainer listens before it imports PyTorch. The second case shows that the stand-in would tell."""
    source = PeekedPipe(pipe[0], always_reads)
    heard = iter(CommandLines(lines_in(without_waiting(source)), Inbox(tmp_path / "commands"), outlives=False))
    assert source.is_listened_to.wait(LIMIT_S)
    if always_reads:
        deadline = time.monotonic() + LIMIT_S
        while not source.handle.locked():
            assert time.monotonic() < deadline
        assert not source.can_be_asked(0.2)
    else:
        assert all(source.can_be_asked(LIMIT_S) and not source.handle.locked() for _ in range(200))
    os.write(pipe[1], encode_command("pause").encode() + b"\n")
    assert next(heard).strip() == encode_command("pause")
    os.close(pipe[1])
    assert list(heard) == [], "the parent is gone"


def test_a_null_device_has_ended_at_once():
    with open(os.devnull, "rb") as nothing:
        assert list(waiting_inside(nothing.fileno())) == []


@pytest.mark.parametrize("closed", [False, True], ids=["a pipe", "no standard input at all"])
def test_the_lines_of_the_parent_are_those_of_standard_input(closed):
    code = "from splat_addon.run.lines import lines_of_parent; print(list(lines_of_parent()))"
    code = f"import os; {'os.close(0); ' if closed else ''}{code}"
    answer = subprocess.run([sys.executable, "-c", code], input="ä\nb".encode(), capture_output=True, timeout=60)
    assert answer.stdout.decode().strip() == ("[]" if closed else "['ä', 'b']"), answer.stderr
