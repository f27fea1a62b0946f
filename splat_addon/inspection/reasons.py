"""Why a splat is called a floater, in words with numbers, and what nobody can know about it."""

import math
from collections.abc import Callable

from .evidence import Evidence
from .score import (
    BY_GEOMETRY,
    FARTHEST,
    LONELY_AROUND_WEIGHT,
    LONELY_WEIGHT,
    REFLECTION,
    TOO_FAR,
    UNSEEN,
    Findings,
)

MOST = 3  # reasons for one splat
LEAST_PART = 0.05  # a sign that adds less to the score is no reason
CLOSE = 0.25  # median depths: nearer splats are right in front of a camera
SWARM_FROM = 0.3  # of what `open` can be
NEEDED_FROM = 0.01  # growth of a photo's squared error: with less, nobody misses a splat
MIRRORS = "Before mirrors and glass this is a guess: their light comes from behind them."
WALLS = "Photos cannot tell the depth of plain walls: add views or seeds there."


def reasons(
    findings: Findings,
    evidence: Evidence | None,
    splat: int,
    length: Callable[[float], str] = lambda value: f"{value:.3g} units",
) -> list[str]:
    """Up to three sentences about a splat, the strongest first, but what speaks for it last: photos that need it.

    `length` puts capture units into words.
    """
    kind = findings.kind[splat]
    if evidence is None or kind == BY_GEOMETRY:
        return [_lonely(findings, splat), "Judged by positions alone: give the capture for evidence from its photos."]
    if kind == UNSEEN:
        return ["No photo that was looked through uses it: what it shows was never compared with anything."]
    if kind == TOO_FAR:
        return [f"More than {FARTHEST:g} times as far as what photos see: judged as sky, and never as a floater."]
    if kind == REFLECTION:
        return [
            "Part of a flat, thin sheet that photos look through: glass or a mirror, and never offered for removal."
        ]
    found: list[tuple[float, str]] = []
    if evidence.mesh_distance[splat] > 0:
        away = length(float(evidence.mesh_distance[splat]))
        found.append((2.0, f"{evidence.mesh_sigmas[splat]:.1f} σ off the source mesh: {away} from its middle."))
    behind = float(evidence.behind[splat])
    if behind > 0:
        told = (
            f"{behind:.0%} of the light it shares lands behind it,"
            f" on average {length(float(evidence.distance[splat]))} further."
        )
        found.append((float(evidence.hang[splat]), told))
    seen, through = int(evidence.seen[splat]), int(evidence.looked_through[splat])
    if through:
        see = "sees" if seen == 1 else "see"
        told = f"{through} of {counted(seen, 'photo')} that {see} its place look through it."
        found.append((float(evidence.view_open[splat]), told))
    others = float(findings.open[splat])
    if others > SWARM_FROM:
        found.append((others - SWARM_FROM, "In a swarm: photos look through the splats around it, too."))
    alone = (LONELY_WEIGHT + LONELY_AROUND_WEIGHT) * float(findings.lonely[splat])
    found.append((alone, _lonely(findings, splat)))
    if evidence.nearness[splat] < CLOSE:
        found.append((0.2, f"{length(float(evidence.nearest[splat]))} in front of a camera."))
    users = evidence.views_of(splat)
    if len(users) == 1:
        found.append((0.06, f"Used by one photo alone: {users[0]}."))
    found = [entry for entry in found if entry[0] >= LEAST_PART]
    found.sort(key=lambda entry: -entry[0])
    needed = _needed(evidence, splat)
    against = [told for _, told in found[: MOST - len(needed)]] or ["Nothing speaks against it."]
    return against + needed


def counted(count: int, noun: str) -> str:
    """'1 photo', '3 photos'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _needed(evidence: Evidence, splat: int) -> list[str]:
    """What photos lose with a splat, if that is worth a sentence. Exact, as long as the others stay."""
    names, growth = evidence.needed_by(splat), float(evidence.growth[splat])
    if not names or growth < NEEDED_FROM:
        return []
    noun, whose = ("photo", "its") if len(names) == 1 else ("photos", "their")
    return [f"Needed by {noun} {', '.join(names)}: without it {whose} error grows by {growth:.0%}."]


def _lonely(findings: Findings, splat: int) -> str:
    return f"Alone: its neighbors are {math.exp(float(findings.lonely[splat])):.1f} times as far as usual."
