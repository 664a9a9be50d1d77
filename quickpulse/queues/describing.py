"""What is told of queues and of the server, and a look at messages that leaves them where they are."""

from __future__ import annotations

from collections.abc import Sequence

from quickpulse.queues.delivering import deliver
from quickpulse.queues.directory import Directory
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import LONGEST_NAME, MOST_RECEIPTS, require_between
from quickpulse.queues.runs import Run, fitting
from quickpulse.requests import UNBOUNDED, Deliveries, ListQueues, Peek, QueueInfo, QueuePage, ServerInfo

MOST_LISTED = 1000
"""Queues in a page: to tell of more takes too long for one turn."""

INFO_BYTES = 5 << 10
"""What a QueueInfo takes of a frame, at most; in JSON, which is the longer form."""


def info(queue: NamedQueue, now_ms: int) -> QueueInfo:
    """A queue at this moment; `oldest_ms` is the age of its oldest ready message."""
    oldest_at = queue.ready.oldest_at
    return QueueInfo(
        name=queue.name,
        ready=len(queue.ready),
        leased=queue.leased,
        delayed=queue.held - queue.leased,
        size_bytes=queue.size_bytes,
        oldest_ms=0 if oldest_at is None else max(now_ms - oldest_at, 0),
        paused=queue.is_paused,
        publish_paused=queue.is_publish_paused,
        waiters=len(queue.watchers),
        policy=queue.policy,
        has_policy=queue.own_policy is not None,
        counts=queue.counts.as_dict(queue.published),
    )


def page(directory: Directory, request: ListQueues, now_ms: int) -> QueuePage:
    """The next queues by name. One that was made or is gone meanwhile moves none of the others.

    :raises InvalidArgument: of a number, or of a token that no page had.
    """
    require_between("max_queues", request.max_queues, 0, 1 << 32)
    require_between("page_token: its length", len(request.page_token), 0, LONGEST_NAME)
    fitting_in = max(min(MOST_LISTED, directory.limits.max_batch_bytes // INFO_BYTES), 1)
    most = min(request.max_queues or fitting_in, fitting_in)
    prefix, after = request.prefix, request.page_token
    names = sorted(name for name in directory.queues if name > after and name.startswith(prefix))
    infos = [info(directory.queues[name], now_ms) for name in names[:most]]
    return QueuePage(infos, names[most - 1] if len(names) > most else "")


def server(directory: Directory, version: str, instance: str, capabilities: Sequence[str]) -> ServerInfo:
    """The server; a limit that does not bound is left out."""
    limits, defaults = directory.limits, directory.defaults
    values = {
        "max_queues": limits.max_queues,
        "total_bytes": limits.total_bytes,
        "max_message_bytes": limits.max_message_bytes,
        "max_batch_bytes": limits.max_batch_bytes,
        "capacity": defaults.capacity,
        "capacity_bytes": defaults.capacity_bytes,
    }
    bounding = {name: value for name, value in values.items() if value is not None and value < UNBOUNDED}
    return ServerInfo(version, instance, bounding, capabilities)


def peek(queue: NamedQueue, request: Peek, room: int) -> Deliveries:
    """Copies of the next ready messages, as many as fit into `room` bytes, one at least."""
    left = min(request.max_messages or 1, MOST_RECEIPTS)
    pieces: list[Run] = []
    for run in queue.ready.look(left):
        piece = run.slice(0, left, queue.extras)
        count = fitting(piece.payloads, piece.sequences, room, run.weight, run.framing, queue.extras)
        if count < len(piece.payloads):
            if count or not pieces:
                pieces.append(piece.slice(0, max(count, 1), queue.extras))
            break
        pieces.append(piece)
        left -= count
        room -= piece.framed(queue.extras)
        if not left:
            break
    if not pieces:
        return Deliveries(queue.name)
    counts = [piece.deliveries for piece in pieces]
    return deliver(queue, pieces, counts, 0, 0, with_enqueued_at=True, with_sequences=True)
