"""Attacks on the native gRPC server by amount: floods of frames, amplification, windows that hardly open.

Each ends with GOAWAY ENHANCE_YOUR_CALM or is served as any other client; the good client beside it is answered all the
time, and memory comes back. Single frames that are wrong are in `test_hostile_http2`, and what lives by its time, or by
the number of its connections, in `test_hostile_http2_peers`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.interop import http2_bytes as h2
from tests.interop import wire
from tests.interop.hostile import HELD_BYTES, storm
from tests.interop.hostile_http2 import (
    CONSUME,
    MARK,
    OPENING,
    PRODUCE,
    STREAM,
    HostileHttp2TestCase,
    last_of,
)
from tests.interop.http2_bytes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    SETTINGS,
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

MANY = 100_000

STREAMS = 1000
"""As many as a connection may have open."""


class Flood(NamedTuple):
    """One attack.

    :ivar name: what it is.
    :ivar sent: makes all bytes behind the opening.
    :ivar outcome: what must come of it: CALM, SERVED, EITHER of them (it depends on how fast the machine is), or
        REFUSED, which may also be COMPRESSION_ERROR, as the table of fields is not kept up.
    """

    name: str
    sent: Callable[[], bytes]
    outcome: str


CALM, SERVED, EITHER, REFUSED = "GOAWAY ENHANCE_YOUR_CALM", "served to the end", "either", "GOAWAY"

FLOOD = 'quickpulse_requests_refused_total{reason="flood"}'


def odd(count: int, first: int = 1) -> range:
    """Streams of a client's."""
    return range(first, first + 2 * count, 2)


def opened(path: str, count: int = STREAMS) -> bytes:
    """Open streams, with short blocks."""
    fields = fields_of(path)
    begin = frame(HEADERS, END_HEADERS, 1, h2.entered(fields))
    short = h2.indexes(len(fields))
    return begin + b"".join(frame(HEADERS, END_HEADERS, stream, short) for stream in odd(count - 1, 3))


def asked(count: int = STREAMS) -> bytes:
    """Many takes."""
    return h2.pipelined(CONSUME, message(b""), count)


def frames(path: str) -> Iterator[Flood]:
    """Frames that cost and move nothing."""
    one = headers(1, fields_of(path))
    done = one + data(1, payload_message(b"x"))
    begun = frame(HEADERS, 0, 1, block(fields_of(path)))
    one_byte, empty = frame(CONTINUATION, 0, 1, b"\0"), frame(CONTINUATION, 0, 1)
    huge = frame(CONTINUATION, 0, 1, h2.literal(b"x-a", b"x" * 16_300))
    yield Flood("CONTINUATION without end", lambda: begun + one_byte * MANY, CALM)
    yield Flood("empty CONTINUATION", lambda: begun + empty * MANY, CALM)
    yield Flood("huge CONTINUATION", lambda: begun + huge * 1000, CALM)
    yield Flood("SETTINGS", lambda: settings() * MANY, CALM)
    yield Flood("SETTINGS that change", lambda: settings(*[(4, 2**31 - 1), (4, 0)] * 1000) * 1000, CALM)
    yield Flood("SETTINGS' acknowledgements", lambda: frame(SETTINGS, ACK, 0) * MANY, CALM)
    yield Flood("PING", lambda: frame(PING, 0, 0, bytes(8)) * MANY, CALM)
    yield Flood("PING's acknowledgements", lambda: frame(PING, ACK, 0, bytes(8)) * MANY, CALM)
    yield Flood("PRIORITY", lambda: frame(PRIORITY, 0, 1, bytes(5)) * MANY, CALM)
    yield Flood("PRIORITY of many streams", lambda: _each(lambda at: frame(PRIORITY, 0, at, bytes(5))), CALM)
    yield Flood("empty DATA", lambda: one + data(1, b"", 0) * MANY, CALM)
    yield Flood("DATA of padding", lambda: one + frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 20_000, CALM)
    yield Flood("empty DATA on a reset stream", lambda: headers(1, [(b"X", b"")]) + data(1, b"", 0) * MANY, EITHER)
    yield Flood("RST_STREAM", lambda: done + reset(1) * MANY, CALM)
    yield Flood("unknown frames", lambda: frame(0xBB, 0, 0, b"hello") * MANY, CALM)
    yield Flood("GOAWAY", lambda: frame(GOAWAY, 0, 0, bytes(8)) * MANY, CALM)
    yield Flood("WINDOW_UPDATE", lambda: window_update(0, 1) * 10 * MANY, EITHER)
    yield Flood("a stream's WINDOW_UPDATE", lambda: one + window_update(1, 1) * 10 * MANY, EITHER)
    yield Flood("a closed stream's WINDOW_UPDATE", lambda: done + window_update(1, 1) * 10 * MANY, EITHER)


