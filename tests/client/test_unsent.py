"""Requests that wait for their turn."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.calls import Call
from quickpulse.client.unsent import MOST_OPEN, MOST_WITH_PULLS, Unsent
from quickpulse.requests import Pull, Purge


def call(request: Any) -> Call:
    """One that nobody has answered."""
    return Call(request, lambda _reply: None, 10.0, 0.0)


class UnsentTests(SynchronousTestCase):
    """Two lines, and what was refused."""

    def setUp(self) -> None:
        """Two that are done at once, and two pulls that may wait."""
        self.unsent = Unsent()
        self.quick = [call(Purge("a")), call(Pull(("b",)))]
        self.long = [call(Pull(("c",), wait_ms=1)), call(Pull(("d",), wait_ms=1))]

    def drained(self, used: int = 0) -> list[Call]:
        """All whose turn it is, at so many on the connection."""
        found = []
        while (next_one := self.unsent.next(used)) is not None:
            found.append(next_one)
        return found

    def add_all(self) -> None:
        """Pulls first."""
        for each in self.long + self.quick:
            self.unsent.add(each)

    def test_none(self) -> None:
        """Nothing waits."""
        self.assertFalse(self.unsent)
        self.assertEqual((list(self.unsent), self.drained()), ([], []))

    def test_turns(self) -> None:
        """In their order, and what is done at once before pulls that may wait."""
        self.add_all()
        self.assertTrue(self.unsent)
        self.assertCountEqual(self.unsent, self.quick + self.long)
        self.assertEqual(self.drained(), self.quick + self.long)
        self.assertFalse(self.unsent)

    def test_places(self) -> None:
        """Some are kept free of pulls that may wait."""
        self.add_all()
        self.assertEqual(self.drained(MOST_OPEN), [])
        self.assertEqual(self.drained(MOST_OPEN - 1), self.quick)
        self.assertEqual(self.drained(MOST_WITH_PULLS), [])
        self.assertEqual(self.drained(MOST_WITH_PULLS - 1), self.long)

    def test_who_passes(self) -> None:
        """A new one is sent at once where there is a place, and nobody of its kind waits."""
        quick, long = self.quick[0], self.long[0]
        self.assertTrue(self.unsent.lets_pass(long, MOST_WITH_PULLS - 1))
        self.assertFalse(self.unsent.lets_pass(long, MOST_WITH_PULLS))
        self.assertTrue(self.unsent.lets_pass(quick, MOST_OPEN - 1))
        self.assertFalse(self.unsent.lets_pass(quick, MOST_OPEN))
        self.unsent.add(self.long[1])
        self.assertFalse(self.unsent.lets_pass(long, 0))
        self.assertTrue(self.unsent.lets_pass(quick, 0))
        self.unsent.add(self.quick[1])
        self.assertFalse(self.unsent.lets_pass(quick, 0))

    def test_refused(self) -> None:
        """They wait for the next connection, behind what was on its way on the last, before what came later."""
        refused, open_one = call(Purge("refused")), call(Purge("open"))
        self.add_all()
        self.unsent.add_refused(refused)
        self.assertTrue(self.unsent.was_refused(refused))
        self.assertEqual(self.unsent.next(0), self.quick[0])
        self.unsent.put_back([open_one])
        self.assertFalse(self.unsent.was_refused(refused))
        self.assertEqual(self.drained(), [open_one, refused, self.quick[1], *self.long])

    def test_remove(self) -> None:
        """From wherever it is."""
        refused = call(Purge("refused"))
        self.add_all()
        self.unsent.add_refused(refused)
        for each in (refused, self.quick[0], self.long[0]):
            self.assertTrue(self.unsent.remove(each))
            self.assertFalse(self.unsent.remove(each))
        self.assertCountEqual(self.unsent, [self.quick[1], self.long[1]])

    def test_forget(self) -> None:
        """What is answered is gone."""
        refused = call(Purge("refused"))
        self.add_all()
        self.unsent.add_refused(refused)
        for each in (refused, self.quick[0], self.long[0]):
            each.answer(None)
        self.unsent.forget_answered()
        self.assertCountEqual(self.unsent, [self.quick[1], self.long[1]])
