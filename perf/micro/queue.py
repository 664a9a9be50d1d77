"""Layers of the queue, which every path has."""

from __future__ import annotations

from perf.micro.layers import Layer, Place, Prepared
from perf.micro.surroundings import instrumented_queue, payloads, plain_queue


def put(batch: int, rounds: int) -> Prepared:
    """The queue alone, a batch put in."""
    return plain_queue().enqueue_many, [payloads(batch) for _ in range(rounds)]


def put_counted(batch: int, rounds: int) -> Prepared:
    """With metrics."""
    return instrumented_queue().enqueue_many, [payloads(batch) for _ in range(rounds)]


def take(batch: int, rounds: int) -> Prepared:
    """The queue alone, a batch taken out."""
    return plain_queue(batch * rounds).dequeue_many, [batch] * rounds


def take_counted(batch: int, rounds: int) -> Prepared:
    """With metrics."""
    return instrumented_queue(batch * rounds).dequeue_many, [batch] * rounds


def exchange(batch: int, rounds: int) -> Prepared:
    """The queue alone, each message put in and the oldest taken for it."""
    return plain_queue().exchange_many, [payloads(batch) for _ in range(rounds)]


def exchange_counted(batch: int, rounds: int) -> Prepared:
    """With metrics."""
    return instrumented_queue().exchange_many, [payloads(batch) for _ in range(rounds)]


def putting(path: str) -> tuple[Layer, ...]:
    """The layers of a path that puts in."""
    return (
        Layer(path, "queue and metrics", Place.PART, put_counted),
        Layer(path, "of it the queue", Place.INSIDE, put),
    )


def taking(path: str) -> tuple[Layer, ...]:
    """The layers of a path that takes out."""
    return (
        Layer(path, "queue and metrics", Place.PART, take_counted),
        Layer(path, "of it the queue", Place.INSIDE, take),
    )


def exchanging(path: str) -> tuple[Layer, ...]:
    """The layers of a path that does both."""
    return (
        Layer(path, "queue and metrics", Place.PART, exchange_counted),
        Layer(path, "of it the queue", Place.INSIDE, exchange),
    )
