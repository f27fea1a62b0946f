"""The one timer: jobs are called when they are due, each in turn, in Blender's main thread.

A job returns in how many seconds it is due again, or None when it is done. One that raises an exception is a bug:
its traceback is printed (once, however often it happens) and it is called again, so that one feature's bug never
stops another. While nothing is to be done, no timer runs. Timers do not tick in background mode: scripts and tests
call what they wait for, or `tick`.
"""

import time
import traceback
from collections.abc import Callable

import bpy

from . import part

Job = Callable[[], float | None]
AFTER_FAILURE_S = 1.0


class Timer:
    """Which jobs are due when, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.due: dict[Job, float] = {}
        self.failures: set[str] = set()  # tracebacks that were printed
        self.is_ticking = False

    def close(self) -> None:
        """Forget all jobs."""
        self.due.clear()
        if bpy.app.timers.is_registered(tick):
            bpy.app.timers.unregister(tick)


def start(job: Job, first_s: float = 0.0) -> None:
    """Call `job` in `first_s` seconds, and then as often as it asks for. One that is running already goes on."""
    timer = part(Timer)
    if job not in timer.due:
        timer.due[job] = time.monotonic() + first_s
        _schedule(timer)


def stop(job: Job) -> None:
    """Call `job` no more."""
    part(Timer).due.pop(job, None)


def is_running(job: Job) -> bool:
    """Whether `job` will be called."""
    return job in part(Timer).due


def tick() -> float | None:
    """Call the jobs that are due; in how many seconds the next one is, None when there is none."""
    timer = part(Timer)
    timer.is_ticking = True
    for job in [job for job, due in timer.due.items() if due <= time.monotonic()]:
        if job not in timer.due:
            continue  # another one has stopped it
        again_s = _call(timer, job)
        if again_s is None:
            timer.due.pop(job, None)
        elif job in timer.due:
            timer.due[job] = time.monotonic() + again_s
    timer.is_ticking = False
    return _until_next(timer)


def _call(timer: Timer, job: Job) -> float | None:
    try:
        return job()
    except Exception:
        text = traceback.format_exc()
        if text not in timer.failures:
            timer.failures.add(text)
            print(text)
        return AFTER_FAILURE_S


def _schedule(timer: Timer) -> None:
    if timer.is_ticking:
        return  # its end says when the next one is due
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    bpy.app.timers.register(tick, first_interval=_until_next(timer) or 0.0, persistent=True)


def _until_next(timer: Timer) -> float | None:
    return max(0.0, min(timer.due.values()) - time.monotonic()) if timer.due else None
