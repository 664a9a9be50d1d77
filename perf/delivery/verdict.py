"""What is wrong after a run: the journals against each other, and against what the server has counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perf.delivery.journal import ACKED, ALTERED, CONFIRMED, DELIVERED, SAID, UNCONFIRMED, UNSURE, records
from quickpulse.requests import QueueInfo


@dataclass(frozen=True)
class Account:
    """What the processes wrote down, by number.

    confirmed, unconfirmed: whether the producer was told that it is stored, and whether it was not told
    delivered: how often it came
    acked: how often a consumer was told that its ack is done
    said: how often a consumer was about to ack
    unsure: how often a consumer asked and was not told, or came too late
    altered: payloads that were not ours
    """

    confirmed: np.ndarray
    unconfirmed: np.ndarray
    delivered: np.ndarray
    acked: np.ndarray
    said: np.ndarray
    unsure: np.ndarray
    altered: int


def read(paths: Iterable[Path], messages: int) -> Account:
    """All journals together."""
    kinds = (CONFIRMED, UNCONFIRMED, DELIVERED, ACKED, SAID, UNSURE)
    counts = {kind: np.zeros(messages, dtype=np.int32) for kind in kinds}
    altered = 0
    for path in paths:
        for kind, numbers in records(path):
            if kind == ALTERED:
                altered += 1
            else:
                np.add.at(counts[kind], np.frombuffer(numbers, dtype=np.uint32), 1)
    return Account(*(counts[kind] for kind in kinds), altered)


def problems(account: Account, queue: QueueInfo, dead: list[int]) -> list[str]:
    """One line each; none if every confirmed message was acked exactly once in the end, or is a dead letter.

    queue: at the end, when nothing is left in it
    dead: the numbers in its dead-letter queue
    """
    counts = queue.counts
    is_dead = np.zeros(len(account.confirmed), dtype=np.int32)
    np.add.at(is_dead, np.asarray(dead, dtype=np.int64), 1)
    stored = int(account.confirmed.sum())
    doubles = int((account.delivered - 1).clip(min=0).sum())
    returned = counts["expired"] + counts["nacked"] + counts["released"]
    left = queue.ready + queue.leased + queue.delayed
    never_came = int(((account.confirmed > 0) & (account.delivered == 0) & (is_dead == 0)).sum())
    has_end = account.acked + account.said + account.unsure + is_dead > 0
    no_end = int(((account.confirmed > 0) & ~has_end).sum())
    checks = (
        (account.altered == 0, f"{account.altered} payloads were altered"),
        (left == 0, f"{left} messages are left"),
        (never_came == 0, f"{never_came} confirmed messages never came"),
        (no_end == 0, f"{no_end} confirmed messages have no end"),
        ((account.confirmed <= 1).all(), "a message was confirmed twice"),
        ((account.acked <= 1).all(), f"{int((account.acked > 1).sum())} messages were acked twice"),
        ((is_dead <= 1).all(), f"{int((is_dead > 1).sum())} messages are dead letters twice"),
        (not (is_dead * account.acked).any(), "a message was acked, and is a dead letter"),
        (
            stored <= counts["published"] <= stored + int(account.unconfirmed.sum()),
            f"{counts['published']} messages are stored, of {stored} confirmed and "
            f"{int(account.unconfirmed.sum())} unconfirmed: something was lost, or stored twice",
        ),
        (
            counts["acked"] + counts["dead_lettered"] == counts["published"],
            f"{counts['acked']} acked and {counts['dead_lettered']} dead are not {counts['published']} published",
        ),
        (counts["dead_lettered"] == len(dead), f"{counts['dead_lettered']} were buried, {len(dead)} are there"),
        (
            doubles <= counts["redelivered"] <= returned,
            f"{doubles} came again; the server counts {counts['redelivered']} redelivered, of {returned} returned",
        ),
    )
    return [text for is_well, text in checks if not is_well]