def _each(make: Callable[[int], bytes], count: int = MANY) -> bytes:
    return b"".join(map(make, odd(count)))


def streams(path: str) -> Iterator[Flood]:
    """Streams that are opened for nothing."""
    fields = fields_of(path)
    entering = frame(HEADERS, END_HEADERS, 1, h2.entered(fields)) + reset(1)
    short = h2.indexes(len(fields))

    def pairs(after: Callable[[int], bytes]) -> bytes:
        return entering + b"".join(frame(HEADERS, END_HEADERS, at, short) + after(at) for at in odd(MANY, 3))

    body = payload_message(b"x")
    yield Flood("rapid reset", lambda: pairs(reset), CALM)
    yield Flood("rapid reset of whole requests", lambda: pairs(lambda at: data(at, body) + reset(at)), CALM)
    yield Flood("whole requests, then their resets", lambda: _later(path), CALM)
    yield Flood("resets by the server, for windows", lambda: pairs(lambda at: window_update(at, 0)), CALM)
    overflow = window_update(0, 2**31 - 1)[9:]
    yield Flood("resets by overflow", lambda: pairs(lambda at: frame(8, 0, at, overflow)), CALM)
    yield Flood("resets by PRIORITY", lambda: pairs(lambda at: frame(PRIORITY, 0, at, bytes(4))), CALM)
    bad = block([*fields, (b"X", b"")])
    yield Flood("malformed requests", lambda: _each(lambda at: frame(HEADERS, 5, at, bad), 10_000), CALM)
    yield Flood("streams beyond the limit", lambda: opened(path, 20_000), CALM)
    yield Flood("trailers without end", lambda: opened(path, 900) + headers(1, [(b"x", b"y")], 4) * 900, EITHER)


def _later(path: str) -> bytes:
    """Runs of requests, each followed by the resets of all of them, from the last."""
    fields, body = fields_of(path), payload_message(b"x")
    sent = [frame(HEADERS, END_HEADERS, 1, h2.entered(fields)) + data(1, body)]
    short = h2.indexes(len(fields))
    for run in range(50):
        ids = odd(1000, 3 + run * 2000)
        sent += [frame(HEADERS, END_HEADERS, at, short) + data(at, body) for at in ids]
        sent += [reset(at) for at in reversed(ids)]
    return b"".join(sent)


