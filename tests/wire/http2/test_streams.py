"""The states of a stream: every state with every input."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.streams import TRANSITIONS, Input, State, Stream

LEGAL = {
    State.OPEN: {
        Input.RECEIVE_END: State.HALF_CLOSED_REMOTE,
        Input.SEND_END: State.HALF_CLOSED_LOCAL,
        Input.RESET: State.CLOSED,
    },
    State.HALF_CLOSED_LOCAL: {Input.RECEIVE_END: State.CLOSED, Input.RESET: State.CLOSED},
    State.HALF_CLOSED_REMOTE: {Input.SEND_END: State.CLOSED, Input.RESET: State.CLOSED},
    State.CLOSED: {},
}
"""RFC 9113, section 5.1, figure 2, without idle and reserved."""


class StreamTests(SynchronousTestCase):
    """Stream."""

    def test_the_whole_table(self) -> None:
        """Each legal move ends where the RFC says, and any other is a KeyError that changes nothing."""
        for state in State:
            for what in Input:
                stream = Stream(1, 10, 20)
                stream.state = state
                if what in LEGAL[state]:
                    self.assertIs(stream.move(what), LEGAL[state][what])
                    self.assertIs(stream.state, LEGAL[state][what])
                else:
                    self.assertRaises(KeyError, stream.move, what)
                    self.assertIs(stream.state, state)
        self.assertEqual(len(TRANSITIONS), sum(map(len, LEGAL.values())))

    def test_what_states_mean(self) -> None:
        """Who has said all, and whether it is over."""
        meant = {}
        for state in State:
            stream = Stream(1, 10, 20)
            stream.state = state
            meant[state] = stream.is_local_closed, stream.is_remote_closed, stream.is_gone
        self.assertEqual(
            meant,
            {
                State.OPEN: (False, False, False),
                State.HALF_CLOSED_LOCAL: (True, False, False),
                State.HALF_CLOSED_REMOTE: (False, True, False),
                State.CLOSED: (True, True, True),
            },
        )

    def test_how_it_begins(self) -> None:
        """Open, with the windows that it was given, and nothing waits."""
        stream = Stream(5, 10, 20)
        self.assertEqual((stream.id, stream.state, stream.send_window, stream.receive_window), (5, State.OPEN, 10, 20))
        self.assertEqual((bytes(stream.pending), stream.trailers, stream.content_left), (b"", None, None))
