"""A layer of a message's way, and how long it takes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from time import process_time_ns
from typing import Any, TypeAlias

Prepared: TypeAlias = tuple[Callable[[Any], Any], list[Any]]
"""What is timed, and its inputs in turn; each input is one batch of messages."""

Prepare: TypeAlias = Callable[[int, int], Prepared]
"""(messages of a batch, number of batches) -> fresh state, ready to be timed."""


class Place(Enum):
    """Where a layer stands in its path's budget."""

    PART = "part"
    """On the way of the message; the parts add up to the whole, but for what lies between them."""
    INSIDE = "inside"
    """Within the part above it."""
    WHOLE = "whole"
    """From the bytes of a read to the bytes of a write."""
    BESIDE = "beside"
    """Another form of the whole, for comparison."""


@dataclass(frozen=True)
class Layer:
    """path: whose budget it belongs to; name: in the table; prepare: makes it ready."""

    path: str
    name: str
    place: Place
    prepare: Prepare


def nanoseconds(layer: Layer, batch: int, messages: int, samples: int) -> float:
    """Processor time for one message; what the loop of the measurement takes is taken off.

    The fastest of the samples counts: whatever else runs on the machine only adds.

    messages: of a sample
    """
    rounds = max(1, messages // batch)
    enabled = gc.isenabled()
    gc.disable()  # the server lets it run so seldom that it would hit samples by chance
    try:
        taken = [_once(*layer.prepare(batch, rounds)) for _ in range(samples)]
        empty = min(_once(_nothing, [None] * rounds) for _ in range(samples))
    finally:
        if enabled:
            gc.enable()
    return max(0.0, min(taken) - empty) / (rounds * batch)


def _once(run: Callable[[Any], Any], inputs: Iterable[Any]) -> int:
    started = process_time_ns()
    for each in inputs:
        run(each)
    return process_time_ns() - started


def _nothing(_: Any) -> None:
    pass
