"""The Origin rule: which pages may connect, and how the header is read."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.origin import is_origin_allowed, take_origin

HOST = "localhost:8081"

BUDGET_SECONDS = 1.0
"""For a head of 64 KiB that takes a millisecond; what grows with the square of it takes many seconds."""


class AllowedTests(SynchronousTestCase):
    """is_origin_allowed."""

    def assert_rule(self, expected: bool, *rows: tuple[str | None, str | None, tuple[str, ...]]) -> None:
        """The same answer for each row of origin, host and allowed origins."""
        for row in rows:
            self.assertIs(is_origin_allowed(*row), expected, row)

    def test_without_an_origin(self) -> None:
        """A client that is no browser sends none, and may connect, a Host header or not."""
        self.assert_rule(True, (None, HOST, ()), (None, None, ()), ("", HOST, ()), (None, HOST, ("https://a.org",)))

    def test_the_same_host(self) -> None:
        """On any port and by any scheme, in capitals or not."""
        self.assert_rule(
            True,
            ("http://localhost:8081", HOST, ()),
            ("http://localhost:3000", HOST, ()),
            ("https://localhost", HOST, ()),
            ("http://LocalHost", "LOCALHOST:8081", ()),
            ("http://localhost", "localhost", ()),
            ("http://127.0.0.1:1", "127.0.0.1:8081", ()),
            ("http://[::1]:3000", "[::1]:8081", ()),
        )

    def test_another_host(self) -> None:
        """Not even one that looks like ours, is below ours, or is another name of the same machine."""
        self.assert_rule(
            False,
            ("http://evil.example", HOST, ()),
            ("http://localhost.evil.example", HOST, ()),
            ("http://sub.localhost", HOST, ()),
            ("http://localhost@evil.example", HOST, ()),
            ("http://127.0.0.1:8081", HOST, ()),
            ("http://[::1]", HOST, ()),
        )

    def test_null_and_garbage(self) -> None:
        """A sandboxed page, a file, half an address: none has a host that is ours."""
        for origin in ("null", "file://", "localhost", "localhost:8081", "garbage", "://", "http://", "[::1", " ", "ÿ"):
            self.assert_rule(False, (origin, HOST, ()), (origin, None, ()), (origin, "", ()))

    def test_half_a_bracket(self) -> None:
        """An address that cannot be parsed is refused and raises nothing, in either header."""
        self.assert_rule(
            False,
            ("http://[::1", "[::1]:8081", ()),
            ("http://[::1]", "[::1", ()),
            ("http://::1]", "[::1]", ()),
        )

    def test_without_a_host(self) -> None:
        """A page cannot be of the same host when the request names none."""
        self.assert_rule(False, ("http://localhost", None, ()), ("http://localhost", "", ()))

    def test_any(self) -> None:
        """With * every page may connect, null and garbage included."""
        self.assert_rule(
            True, ("http://evil.example", HOST, ("*",)), ("null", HOST, ("*",)), ("[::1", None, ("https://a.org", "*"))
        )

    def test_admitted_by_the_operator(self) -> None:
        """Exactly the origin that was named, with its scheme and port."""
        allowed = ("https://app.example:8443", "null")
        self.assert_rule(True, ("https://app.example:8443", HOST, allowed), ("null", HOST, allowed))
        self.assert_rule(
            False,
            ("https://app.example", HOST, allowed),
            ("http://app.example:8443", HOST, allowed),
            ("https://app.example:8443.evil.example", HOST, allowed),
        )


class TakeTests(SynchronousTestCase):
    """take_origin."""

    def assert_taken(self, lines: bytes, origins: list[str], rest: bytes = b"") -> None:
        """The origins in these header lines, and the lines that are left."""
        start = b"GET /ws/publish HTTP/1.1\r\nHost: localhost"
        self.assertEqual(take_origin(start + lines + b"\r\n\r\n"), (origins, start + rest + b"\r\n\r\n"))

    def test_none(self) -> None:
        """A head without one stays as it is."""
        self.assert_taken(b"", [])
        self.assert_taken(b"\r\nAccept: */*", [], b"\r\nAccept: */*")

    def test_one(self) -> None:
        """Its line is gone, the others stay."""
        self.assert_taken(b"\r\nOrigin: http://a.org\r\nAccept: */*", ["http://a.org"], b"\r\nAccept: */*")

    def test_capitals_and_spaces(self) -> None:
        """However the name is written, and whatever spaces and tabs are around the value."""
        for line in (b"origin:x", b"ORIGIN: x", b"oRiGiN:\t x \t ", b"Origin : x", b"Origin:    x   "):
            self.assert_taken(b"\r\n" + line, ["x"])

    def test_several(self) -> None:
        """All of them, in order, so that the caller can refuse more than one."""
        self.assert_taken(
            b"\r\nOrigin: http://a.org\r\nA: 1\r\norigin: null\r\nOrigin: b", ["http://a.org", "null", "b"], b"\r\nA: 1"
        )

    def test_empty(self) -> None:
        """A header without a value is one, with nothing in it."""
        self.assert_taken(b"\r\nOrigin:", [""])
        self.assert_taken(b"\r\nOrigin: \t ", [""])

    def test_spaces_and_bytes_inside(self) -> None:
        """What is inside the value stays; bytes that are no ASCII are read as latin-1."""
        self.assert_taken(b"\r\nOrigin: http://a.org  http://b.org ", ["http://a.org  http://b.org"])
        self.assert_taken(b"\r\nOrigin: \xff\xe9", ["\xff\xe9"])

    def test_what_only_looks_like_it(self) -> None:
        """Another header's name or value, or the path, is no Origin."""
        for line in (b"X-Origin: a", b"Origins: a", b"Referer: origin: a", b"Access-Control-Origin: a"):
            self.assert_taken(b"\r\n" + line, [], b"\r\n" + line)
        head = b"GET /origin:a HTTP/1.1\r\n\r\n"
        self.assertEqual(take_origin(head), ([], head))

    def test_long_runs_of_spaces_cost_little(self) -> None:
        """64 KiB of spaces before, inside or after the value, or before a stray line end, hold up nobody."""
        spaces = b" " * 65_536
        started = time.perf_counter()
        self.assert_taken(b"\r\nOrigin:" + spaces + b"x" + spaces, ["x"])
        self.assert_taken(b"\r\nOrigin: a" + spaces + b"b", ["a" + spaces.decode() + "b"])
        take_origin(b"GET / HTTP/1.1\r\nOrigin:" + spaces + b"\nA: 1\r\n\r\n")
        self.assertLess(time.perf_counter() - started, BUDGET_SECONDS)
