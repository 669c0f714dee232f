"""What became of the two bars: against dense averaging, and against a fixed rate of the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from thinwire.bench.rate import grid
from thinwire.bench.rate.cells import Entry

MOST_BYTES = 0.05  # of what dense averaging sends


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a bar; `reached` is None where nothing can be judged, and `figures` say why."""

    part: str
    policy: str
    bar: str
    reached: bool | None
    figures: str


def verdicts(entries: Sequence[Entry]) -> list[Verdict]:
    """Two bars for each policy of each part."""
    found = []
    for part in dict.fromkeys(entry.part for entry in entries):
        here = [entry for entry in entries if entry.part == part]
        dense = [entry for entry in here if entry.method == grid.DENSE]
        for policy in grid.POLICIES:
            ours = [entry for entry in here if entry.method == policy]
            found.append(_against_dense(ours, dense))
            found.append(_against_fixed(ours, [entry for entry in here if entry.like == policy]))
    return found


def _against_dense(ours: Sequence[Entry], dense: Sequence[Entry]) -> Verdict:
    share = mean(entry.share for entry in ours)
    accuracy, goal = (mean(entry.accuracy for entry in runs) for runs in (ours, dense))
    then = mean(entry.accuracy_then for entry in ours)
    return Verdict(
        ours[0].part, ours[0].method,
        f"at least {1 - MOST_BYTES:.0%} fewer bytes than dense averaging, at equal accuracy or better",
        share <= MOST_BYTES and accuracy >= goal,
        f"{1 - share:.1%} fewer bytes; accuracy {accuracy:.3f} against {goal:.3f} ({then:.3f} after as many rounds)",
    )  # fmt: skip


def _against_fixed(ours: Sequence[Entry], baseline: Sequence[Entry]) -> Verdict:
    one, other = ([entry.accuracy for entry in runs] for runs in (ours, baseline))
    gap, noise = mean(one) - mean(other), max(max(one) - min(one), max(other) - min(other)) / 2
    bytes_over = 1 / mean(entry.ratio for entry in baseline)
    figures = f"accuracy {gap:+.3f} with {bytes_over:.3f} times its bytes"
    reached = None
    if not any(entry.moved for entry in ours):
        figures += "; the rate never moved, so it was a fixed one itself"
    elif len(ours) == 1:
        figures += "; one seed has no noise to hold it against"
    else:
        figures += f"; half the range over the seeds is {noise:.3f}"
        reached = gap >= -noise
    return Verdict(
        ours[0].part, ours[0].method,
        "as good as the fixed rate of the same bytes or better, within the noise of the seeds", reached, figures,
    )  # fmt: skip