def amplifiers(path: str) -> Iterator[Flood]:
    """Little that is sent, and much to do."""
    good = block(fields_of(path))
    entry = frame(HEADERS, END_HEADERS, 1, good + h2.entering(b"x-bomb", b"b" * 4000)) + data(1, payload_message(b"x"))

    def bombs(fields: bytes, size: int, count: int) -> bytes:
        """Blocks of indexes in several frames."""
        sent = [entry]
        for at in odd(count, 3):
            sent.append(frame(HEADERS, END_STREAM, at, fields))
            sent += [frame(CONTINUATION, 0, at, b"\xbe" * 16_000)] * (size - 1)
            sent.append(frame(CONTINUATION, END_HEADERS, at, b"\xbe" * 16_000))
        return b"".join(sent)

    yield Flood("a table's entry 48,000 times", lambda: bombs(good, 3, 100), REFUSED)
    pseudo = b"\x83\x86\x84"
    yield Flood("a block of 48,000 indexes", lambda: bombs(pseudo, 3, 100), REFUSED)
    tiny = good + b"\x00\x01x\x00" * 1800  # 59,400 bytes as a list
    yield Flood("lists of 1,800 fields", lambda: _each(lambda at: frame(HEADERS, 5, at, tiny), 100), EITHER)
    a_long = b"\x18\xc6\x31\x8c\x63" * 3000  # 24,000 times "a", five bits each
    coded = good + b"\x00\x01x" + h2.integer(len(a_long), 7, 0x80) + a_long
    yield Flood("long Huffman codes", lambda: _each(lambda at: frame(HEADERS, 5, at, coded), 100), EITHER)
    moving = [(h2.INITIAL_WINDOW_SIZE, 65_535), (h2.INITIAL_WINDOW_SIZE, 65_536)] * 1300
    yield Flood("windows of 1,000 streams", lambda: opened(path) + settings(*moving) * 100, EITHER)
    single = [data(at, payload_message(bytes(2000))[:1], 0) for at in odd(STREAMS)]
    rest = [data(at, b"\0", 0) for at in odd(STREAMS)]
    yield Flood("DATA of a byte for 1,000 streams", lambda: opened(path) + b"".join(single + rest * 60), EITHER)
    one = headers(1, fields_of(path)) + data(1, message(b"", says=MANY), 0)
    yield Flood("DATA of a byte", lambda: one + data(1, b"\0", 0) * (MANY - 1) + data(1, b"\0"), EITHER)
    part = data(0, bytes(16_000), 0)
    begun = [data(at, message(b"", says=1_048_000), 0) for at in odd(STREAMS)]
    large = [(at.to_bytes(4, "big").join((part[:5], part[9:]))) for at in odd(STREAMS)]
    yield Flood("1,000 long messages without end", lambda: opened(path) + b"".join(begun + large * 4), EITHER)


def unary_amplifiers() -> Iterator[Flood]:
    """The same, in a unary request."""
    fields = fields_of(PRODUCE, (b"grpc-encoding", b"gzip"))
    longest = message(gzip.compress(payload_message(bytes(1_048_576))[5:]), 1)
    bomb = message(gzip.compress(bytes(5_000_000)), 1)

    def calls(body: bytes, count: int) -> bytes:
        begin = frame(HEADERS, END_HEADERS, 1, h2.entered(fields)) + data(1, body)
        short = h2.indexes(len(fields))
        return begin + b"".join(frame(HEADERS, END_HEADERS, at, short) + data(at, body) for at in odd(count - 1, 3))

    yield Flood("100 bombs of gzip", lambda: calls(bomb, 100), SERVED)
    yield Flood("50 messages of 1 MiB, compressed", lambda: calls(longest, 50), SERVED)


def tiny_windows() -> Iterator[Flood]:
    """Answers that hardly go out."""
    closed = settings((h2.INITIAL_WINDOW_SIZE, 0))
    drip = b"".join(window_update(at, 1) for at in odd(STREAMS))
    yield Flood("no window for 1,000 answers", lambda: closed + asked(), SERVED)
    yield Flood("windows of one byte", lambda: settings((h2.INITIAL_WINDOW_SIZE, 1)) + asked() + drip * 20, EITHER)
    opening = [(h2.INITIAL_WINDOW_SIZE, 1), (h2.INITIAL_WINDOW_SIZE, 0)] * 1300
    yield Flood("windows that open and close", lambda: closed + asked() + settings(*opening) * 20, EITHER)
    yield Flood("the connection's window in drips", lambda: closed + asked() + window_update(0, 1) * MANY, EITHER)
    updates = b"".join(window_update(0, 1) + window_update(at, 1) for at in odd(STREAMS))
    yield Flood("both windows in drips", lambda: closed + asked() + updates * 20, EITHER)
    yield Flood("more calls than are allowed", lambda: asked(20_000), CALM)


