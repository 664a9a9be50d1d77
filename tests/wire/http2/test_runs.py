"""Requests of one read, taken back and cut off."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2 import events as ev
from quickpulse.wire.http2.runs import cut_off, withdraw


def run(*stream_ids: int) -> ev.Requests:
    """A run of requests, each with a body and a volatile that tell it."""
    made = ev.Requests("same", [])
    made.stream_ids = list(stream_ids)
    made.bodies = made.volatiles = [b"%d" % stream_id for stream_id in stream_ids]
    return made


class RunTestCase(SynchronousTestCase):
    """Looks at what is left."""

    def left(self, events: list[ev.Event]) -> list[list[int] | str]:
        """The streams of each run, whose bodies and volatiles are theirs, and the names of other events."""
        out: list[list[int] | str] = []
        for event in events:
            if isinstance(event, ev.Requests):
                theirs = [b"%d" % stream_id for stream_id in event.stream_ids]
                self.assertEqual((event.bodies, event.volatiles), (theirs, theirs))
                out.append(event.stream_ids)
            else:
                out.append(type(event).__name__)
        return out


class WithdrawTests(RunTestCase):
    """withdraw."""

    def test_some(self) -> None:
        """They are not told at all; an empty run is no event."""
        events: list[ev.Event] = [run(1, 3, 5), ev.Pong(b""), run(7), run(9, 11)]
        withdraw(events, [3, 7])
        self.assertEqual(self.left(events), [[1, 5], "Pong", [9, 11]])

    def test_of_reads_before(self) -> None:
        """They are told at the end, in their order."""
        events: list[ev.Event] = [run(9)]
        withdraw(events, [5, 9, 1])
        self.assertEqual(self.left(events), ["ResetAfterEnd", "ResetAfterEnd"])
        self.assertEqual([event.stream_id for event in events if isinstance(event, ev.ResetAfterEnd)], [5, 1])


class CutOffTests(RunTestCase):
    """cut_off."""

    def test_each_room(self) -> None:
        """The first ones stay, whatever run they are in."""
        for room, left, refused in (
            (-3, ["Pong"], [1, 3, 5, 7]),
            (0, ["Pong"], [1, 3, 5, 7]),
            (1, [[1], "Pong"], [3, 5, 7]),
            (2, [[1, 3], "Pong"], [5, 7]),
            (3, [[1, 3], "Pong", [5]], [7]),
            (4, [[1, 3], "Pong", [5, 7]], []),
            (9, [[1, 3], "Pong", [5, 7]], []),
        ):
            events: list[ev.Event] = [run(1, 3), ev.Pong(b""), run(5, 7)]
            self.assertEqual(cut_off(events, room), refused)
            self.assertEqual(self.left(events), left)
