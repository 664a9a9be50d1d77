"""greenstalk. beanstalkd has no batches: each command is one job's, and its client sends one at a time."""

from __future__ import annotations

import time

import greenstalk

from perf.brokers.work import END, PAUSE_SECONDS, SILENCE_SECONDS, Work


def connected(port: int) -> greenstalk.Client:
    """A client; bodies are bytes."""
    return greenstalk.Client(("127.0.0.1", port), encoding=None)


def publish_singly(client: greenstalk.Client, work: Work) -> None:
    """A put for each."""
    work.begin()
    for payload in work.payloads():
        client.put(payload)
    work.finish()


def consume_singly(client: greenstalk.Client, work: Work) -> None:
    """One reserve and delete for each."""
    work.begin()
    count, is_more = 0, True
    while is_more:
        job = client.reserve(timeout=int(SILENCE_SECONDS))
        count += 1
        client.delete(job)
        if job.body[0] == END:
            work.saw_all(count, job.body)
            is_more = False
    work.finish()
    stats = client.stats()
    work.left(stats["current-jobs-ready"] + stats["current-jobs-reserved"])


def round_trips(client: greenstalk.Client, work: Work) -> None:
    """One put, reserve and delete for each."""
    work.begin()
    for payload in work.rounds():
        client.put(payload)
        client.delete(client.reserve(timeout=0))
    work.finish()


def publish_stamps(client: greenstalk.Client, work: Work) -> None:
    """Now and then one."""
    work.begin()
    for stamp in work.stamps():
        client.put(stamp)
        time.sleep(PAUSE_SECONDS)
    work.finish()


def wait_by_reserve(client: greenstalk.Client, work: Work) -> None:
    """One reserve and delete for each."""
    work.begin()
    is_more = True
    while is_more:
        job = client.reserve(timeout=int(SILENCE_SECONDS))
        is_more = work.arrived(job.body)
        client.delete(job)
    work.finish()


def fill_and_lease(client: greenstalk.Client, work: Work) -> None:
    """All of it then reserved."""
    work.begin()
    for batch in work.fill():
        for payload in batch:
            client.put(payload, ttr=600)
    work.wait("filled")
    for _ in range(work.messages):
        client.reserve(timeout=0)
    work.wait("leased")
    work.finish()
