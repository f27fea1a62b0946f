"""Kill trainers, parents and Blenders at random moments, fill disks, take folders away, and name each promise that is
broken then."""

import argparse
import os
import sys
import time
from pathlib import Path

from .. import other_blenders
from .campaign import KINDS, run


def main(arguments: list[str]) -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="dev.py torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="until no further trial begins (120)")
    parser.add_argument("--kills", type=int, help="until so many processes were killed, instead of a time")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this one; may be given again")
    parser.add_argument("--seed", type=int, help="repeats a campaign; otherwise every one is another")
    parser.add_argument("--number", type=int, help="a single trial of one kind and seed")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2), help="trials at a time")
    parser.add_argument("--blender", type=Path, help="a Python with bpy; else one of .venv/blender-*, if there is one")
    options = parser.parse_args(arguments)
    seed = int(time.time()) if options.seed is None else options.seed
    blender = options.blender or next(iter(other_blenders.pythons().values()), None)
    names = options.kind or list(KINDS)
    limits = options.seconds, options.kills, options.jobs
    outcome = run(names, seed, *limits, blender, options.number, tell=_say, count=_count)
    print(f"seed {seed}: {outcome.kills} killed, {sum(outcome.trials.values())} trials, {len(outcome.broken)} failed")
    for name in names:
        failed = sum(kind == name for kind, _, _ in outcome.broken)
        print(f"{name:<16}{outcome.trials[name]:>5} trials, {outcome.killed[name]} killed, {failed} failed")
    for name, reason in outcome.left_out.items():
        print(f"{name} was left out: {reason}")
    return 1 if outcome.broken else 0


def _say(name: str, seed: int, number: int, what: str) -> None:
    print(f"{what}\n    --kind {name} --seed {seed} --number {number}", flush=True)


def _count(name: str, number: int, kills: int) -> None:
    if sys.stdout.isatty():
        print(f"{name} {number}: {kills} killed so far", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
