"""Requests that lay complete in one read and are told at its end: those taken back, and those over the limit."""

from __future__ import annotations

from collections.abc import Iterable

from quickpulse.wire.http2 import events as ev


def withdraw(events: list[ev.Event], reset_ids: Iterable[int]) -> None:
    """Take requests that were reset in the read that brought them back out of its events.

    :param reset_ids: streams that are not open; those that are in no event came before, and are told as such.
    """
    late = dict.fromkeys(reset_ids)
    for event in events:
        if isinstance(event, ev.Requests) and not late.keys().isdisjoint(event.stream_ids):
            kept = [at for at, stream_id in enumerate(event.stream_ids) if stream_id not in late]
            for stream_id in event.stream_ids:
                late.pop(stream_id, None)
            event.keep(kept)
    _drop_empty(events)
    events.extend(map(ev.ResetAfterEnd, late))


def cut_off(events: list[ev.Event], room: int) -> list[int]:
    """Take out what is over the limit of streams, the last first.

    They have no stream, but no answer either when the next of them comes: they count as open.

    :param room: how many may be served.
    :returns: the streams of the others.
    """
    refused: list[int] = []
    for event in events:
        if isinstance(event, ev.Requests):
            count = len(event.stream_ids)
            if count > room:
                refused += event.stream_ids[max(room, 0) :]
                event.keep(range(max(room, 0)))
            room -= count
    _drop_empty(events)
    return refused


def _drop_empty(events: list[ev.Event]) -> None:
    events[:] = [event for event in events if not isinstance(event, ev.Requests) or event.stream_ids]