def tiny_windows_of_streams() -> Iterator[Flood]:
    """The same on streams, whose messages wait with their answers."""
    closed, ids = settings((h2.INITIAL_WINDOW_SIZE, 0)), odd(STREAMS)
    said = b"".join(data(at, payload_message(b"x" * 50) * 100, 0) for at in ids)
    drip = b"".join(window_update(at, 1) for at in ids)
    yield Flood("no window for 1,000 streams", lambda: closed + opened(STREAM) + said, SERVED)
    yield Flood("windows of 1,000 streams in drips", lambda: closed + opened(STREAM) + said + drip * 30, EITHER)
    moving = settings(*[(h2.INITIAL_WINDOW_SIZE, 1), (h2.INITIAL_WINDOW_SIZE, 0)] * 1300) * 20
    yield Flood("windows of streams that move", lambda: closed + opened(STREAM) + said + moving, EITHER)


class HostileFloodsTests(HostileHttp2TestCase):
    """One server for all floods of a mode, one after the other."""

    timeout = 120

    async def flood(self, flood: Flood) -> str | None:
        """Try one; gives what was wrong."""
        sock = await wire.connect(self.server.port)
        with sock:
            answers = Answers(await storm(sock, OPENING + flood.sent() + frame(PING, 0, 0, MARK), MARK))
        await self.lap(flood.name)
        before, self.counts = self.counts, await self.counts_without_attackers()
        seen = f"GOAWAY {answers.goaway}, {answers.pongs}"
        is_calmed, is_served = answers.goaway == h2.ENHANCE_YOUR_CALM, MARK in answers.pongs
        if is_calmed and self.counts[FLOOD] != before[FLOOD] + 1:
            return f"{flood.name}: not counted as flood"
        is_right = {
            CALM: is_calmed,
            SERVED: is_served,
            EITHER: is_calmed or is_served,
            REFUSED: is_calmed or answers.goaway == h2.COMPRESSION_ERROR,
        }
        return None if is_right[flood.outcome] else f"{flood.name}: not {flood.outcome} but {seen}"

    async def try_all(self, mode: str, floods: list[Flood]) -> None:
        """Try a table, and show all that was wrong at once."""
        self.begin(mode)
        self.counts = await self.counts_without_attackers()
        wrong = [said for flood in floods if (said := await self.flood(flood))]
        self.assertFalse(wrong, f"{len(wrong)} of {len(floods)}:\n" + "\n".join(wrong))
        if mode == "grpc":
            await self.take_all()
        await self.finish(f"{len(floods)} floods, {mode}")
        self.assert_memory_is_back(HELD_BYTES)  # of 50 messages of 1 MiB, among others

    def test_unary(self):
        """Over Produce and Consume."""
        floods = [*frames(PRODUCE), *streams(PRODUCE), *amplifiers(PRODUCE), *unary_amplifiers(), *tiny_windows()]
        return self.story(self.try_all("grpc", floods))

    def test_streaming(self):
        """Over StreamMessages."""
        floods = [*frames(STREAM), *streams(STREAM), *amplifiers(STREAM), *tiny_windows_of_streams()]
        return self.story(self.try_all("grpc_stream", floods))

    def test_bombs_again(self):
        """What a refused message was unpacked to is forgotten at once, each time."""

        async def talk() -> None:
            self.begin("grpc")
            bombs = next(flood for flood in unary_amplifiers() if flood.name == "100 bombs of gzip").sent()
            for _ in range(15):
                sock = await wire.connect(self.server.port)
                with sock:
                    await storm(sock, OPENING + bombs, last_of(100))
            await self.finish("1,500 bombs of gzip")
            self.assert_memory_is_back()

        return self.story(talk())
