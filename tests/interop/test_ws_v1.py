"""/ws/v1 of a real server: its end, clients that vanish while they wait, and clients that do not read."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from websockets.exceptions import ConnectionClosed

from quickpulse.requests import (
    Action,
    Batch,
    Delivery,
    GetQueue,
    Publish,
    Pull,
    QueueInfo,
    Settle,
    Subscribe,
    Subscribed,
)
from quickpulse.wire.v1.frames import BINARY, write_request
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, V1_PATH
from tests.interop import wire
from tests.interop.server import POLL_SECONDS, RealServer, RealServerTestCase
from tests.transports.ws_v1_peers import WsConversation, open_conversation

BIN, JSON = SUBPROTOCOLS.values()

DEADLINE_SECONDS = 8.0 + 3.0
"""--drain-seconds, and some more for a busy machine."""

LONG_MS = 60_000

LONG_BYTES = 100_000


class WsV1TestCase(RealServerTestCase):
    """A server, and clients that ask one thing after the other."""

    timeout = 60

    async def ask(self, it: WsConversation, request: Any) -> Any:
        """Its reply."""
        await it.send(1, request)
        request_id, reply = await asyncio.wait_for(it.receive(), wire.ANSWER_SECONDS)
        self.assertEqual(request_id, 1, reply)
        return reply

    async def until_queue(self, it: WsConversation, condition: Any) -> QueueInfo:
        """Look at the queue q until something holds."""
        for _ in range(int(wire.ANSWER_SECONDS / POLL_SECONDS)):
            info: QueueInfo = await self.ask(it, GetQueue("q"))
            if condition(info):
                return info
            await asyncio.sleep(POLL_SECONDS)
        raise AssertionError(f"it did not come to pass: {info}")

    async def silent(self, server: RealServer, *requests: Any) -> socket.socket:
        """A client that asks, and never reads."""
        sock = await wire.connect(server.port)
        head = wire.upgrade(V1_PATH, f"Sec-WebSocket-Protocol: {BIN.name}")
        frames = [wire.frame(write_request(at, each, BINARY)) for at, each in enumerate(requests, 1)]
        await asyncio.get_running_loop().sock_sendall(sock, head + b"".join(frames))
        return sock


class EndTests(WsV1TestCase):
    """SIGTERM."""

    def test_drain(self):
        """Who waits is answered, who subscribes is told, then comes 1012; the process ends with 0."""

        async def talk() -> None:
            server = self.serve("ws")
            for subprotocol in (BIN, JSON):
                self.assertIsNotNone(await open_conversation(server.target, subprotocol))
            it = await open_conversation(server.target, JSON)
            await self.ask(it, Publish("held", Batch((b"a",))))
            held = await self.ask(it, Pull(("held",)))
            await it.send(2, Subscribe("q", 10))
            self.assertEqual(await it.receive(), (2, Subscribed()))
            await it.send(3, Pull(("r",), wait_ms=LONG_MS))
            await it.send(4, Settle("held", [(held.first_receipt, held.first_receipt)], Action.ACK))
            self.assertEqual((await it.receive())[1].settled, 1)
            server.signal()
            told = dict([await it.receive(), await it.receive()])
            self.assertEqual(told[2].error.code, "DRAINING")
            self.assertEqual(list(told[3].batch.payloads), [])
            with self.assertRaises(ConnectionClosed) as caught:
                await it.receive()
            self.assertEqual(caught.exception.rcvd.code, 1012)
            self.assertEqual((await self.assert_drained(server, DEADLINE_SECONDS))[1], 0)

        return self.story(talk())


class GoneTests(WsV1TestCase):
    """Clients that vanish."""

    def test_who_vanishes_while_it_waits(self):
        """A hundred clients with 10,000 requests are reset; what comes then is leased to nobody."""

        async def talk() -> None:
            server = self.serve("ws")
            it = await open_conversation(server.target, BIN)
            waiting = [Pull(("q",), wait_ms=LONG_MS)] * 98 + [Subscribe("q", 1000)] * 2
            gone = [await self.silent(server, *waiting) for _ in range(100)]
            await self.ask(it, Pull(("q",)))  # which makes the queue
            await self.until_queue(it, lambda info: info.waiters == 10_000)
            for sock in gone:
                wire.vanish(sock)
            await self.until_queue(it, lambda info: info.waiters == 0)
            await self.ask(it, Publish("q", Batch((b"x",) * 50)))
            self.assertEqual((await self.ask(it, GetQueue("q"))).ready, 50)
            self.assertEqual(len((await self.ask(it, Pull(("q",), 100))).batch.payloads), 50)
            self.assertEqual(await server.metric("quickpulse_undelivered_total"), 0)

        return self.story(talk())

    def test_who_does_not_read(self):
        """It gets what is on the way to it and no more; others get the rest, and what was lost is counted."""

        async def talk() -> None:
            server = self.serve("ws")
            it = await open_conversation(server.target, BIN)
            sock = await self.silent(server, Subscribe("q", 1 << 30, delivery=Delivery.TAKEN))
            await self.ask(it, Pull(("q",)))
            await self.until_queue(it, lambda info: info.waiters == 1)
            batch = Batch((bytes(LONG_BYTES),) * 30)
            for _ in range(20):
                await self.ask(it, Publish("q", batch))
            await asyncio.sleep(0.2)
            left = (await self.ask(it, GetQueue("q"))).ready
            self.assertGreater(left, 100)
            wire.vanish(sock)
            await self.until_queue(it, lambda info: info.waiters == 0)
            lost = await server.metric("quickpulse_undelivered_total")
            self.assertTrue(0 < lost <= 600 - left)
            got = 0
            while payloads := (await self.ask(it, Pull(("q",), 100, delivery=Delivery.TAKEN))).batch.payloads:
                got += len(payloads)
            self.assertEqual(got, left)

        return self.story(talk())
