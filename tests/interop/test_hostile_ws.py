"""Bytes that break HTTP or WebSocket, one attack a line: each gets what the RFC says.

Beside them a good client is served, nothing that was acknowledged goes missing, and each refusal is counted. Floods are
in `test_hostile_ws_floods`, and whatever lives by its time or the number of its connections in `test_hostile_ws_peers`.
`hostile_ws` says how to see the table.

Sources: RFC 6455 (WebSocket), RFC 7230 and 7231 (HTTP/1.1), RFC 3629 (UTF-8).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import NamedTuple

from tests.interop import wire
from tests.interop.hostile import Outcome
from tests.interop.hostile_ws import (
    CONSUME,
    MARK,
    PUBLISH,
    HostileWsTestCase,
    closes,
    converse,
    has_answers,
    refuses,
    serves,
)
from tests.interop.wire import BINARY, CLOSE, PING, PONG, TEXT, frame, upgrade

LIMIT = 1_048_576
"""--max-message-bytes."""

BEFORE, LATE = b"before the attack", b"behind the attack"
"""A good message in front of an attack, which is put in, and one behind it, which is not if the connection ended."""

PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1002, 1007, 1009

VERSION = {"Sec_WebSocket_Version": "13"}


class Attack(NamedTuple):
    """One attack.

    :ivar name: what it is.
    :ivar sent: all bytes.
    :ivar outcome: what must come of it.
    :ivar reason: how the refusal is counted; `None` if nothing is refused.
    :ivar step: how many bytes are sent at once; 0 is all.
    """

    name: str
    sent: bytes
    outcome: Outcome
    reason: str | None = "bad_request"
    step: int = 0


def handshake(*more: str, line: str = f"GET {PUBLISH} HTTP/1.1", **instead: str | None) -> bytes:
    """A handshake with further header lines.

    :param instead: `host`, `upgrade`, `connection`, `key`, `version`, in place of the usual; `None` is no such field.
    """
    names = ("Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    values = ("127.0.0.1", "websocket", "Upgrade", "dGhlIHNhbXBsZSBub25jZQ==", "13")
    lines = [line]
    for name, value in zip(names, values, strict=True):
        value = instead.get(name.rpartition("-")[2].lower(), value)
        lines += [f"{name}: {value}"] * (value is not None)
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def served(name: str, head: bytes, step: int = 0) -> Attack:
    """An odd handshake that the standard allows."""
    return Attack(name, head + frame(BEFORE) + frame(MARK, PING), serves(1), None, step)


def request_lines() -> Iterator[Attack]:
    """Methods, versions and targets (RFC 6455, 4.2.1; RFC 7230, 3.1.1 and 5.3; RFC 7231, 6.5.5)."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "GETS"):
        yield Attack(method, handshake(line=f"{method} {PUBLISH} HTTP/1.1"), refuses(405, Allow="GET"))
    yield Attack("CONNECT", handshake(line="CONNECT 127.0.0.1:22 HTTP/1.1"), refuses(405, Allow="GET"))
    for version in ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1.1", "HTTP/", "HTTP/1.1x"):
        yield Attack(version, handshake(line=f"GET {PUBLISH} {version}"), refuses(400, 505))
    for line in (f"GET {PUBLISH}", "GET", PUBLISH, f"GET {PUBLISH} a HTTP/1.1", "GET  HTTP/1.1", "nonsense"):
        yield Attack(f"the line {line!r}", handshake(line=line), refuses(400))
    yield Attack("a fragment in the target", handshake(line=f"GET {PUBLISH}#x HTTP/1.1"), refuses(400))
    paths = ("/", "/ws", f"{PUBLISH}/", "/ws/../ws/publish", f"/{PUBLISH}", "/ws/PUBLISH", "*", "ws/publish")
    for path in (*paths, f"{PUBLISH};x", f"{PUBLISH}%00", "/" + "a" * 8000, "/?" + PUBLISH, "http://a/", "//"):
        yield Attack(f"path {path[:30]}", handshake(line=f"GET {path} HTTP/1.1"), refuses(404), "not_found")
    yield served("a target with scheme and host", handshake(line=f"GET http://a{PUBLISH} HTTP/1.1"))
    yield served("a query", handshake(line=f"GET {PUBLISH}?a=b&c=/../ HTTP/1.1"))
    yield served("an empty line before the request", b"\r\n" + handshake())


