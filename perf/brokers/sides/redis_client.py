"""redis-py with hiredis: streams with a consumer group, and lists."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import redis

from perf.brokers.work import BATCH, END, PAUSE_SECONDS, SILENCE_SECONDS, Work, WrongWorkError

STREAM, GROUP, CONSUMER, LIST, FIELD = "stream", "group", "consumer", "list", b"p"


@contextmanager
def connected(port: int) -> Iterator[redis.Redis]:
    """A client with its defaults, whose connection is open."""
    with redis.Redis(host="127.0.0.1", port=port) as client:
        client.ping()
        yield client


def publish_batches(client: redis.Redis, work: Work) -> None:
    """XADD in pipelines."""
    work.begin()
    for batch in work.batches():
        _add(client, batch)
    work.finish()


def consume_batches(client: redis.Redis, work: Work) -> None:
    """XREADGROUP, and one XACK with all ids of a batch."""
    _consume_batches(client, work, lambda ids: client.xack(STREAM, GROUP, *ids))


def consume_batches_by_pipeline(client: redis.Redis, work: Work) -> None:
    """XREADGROUP, and a pipeline with an XACK for each message."""

    def ack(ids: Sequence[bytes]) -> None:
        pipeline = client.pipeline(transaction=False)
        for entry_id in ids:
            pipeline.xack(STREAM, GROUP, entry_id)
        pipeline.execute()

    _consume_batches(client, work, ack)


def publish_singly(client: redis.Redis, work: Work) -> None:
    """An XADD for each message."""
    work.begin()
    for payload in work.payloads():
        client.xadd(STREAM, {FIELD: payload})
    work.finish()


def consume_singly(client: redis.Redis, work: Work) -> None:
    """XREADGROUP of many, an XACK for each message."""
    client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    work.begin()
    count, is_more = 0, True
    while is_more:
        for entry_id, fields in read(client):
            count += 1
            payload = fields[FIELD]
            client.xack(STREAM, GROUP, entry_id)
            if payload[0] == END:
                work.saw_all(count, payload)
                is_more = False
    work.finish()
    _look(client, work)


def push_batches(client: redis.Redis, work: Work) -> None:
    """RPUSH of many."""
    work.begin()
    for batch in work.batches():
        client.rpush(LIST, *batch)
    work.finish()


def pop_batches(client: redis.Redis, work: Work) -> None:
    """LPOP of many; BLMPOP where there is nothing."""
    work.begin()
    is_more = True
    while is_more:
        payloads = client.lpop(LIST, BATCH)
        if payloads is None:
            found = client.blmpop(SILENCE_SECONDS, 1, LIST, direction="LEFT", count=BATCH)
            payloads = found[1] if found else []
        is_more = work.saw(payloads)
    work.finish()
    work.left(client.llen(LIST))


def round_trips(client: redis.Redis, work: Work) -> None:
    """RPUSH, LPOP."""
    work.begin()
    for payload in work.rounds():
        client.rpush(LIST, payload)
        assert client.lpop(LIST) is not None
    work.finish()


def publish_stamps(client: redis.Redis, work: Work) -> None:
    """Now and then one."""
    work.begin()
    for stamp in work.stamps():
        client.rpush(LIST, stamp)
        time.sleep(PAUSE_SECONDS)
    work.finish()


def wait_by_pop(client: redis.Redis, work: Work) -> None:
    """BLPOP."""
    work.begin()
    while found := client.blpop(LIST, SILENCE_SECONDS):
        if not work.arrived(found[1]):
            break
    work.finish()


def fill_and_lease(client: redis.Redis, work: Work) -> None:
    """A stream, all of it then read by a consumer and not acked."""
    client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    work.begin()
    for batch in work.fill():
        _add(client, batch)
    work.wait("filled")
    leased = 0
    while leased < work.messages:
        leased += len(read(client))
    work.wait("leased")
    work.finish()


def fill_list(client: redis.Redis, work: Work) -> None:
    """A list; there are no leases."""
    work.begin()
    for batch in work.fill():
        client.rpush(LIST, *batch)
    work.wait("filled")
    work.finish()


def read(client: redis.Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Entries of the stream that nobody has read."""
    reply = client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=BATCH, block=int(SILENCE_SECONDS * 1000))
    if not reply:
        raise WrongWorkError("nothing came")
    if isinstance(reply, dict):  # RESP3
        ((entries,),) = reply.values()
    else:
        ((_, entries),) = reply
    return entries


def _add(client: redis.Redis, batch: Sequence[bytes]) -> None:
    """To the stream, in a pipeline."""
    pipeline = client.pipeline(transaction=False)
    for payload in batch:
        pipeline.xadd(STREAM, {FIELD: payload})
    pipeline.execute()


def _consume_batches(client: redis.Redis, work: Work, ack: Callable[[Sequence[bytes]], object]) -> None:
    """Until there are no more; `ack` gets the ids of each batch."""
    client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    work.begin()
    is_more = True
    while is_more:
        entries = read(client)
        is_more = work.saw([fields[FIELD] for _, fields in entries])
        ack([entry_id for entry_id, _ in entries])
    work.finish()
    _look(client, work)


def _look(client: redis.Redis, work: Work) -> None:
    (group,) = client.xinfo_groups(STREAM)
    work.left(group["pending"] + (group["lag"] or 0))
