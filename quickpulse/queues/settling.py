"""What a consumer says of messages that it holds, done to them."""

from __future__ import annotations

from quickpulse.errors import InvalidArgument, NoDeadLetterQueue
from quickpulse.queues.lease import Unknown
from quickpulse.queues.leases import Leases
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import LONGEST_LEASE_MS, LONGEST_MS, MOST_RECEIPTS, require_between
from quickpulse.queues.runs import Run
from quickpulse.requests import UNBOUNDED, Action, Settle, SettleReply

LONGEST_REASON = 1024
"""Characters of why a message is a dead letter; it is kept with each of them."""

REASON_GIVEN = "dead_letter"
"""Where the consumer gave none."""


def require_settle(request: Settle) -> None:
    """Raise InvalidArgument unless ranges, times and reason are within their bounds."""
    receipts = 0
    for first, last in request.receipts:
        if not 1 <= first <= last:
            raise InvalidArgument(f"receipts {first} to {last} are no range")
        receipts += last - first + 1
    if receipts > MOST_RECEIPTS:
        raise InvalidArgument(f"receipts: {receipts} of them, expected {MOST_RECEIPTS} at most")
    if request.action is not Action.ACK:
        require_between("delay_ms", request.delay_ms, 0, LONGEST_MS)
        require_between("lease_ms", request.lease_ms, 0, UNBOUNDED)  # as in a pull: what is too long is cut
        require_between("reason: its length", len(request.reason), 0, LONGEST_REASON)


def settle(queue: NamedQueue, leases: Leases, request: Settle, now_ms: int) -> SettleReply:
    """Do what `request` says to what its receipts hold.

    :raises NoDeadLetterQueue: DEAD_LETTER in a dead-letter queue whose policy names none.
    """
    action, unknown, settled = request.action, Unknown(), 0
    if action is Action.DEAD_LETTER and not queue.has_dead_letters:
        raise NoDeadLetterQueue(queue.name)
    lease_ms: int = request.lease_ms or queue.policy.lease_ms  # type: ignore[assignment]
    deadline = now_ms + min(lease_ms, LONGEST_LEASE_MS)
    for first, last in request.receipts:
        for lease, start, stop in leases.find(queue, first, last, unknown):
            if action is Action.ACK:
                settled += lease.forget(start, stop, unknown)
            elif action is Action.EXTEND:
                settled += lease.extend(start, stop, deadline, unknown)
            else:
                run = lease.take_out(start, stop, unknown)
                if run is not None:
                    settled += len(run.payloads)
                    _return(queue, run, request, now_ms)
    if action is Action.ACK:
        queue.counts.acked += settled
    return SettleReply(settled, tuple(unknown.ranges))


def _return(queue: NamedQueue, run: Run, request: Settle, now_ms: int) -> None:
    """Put back, or away, what is held no more."""
    count, action = len(run.payloads), request.action
    if action is Action.NACK:
        queue.counts.nacked += count
        delay_ms = queue.retry_delay(run.deliveries) if request.delay_ms is None else request.delay_ms
        queue.fail(run, delay_ms, now_ms)
    elif action is Action.RELEASE:
        queue.counts.released += count
        run.deliveries -= 1
        queue.put_back(run, 0, now_ms)
    else:
        queue.bury(run, request.reason or REASON_GIVEN, now_ms)
