"""Attacks on WebSocket by amount: floods of frames, of messages, of pieces of a message.

Each ends with a Close that says why, or is served to the end as any other client; the good client beside it is answered
all the time, and memory comes back. Single frames that are wrong are in `test_hostile_ws`, and what lives by its time,
or by the number of its connections, in `test_hostile_ws_peers`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.interop import wire
from tests.interop.hostile import HELD_BYTES, storm
from tests.interop.hostile_ws import CONSUME, EMPTY, MARK, OK, PUBLISH, Answers, HostileWsTestCase
from tests.interop.wire import BINARY, CLOSE, PING, PONG, TEXT, frame, masked, upgrade

MANY = 50_000

LIMIT = 262_144
"""--max-message-bytes."""

FLOOD, TOO_BIG = 1008, 1009

CLOSED = frame(b"\x03\xe8", CLOSE)
"""Behind a flood that the server reads on behind its own Close, to find this."""

PONG_MARK = bytes((0x80 | PONG, len(MARK))) + MARK


class Flood(NamedTuple):
    """One attack.

    :ivar name: what it is.
    :ivar sent: makes all bytes behind the handshake; a ping with the mark comes behind them.
    :ivar answered: so many messages are answered.
    :ivar code: of the Close that ends it; `None` if it is served to the end.
    :ivar reason: how that is counted.
    :ivar path: PUBLISH or CONSUME.
    """

    name: str
    sent: Callable[[], bytes]
    answered: int
    code: int | None = None
    reason: str | None = None
    path: str = PUBLISH


def controls() -> Iterator[Flood]:
    """Control frames, which cost and move nothing."""

    def flood(name: str, sent: bytes, answered: int = 0) -> Flood:
        return Flood(name, lambda: sent, answered, FLOOD, "flood")

    ping, pong = frame(b"?", PING), frame(b"?", PONG)
    begun = frame(b"begun", first=0)
    yield flood("pings", ping * MANY)
    yield flood("empty pings", frame(b"", PING) * MANY)
    yield flood("long pings", frame(bytes(125), PING) * MANY)
    yield flood("pongs", pong * MANY)
    yield flood("pings and pongs", (ping + pong) * MANY)
    yield flood("pings behind a message", frame(b"first") + ping * MANY, 1)
    yield flood("pings within a message", begun + ping * MANY)
    yield flood("a ping behind each fragment", begun + (frame(b"x", 0, first=0) + ping) * MANY)
    both = frame(b"m") + ping
    yield Flood("a ping behind each message", lambda: both * MANY, MANY)
    yield Flood("900 pings behind each message", lambda: (frame(b"m") + ping * 900) * 50, 50)


def fragments() -> Iterator[Flood]:
    """Pieces of a message that never ends, or does when nobody would expect it."""
    for opcode, kind in ((BINARY, "a message"), (TEXT, "a text")):
        empty = frame(b"", opcode, first=0) + frame(b"", 0, first=0) * MANY
        yield Flood(f"empty fragments of {kind}", lambda sent=empty: sent, 0, FLOOD, "flood")
    for size in (100, 1000):
        part = frame(b"p" * size, 0, first=0)
        sent = frame(b"", first=0) + part * (LIMIT // size + 1)
        yield Flood(
            f"{size:,} bytes in each fragment, without end", lambda sent=sent: sent, 0, TOO_BIG, "message_too_large"
        )
    one = frame(b"1", 0, first=0)
    bytewise = frame(b"", first=0) + one * MANY + frame(b"", 0)
    yield Flood("50,000 fragments of a byte", lambda: bytewise, 1)
    tiny = frame(b"", first=0) + one * (LIMIT + 1)
    yield Flood("a byte in each fragment, without end", lambda: tiny, 0, TOO_BIG, "message_too_large")
    mixed = (
        frame(b"", TEXT, first=0) + (frame("ü".encode()[:1], 0, first=0) + frame("ü".encode()[1:], 0, first=0)) * 20_000
    )
    yield Flood("code points cut in two", lambda: mixed + frame(b"", 0), 1)
    pair = frame(b"a", first=0) + frame(b"b", 0)
    yield Flood("messages in two fragments", lambda: pair * MANY, MANY)


def messages() -> Iterator[Flood]:
    """Good messages, as many as go."""
    yield Flood("empty messages", lambda: frame(b"") * MANY, MANY)
    yield Flood("empty texts", lambda: frame(b"", TEXT) * MANY, MANY)
    yield Flood("messages of a byte", lambda: frame(b"1") * MANY, MANY)
    yield Flood("text and bytes in turn", lambda: (frame(b"12", TEXT) + frame(b"123")) * (MANY // 2), MANY)
    yield Flood("text beyond ASCII", lambda: frame("überall".encode(), TEXT) * MANY, MANY)
    sizes = random.Random(1)
    odd = b"".join(frame(b"s" * sizes.randrange(200)) for _ in range(1000))
    yield Flood("messages of any size", lambda: odd * 50, 50_000)
    longest = b"\x82\xff" + LIMIT.to_bytes(8, "big") + b"mask" + masked(b"l" * LIMIT, b"mask")
    yield Flood("200 messages of 256 KiB", lambda: longest * 200, 200)
    yield Flood("takes of an empty queue", lambda: frame(b"") * MANY, MANY, path=CONSUME)
    yield Flood("long takes of an empty queue", lambda: frame(bytes(10_000)) * 5000, 5000, path=CONSUME)


class HostileWsFloodsTests(HostileWsTestCase):
    """One server for all floods of a setting, one after the other; the queue is emptied behind each."""

    timeout = 180

    async def flood(self, flood: Flood) -> str | None:
        """Try one; gives what was wrong."""
        sock = await wire.connect(self.server.port)
        with sock:
            sent = upgrade(flood.path) + flood.sent() + frame(MARK, PING) + CLOSED * (flood.code == TOO_BIG)
            received = await storm(sock, sent, PONG_MARK)
            if flood.code is None:  # a pong overtakes the answers of its read
                received += await storm(sock, frame(MARK, PING), PONG_MARK)
        answers = Answers(received)
        lap = await self.lap(f"{flood.name} | {flood.code or 'served'} | {flood.reason}")
        said = await self.miscounted(flood.reason)
        usual = OK if flood.path == PUBLISH else EMPTY
        answered = [one for one in answers.messages if one == usual or flood.path == CONSUME]
        is_right = len(answered) == flood.answered and answers.closes == ([] if flood.code is None else [flood.code])
        await self.take_all()
        self.assertGreater(lap["answered"], 0)
        return said if is_right else f"{flood.name}: {len(answered)} answers, {answers.closes}"

    async def try_all(self, ws_frames: str, floods: list[Flood]) -> None:
        """Try a table, and show all that was wrong at once."""
        self.begin(ws_frames, "--max-message-bytes", str(LIMIT))
        self.counts = await self.counts_without_attackers()
        wrong = [said for flood in floods if (said := await self.flood(flood))]
        self.assertFalse(wrong, f"{len(wrong)} of {len(floods)}:\n" + "\n".join(wrong))
        await self.finish(f"{len(floods)} floods, {ws_frames}")
        self.assert_memory_is_back(HELD_BYTES)  # of 200 long messages, among others

    def test_fast(self):
        """As it is read by default."""
        return self.story(self.try_all("fast", [*controls(), *fragments(), *messages()]))

    def test_plain(self):
        """By autobahn alone."""
        return self.story(self.try_all("plain", [*controls(), *fragments(), *messages()]))
