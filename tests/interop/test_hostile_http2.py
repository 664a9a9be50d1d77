"""Bytes that break HTTP/2, HPACK or gRPC, one attack a line, against the native server: each gets what the RFC says.

Beside them a good client is served, nothing that was acknowledged goes missing, and each refusal is counted. Floods,
and whatever lives by its amount or its time, are in `test_hostile_http2_floods`.

Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), the gRPC project's PROTOCOL-HTTP2.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from typing import NamedTuple

from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.hostile import Outcome
from tests.interop.hostile_http2 import MARK, SERVICE, HostileHttp2TestCase, talk_until
from tests.interop.http2_bytes import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITIZED,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Answers,
    block,
    data,
    fields_of,
    frame,
    headers,
    message,
    payload_message,
    reset,
    settings,
    window_update,
)

OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 4, 8, 12, 13

MOST = 2**31 - 1
"""The largest window."""


def goes_away(*codes: int) -> Outcome:
    """A connection error with one of these codes."""
    return Outcome(f"GOAWAY {codes}", True, lambda answers: answers.goaway in codes)


def resets(stream: int, *codes: int) -> Outcome:
    """A stream error with one of these codes, and the connection lives."""
    return Outcome(f"RST_STREAM {stream} {codes}", False, lambda answers: answers.resets.get(stream) in codes)


def fails(stream: int, status: int) -> Outcome:
    """The call ends with a gRPC status."""
    return Outcome(f"grpc-status {status}", False, lambda answers: answers.grpc_status(stream) == status)


def says(stream: int, status: int) -> Outcome:
    """An HTTP answer that is not gRPC's."""
    return Outcome(f":status {status}", False, lambda answers: answers.status(stream) == status)


LIVES = Outcome("the connection lives", False, lambda answers: MARK in answers.pongs and answers.goaway is None)

HTTP1_REFUSAL = Outcome("HTTP/1.1 400", True, lambda answers: answers.received.startswith(b"HTTP/1.1 400 "))


class Attack(NamedTuple):
    """One attack.

    :ivar name: what it is.
    :ivar sent: all bytes, behind preface and SETTINGS.
    :ivar outcome: what must come of it.
    :ivar reason: how the refusal is counted; None if nothing is refused.
    :ivar opening: what goes before.
    """

    name: str
    sent: bytes
    outcome: Outcome
    reason: str | None = "bad_request"
    opening: bytes = h2.PREFACE + settings()


