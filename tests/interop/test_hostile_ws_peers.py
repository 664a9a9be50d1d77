"""WebSocket clients that hold, stall, vanish or come in crowds, and one that sends a million messages at once.

The good client beside them is answered all the time, what they hold is bounded by bytes and by time, and every message
that was acknowledged is in the queue, came out, or is counted as undelivered.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

from tests.interop import wire
from tests.interop.hostile import HELD_BYTES, MILLION, REFUSED, slow_connection, storm, until_cut
from tests.interop.hostile_ws import (
    CONSUME,
    MARK,
    OK,
    PUBLISH,
    Answers,
    HostileWsTestCase,
    converse,
    has_answers,
    refuses,
)
from tests.interop.server import allow_many_connections
from tests.interop.wire import BINARY, CLOSE, PING, frame, upgrade

CONNECTIONS = 1000

PAYLOAD = b"in and out."

TOO_MANY = REFUSED.format("too_many_connections")


async def opened(port: int, path: str, sent: bytes = b"") -> socket.socket:
    """A connection that has its handshake, and sent something behind it."""
    sock = await wire.connect(port)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, upgrade(path) + sent)
    head = b""
    while b"\r\n\r\n" not in head:
        part = await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), wire.ANSWER_SECONDS)
        assert part, f"no handshake: {head!r}"
        head += part
    assert b" 101 " in head.split(b"\r\n")[0], head
    return sock


async def held(port: int, sent: bytes, seconds: float = wire.ANSWER_SECONDS) -> bytes | None:
    """Send this, then nothing more; what came until the server cut the connection, `None` if it did not."""
    sock = await wire.connect(port)
    with sock:
        await asyncio.get_running_loop().sock_sendall(sock, sent)
        try:
            return await wire.read_all(sock, seconds)
        except asyncio.TimeoutError:
            return None


class HostileWsPeersTests(HostileWsTestCase):
    """A server for each, because each needs another setting."""

    timeout = 180

    async def fill(self, payload: bytes, count: int) -> None:
        """Put so many in, as fast as it goes."""
        sock = await wire.connect(self.server.port)
        with sock:
            received = await storm(
                sock, upgrade(PUBLISH) + frame(payload) * count + frame(b"\x03\xe8", CLOSE), b"\x88\x02"
            )
        self.assertEqual(Answers(received).messages, [OK] * count)

    def test_a_million_messages(self):
        """As fast as it goes, on one connection: all are acknowledged, all come out, and memory comes back."""

        async def talk() -> None:
            self.begin("fast", "--capacity", str(2 * MILLION))
            await self.fill(PAYLOAD, MILLION)
            await self.lap("1,000,000 messages on one connection | all put in | None")
            sock = await wire.connect(self.server.port)
            with sock:
                sent = upgrade(CONSUME) + frame(b"") * MILLION + frame(b"\x03\xe8", CLOSE)
                received = await storm(sock, sent, b"\x88\x02\x03\xe8")
            lap = await self.lap("1,000,000 takes on one connection | all taken out | None")
            taken = received.count(PAYLOAD) + lap["others"].get(PAYLOAD.decode(), 0)
            self.assertEqual(taken, MILLION)
            await self.finish("a million in and out")
            self.assert_memory_is_back(HELD_BYTES)

        return self.story(talk())

    def test_a_million_messages_by_autobahn(self):
        """A tenth of it, with --ws-frames plain."""

        async def talk() -> None:
            self.begin("plain")
            await self.fill(PAYLOAD, MILLION // 10)
            await self.lap("100,000 messages on one connection, plain | all put in | None")
            self.put[PAYLOAD] = MILLION // 10
            await self.finish("100,000 messages, plain")
            await self.balance()
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_slow_reader_of_a_million_answers(self):
        """Asks for them and reads none: it is not read from, cut in time, and what it was not handed is still there."""

        async def talk() -> None:
            self.begin("fast", "--stall-seconds", "2")
            await self.fill(b"x" * 100, 100_000)
            sock = await slow_connection(self.server.port)
            with sock:
                sent = upgrade(CONSUME) + frame(b"") * MILLION
                self.assertTrue(await until_cut(sock, sent, frame(b""), 60))
            counts = await self.finish("a slow reader of a million messages | cut | stalled")
            self.assertEqual(counts[REFUSED.format("stalled")], 1)
            self.assertLess(self.worst_rss - self.rss_before, HELD_BYTES)
            self.assertGreater(counts["quickpulse_undelivered_total"], 0)
            out = (await self.take_all())[b"x" * 100]
            lap = await self.lap("the rest is taken out")
            handed_out = 100_000 - out - lap["others"].get("x" * 40, 0)
            self.assertLessEqual(counts["quickpulse_undelivered_total"], handed_out)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_publisher_that_does_not_read(self):
        """Sends messages for ever and reads no answer: what was taken in stays, and it is cut in time."""

        async def talk() -> None:
            self.begin("fast", "--stall-seconds", "2", "--capacity", str(4 * MILLION))
            sock = await slow_connection(self.server.port)
            with sock:
                self.assertTrue(await until_cut(sock, upgrade(PUBLISH) + frame(b"y") * 3 * MILLION, frame(b"y"), 60))
            counts = await self.finish("a publisher that reads no answer | cut | stalled")
            self.assertEqual(counts[REFUSED.format("stalled")], 1)
            taken = await self.take_all()
            self.assertGreater(taken[b"y"], 0)
            self.assertEqual([said for said in taken if not said.startswith(b"good ")], [b"y"])
            self.assert_memory_is_back(HELD_BYTES)

        return self.story(talk())

    def test_half_a_handshake(self):
        """Cut anywhere, or never one at all: cut in time without a word. Byte by byte, in time, it is served."""
        whole = upgrade(PUBLISH)
        heads = [
            *(whole[:size] for size in range(0, len(whole), 5)),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(14, 200)),  # TLS
            whole.replace(b"\r\n", b"\n"),
            whole.replace(b"\r\n", b"\r"),
            b"\r\n",
            b"\0" * 1000,
            wire.PREFACE[:17],
        ]

        async def drip(count: int) -> None:
            """A byte now and then: that is not what the time is for."""
            sock = await wire.connect(self.server.port)
            loop = asyncio.get_running_loop()
            with sock:
                reading = asyncio.ensure_future(wire.read_all(sock))
                for byte in whole:
                    if reading.done():
                        break
                    try:
                        await loop.sock_sendall(sock, bytes((byte,)))
                    except ConnectionError:
                        break
                    await asyncio.sleep(0.1)
                self.assertEqual(await reading, b"")

        async def talk() -> None:
            self.begin("fast", "--handshake-seconds", "1")
            asked = [held(self.server.port, head) for head in heads]
            answers = await asyncio.gather(*asked, *map(drip, range(20)))
            self.assertEqual(answers[: len(heads)], [b""] * len(heads))
            counts = await self.finish(f"{len(heads) + 20} halves of a handshake | cut | timeout")
            self.assertEqual(counts[REFUSED.format("timeout")], len(heads) + 20)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_two_hundred_halves_of_a_handshake(self):
        """With the usual five seconds, others are served meanwhile."""

        async def talk() -> None:
            self.begin("fast")
            halves = [upgrade(PUBLISH)[: number % 150] for number in range(200)]
            answers = await asyncio.gather(*(held(self.server.port, half) for half in halves))
            self.assertEqual(answers, [b""] * 200)
            counts = await self.finish("200 halves of a handshake | cut | timeout")
            self.assertEqual(counts[REFUSED.format("timeout")], 200)

        return self.story(talk())

    def test_a_peer_that_never_closes(self):
        """A Close of ours is not answered, whatever comes or does not: the connection is cut."""
        fault = upgrade(PUBLISH) + frame(b"a", 3)

        async def talk() -> None:
            self.begin("fast")
            silent = held(self.server.port, fault)
            talking = held(self.server.port, fault + frame(b"more") * 1000)
            closed = held(self.server.port, upgrade(PUBLISH) + frame(b"\x03\xe8", CLOSE))
            for received in await asyncio.gather(silent, talking, closed):
                self.assertIsNotNone(received)
                self.assertEqual([opcode for opcode, _ in Answers(received).frames], [CLOSE])
            counts = await self.finish("peers that never close | Close 1002, 1002, 1000, cut | bad_request")
            self.assertEqual(counts[REFUSED.format("bad_request")], 2)

        return self.story(talk())

    def test_silence(self):
        """Who answers no ping is cut; who sends no message for --idle-seconds is closed, pings or not."""

        async def idle(number: int) -> list[int | None]:
            sock = await wire.connect(self.server.port)
            with sock:
                sent = upgrade(CONSUME if number % 2 else PUBLISH) + frame(b"?", PING)
                answers, _ = await converse(sock, sent, lambda _: False)
            return answers.closes

        async def talk() -> None:
            self.begin("fast", "--queue", "tests.interop.short_waits:make_queue")
            sock = await opened(self.server.port, PUBLISH)
            with sock:
                received = await wire.read_all(sock)
            self.assertEqual({opcode for opcode, _ in wire.read_frames(received)}, {PING})
            counts = await self.finish("no pong | cut | timeout")
            self.assertEqual(counts[REFUSED.format("timeout")], 1)
            self.begin("fast", "--idle-seconds", "1")
            self.assertEqual(await asyncio.gather(*map(idle, range(50))), [[1001]] * 50)
            counts = await self.finish("50 that send no message | Close 1001 | idle")
            self.assertEqual(counts[REFUSED.format("idle")], 50)

        return self.story(talk())

    def test_idle_connections_to_the_limit(self):
        """One more is refused with 503, at once; when some have gone, others come in."""

        async def one_more() -> Answers:
            received = await held(self.server.port, upgrade(PUBLISH))
            assert received is not None, "neither served nor refused"
            return Answers(received)

        async def talk(option: str) -> None:
            self.begin("fast", option, "50")
            sockets = [await opened(self.server.port, PUBLISH) for _ in range(50 - self.bystanders)]
            for answers in await asyncio.gather(*(one_more() for _ in range(20))):
                self.assertTrue(refuses(503).holds(answers), answers)
            await self.lap(f"20 over {option} | HTTP 503 | too_many_connections")
            self.assertEqual(await self.server.metric(TOO_MANY), 20)
            for sock in sockets[::2]:
                sock.close()
            await self.server.until_metric(self.open_connections, 50 - len(sockets[::2]))
            sockets[::2] = [await opened(self.server.port, PUBLISH) for _ in sockets[::2]]
            for sock in sockets:
                wire.vanish(sock)
            await self.finish(f"idle connections, {option}")

        async def both() -> None:
            await talk("--max-connections")
            await talk("--max-connections-per-address")

        return self.story(both())

    def test_a_crowd_over_the_limit(self):
        """A thousand against a limit of fifty: no more get in, and those that are in are served on."""
        allow_many_connections()

        async def talk() -> None:
            self.begin("fast", "--max-connections", "50")
            received = await asyncio.gather(*(held(self.server.port, b"", 20.0) for _ in range(CONNECTIONS)))
            self.assertNotIn(None, received)
            counts = await self.finish("1,000 over --max-connections | HTTP 503 or cut | too_many_connections")
            self.assertGreaterEqual(counts[TOO_MANY], CONNECTIONS - 48)

        return self.story(talk())

    def test_the_end_at_every_byte(self):
        """A conversation that ends behind each of its bytes, by RST, FIN or half of it: whole messages stay in."""
        conversation = (
            upgrade(PUBLISH)
            + frame(b"one")
            + frame(b"two", first=0)
            + frame(b"?", PING)
            + frame(b" more", 0)
            + frame(b"l" * 300)
            + frame(b"\x03\xe8", CLOSE)
        )
        head = conversation.index(b"\r\n\r\n") + 4

        async def cut(size: int, how: int) -> None:
            sock = await wire.connect(self.server.port)
            await asyncio.get_running_loop().sock_sendall(sock, conversation[:size])
            if how == 0:
                wire.vanish(sock)
            elif how == 1:
                sock.close()
            else:
                with sock:
                    sock.shutdown(socket.SHUT_WR)
                    answers = Answers(await wire.read_all(sock))
                frames = list(wire.read_client_frames(conversation[head:size]))
                whole = sum(first & 0x80 and first & 0x0F in (0, BINARY) for first, _ in frames)
                self.assertEqual(answers.messages, [OK] * whole)

        async def talk() -> None:
            self.begin("fast")
            for how in range(3):
                await asyncio.gather(*(cut(size, how) for size in range(0, len(conversation) + 1, 2)))
            counts = await self.finish("an end at every byte | all forgotten | None")
            taken = await self.take_all()
            whole = {b"one", b"two more", b"l" * 300}
            self.assertEqual({payload for payload in taken if not payload.startswith(b"good ")} - whole, set())
            self.assertEqual(counts["quickpulse_undelivered_total"], 0)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_a_thousand_that_vanish(self):
        """Each within its second message, by RST and by FIN: the first ones stay, in full."""
        allow_many_connections()

        async def begin(number: int) -> socket.socket:
            half = frame(bytes(10_000))[: 1 + number * 9]
            return await opened(self.server.port, PUBLISH, frame(b"%4d" % number) + half)

        async def talk() -> None:
            self.begin("fast")
            sockets = await asyncio.gather(*map(begin, range(CONNECTIONS)))
            await self.server.until_metric(self.open_connections, self.bystanders + CONNECTIONS)
            for number, sock in enumerate(sockets):
                (wire.vanish if number % 2 else socket.socket.close)(sock)
            await self.finish("1,000 that vanish | all forgotten | None")
            self.put = Counter(b"%4d" % number for number in range(CONNECTIONS))
            await self.balance()
            self.assert_memory_is_back()

        return self.story(talk())

    def test_consumers_that_vanish(self):
        """Each asks and resets at once: what the metrics say was taken was taken, and the rest is still there."""
        total = 3000

        async def take(number: int) -> int:
            """Ask for three, and give how many arrived before the reset."""
            sock = await wire.connect(self.server.port)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, upgrade(CONSUME) + frame(b"") * 3)
            await asyncio.sleep(number % 7 / 1000)
            try:
                data = sock.recv(1 << 18)
            except BlockingIOError:
                data = b""
            wire.vanish(sock)
            return sum(opcode == BINARY for opcode, _ in Answers(data).frames)

        async def talk() -> None:
            self.begin("fast")
            await self.fill(b"taken?", total)
            received = sum(await asyncio.gather(*map(take, range(500))))
            counts = await self.finish("500 consumers that vanish | all forgotten | None")
            lost = counts["quickpulse_undelivered_total"]
            left = (await self.take_all())[b"taken?"]
            lap = await self.lap("the rest is taken out")
            taken = total - left - lap["others"].get("taken?", 0)
            # What arrived just before a reset was perhaps not confirmed yet, and counts too.
            self.assertLessEqual(lost, taken)
            self.assertGreaterEqual(received + lost, taken - 3)
            self.assert_memory_is_back()

        return self.story(talk())

    def test_two_thousand_at_once(self):
        """All are accepted, and each has its answer."""
        allow_many_connections()

        async def one() -> int:
            sock = await wire.connect(self.server.port)
            with sock:
                answers, _ = await converse(
                    sock, upgrade(PUBLISH) + frame(b"one of many"), has_answers(1), seconds=30.0
                )
            return len(answers.messages)

        async def talk() -> None:
            self.begin("fast")
            self.assertEqual(await asyncio.gather(*(one() for _ in range(2000))), [1] * 2000)
            await self.finish("2,000 connections at once | all served | None")
            self.put[b"one of many"] = 2000
            await self.balance()
            self.assert_memory_is_back()

        return self.story(talk())

    def test_long_messages_that_never_end(self):
        """A hundred peers hold a message of a byte less than the limit: bounded, and forgotten with them."""
        part = frame(bytes(1_048_575), first=0)

        async def talk() -> None:
            self.begin("fast")
            for _ in range(3):
                sockets = await asyncio.gather(*(opened(self.server.port, PUBLISH) for _ in range(40)))
                loop = asyncio.get_running_loop()
                await asyncio.gather(*(loop.sock_sendall(sock, part + frame(MARK, PING)) for sock in sockets))
                for sock in sockets:
                    await loop.sock_recv(sock, 100)
                    wire.vanish(sock)
                await self.lap("40 messages of 1 MiB without their end | held and forgotten | None")
            await self.finish("long messages that never end")
            self.assertLess(self.worst_rss - self.rss_before, 40 * 2 * 1_048_576 + HELD_BYTES)
            self.assert_memory_is_back(HELD_BYTES)

        return self.story(talk())
