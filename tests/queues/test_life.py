"""The table of legal moves: whole, without dead ends, and named as queues count."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.queues.counts import Counts
from quickpulse.queues.life import MOVES, Event, State

ENDS = {State.GONE, State.DEAD}


class LifeTests(SynchronousTestCase):
    """The table."""

    def test_every_state_but_the_ends_leads_on(self) -> None:
        """Nothing leads out of GONE and DEAD, and something out of all others."""
        self.assertEqual({state for state, _ in MOVES} | ENDS, set(State))
        self.assertEqual({state for state, _ in MOVES} & ENDS, set())

    def test_every_state_is_reached(self) -> None:
        """From NEW on."""
        reached = {State.NEW}
        for _ in State:
            reached |= {after for (state, _), states in MOVES.items() if state in reached for after in states}
        self.assertEqual(reached, set(State))

    def test_every_event_happens(self) -> None:
        """There is a row for each."""
        self.assertEqual({event for _, event in MOVES}, set(Event))

    def test_a_held_message_is_never_void_by_time_alone(self) -> None:
        """Time to live does not end a lease."""
        self.assertNotIn((State.LEASED, Event.VOID), MOVES)
        self.assertNotIn((State.LEASED, Event.DROP), MOVES)
        self.assertNotIn((State.LEASED, Event.PURGE), MOVES)

    def test_counts_have_the_names_of_events(self) -> None:
        """What a queue counts is an event of the table."""
        names = set(Counts.__slots__) - {"redelivered", "rejected"}
        self.assertLessEqual(names, {event.value for event in Event})