def header_fields() -> Iterator[Attack]:
    """What a handshake must have (RFC 6455, 4.2.1 and 4.2.2; RFC 7230, 5.4; RFC 7231, 6.5.15)."""
    yield Attack("no Host", handshake(host=None), refuses(400))
    for host in ("a b", "a/b", "user@a", "a:port", "a:1:2", "[::1", "<script>", "a, b"):
        yield Attack(f"Host {host}", handshake(host=host), refuses(400))
    yield Attack("two Hosts", handshake("Host: b"), refuses(400))
    to_what = {"Upgrade": "websocket", "Connection": "Upgrade", **VERSION}
    yield Attack("no Upgrade", handshake(upgrade=None), refuses(426, **to_what))
    for upgraded in ("h2c", "", "websockets", "web socket"):
        yield Attack(f"Upgrade: {upgraded}", handshake(upgrade=upgraded), refuses(400))
    yield Attack("no Connection", handshake(connection=None), refuses(400))
    for connection in ("keep-alive", "close", "", "Upgrades"):
        yield Attack(f"Connection: {connection}", handshake(connection=connection), refuses(400))
    for key in (None, "", "short==", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQ", "?" * 22 + "==", "A" * 24):
        yield Attack(f"key {key}", handshake(key=key), refuses(400))
    yield Attack("two keys", handshake("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), refuses(400))
    for version in (None, "", "0", "7", "8", "12", "14", "255", "99999", "13, 8", "x", "-13"):
        yield Attack(f"version {version}", handshake(version=version), refuses(400, **VERSION))
    yield Attack("two versions", handshake("Sec-WebSocket-Version: 13"), refuses(400, **VERSION))
    yield Attack("one subprotocol twice", handshake("Sec-WebSocket-Protocol: a, a"), refuses(400))
    yield served("tokens in other letters, among others", handshake(upgrade="h2c, WebSocket", connection="x,UPGRADE"))
    yield served("700 fields", handshake(*[f"X-{at}: {at}" for at in range(700)]))


def origins() -> Iterator[Attack]:
    """Pages of other hosts (RFC 6454; RFC 6455, 10.2)."""
    for origin in (
        "https://elsewhere.example",
        "null",
        "file:///etc/passwd",
        "://[",
        "http://127.0.0.1.elsewhere.example",
        "http://127.0.0.1@elsewhere.example",
        "http://elsewhere.example/127.0.0.1",
        "127.0.0.1",
        "x" * 8000,
    ):
        yield Attack(f"Origin {origin[:40]}", handshake(f"Origin: {origin}"), refuses(403), "forbidden_origin")
    ours = "Origin: http://127.0.0.1:3000"
    foreign = "oRIGIN:http://elsewhere.example"
    yield Attack("our Origin, and another", handshake(ours, foreign), refuses(403), "forbidden_origin")
    yield Attack("another Origin, and ours", handshake(foreign, ours), refuses(403), "forbidden_origin")
    yield served("our Origin", handshake(ours))


def header_lines() -> Iterator[Attack]:
    """Lines that are no header fields, or two at once (RFC 7230, 3.2 and 3.2.4, 3.5)."""
    for name, line in {
        "no colon": "X-No-Colon",
        "no name": ": value",
        "a space before the colon": "X-Space : a",
        "a space in a name": "X Space: a",
        "a value that goes on": "X-Folded: a\r\n b",
        "a first line that is folded": " Host: b",
        "NUL in a value": "X-Nul: a\0b",
        "NUL in a name": "X-\0: a",
        "ESC in a value": "X-Esc: \x1b[2J",
        "DEL in a value": "X-Del: \x7f",
        "CR in a value": "X-Cr: a\rOrigin: http://elsewhere.example",
        "LF in a value": "X-Lf: a\nOrigin: http://elsewhere.example",
        "VT in a value": "X-Vt: a\x0bOrigin: http://elsewhere.example",
        "a name in Latin-1": "X-\xe4: a",
        "a name in quotes": '"X": a',
    }.items():
        yield Attack(name, handshake(line), refuses(400))
    yield Attack("NUL in the request line", handshake(line=f"GET {PUBLISH}\0 HTTP/1.1"), refuses(400))
    yield Attack("a tab in the request line", handshake(line=f"GET\t{PUBLISH} HTTP/1.1"), refuses(400))
    yield Attack("LF in the request line", handshake(line=f"GET {PUBLISH} HTTP/1.1\nX: a"), refuses(400))
    yield served("a value in Latin-1", handshake("X-Latin: \xe4\xff"))
    yield served("NEL in a value", handshake("X-Nel: a\x85Origin: http://elsewhere.example"))


def sizes() -> Iterator[Attack]:
    """Heads that are too long (RFC 6585, 5), in one read or many."""
    too_long = refuses(431)
    long = handshake("X-Long: " + "x" * 17_000)
    yield Attack("a field of 17,000 bytes", long, too_long, "header_too_large")
    yield Attack("the same in many reads", long, too_long, "header_too_large", 1000)
    yield Attack("a field without end", long[:-4] + b"x" * 60_000, too_long, "header_too_large")
    yield Attack("a name without end", handshake()[:-2] + b"x" * 60_000, too_long, "header_too_large")
    yield Attack("2,000 fields", handshake(*["X-Field: a"] * 2000), too_long, "header_too_large")
    yield Attack(
        "a target of 20,000 bytes", handshake(line=f"GET /{'a' * 20_000} HTTP/1.1"), too_long, "header_too_large"
    )
    yield Attack("zeros", bytes(50_000), too_long, "header_too_large")
    yield Attack("lines without end", b"\n" * 50_000, too_long, "header_too_large")


def bodies() -> Iterator[Attack]:
    """A request with a body, which would be taken for frames (RFC 7230, 3.3)."""
    hidden = frame(b"hidden in a body")
    length = f"Content-Length: {len(hidden)}"
    yield Attack("Content-Length", handshake(length) + hidden, refuses(400))
    chunked = "Transfer-Encoding: chunked"
    yield Attack("chunks", handshake(chunked) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden), refuses(400))
    yield Attack("a length and chunks", handshake("Content-Length: 0", chunked) + hidden, refuses(400))
    yield Attack("two lengths", handshake("Content-Length: 0", length) + hidden, refuses(400))
    for value in ("-1", "x", "", "0x0", "+0"):
        yield Attack(f"Content-Length: {value}", handshake(f"Content-Length: {value}"), refuses(400))
    yield served("Content-Length: 0", handshake("Content-Length: 0"))


def other_protocols() -> Iterator[Attack]:
    """What is no HTTP/1.1."""
    yield Attack("HTTP/2", wire.PREFACE + wire.SETTINGS, refuses(405, Allow="GET"))
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)) + b"\r\n\r\n"
    yield Attack("TLS", hello, refuses(400))
    for said in (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"EHLO a.example\r\n\r\n", b"<policy-file-request/>\0\r\n\r\n"):
        yield Attack(said[:4].decode(), said, refuses(400))
    yield Attack("frames without a handshake", frame(b"first") + b"\r\n\r\n", refuses(400))
    yield Attack("nothing but empty lines", b"\r\n" * 4, refuses(400))
    yield Attack("two handshakes", upgrade(PUBLISH) * 2 + frame(LATE), closes(PROTOCOL_ERROR, 0))
    yield served("frames right behind the handshake", handshake())
    yield served("byte by byte", handshake(), 1)


