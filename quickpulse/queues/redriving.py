"""Dead letters go back, as new messages: with their properties, a new acceptance, a time to live that begins anew."""

from __future__ import annotations

from collections.abc import Iterator

from quickpulse.errors import InvalidArgument, TooManyQueues
from quickpulse.messages import Message
from quickpulse.queues.directory import Directory
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.policies import require_between
from quickpulse.queues.runs import RUN_MESSAGES, Extra, Run
from quickpulse.requests import Redrive


def redrive(directory: Directory, request: Redrive, now_ms: int) -> int:
    """Move ready dead letters of a queue, in order; how many that were.

    What does not come from anywhere stays, unless a target is named; so does what its target has no room for.
    """
    require_between("max_messages", request.max_messages, 0, 1 << 62)
    queue = directory.get(request.queue)
    if request.target == queue.name:
        raise InvalidArgument(f"target of {queue.name} is the queue itself")
    if request.target:
        directory.open(request.target, now_ms).touched = now_ms
    left = request.max_messages or len(queue.ready)
    moved = 0
    full: set[str] = set()  # targets that had no room for one: what comes after it stays, too
    kept: list[Run] = []
    while moved < left and queue.ready and not (request.target and full):
        for piece in queue.ready.take(RUN_MESSAGES, 1 << 62, queue.extras):
            for part, source, ttl_ms in _parts(queue, piece):
                name, most = request.target or source, min(left - moved, len(part.payloads))
                count = _move(directory, queue, part, most, name, ttl_ms, now_ms) if most and name not in full else 0
                moved += count
                if count < most:
                    full.add(name)
                if count < len(part.payloads):
                    kept.append(part.slice(count, len(part.payloads), queue.extras))
    for run in kept:
        queue.make_ready(run)
    queue.touched = now_ms
    queue.review()
    return moved


def _parts(queue: NamedQueue, run: Run) -> Iterator[tuple[Run, str, int]]:
    """The run in parts that come from the same queue and have the same time to live."""
    keys = []
    for sequence in run.sequences:
        extra = queue.extras.get(sequence)
        letter = extra.letter if extra is not None else None
        own = extra.properties if extra is not None and extra.properties is not None else run.common
        ttl_ms = 0 if own is None or isinstance(own, Message) else own.ttl_ms
        keys.append((letter.source if letter is not None else "", ttl_ms))
    start = 0
    for stop in range(1, len(keys) + 1):
        if stop == len(keys) or keys[stop] != keys[start]:
            yield run.slice(start, stop, queue.extras), *keys[start]
            start = stop


def _move(directory: Directory, queue: NamedQueue, run: Run, most: int, name: str, ttl_ms: int, now_ms: int) -> int:
    """Move as many of the first messages as there is room for, `most` at most."""
    if not name or name == queue.name:
        return 0
    try:
        target = directory.open(name, now_ms)
    except TooManyQueues:
        return 0
    count = min(_room(queue, target, run), most)
    if not count:
        return 0
    part = run.slice(0, count, queue.extras)
    sequences = target.lane.skip(count)
    for old, new in zip(part.sequences, sequences, strict=True):
        extra = queue.extras.get(old)
        if extra is not None and extra.properties is not None:
            target.keep(new, Extra(extra.properties, extra.weight))
    fresh = part.like(part.payloads, sequences, now_ms, part.size_bytes, part.beside)
    fresh.deliveries = 0
    fresh.expires_at = now_ms + ttl_ms if ttl_ms else 0
    queue.gone(part.sequences, part.size_bytes, part.beside_bytes)
    target.charge(part.beside_bytes)
    target.admit(fresh, 0, now_ms)
    target.touched = now_ms
    return count


def _room(queue: NamedQueue, target: NamedQueue, run: Run) -> int:
    """How many of the first messages the target takes. For the server as a whole, moving changes nothing."""
    if target.is_publish_paused:
        return 0
    messages, size_bytes, count = len(target), target.size_bytes, 0
    for payload, sequence in zip(run.payloads, run.sequences, strict=True):
        extra = queue.extras.get(sequence)
        messages += 1
        size_bytes += len(payload) + (run.weight if extra is None else extra.weight)
        if messages > target.capacity or size_bytes > target.capacity_bytes:
            break
        count += 1
    return count
