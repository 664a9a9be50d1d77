"""WebSocket and HTTP ports under hostile input: each gets its clear error, and the queue loses nothing."""

from __future__ import annotations

import asyncio
import socket
import time

from websockets.sync.client import connect

from tests.interop import wire
from tests.interop.server import RealServer, RealServerTestCase, allow_many_connections
from tests.interop.wire import frame, upgrade

CONNECTIONS = 1000

KEPT = [b"kept", b"", "também".encode()]
"""In the queue before the attack, acknowledged."""


def publish(server: RealServer, messages: list[bytes]) -> None:
    """Put messages in."""
    with connect(f"ws://{server.target}/ws/publish", proxy=None) as client:
        for message in messages:
            client.send(message)
            assert client.recv(timeout=10) == "ok"


def consume(server: RealServer) -> list[bytes]:
    """Take all that is in."""
    taken = []
    with connect(f"ws://{server.target}/ws/consume", proxy=None) as client:
        while True:
            client.send("")
            answer = client.recv(timeout=10)
            if isinstance(answer, str):
                assert answer == "error: queue is empty", answer
                return taken
            taken.append(answer)


class HostileTests(RealServerTestCase):
    """Before each attack messages are acknowledged; after it they come out, and those of the attack that were good."""

    timeout = 60

    async def attack(self, server: RealServer, sent: bytes, path: str = "/ws/publish") -> list[tuple[int, bytes]]:
        """Open a connection by hand, send this, and give the frames that come until the server ends it."""
        sock = await wire.connect(server.port)
        with sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, upgrade(path) + sent)
            data = bytearray()
            closed = False
            while part := await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), wire.ANSWER_SECONDS):
                data += part
                head, _, rest = bytes(data).partition(b"\r\n\r\n")
                frames = list(wire.read_frames(rest))
                if not closed and frames and frames[-1][0] == wire.CLOSE:
                    closed = True
                    await loop.sock_sendall(sock, frame(frames[-1][1][:2], wire.CLOSE))
                    sock.shutdown(socket.SHUT_WR)  # for faults after which our Close is no frame to the server
        self.assertIn(b" 101 ", head.split(b"\r\n")[0])
        return list(wire.read_frames(rest))

    async def refusal(self, server: RealServer, sent: bytes) -> tuple[str, str]:
        """Status line and body of what is no handshake."""
        head, _, body = (await wire.ask(server.port, sent)).decode().partition("\r\n\r\n")
        return head.split("\r\n")[0], body

    def test_broken_frames(self):
        """A good message is acknowledged and kept; the fault behind it has its close code; what follows is ignored."""
        good, late = frame(b"good"), frame(b"too late")
        faults = {
            "not UTF-8": (frame(b"\xff\xfe", wire.TEXT), 1007),
            "a surrogate": (frame(b"\xed\xa0\x80", wire.TEXT), 1007),
            "oversized": (frame(bytes(1_048_577)), 1009),
            "oversized, as it says": (frame(b"", says=2**62), 1009),
            "oversized in fragments": (frame(bytes(700_000), first=0) + frame(bytes(400_000), 0), 1009),
            "unmasked": (frame(b"a", is_masked=False), 1002),
            "RSV1": (frame(b"a", first=0xC0), 1002),
            "RSV2": (frame(b"a", first=0xA0), 1002),
            "RSV3": (frame(b"a", first=0x90), 1002),
            "reserved opcode": (frame(b"a", 3), 1002),
            "reserved control": (frame(b"", 11), 1002),
            "fragmented ping": (frame(b"", 9, first=0), 1002),
            "long ping": (frame(bytes(126), 9), 1002),
            "stray continuation": (frame(b"a", 0), 1002),
            "no continuation": (frame(b"a", first=0) + frame(b"b"), 1002),
            "length of 2**63": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
            "close of one byte": (frame(b"\x03", wire.CLOSE), 1002),
            "close code 1005": (frame(b"\x03\xed", wire.CLOSE), 1002),
        }
        server = self.serve("ws")

        async def talk():
            await asyncio.to_thread(publish, server, KEPT)
            for name, (fault, code) in faults.items():
                frames = await self.attack(server, good + fault + late)
                self.assertEqual(frames[0], (wire.TEXT, b"ok"), name)
                self.assertEqual([opcode for opcode, _ in frames[1:]], [wire.CLOSE], name)
                self.assertEqual(int.from_bytes(frames[1][1][:2], "big"), code, (name, frames[1]))
            self.assertEqual(await asyncio.to_thread(consume, server), KEPT + [b"good"] * len(faults))
            counts = await server.metrics()
            too_large = counts['quickpulse_requests_refused_total{reason="message_too_large"}']
            bad = counts['quickpulse_requests_refused_total{reason="bad_request"}']
            self.assertEqual((too_large, bad), (3, len(faults) - 3))
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_a_fault_after_consuming(self):
        """The messages that were asked for before the fault arrive before the Close."""
        server = self.serve("ws")

        async def talk():
            await asyncio.to_thread(publish, server, KEPT)
            frames = await self.attack(server, frame(b"") * 2 + frame(b"a", first=0xC0), "/ws/consume")
            self.assertEqual(frames[:2], [(wire.BINARY, message) for message in KEPT[:2]])
            self.assertEqual(frames[2][1][:2], b"\x03\xea")
            self.assertEqual(await asyncio.to_thread(consume, server), KEPT[2:])
            self.assertEqual(await server.metric("quickpulse_undelivered_total"), 0)

        return self.story(talk())

    def test_what_is_no_handshake(self):
        """One line that says why, with the status for it, and the server serves on."""
        other = upgrade("/ws/publish", "Origin: https://elsewhere.example")
        requests = {
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n": "400",  # a TLS client
            b"\x00\xff\r\n\r\n": "400",
            wire.PREFACE: "405",  # an HTTP/2 client; PRI is its method
            b"GET /ws/publish HTTP/1.1\r\nHost: a\r\n\r\n": "426",
            b"POST /ws/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n": "405",
            b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n": "404",
            upgrade("/"): "404",
            upgrade("/ws/publish/"): "404",
            upgrade("/ws/../ws/publish"): "404",
            upgrade("/ws/publish").replace(b"Version: 13", b"Version: 8"): "400",
            upgrade("/ws/publish", "X-Long: " + "x" * 70_000): "431",
            other: "403",
        }
        server = self.serve("ws")

        async def talk():
            await asyncio.to_thread(publish, server, KEPT)
            for sent, status in requests.items():
                line, body = await self.refusal(server, sent)
                self.assertEqual(line.split(" ")[:2], ["HTTP/1.1", status], sent[:60])
                self.assertEqual((body.count("\n"), body[-1]), (1, "\n"), "one line")
            self.assertIn("--allow-origin", (await self.refusal(server, other))[1])
            self.assertEqual(await asyncio.to_thread(consume, server), KEPT)
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_a_long_header_in_one_piece(self):
        """More than 16 KiB are refused also where they come in one read."""
        server = self.serve("ws")

        async def talk():
            sent = upgrade("/ws/publish", "X-Long: " + "x" * 17_000) + frame(b"", wire.CLOSE)
            self.assertEqual((await self.refusal(server, sent))[0].split(" ")[1], "431")

        return self.story(talk())

    def test_no_control_characters_come_back(self):
        """A refusal does not repeat bytes that HTTP forbids in a status line."""
        server = self.serve("ws")

        async def talk():
            line, body = await self.refusal(server, b"\x16\x03\x01\x00\x1b[2J\r\n\r\n")
            self.assertRegex(line, r"\A[ -~]+\Z")
            self.assertRegex(body, r"\A[ -~]+\n\Z")

        return self.story(talk())

    def test_half_a_handshake_held_open(self):
        """Two hundred, some sending a byte now and then: all cut after five seconds, others served meanwhile."""
        server = self.serve("ws")

        async def hold(number: int) -> float:
            sock, began = await wire.connect(server.port), time.monotonic()
            with sock:
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, upgrade("/ws/publish")[: number % 150])
                reading = asyncio.ensure_future(wire.read_all(sock))
                while number % 10 == 0 and not reading.done():
                    await asyncio.sleep(0.5)
                    try:
                        await loop.sock_sendall(sock, b"x")
                    except ConnectionError:
                        break
                await reading
            return time.monotonic() - began

        async def talk():
            holding = asyncio.gather(*(hold(number) for number in range(200)))
            await asyncio.sleep(0.5)
            await asyncio.to_thread(publish, server, KEPT)
            self.assertEqual(await asyncio.to_thread(consume, server), KEPT)
            seconds = await holding
            self.assertGreater(min(seconds), 4.0)
            self.assertLess(max(seconds), 8.0)
            refused = await server.metric('quickpulse_requests_refused_total{reason="timeout"}')
            self.assertEqual(refused, 200)

        return self.story(talk())

    def test_connections_that_vanish(self):
        """A thousand, each in the middle of its second message, by RST and by FIN: the first ones stay, in full."""
        allow_many_connections()
        server = self.serve("ws")

        async def begin(number: int):
            sock = await wire.connect(server.port)
            name = number.to_bytes(4, "big")
            half = frame(bytes(10_000))[: 1 + number * 9]
            await asyncio.get_running_loop().sock_sendall(sock, upgrade("/ws/publish") + frame(name) + half)
            return sock

        async def talk():
            await asyncio.to_thread(publish, server, KEPT)
            sockets = await asyncio.gather(*(begin(number) for number in range(CONNECTIONS)))
            await server.until_metric('quickpulse_connections_open{transport="ws"}', CONNECTIONS)
            await server.until_metric("quickpulse_enqueue_total", len(KEPT) + CONNECTIONS)
            for number, sock in enumerate(sockets):
                (wire.vanish if number % 2 else type(sock).close)(sock)
            await server.until_metric('quickpulse_connections_open{transport="ws"}', 0)
            taken = await asyncio.to_thread(consume, server)
            self.assertEqual(taken[: len(KEPT)], KEPT)
            self.assertEqual(sorted(taken[len(KEPT) :]), [n.to_bytes(4, "big") for n in range(CONNECTIONS)])
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())

    def test_consumers_that_vanish(self):
        """Each asks and resets at once: what the metrics say was taken was taken, and the rest is still there."""
        server = self.serve("ws")

        async def take(number: int) -> int:
            """Ask for three, and give how many arrived before the reset."""
            sock = await wire.connect(server.port)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, upgrade("/ws/consume") + frame(b"") * 3)
            await asyncio.sleep(number % 7 / 1000)
            try:
                data = sock.recv(1 << 18)
            except BlockingIOError:
                data = b""
            wire.vanish(sock)
            return sum(opcode == wire.BINARY for opcode, _ in wire.read_frames(data.partition(b"\r\n\r\n")[2]))

        async def talk():
            total = 3000
            await asyncio.to_thread(publish, server, [b"%4d" % number for number in range(total)])
            received = sum(await asyncio.gather(*(take(number) for number in range(500))))
            await server.until_metric('quickpulse_connections_open{transport="ws"}', 0)
            counts = await server.metrics()
            left, undelivered = counts["quickpulse_queue_depth"], counts["quickpulse_undelivered_total"]
            # An upper bound: a message that arrived just before the reset is not confirmed yet, and counts too.
            self.assertLessEqual(undelivered, total - left)
            self.assertLessEqual(received, total - left)
            self.assertEqual(counts["quickpulse_dequeue_total"], total - left)
            self.assertEqual(len(await asyncio.to_thread(consume, server)), left)

        return self.story(talk())


class HostileHttpTests(RealServerTestCase):
    """The port of metrics and health."""

    timeout = 60

    def test_what_is_no_request(self):
        """Refused or cut, and the port serves on; another method is 405, another path 404."""
        server = self.serve("ws")

        async def talk():
            for sent in (b"\x16\x03\x01\x02\x00\x01" + bytes(50) + b"\r\n\r\n", b"nonsense\r\n\r\n", wire.PREFACE):
                answer = await wire.ask(server.http_port, sent)
                self.assertIn(answer[:12], (b"", b"HTTP/1.1 400"), answer)
            for method, path, status in (("POST", "/metrics", b"405"), ("GET", "/../etc/passwd", b"404")):
                head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
                self.assertEqual((await wire.ask(server.http_port, head)).split(b" ")[1], status)
            self.assertEqual(await server.get("/livez"), (200, "ok\n"))
            self.assertNotIn("Traceback", server.log())

        return self.story(talk())
