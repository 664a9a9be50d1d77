"""What is wrong after a soak."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from perf.soak.tally import Tally
from perf.soak.watch import Sample

FLAT_BYTES = 5 * 1024 * 1024
FLAT_SHARE = 0.05
"""Memory of the last quarter may be above that of the second by the larger of the two."""

HELD_SHARE = 0.9
"""Of the rate that was to be held."""


def quarter_bytes(samples: Sequence[Sample], quarter: int) -> float:
    """The mean memory in a quarter of the time, from 0."""
    size = len(samples) // 4
    return fmean(sample.resident_bytes for sample in samples[quarter * size : (quarter + 1) * size])


def problems(samples: Sequence[Sample], tally: Tally, wanted_rate: float, rate: float) -> list[str]:
    """One line each; none if all is well.

    samples: four or more, evenly apart
    wanted_rate, rate: messages a second, that were to be held and that were
    """
    found = [f"{count} {kind}" for kind, count in sorted(tally.faults.items())]
    if not tally.is_even:
        found.append(
            f"{tally.sent} sent, {tally.acked} acknowledged, {tally.came} came out"
            + (", not the same" if tally.sent == tally.came else "")
        )
    second, last = quarter_bytes(samples, 1), quarter_bytes(samples, 3)
    if last - second > max(FLAT_BYTES, FLAT_SHARE * second):
        found.append(
            f"memory grew from {second / 2**20:.1f} MiB in the second quarter to {last / 2**20:.1f} in the last"
        )
    if rate < HELD_SHARE * wanted_rate:
        found.append(f"{rate:,.0f} messages/s instead of {wanted_rate:,.0f}: the load was not held")
    return found
