"""Try hostile files of every format on its reader, and name each case that is not refused or read as it must be."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from .campaign import FORMATS, format_named, run
from .trial import Workplace, trial_of

MOST_KINDS = 20  # of failures that are listed for a format


def main(arguments: list[str]) -> int:
    """1 when anything failed."""
    parser = argparse.ArgumentParser(prog="dev.py fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each format (20)")
    parser.add_argument("--cases", type=int, help="this many of each format, instead of a time")
    parser.add_argument("--format", choices=FORMATS, action="append", help="only this one; may be given again")
    parser.add_argument("--seed", type=int, help="repeats a campaign; otherwise every one is another")
    parser.add_argument("--case", type=int, help="a single case of one format and seed, with its files kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    options = parser.parse_args(arguments)
    seed = int(time.time()) if options.seed is None else options.seed
    names = options.format or list(FORMATS)
    if options.case is not None:
        return _show(names[0], seed, options.case)
    failed = 0
    for name in names:
        began = time.monotonic()
        outcome = run(name, seed, None if options.cases else options.seconds, options.cases, jobs=options.jobs)
        rate = outcome.cases / (time.monotonic() - began)
        failures = sum(outcome.counts.values())
        print(
            f"{name:<16}{outcome.cases:>9} cases, {outcome.accepted} accepted, {failures} failed"
            f" (seed {seed}, {rate:.0f} a second)"
        )
        for what, case in list(outcome.failures.items())[:MOST_KINDS]:
            print(f"    {outcome.counts[what]} x {what}\n        --format {name} --seed {seed} --case {case}")
        if len(outcome.failures) > MOST_KINDS:
            print(f"    and {len(outcome.failures) - MOST_KINDS} other kinds")
        sys.stdout.flush()
        failed += len(outcome.failures)
    return 1 if failed else 0


def _show(name: str, seed: int, case: int) -> int:
    """Try one case, and say where its files are."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz_"))
    accepted, wrong = Workplace(folder).try_out(trial_of(format_named(name), name, seed, case))
    print(f"{name}, seed {seed}, case {case}: {wrong or ('accepted' if accepted else 'refused')}\n{folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
