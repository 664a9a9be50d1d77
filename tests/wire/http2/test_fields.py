"""Which fields a message may have."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.fields import (
    MalformedFields,
    check_request,
    check_response,
    check_trailers,
    list_size,
)

GOOD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b":authority", b"")]


class RequestTests(SynchronousTestCase):
    """check_request."""

    def malformed(self, *fields: tuple[bytes, bytes]) -> None:
        """They are no request's."""
        with self.assertRaises(MalformedFields, msg=fields):
            check_request(fields)

    def test_good_ones(self) -> None:
        """Pseudo fields in any order, then others; a field may be repeated, TE may say trailers."""
        self.assertIsNone(check_request(GOOD))
        self.assertIsNone(check_request([*GOOD[::-1], (b"te", b"trailers"), (b"a", b"1"), (b"a", b"1")]))
        for name in (b"x-1", b"!#$%&'*+-.^_`|~09az"):
            self.assertIsNone(check_request([*GOOD, (name, b"a\tb \xc3\xa4\x7f~")]))

    def test_pseudo_fields(self) -> None:
        """Each required one missing or empty, one twice, one unknown, a response's, one behind a regular field."""
        for at in range(3):
            self.malformed(*GOOD[:at], *GOOD[at + 1 :])
            self.malformed(*GOOD[:at], (GOOD[at][0], b""), *GOOD[at + 1 :])
        for extra in (GOOD[0], (b":status", b"200"), (b":other", b"1"), (b":", b"")):
            self.malformed(*GOOD, extra)
        self.malformed(*GOOD[:2], (b"a", b"1"), *GOOD[2:])

    def test_names(self) -> None:
        """Upper case, empty, spaces, control bytes, colons and bytes beyond ASCII (section 8.2.1)."""
        for name in (b"A", b"", b"a b", b"a\0", b"a:b", b"a\x7f", b"\xc3\xa4", b"a\n", b'"', b"(", b"a\r"):
            self.malformed(*GOOD, (name, b"1"))

    def test_values(self) -> None:
        """NUL, CR, LF anywhere; blank at either end (section 8.2.1)."""
        for value in (b"\0", b"a\rb", b"a\n", b"\n", b" a", b"a ", b"\ta", b"a\t", b" "):
            self.malformed(*GOOD, (b"a", value))
        self.malformed(*GOOD[:2], (b":path", b"/a\n"))

    def test_fields_of_http1(self) -> None:
        """They say how a connection goes, and there is but one way (section 8.2.2)."""
        for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"):
            self.malformed(*GOOD, (name, b"x"))
        for value in (b"gzip", b"trailers, gzip", b""):
            self.malformed(*GOOD, (b"te", value))

    def test_content_length(self) -> None:
        """A number, or the same number again."""
        for value, length in ((b"0", 0), (b"17", 17), (b"007", 7)):
            self.assertEqual(check_request([*GOOD, (b"content-length", value)]), length)
        self.assertEqual(check_request([*GOOD, (b"content-length", b"5"), (b"content-length", b"5")]), 5)
        for value in (b"", b"-1", b"+1", b"1.0", b"5, 5", b"0x1", b"1" * 19):
            self.malformed(*GOOD, (b"content-length", value))
        self.malformed(*GOOD, (b"content-length", b"5"), (b"content-length", b"6"))


class ResponseTests(SynchronousTestCase):
    """check_response and check_trailers."""

    def test_responses(self) -> None:
        """Status and content-length."""
        self.assertEqual(check_response([(b":status", b"200")]), (200, None))
        self.assertEqual(check_response([(b":status", b"404"), (b"content-length", b"3")]), (404, 3))
        for fields in (
            [],
            [(b":status", b"20")],
            [(b":status", b"abc")],
            [*GOOD],
            [(b"a", b"1"), (b":status", b"200")],
        ):
            self.assertRaises(MalformedFields, check_response, fields)

    def test_trailers(self) -> None:
        """No pseudo fields."""
        check_trailers([(b"grpc-status", b"0")])
        check_trailers([])
        for fields in ([(b":status", b"200")], [(b"A", b"")]):
            self.assertRaises(MalformedFields, check_trailers, fields)

    def test_list_size(self) -> None:
        """As SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 beside each field's bytes."""
        self.assertEqual(list_size([]), 0)
        self.assertEqual(list_size([(b"ab", b"cde"), (b"", b"")]), 37 + 32)