def openings() -> Iterator[Attack]:
    """What is no beginning of HTTP/2 (RFC 9113, section 3.4)."""
    wrong = goes_away(PROTOCOL_ERROR)
    yield Attack("garbage for a preface", bytes(100), wrong, opening=b"")
    yield Attack("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), wrong, opening=b"")
    yield Attack("the preface's last byte is wrong", h2.PREFACE[:-1] + b"x", wrong, opening=b"")
    yield Attack("a line of capitals", b"INVALID CONNECTION PREFACE\r\n\r\n", wrong, opening=b"")
    yield Attack("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_REFUSAL, opening=b"")
    yield Attack("an upgrade to h2c", b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", HTTP1_REFUSAL, opening=b"")
    yield Attack("no SETTINGS but PING", b"", wrong, opening=h2.PREFACE)
    yield Attack("an acknowledgement for SETTINGS", frame(SETTINGS, ACK, 0), wrong, opening=h2.PREFACE)
    yield Attack("a request before SETTINGS", headers(1, fields_of("/")), wrong, opening=h2.PREFACE)


def lengths(opened: bytes) -> Iterator[Attack]:
    """Frames of a length that their type does not have (section 4.2, and section 6 for each type)."""
    wrong = goes_away(FRAME_SIZE_ERROR)
    for kind, name, stream, sizes in (
        (PING, "PING", 0, (0, 7, 9)),
        (RST_STREAM, "RST_STREAM", 1, (0, 3, 5)),
        (WINDOW_UPDATE, "WINDOW_UPDATE", 0, (0, 3, 5)),
        (WINDOW_UPDATE, "a stream's WINDOW_UPDATE", 1, (0, 3, 5)),
        (SETTINGS, "SETTINGS", 0, (1, 5, 7)),
        (GOAWAY, "GOAWAY", 0, (0, 7)),
    ):
        for size in sizes:
            yield Attack(f"{name} of {size} bytes", opened + frame(kind, 0, stream, bytes(size)), wrong)
    yield Attack("PRIORITY of 4 bytes", opened + frame(PRIORITY, 0, 1, bytes(4)), resets(1, FRAME_SIZE_ERROR))
    yield Attack("PRIORITY of 6 bytes", opened + frame(PRIORITY, 0, 1, bytes(6)), resets(1, FRAME_SIZE_ERROR))
    yield Attack("SETTINGS acknowledged with settings", frame(SETTINGS, ACK, 0, bytes(6)), wrong)
    for kind in (DATA, HEADERS, CONTINUATION, SETTINGS, 0x55):
        stream = 0 if kind == SETTINGS else 1
        yield Attack(f"16,385 bytes in type {kind}", opened + frame(kind, 0, stream, bytes(16_385)), wrong)
        yield Attack(f"type {kind} says 16 MiB", opened + frame(kind, 0, stream, says=2**24 - 1), wrong)
    yield Attack("HEADERS without its priority", frame(HEADERS, END_HEADERS | PRIORITIZED, 1, bytes(4)), wrong)
    yield Attack("HEADERS without its padding's length", frame(HEADERS, END_HEADERS | PADDED, 1), wrong)
    yield Attack("DATA without its padding's length", opened + frame(DATA, PADDED, 1), wrong)


def places(opened: bytes) -> Iterator[Attack]:
    """Frames on a stream that is not theirs (sections 5.1 and 6)."""
    wrong = goes_away(PROTOCOL_ERROR)
    for kind, name, payload in (
        (DATA, "DATA", b"a"),
        (HEADERS, "HEADERS", b"\x82"),
        (PRIORITY, "PRIORITY", bytes(5)),
        (RST_STREAM, "RST_STREAM", bytes(4)),
        (PUSH_PROMISE, "PUSH_PROMISE", bytes(4)),
        (CONTINUATION, "CONTINUATION", b""),
    ):
        yield Attack(f"{name} on stream 0", frame(kind, END_HEADERS, 0, payload), wrong)
    for kind, name, payload in ((SETTINGS, "SETTINGS", b""), (PING, "PING", bytes(8)), (GOAWAY, "GOAWAY", bytes(8))):
        yield Attack(f"{name} on stream 1", opened + frame(kind, 0, 1, payload), wrong)
    yield Attack("PUSH_PROMISE", opened + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82"), wrong)
    yield Attack("DATA on an idle stream", data(1, b"a"), wrong)
    yield Attack("RST_STREAM on an idle stream", reset(1), wrong)
    yield Attack("WINDOW_UPDATE on an idle stream", window_update(1, 1), wrong)
    yield Attack("WINDOW_UPDATE on a stream of the server's", window_update(2, 1), wrong)
    yield Attack("CONTINUATION of nothing", opened + frame(CONTINUATION, END_HEADERS, 1, b"\x82"), wrong)
    yield Attack("PRIORITY on an idle stream", frame(PRIORITY, 0, 9, bytes(5)), LIVES, None)
    yield Attack("a type that nobody knows", opened + frame(0x55, 0xFF, 1, b"what?"), LIVES, None)
    yield Attack("flags that nobody knows", frame(PING, 0xFE, 0, bytes(8)), LIVES, None)


def stream_ids(path: str) -> Iterator[Attack]:
    """Streams that may not be opened, or are over (sections 5.1 and 5.1.1)."""
    fields, body = fields_of(path), payload_message(b"x")
    whole = headers(1, fields) + data(1, body)
    over = goes_away(STREAM_CLOSED)
    yield Attack("an even stream", headers(2, fields), goes_away(PROTOCOL_ERROR))
    lower = goes_away(PROTOCOL_ERROR, STREAM_CLOSED)  # passed over is closed (5.1.1), and unexpected all the same
    yield Attack("a lower stream that was never used", headers(5, fields) + headers(3, fields), lower)
    yield Attack("HEADERS on an answered stream", whole + headers(1, fields), over)
    yield Attack("DATA on an answered stream", whole + data(1, body), over)
    yield Attack("DATA after the peer's own reset", headers(1, fields) + reset(1) + data(1, body), over)
    yield Attack("HEADERS after the peer's own reset", headers(1, fields) + reset(1) + headers(1, fields), over)
    yield Attack("late frames on an answered stream", whole + window_update(1, 9) + reset(1), LIVES, None)
    begun = headers(1, fields) + data(1, body, 0)
    trailers = headers(1, [(b"x-a", b"b")], END_HEADERS | END_STREAM)
    later = resets(1, STREAM_CLOSED)
    # RFC 9113, 5.4.2: a stream error may be made one of the connection, as it is where the stream is forgotten
    yield Attack("DATA behind trailers", begun + trailers + data(1, b"x"), _either(later, STREAM_CLOSED))
    yield Attack("trailers behind trailers", begun + trailers * 2, _either(later, STREAM_CLOSED))


def _either(outcome: Outcome, code: int) -> Outcome:
    """A stream error, or the same of the connection."""
    return Outcome(f"{outcome.text} or GOAWAY", False, lambda answers: outcome.holds(answers) or answers.goaway == code)


def shapes(path: str, opened: bytes) -> Iterator[Attack]:
    """Padding, header blocks with something between, priorities (sections 6.1 to 6.3 and 6.10)."""
    wrong = goes_away(PROTOCOL_ERROR)
    fields = block(fields_of(path))
    for padding, payload in ((5, b"\x05abcd"), (6, b"\x06abcd"), (255, b"\xff"), (1, b"\x01")):
        yield Attack(f"DATA of {len(payload)} bytes with {padding} of padding", opened + _padded(DATA, payload), wrong)
    yield Attack("HEADERS with more padding than frame", _padded(HEADERS, b"\xff" + fields), wrong)
    begun = frame(HEADERS, 0, 1, fields)
    for name, between in (
        ("PING", b""),
        ("HEADERS", headers(3, fields_of(path))),
        ("DATA", data(1, b"a")),
        ("CONTINUATION of another stream", frame(CONTINUATION, END_HEADERS, 3, b"")),
        ("an unknown frame", frame(0x55, 0, 1, b"")),
        ("WINDOW_UPDATE", window_update(0, 1)),
        ("RST_STREAM", reset(1)),
    ):
        yield Attack(f"{name} within a header block", begun + between, wrong)
    itself = (1).to_bytes(4, "big") + b"\0"
    priority = frame(HEADERS, END_HEADERS | PRIORITIZED, 1, itself + fields)
    yield Attack("HEADERS that depend on themselves", priority, wrong)
    yield Attack("PRIORITY that depends on itself", opened + frame(PRIORITY, 0, 1, itself), resets(1, PROTOCOL_ERROR))


def _padded(kind: int, payload: bytes) -> bytes:
    return frame(kind, PADDED | END_HEADERS if kind == HEADERS else PADDED, 1, payload)


def windows(opened: bytes) -> Iterator[Attack]:
    """Flow control and SETTINGS (sections 6.5.2 and 6.9)."""
    overflow, wrong = goes_away(FLOW_CONTROL_ERROR), goes_away(PROTOCOL_ERROR)
    yield Attack("a window update of nothing", window_update(0, 0), wrong)
    yield Attack("a window update of 2**31", window_update(0, 2**31), wrong)
    yield Attack("a stream's window update of nothing", opened + window_update(1, 0), resets(1, PROTOCOL_ERROR))
    yield Attack("the connection's window overflows", window_update(0, MOST), overflow)
    yield Attack("a stream's window overflows", opened + window_update(1, MOST), resets(1, FLOW_CONTROL_ERROR))
    larger = settings((h2.INITIAL_WINDOW_SIZE, MOST))
    yield Attack("a window overflows by SETTINGS", opened + window_update(1, 1) + larger, overflow)
    yield Attack("the same, from the start", larger + opened + window_update(1, 1), resets(1, FLOW_CONTROL_ERROR))
    yield Attack("INITIAL_WINDOW_SIZE of 2**31", settings((h2.INITIAL_WINDOW_SIZE, 2**31)), overflow)
    yield Attack("ENABLE_PUSH of 2", settings((h2.ENABLE_PUSH, 2)), wrong)
    for size in (0, 16_383, 2**24, 2**32 - 1):
        yield Attack(f"MAX_FRAME_SIZE of {size}", settings((h2.MAX_FRAME_SIZE, size)), wrong)
    yield Attack("settings that nobody knows", settings((0x99, 1), (0, 0), (0xFFFF, 2**32 - 1)), LIVES, None)
    yield Attack("a table of 4 GiB, and of nothing", settings((1, 2**32 - 1), (1, 0)), LIVES, None)


def blocks(path: str) -> Iterator[Attack]:
    """Header blocks that HPACK cannot decode (RFC 7541), and lists that are too long."""
    broken = goes_away(COMPRESSION_ERROR)
    good = block(fields_of(path))
    for name, coded in (
        ("index 0", b"\x80"),
        ("an index past an empty table", b"\xbe"),
        ("index 2**28", h2.integer(2**28, 7, 0x80)),
        ("an index without an end", b"\xff" + b"\xff" * 9),
        ("an index of 40 bytes", b"\xff" + b"\x80" * 40 + b"\x01"),
        ("an index that is cut off", b"\xff"),
        ("a name's index past the table", b"\x7f\x20" + h2.string(b"v")),
        ("a length that is cut off", b"\x00\x7f"),
        ("a name that is cut off", b"\x00\x7e" + b"x-abc"),
        ("a value that is missing", b"\x00" + h2.string(b"x-a")),
        ("a value that is cut off", b"\x00" + h2.string(b"x-a") + b"\x09short"),
        ("a length of 2**35", b"\x00" + h2.integer(2**35, 7) + b"x"),
        ("Huffman's padding of 8 bits", b"\x00" + h2.string(b"x-a") + b"\x82\x1f\xff"),
        ("Huffman's padding of zeros", b"\x00" + h2.string(b"x-a") + b"\x81\x18"),
        ("Huffman's EOS", b"\x00" + h2.string(b"x-a") + b"\x84\xff\xff\xff\xff"),
        ("a table larger than was allowed", h2.integer(4097, 5, 0x20)),
        ("a table of 4 GiB", h2.integer(2**32, 5, 0x20)),
        ("a table's size that is cut off", b"\x3f"),
    ):
        yield Attack(name, frame(HEADERS, END_HEADERS, 1, coded), broken)
        yield Attack(f"{name}, behind good fields", frame(HEADERS, END_HEADERS, 1, good + coded), broken)
    yield Attack("a table's size behind a field", frame(HEADERS, END_HEADERS, 1, good + b"\x20"), broken)
    yield Attack("broken trailers", headers(1, fields_of(path)) + frame(HEADERS, 5, 1, b"\x80"), broken)
    yield Attack("a refused stream's broken block", frame(HEADERS, 5, 1, b"\xc0"), broken)
    evicted = h2.entering(b"x-a", b"b") + b"\x20" + b"\xbe"
    yield Attack("an entry that is gone", frame(HEADERS, END_HEADERS, 1, good) + frame(HEADERS, 4, 3, evicted), broken)
    yield from _long_lists(path, good)


def _long_lists(path: str, good: bytes) -> Iterator[Attack]:
    bomb = Outcome(
        "refused",
        False,
        lambda answers: answers.goaway in (ENHANCE_YOUR_CALM, COMPRESSION_ERROR) or answers.grpc_status(3) == 8,
    )
    entry = good + h2.entering(b"x-bomb", b"b" * 4000)
    first = frame(HEADERS, END_HEADERS, 1, entry) + data(1, payload_message(b"x"))
    many = frame(HEADERS, END_HEADERS | END_STREAM, 3, good + b"\xbe" * 10_000)
    yield Attack("a table's entry 10,000 times", first + many, bomb, None)
    large = [(b"x-large", b"x" * 20_000)]
    parts = block([*fields_of(path), *large])
    split = frame(HEADERS, END_STREAM, 1, parts[:16_000]) + frame(CONTINUATION, END_HEADERS, 1, parts[16_000:])
    yield Attack("a header list over the limit", split, fails(1, RESOURCE_EXHAUSTED), "header_too_large")
    small = [(b"x-%d" % number, b"") for number in range(500)]
    many_fields = headers(1, [*fields_of(path), *small], END_HEADERS | END_STREAM)
    yield Attack("500 fields of 36 bytes", many_fields, fails(1, RESOURCE_EXHAUSTED), "header_too_large")


def request_fields(path: str) -> Iterator[Attack]:
    """Requests that are malformed (RFC 9113, section 8): a stream error."""
    malformed = resets(1, PROTOCOL_ERROR)
    usual = fields_of(path)
    first, rest = usual[:4], usual[4:]
    cases = {
        "an upper-case name": [*usual, (b"X-Upper", b"a")],
        "a name with a space": [*usual, (b"x a", b"b")],
        "a name with a colon": [*usual, (b"x:a", b"b")],
        "an empty name": [*usual, (b"", b"b")],
        "a name with a control character": [*usual, (b"x\x01", b"b")],
        "a value with NUL": [*usual, (b"x-a", b"a\0b")],
        "a value with CR": [*usual, (b"x-a", b"a\rb")],
        "a value with LF": [*usual, (b"x-a", b"a\nb: c")],
        "a value that begins with a space": [*usual, (b"x-a", b" a")],
        "a value that ends with a tab": [*usual, (b"x-a", b"a\t")],
        "te: gzip": fields_of(path, te="gzip"),
        "te: trailers, gzip": fields_of(path, te="trailers, gzip"),
        "a pseudo-field behind others": [*first[1:], *rest, first[0]],
        "an unknown pseudo-field": [(b":what", b"a"), *usual],
        "a response's pseudo-field": [(b":status", b"200"), *usual],
        "an empty path": fields_of(""),
        "no fields at all": [],
    }
    for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"):
        cases[name.decode()] = [*usual, (name, b"close")]
    for at, name in enumerate((":method", ":scheme", ":path")):
        cases[f"no {name}"] = [*first[:at], *first[at + 1 :], *rest]
    for at, name in enumerate((":method", ":scheme", ":path", ":authority")):
        cases[f"two of {name}"] = [first[at], *usual]
    for length in (b"-1", b"1a", b"", b"9" * 30, b"+5", b"1, 1"):
        cases[f"content-length {length.decode()!r}"] = [*usual, (b"content-length", length)]
    cases["two lengths"] = [*usual, (b"content-length", b"1"), (b"content-length", b"2")]
    for name, fields in cases.items():
        yield Attack(name, headers(1, fields) + data(1, payload_message(b"x")), malformed)
        yield Attack(f"{name}, and no body", headers(1, fields, END_HEADERS | END_STREAM), malformed)
    yield from _bodies_and_trailers(path)


def _bodies_and_trailers(path: str) -> Iterator[Attack]:
    malformed, body = resets(1, PROTOCOL_ERROR), payload_message(b"x")
    for length in (b"0", b"7", b"9", b"99999"):
        fields = fields_of(path, (b"content-length", length))
        yield Attack(f"content-length {length.decode()} and 8 bytes", headers(1, fields) + data(1, body), malformed)
    lies = fields_of(path, (b"content-length", b"8"))
    yield Attack("content-length 8 and no body", headers(1, lies, END_HEADERS | END_STREAM), malformed)
    begun = headers(1, fields_of(path)) + data(1, body[:3], 0)
    for name, fields, flags in (
        ("with a pseudo-field", [(b":path", b"/")], END_HEADERS | END_STREAM),
        ("with :status", [(b":status", b"200")], END_HEADERS | END_STREAM),
        ("in upper case", [(b"X-A", b"b")], END_HEADERS | END_STREAM),
        ("with connection", [(b"connection", b"close")], END_HEADERS | END_STREAM),
        ("that do not end the stream", [(b"x-a", b"b")], END_HEADERS),
    ):
        yield Attack(f"trailers {name}", begun + headers(1, fields, flags), malformed)


def calls(path: str) -> Iterator[Attack]:
    """Well-formed requests that are no gRPC, or gRPC that is not right, in either mode."""
    body = payload_message(b"x")

    def call(sent: bytes, *more: tuple[bytes, bytes], **instead: str | None) -> bytes:
        return headers(1, fields_of(instead.pop("of", None) or path, *more, **instead)) + data(1, sent)

    yield Attack("another content-type", call(body, content_type="text/plain"), says(1, 415))
    yield Attack("gRPC-Web", call(body, content_type="application/grpc-web"), says(1, 415))
    yield Attack("no content-type", call(body, content_type=None), says(1, 415))
    yield Attack("GET", headers(1, fields_of(path, method="GET"), END_HEADERS | END_STREAM), says(1, 415))
    yield Attack("PUT", call(body, method="PUT"), says(1, 415))
    for unknown in ("/nobody.Knows/This", f"{SERVICE}/Peek", "/", "*", f"{SERVICE}/", "no-slash", path + "/"):
        yield Attack(f"path {unknown}", call(body, of=unknown), fails(1, UNIMPLEMENTED), "not_found")
    yield Attack("an unknown encoding", call(body, (b"grpc-encoding", b"br")), fails(1, UNIMPLEMENTED))
    for timeout in (b"", b"1", b"S", b"1s", b"-1S", b"1.5S", b"123456789S", b"1S1S", b"\xffS", b"1 S"):
        late = call(body, (b"grpc-timeout", timeout))
        yield Attack(f"timeout {timeout!r}", late, fails(1, INTERNAL))
    for timeout in (b"0S", b"0n", b"00000000H"):
        late = call(body, (b"grpc-timeout", timeout))
        yield Attack(f"timeout {timeout!r}", late, fails(1, DEADLINE_EXCEEDED), None)
    waits = headers(1, fields_of(path, (b"grpc-timeout", b"50m"))) + data(1, body[:3], 0)
    yield Attack("a deadline that passes", waits, fails(1, DEADLINE_EXCEEDED), None)
    gzipped = (b"grpc-encoding", b"gzip")
    yield Attack("flag 2", call(message(b"", 2)), fails(1, INTERNAL))
    yield Attack("flag 255", call(b"\xff" * 8), fails(1, INTERNAL))
    yield Attack("compressed, and no encoding", call(message(gzip.compress(b""), 1)), fails(1, INTERNAL))
    yield Attack("compressed, and is not", call(message(b"not gzip", 1), gzipped), fails(1, INTERNAL))
    cut = gzip.compress(body)[:-4]
    yield Attack("compressed, and cut off", call(message(cut, 1), gzipped), fails(1, INTERNAL))
    tail = gzip.compress(body[5:]) + b"more"
    yield Attack("compressed, and more behind", call(message(tail, 1), gzipped), fails(1, INTERNAL))
    too_large = fails(1, RESOURCE_EXHAUSTED)
    bomb = message(gzip.compress(bytes(10_000_000)), 1)
    yield Attack("a bomb of gzip", call(bomb, gzipped), too_large, "message_too_large")
    yield Attack("a message of 4 GiB, as it says", call(message(b"", says=2**32 - 1)), too_large, "message_too_large")
    yield Attack("garbage for protobuf", call(message(b"\xff" * 20)), fails(1, INTERNAL))
    yield Attack("a message that is cut off", call(body[:-1]), fails(1, INTERNAL))
    yield Attack("a prefix that is cut off", call(body[:3]), fails(1, INTERNAL))
    yield Attack("protobuf that is cut off", call(message(b"\x0a\x05ab")), fails(1, INTERNAL))


def unary_calls() -> Iterator[Attack]:
    """What only a unary call cannot have."""
    path = f"{SERVICE}/Produce"
    body, one = payload_message(b"x"), headers(1, fields_of(path))
    yield Attack("two messages", one + data(1, body * 2), fails(1, INTERNAL))
    yield Attack("two messages in two frames", one + data(1, body, 0) + data(1, body), fails(1, INTERNAL))
    yield Attack("no message", headers(1, fields_of(path), END_HEADERS | END_STREAM), fails(1, INTERNAL))
    yield Attack("an empty body", one + data(1, b""), fails(1, INTERNAL))
    other = headers(1, fields_of(f"{SERVICE}/StreamMessages")) + data(1, body)
    yield Attack("the other mode's call", other, fails(1, UNIMPLEMENTED), "unimplemented")


def streaming_calls() -> Iterator[Attack]:
    """What only a stream can do."""
    path = f"{SERVICE}/StreamMessages"
    good, opened = payload_message(b"x" * 1000), headers(1, fields_of(path))
    first = settings((h2.INITIAL_WINDOW_SIZE, 0)) + opened
    frames = data(1, good * 16, 0) * 150  # 2.4 MB: the first wait for the client's window, and so do the others
    yield Attack("more DATA than a stream's window", first + frames, resets(1, FLOW_CONTROL_ERROR))
    for name, sent, status in (
        ("flag 2", message(b"", 2), INTERNAL),
        ("garbage", message(b"\xff" * 9), INTERNAL),
        ("4 GiB, as it says", message(b"", says=2**32 - 1), RESOURCE_EXHAUSTED),
    ):
        reason = "bad_request" if status is INTERNAL else "message_too_large"
        after = _after_an_answer(status)
        yield Attack(f"{name} behind a good message", opened + data(1, good, 0) + data(1, sent, 0), after, reason)
    other = headers(1, fields_of(f"{SERVICE}/Consume")) + data(1, message(b""))
    yield Attack("the other mode's call", other, fails(1, UNIMPLEMENTED), "unimplemented")
    yield Attack("a stream that says nothing", headers(1, fields_of(path), 5), fails(1, OK), None)


def _after_an_answer(status: int) -> Outcome:
    """What came before the fault is answered, and then the call ends."""
    return Outcome(
        f"an answer and grpc-status {status}",
        False,
        lambda answers: len(answers.bodies.get(1, b"")) > 5 and answers.grpc_status(1) == status,
    )


def every_attack(path: str) -> list[Attack]:
    """The table, for one method."""
    opened = headers(1, fields_of(path))
    return [
        *openings(),
        *lengths(opened),
        *places(opened),
        *stream_ids(path),
        *shapes(path, opened),
        *windows(opened),
        *blocks(path),
        *request_fields(path),
        *calls(path),
    ]


class HostileHttp2Tests(HostileHttp2TestCase):
    """One server for all attacks of a mode, one after the other."""

    timeout = 120

    async def attack(self, attack: Attack) -> str | None:
        """Try one; gives what was wrong."""
        mark = frame(PING, 0, 0, MARK)
        outcome = attack.outcome

        def is_enough(answers: Answers) -> bool:
            return not outcome.ends and MARK in answers.pongs and outcome.holds(answers)

        sock = await wire.connect(self.server.port)
        with sock:
            answers, has_ended = await talk_until(sock, attack.opening + attack.sent + mark, is_enough)
        if not outcome.holds(answers) or (has_ended is not outcome.ends and answers.goaway is None):
            seen = f"GOAWAY {answers.goaway}, RST {answers.resets}, {answers.fields}, ended: {has_ended}"
            return f"{attack.name}: not {outcome.text} but {seen} {answers.received[:300]!r}"
        said = await self.miscounted(attack.reason) if attack.reason else await self.uncounted()
        return said and f"{attack.name}: {said}"

    async def uncounted(self) -> None:
        """Where it is left open how a refusal is counted."""
        self.counts = await self.counts_without_attackers()

    async def try_all(self, mode: str, attacks: list[Attack]) -> None:
        """Try a table, and show all that was wrong at once."""
        self.begin(mode)
        self.counts = await self.counts_without_attackers()
        wrong = [said for attack in attacks if (said := await self.attack(attack))]
        self.assertFalse(wrong, f"{len(wrong)} of {len(attacks)}:\n" + "\n".join(wrong))
        self.assertGreater(len(attacks), 80)
        await self.finish(f"{len(attacks)} attacks, {mode}")
        if mode == "grpc":
            await self.take_acknowledged()
        self.assert_memory_is_back()

    def test_unary(self):
        """The table over Produce."""
        return self.story(self.try_all("grpc", [*every_attack(f"{SERVICE}/Produce"), *unary_calls()]))

    def test_streaming(self):
        """The table over StreamMessages."""
        return self.story(self.try_all("grpc_stream", [*every_attack(f"{SERVICE}/StreamMessages"), *streaming_calls()]))

    def test_all_at_once(self):
        """Every attack of the table at the same time: each gets its answer, whatever the others do."""

        async def one(attack: Attack) -> str | None:
            sock = await wire.connect(self.server.port)
            with sock:
                sent = attack.opening + attack.sent + frame(PING, 0, 0, MARK)
                answers, _ = await talk_until(sock, sent, lambda a: MARK in a.pongs and attack.outcome.holds(a))
            return None if attack.outcome.holds(answers) else attack.name

        async def all_of_them() -> None:
            self.begin("grpc")
            attacks = every_attack(f"{SERVICE}/Produce")
            wrong = [said for said in await asyncio.gather(*map(one, attacks)) if said]
            self.assertFalse(wrong)
            await self.finish("all at once")
            await self.take_acknowledged()
            self.assert_memory_is_back()

        return self.story(all_of_them())
