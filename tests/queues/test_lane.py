"""The lane: sequences and moments follow from the place, also over gaps."""

from __future__ import annotations

import random
from array import array

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.framing import FRAME_BYTES
from quickpulse.queues.lane import LEAST_TRIMMED, Lane
from quickpulse.queues.runs import RUN_MESSAGES, Run

ROOM = 1 << 40


def columns(run: Run | None) -> list[tuple[bytes, int, int]]:
    """Payload, sequence and moment of each."""
    assert run is not None
    return list(zip(run.payloads, run.sequences, run.accepted_each(), strict=True))


class LaneTests(SynchronousTestCase):
    """Payloads in order."""

    def setUp(self) -> None:
        """Nothing in it."""
        self.lane = Lane()

    def test_one_moment(self) -> None:
        """A batch."""
        self.lane.put([b"a", b"b"], 5)
        self.assertEqual(columns(self.lane.take(9, ROOM, {})), [(b"a", 1, 5), (b"b", 2, 5)])
        self.assertEqual(self.lane.stored, 2)

    def test_moments(self) -> None:
        """A take over several moments has a column of them."""
        self.lane.put([b"a"], 5)
        self.lane.put([b"b", b"c"], 6)
        self.lane.put([b"d"], 7)
        self.assertEqual(columns(self.lane.take(1, ROOM, {})), [(b"a", 1, 5)])
        self.assertEqual(columns(self.lane.take(9, ROOM, {})), [(b"b", 2, 6), (b"c", 3, 6), (b"d", 4, 7)])

    def test_far_more_than_a_run(self) -> None:
        """No take looks further than what it takes: of many marks, not all at each."""
        looked: list[int] = []

        class Watched(Lane):
            def _stretch(self, first: int, stop: int) -> tuple[int, array[int]]:
                looked.append(stop - first)
                return super()._stretch(first, stop)

        lane = Watched()
        for moment in range(3 * RUN_MESSAGES):
            lane.put([b"a"], moment)
        run = lane.take(100_000, ROOM, {})
        self.assertEqual(len(columns(run)), RUN_MESSAGES)
        self.assertEqual(looked, [RUN_MESSAGES])

    def test_a_gap(self) -> None:
        """A take ends before it, and the next begins behind it."""
        self.lane.put([b"a"], 5)
        self.assertEqual(self.lane.skip(3), range(2, 5))
        self.lane.put([b"b"], 5)
        self.assertEqual(self.lane.gaps, 3)
        self.assertEqual(columns(self.lane.take(9, ROOM, {})), [(b"a", 1, 5)])
        self.assertEqual((self.lane.head, self.lane.gaps), (5, 0))
        self.assertEqual(columns(self.lane.take(9, ROOM, {})), [(b"b", 5, 5)])

    def test_a_gap_in_an_empty_lane(self) -> None:
        """Is none."""
        self.lane.skip(3)
        self.lane.put([b"a"], 5)
        self.assertEqual((self.lane.gaps, columns(self.lane.take(9, ROOM, {}))), (0, [(b"a", 4, 5)]))

    def test_room(self) -> None:
        """What does not fit stays where it is; nothing is taken where the first does not fit."""
        self.lane.put([b"abc"] * 3, 5)
        self.assertIsNone(self.lane.take(3, FRAME_BYTES, {}))
        run = self.lane.take(3, 2 * (FRAME_BYTES + 3), {})
        self.assertEqual([sequence for _, sequence, _ in columns(run)], [1, 2])
        self.assertEqual(columns(self.lane.take(3, ROOM, {})), [(b"abc", 3, 5)])

    def test_marks_do_not_pile_up(self) -> None:
        """Those that are behind the first message are forgotten, also where v0 took without looking at them."""
        for moment in range(10_000):
            self.lane.put([b"a"], moment)
            self.lane.payloads.popleft()
            self.lane.put([b"b", b"c"], moment)
            self.lane.payloads.popleft()
            self.lane.payloads.popleft()
        self.assertLessEqual(len(self.lane._starts), 3 * LEAST_TRIMMED)
        self.lane.put([b"x"], 1)
        for moment in range(2, 10_000):
            self.lane.put([b"x"], moment)
            self.assertEqual(columns(self.lane.take(1, ROOM, {})), [(b"x", self.lane.stored - 1, moment - 1)])
        self.assertLessEqual(len(self.lane._starts), 3 * LEAST_TRIMMED)

    def test_look(self) -> None:
        """Copies, as many as asked for; the lane stays."""
        self.lane.put([b"a", b"b"], 5)
        self.lane.skip(1)
        self.lane.put([b"c"], 6)
        looked = [each for run in self.lane.look(3) for each in columns(run)]
        self.assertEqual(looked, [(b"a", 1, 5), (b"b", 2, 5), (b"c", 4, 6)])
        self.assertEqual([each for run in self.lane.look(1) for each in columns(run)], [(b"a", 1, 5)])
        self.assertEqual(len(self.lane.payloads), 3)

    def test_beside_a_list(self) -> None:
        """Whatever is put, skipped and taken, it is as in a list of messages."""
        some, model, moment, sequence = random.Random(1), [], 1, 0
        for number in range(20_000):
            chance = some.random()
            moment += some.choice((0, 0, 1))
            if chance < 0.35:
                count = some.randrange(1, 4)
                self.lane.put([b"%d" % number] * count, moment)
                model += [(b"%d" % number, sequence + 1 + each, moment) for each in range(count)]
                sequence += count
            elif chance < 0.5:
                sequence += 2
                self.lane.skip(2)
            elif model:
                taken = columns(self.lane.take(some.randrange(1, 6), ROOM, {}))
                self.assertEqual(taken, model[: len(taken)])
                del model[: len(taken)]
            self.assertEqual(len(self.lane.payloads), len(model))
            if model:
                self.assertEqual((self.lane.head, self.lane.oldest_at), (model[0][1], model[0][2]))
