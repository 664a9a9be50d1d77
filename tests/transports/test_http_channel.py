"""The time that the head of a request has, on a clock."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher

from quickpulse.transports.http import IDLE_SECONDS
from tests.transports.http_conversation import HttpTestCase

WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

SECONDS = 5.0


class HeadTests(HttpTestCase):
    """Who is slow with it is cut; who rests between two requests is not."""

    def test_a_head_that_comes_line_by_line(self):
        """It has no more time than one that does not come on."""
        client = self.client()
        client.send(b"GET /livez HTTP/1.1\r\n")
        for _ in range(4):
            self.clock.advance(SECONDS / 4)
            client.send(b"A: b\r\n")
        self.assertTrue(client.wire.is_aborted)
        self.assertEqual(self.traffic.refused_total["timeout"], 1)

    def test_a_connection_that_brings_nothing(self):
        """Its time runs from the beginning."""
        client = self.client()
        self.clock.advance(SECONDS)
        self.assertTrue(client.wire.is_aborted)

    def test_rest_between_two_requests(self):
        """It is as long as a minute; then the next head has its time from its first byte on."""
        client = self.client()
        client.send(WHOLE)
        self.assertEqual(client.answer().status, 200)
        self.clock.advance(50.0)
        client.send(WHOLE[:10])
        self.clock.advance(SECONDS - 1)
        client.send(WHOLE[10:])
        self.assertEqual(client.answer().status, 200)
        client.send(WHOLE[:10])
        self.clock.advance(SECONDS)
        self.assertTrue(client.wire.is_aborted)

    def test_too_long_a_rest(self) -> None:
        """The connection is closed, which is no news."""
        lines: list[Any] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        client = self.client()
        client.send(WHOLE)
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(lines, [])

    def test_the_part_of_a_head_behind_a_request(self):
        """It came with another request, and its time runs when that is served."""
        client = self.client()
        client.send(WHOLE + WHOLE[:10])
        self.assertEqual(client.answer().status, 200)
        self.clock.advance(SECONDS)
        self.assertTrue(client.wire.is_aborted)

    def test_a_body(self):
        """It has its own time, and so has the answer."""
        client = self.client()
        client.send(b"POST /api/v1/queues/q/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        self.clock.advance(SECONDS + 1)
        client.send(b"}")
        self.assertFalse(client.wire.is_aborted)
        self.assertEqual(client.answer().status, 415)

    def test_no_bound(self):
        """With 0 twisted.web's own timeout is all."""
        self.make_site(head_seconds=0)
        client = self.client()
        self.clock.advance(SECONDS)
        self.assertFalse(client.wire.is_aborted)

    def test_the_end(self):
        """Nothing is waited for after it."""
        client = self.client()
        client.send(b"GET")
        client.vanish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
