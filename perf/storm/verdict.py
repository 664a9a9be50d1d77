"""What is wrong after a storm: the account, the server's own numbers, and how the two agree."""

from __future__ import annotations

from perf.storm.account import Account
from perf.storm.server import Metrics


def problems(account: Account, metrics: Metrics) -> list[str]:
    """One line each; none if the server kept its promises.

    metrics: of the end, when the queue was drained and all connections of ours were closed
    """
    counts = account.counts()
    found = [f"{count} {kind}" for kind, count in sorted(account.fault_counts.items())]
    lost = metrics.dequeued - counts.received
    checks = (
        (
            counts.missing <= metrics.undelivered,
            f"{counts.missing} acknowledged messages are missing, the server counts {metrics.undelivered} undelivered",
        ),
        (
            0 <= lost <= metrics.undelivered,
            f"the server took out {metrics.dequeued} messages and counts {metrics.undelivered} undelivered, "
            f"but {counts.received} came",
        ),
        (
            metrics.undelivered <= account.killed_in_flight,
            f"{metrics.undelivered} undelivered are too many: at most {account.killed_in_flight} were under way",
        ),
        (
            counts.acknowledged <= metrics.enqueued + account.queued <= counts.sent,
            f"the server counts {metrics.enqueued} enqueued, of {counts.sent - account.queued} sent "
            f"and {counts.acknowledged - account.queued} acknowledged",
        ),
        (metrics.depth == 0, f"{metrics.depth} messages are left in the queue"),
        (
            metrics.enqueued + account.queued == metrics.dequeued + metrics.depth,
            f"{metrics.enqueued} enqueued and {account.queued} queued before are not {metrics.dequeued} dequeued "
            f"and {metrics.depth} left",
        ),
    )
    return found + [text for is_well, text in checks if not is_well]
