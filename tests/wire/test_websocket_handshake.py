"""The head of a handshake as HTTP: what is refused whatever it asks for."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.websocket.handshake import fault_in, has_body

BUDGET_SECONDS = 1.0
"""For a head of 64 KiB that takes a millisecond; what grows with the square of it takes many seconds."""


def head(*lines: bytes, request_line: bytes = b"GET /ws/publish HTTP/1.1") -> bytes:
    """A request's head with these header lines."""
    return b"\r\n".join((request_line, *lines, b"", b""))


class FaultTests(SynchronousTestCase):
    """fault_in."""

    def test_good_heads(self) -> None:
        """Any token is a name; a value may be empty, and have tabs and bytes above ASCII in it."""
        good = (b"A:", b"x-!#$%&'*+.^_`|~: \t v\xfc\xff\t", b"Upgrade:websocket", b"X: a: b")
        self.assertIsNone(fault_in(head(*good)))
        self.assertIsNone(fault_in(head()))

    def test_malformed_lines(self) -> None:
        """No colon, no name, a space before the colon, a value that goes on, control characters, LF alone."""
        for line in (
            b"no colon",
            b": no name",
            b"",
            b"Name : value",
            b"Na me: value",
            b"Name\x00: value",
            b"N\xe4me: value",
            b" folded: value",
            b"\tfolded",
            b"X: a\0b",
            b"X: a\x7f",
            b"X: a\x1b[2J",
            b"X: a\nOrigin: https://elsewhere.example",
            b"X: a\rOrigin: https://elsewhere.example",
            b"X: a\x0bOrigin: https://elsewhere.example",
        ):
            self.assertEqual(fault_in(head(b"Host: a", line)), "malformed header line", line)

    def test_the_request_line(self) -> None:
        """Only what no text may have; its words are read later."""
        for request_line in (b"\x16\x03\x01", b"GET /\n HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\x7f HTTP/1.1"):
            self.assertEqual(
                fault_in(head(request_line=request_line)), "control characters in the request line", request_line
            )
        self.assertIsNone(fault_in(head(request_line=b"what? is that")))

    def test_hosts(self) -> None:
        """A name or an address, with a port or not (RFC 7230, section 5.4)."""
        for host in (b"a", b"a.example:8081", b"127.0.0.1", b"[::1]:8081", b"[::1]", b"", b"a:", b" a ", b"a_b-c.%20,"):
            self.assertIsNone(fault_in(head(b"hOST:" + host)), host)
        for host in (b"a b", b"a/b", b"user@a", b"a:b", b"a:1:2", b"[::1", b"a?", b"a#", b"a\\b", b"<a>"):
            self.assertEqual(fault_in(head(b"Host: " + host)), "malformed Host header", host)

    def test_it_is_linear(self) -> None:
        """A long line costs what its length says."""
        began = time.perf_counter()
        for line in (b"x" * 65_536, b"x" * 32_768 + b":" + b" " * 32_768 + b"\0", b"Host: " + b" " * 65_536 + b"/"):
            self.assertIsNotNone(fault_in(head(line)))
        self.assertLess(time.perf_counter() - began, BUDGET_SECONDS)


class BodyTests(SynchronousTestCase):
    """has_body."""

    def test_what_says_so(self) -> None:
        """Any length but 0, and any coding."""
        self.assertFalse(has_body(None, None))
        self.assertFalse(has_body("0", None))
        for length in ("5", "", "-1", "00", "0, 0", "x"):
            self.assertTrue(has_body(length, None), length)
        self.assertTrue(has_body(None, "chunked"))
        self.assertTrue(has_body("0", "identity"))