def broken(name: str, fault: bytes, code: int | None = PROTOCOL_ERROR, reason: str | None = "bad_request") -> Attack:
    """A fault behind a good message: that is put in, what comes behind the fault is not."""
    sent = upgrade(PUBLISH) + frame(BEFORE) + fault + frame(LATE) + frame(MARK, PING)
    return Attack(name, sent, closes(code), reason)


def fine(name: str, sent: bytes, answered: int = 1) -> Attack:
    """Odd frames that the standard allows: as many messages as are answered."""
    return Attack(name, upgrade(PUBLISH) + sent + frame(MARK, PING), serves(answered), None)


def headers() -> Iterator[Attack]:
    """Frames that may not be (RFC 6455, 5.1, 5.2 and 5.5)."""
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield broken(f"opcode {opcode}", frame(b"a", opcode))
    for bits in (0x40, 0x20, 0x10, 0x70):
        for opcode, kind in ((BINARY, "binary"), (TEXT, "text"), (PING, "a ping"), (CLOSE, "a Close")):
            yield broken(f"reserved bits {bits:#x} in {kind}", frame(b"", opcode, first=0x80 | bits))
    yield broken("a reserved bit in a continuation", frame(b"a", first=0) + frame(b"b", 0, first=0xC0))
    offer = handshake("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    deflated = frame(bytes.fromhex("f248cdc9c90700"), TEXT, first=0xC0) + frame(LATE)
    yield Attack("deflate, which was offered and not agreed", offer + deflated, closes(PROTOCOL_ERROR, 0))
    for opcode, kind in ((BINARY, "binary"), (TEXT, "text"), (PING, "a ping"), (PONG, "a pong"), (CLOSE, "a Close")):
        yield broken(f"{kind} without a mask", frame(b"", opcode, is_masked=False))
        yield broken(f"{kind} of 200 bytes without a mask", frame(bytes(200), opcode, is_masked=False))
    for opcode, kind in ((PING, "a ping"), (PONG, "a pong"), (CLOSE, "a Close")):
        yield broken(f"{kind} in fragments", frame(b"", opcode, first=0))
        yield broken(f"{kind} of 126 bytes", frame(bytes(126), opcode))
        yield broken(f"{kind} of 65,536 bytes", frame(bytes(65_536), opcode))
    yield fine("a ping of 125 bytes, and pongs", frame(bytes(125), PING) + frame(b"?", PONG) * 9 + frame(BEFORE))


def lengths() -> Iterator[Attack]:
    """Lengths that are not in their shortest form, and messages over the limit (RFC 6455, 5.2 and 10.4)."""
    for size in (0, 5, 125):
        yield broken(f"{size} bytes, told in two", b"\x82\xfe" + struct.pack("!H", size) + bytes(4 + size))
    for size in (0, 125, 126, 65_535):
        yield broken(f"{size} bytes, told in eight", b"\x82\xff" + struct.pack("!Q", size) + bytes(4 + size))
    for size in (2**63, 2**64 - 1):
        yield broken(f"a length of {size:#x}", b"\x82\xff" + struct.pack("!Q", size) + bytes(4))

    def too_big(name: str, fault: bytes) -> Attack:
        return broken(name, fault, TOO_BIG, "message_too_large")

    part, rest = frame(bytes(700_000), first=0), frame(bytes(LIMIT - 700_000 + 1), 0)
    yield too_big("a byte too long", frame(bytes(LIMIT + 1)))
    yield too_big("text, a byte too long", frame(b"a" * (LIMIT + 1), TEXT))
    yield too_big("a byte too long, as it says", frame(b"", says=LIMIT + 1))
    yield too_big("2**62 bytes, as it says", frame(b"", says=2**62))
    yield too_big("2**63 - 1 bytes, as text says", frame(b"", TEXT, says=2**63 - 1))
    yield too_big("a byte too long in fragments", part + rest)
    yield too_big("a fragment too long, as it says", part + frame(b"", 0, says=LIMIT))
    yield fine("as long as it may be", frame(b"l" * LIMIT))
    yield fine("that in fragments", frame(b"l" * 700_000, first=0) + frame(b"l" * (LIMIT - 700_000), 0))


def fragments() -> Iterator[Attack]:
    """Messages in pieces (RFC 6455, 5.4)."""
    begun = frame(b"begun", first=0)
    for first, kind in ((0x80, "the last"), (0, "a")):
        yield broken(f"{kind} continuation of nothing", frame(b"a", 0, first=first))
        yield broken(f"text within fragments ({kind} frame)", begun + frame(b"a", TEXT, first=first))
        yield broken(f"binary within fragments ({kind} frame)", begun + frame(b"a", first=first))
    yield broken("a continuation behind a whole message", frame(b"a", first=0x80, opcode=9) + frame(b"b", 0))
    yield broken("an opcode within fragments", begun + frame(b"a", 3))
    yield broken("a broken ping within fragments", begun + frame(b"", PING, first=0))
    yield broken("a Close within fragments", begun + frame(b"\x03\xe8", CLOSE), 1000, None)
    whole = frame(BEFORE[:3], first=0) + frame(b"", 0, first=0) * 9 + frame(b"?", PING) + frame(BEFORE[3:], 0)
    yield fine("empty fragments, and a ping between them", whole)


def texts() -> Iterator[Attack]:
    """Text that is no UTF-8 (RFC 6455, 5.6 and 8.1; RFC 3629)."""
    for name, said in {
        "0xff": b"\xff",
        "a stray continuation": b"a\x80",
        "0xc3 at the end": b"a\xc3",
        "a code point that is cut off": b"\xe2\x82",
        "an overlong NUL": b"\xc0\x80",
        "an overlong slash": b"\xe0\x80\xaf",
        "an overlong code point of four": b"\xf0\x80\x80\xaf",
        "a surrogate": b"\xed\xa0\x80",
        "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
        "above 0x10ffff": b"\xf4\x90\x80\x80",
        "five bytes": b"\xf8\x88\x80\x80\x80",
        "Latin-1": "gr\xfc\xdfe".encode("latin-1"),
        "UTF-16": "grüße".encode("utf-16"),
        "a wrong byte behind 60,000": b"a" * 60_000 + b"\xfe",
    }.items():
        yield broken(f"text: {name}", frame(said, TEXT), NOT_UTF8)
        split = frame(said[:-1], TEXT, first=0) + frame(said[-1:], 0)
        yield broken(f"text in fragments: {name}", split, NOT_UTF8)
        run = frame(b"a" * len(said), TEXT) * 9
        yield Attack(
            f"text behind a run: {name}",
            upgrade(PUBLISH) + run + frame(said, TEXT) + frame(LATE),
            closes(NOT_UTF8, 9),
        )
    unfinished = frame(b"good so far", TEXT, first=0) + frame(b"\xff, and never an end", 0, first=0)
    yield broken("text that fails before its end", unfinished, NOT_UTF8)
    yield broken("a frame that fails before its end", frame(b"\xff" * 100, TEXT)[:50], NOT_UTF8)
    euro = "€".encode()
    yield fine("a code point in two fragments", frame(euro[:1], TEXT, first=0) + frame(euro[1:], 0))
    yield fine("NUL, BOM and the last code point", frame("\0\ufeff\U0010ffff".encode(), TEXT))


def closings() -> Iterator[Attack]:
    """Closes that may not be, and what comes back of those that may (RFC 6455, 5.5.1 and 7.4)."""
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield broken(f"Close {code}", frame(struct.pack("!H", code), CLOSE))
    yield broken("a Close of one byte", frame(b"\x03", CLOSE))
    for name, said in (("0xff", b"\xff"), ("a cut code point", b"\xe2\x82"), ("a surrogate", b"\xed\xa0\x80")):
        yield broken(f"a reason with {name}", frame(b"\x03\xe8" + said, CLOSE), NOT_UTF8)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield broken(f"Close {code}, and messages behind it", frame(struct.pack("!H", code), CLOSE), code, None)
    yield broken("Close without a code", frame(b"", CLOSE), None, None)
    yield broken("the longest reason", frame(b"\x03\xe8" + b"r" * 123, CLOSE), 1000, None)
    yield broken("two Closes", frame(b"\x03\xe8", CLOSE) + frame(b"\x03\xe9", CLOSE), 1000, None)
    yield broken("a fault behind the Close", frame(b"\x03\xe8", CLOSE) + frame(b"a", 3), 1000, None)


def every_attack() -> list[Attack]:
    """The table."""
    return [
        *request_lines(),
        *header_fields(),
        *origins(),
        *header_lines(),
        *sizes(),
        *bodies(),
        *other_protocols(),
        *headers(),
        *lengths(),
        *fragments(),
        *texts(),
        *closings(),
    ]


class HostileWsTests(HostileWsTestCase):
    """One server for all attacks of a setting, one after the other."""

    timeout = 120

    async def attempt(self, attack: Attack) -> str | None:
        """Try one; gives what was wrong with the answer."""
        sock = await wire.connect(self.server.port)
        with sock:
            outcome = attack.outcome
            answers, has_ended = await converse(
                sock, attack.sent, lambda answers: not outcome.ends and outcome.holds(answers), attack.step
            )
        self.put.update(self.acknowledged(attack, answers.messages.count((TEXT, b"ok"))))
        if outcome.holds(answers) and has_ended is outcome.ends:
            return None
        return f"{attack.name}: not {outcome.text} but {answers!r}, ended: {has_ended}"

    def acknowledged(self, attack: Attack, count: int) -> list[bytes]:
        """The first messages of an attack, as the good client tells of them."""
        messages, whole = [], b""
        for first, payload in wire.read_client_frames(attack.sent.partition(b"\r\n\r\n")[2]):
            if first & 0x0F in (0, TEXT, BINARY):
                whole += payload
                if first & 0x80:
                    messages.append(whole[:40])
                    whole = b""
        return messages[:count]

    async def attack(self, attack: Attack) -> str | None:
        """Try one, and look at the counts; gives what was wrong."""
        wrong = await self.attempt(attack)
        await self.lap(f"{attack.name} | {attack.outcome.text} | {attack.reason}")
        said = await self.miscounted(attack.reason)
        return wrong or (said and f"{attack.name}: {said}")

    async def try_all(self, ws_frames: str) -> None:
        """Try the table, and show all that was wrong at once."""
        self.begin(ws_frames)
        self.counts = await self.counts_without_attackers()
        attacks = every_attack()
        wrong = [said for attack in attacks if (said := await self.attack(attack))]
        self.assertFalse(wrong, f"{len(wrong)} of {len(attacks)}:\n" + "\n".join(wrong))
        self.assertEqual(len({attack.name for attack in attacks}), len(attacks))
        self.assertGreater(len(attacks), 60)
        await self.finish(f"{len(attacks)} attacks, {ws_frames}")
        await self.balance()
        self.assert_memory_is_back()

    def test_fast(self):
        """The table, as it is read by default."""
        return self.story(self.try_all("fast"))

    def test_plain(self):
        """The same by autobahn alone."""
        return self.story(self.try_all("plain"))

    def test_all_at_once(self):
        """Every attack of the table at the same time: each gets its answer, whatever the others do."""

        async def all_of_them() -> None:
            self.begin("fast")
            wrong = [said for said in await asyncio.gather(*map(self.attempt, every_attack())) if said]
            self.assertFalse(wrong)
            await self.finish("all at once")
            await self.balance()
            self.assert_memory_is_back()

        return self.story(all_of_them())

    def test_a_fault_after_consuming(self):
        """The messages that were asked for before a fault arrive before the Close."""

        async def talk() -> None:
            self.begin("fast")
            sock = await wire.connect(self.server.port)
            with sock:
                await converse(sock, upgrade(PUBLISH) + frame(BEFORE) * 500, has_answers(500))
            asked = frame(b"") * 400 + frame(b"a", first=0xC0) + frame(b"") * 50
            sock = await wire.connect(self.server.port)
            with sock:
                answers, _ = await converse(sock, upgrade(CONSUME) + asked, lambda _: False)
            taken = [said for opcode, said in answers.messages if opcode == BINARY]
            self.assertEqual((len(answers.messages), answers.closes), (400, [PROTOCOL_ERROR]))
            counts = await self.finish("a fault after consuming")
            self.assertEqual(counts["quickpulse_undelivered_total"], 0)
            self.put[BEFORE] = 500 - taken.count(BEFORE)
            await self.balance()

        return self.story(talk())
