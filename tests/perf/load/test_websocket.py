"""WebSocket rows against honest servers and against cheats."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.load.faults import LoadFaultError
from perf.load.job import Job, run
from perf.load.rows import parse_row
from perf.load.websocket import OK
from tests.perf.fakes import FakeQueue, FakeWebSocketServer
from tests.perf.load.scripted import ScriptedServer

SILENCE_SECONDS = 0.5


def drive(server, row: str, **options):
    """Measure this row."""
    return run(Job(parse_row(row), server.port, silence_seconds=SILENCE_SECONDS, **options))


class HonestTests(SynchronousTestCase):
    """Every shape ends, and all is counted."""

    def test_publish(self) -> None:
        """All that was sent came in."""
        for row in ("1x1:50", "3x1:50", "1x20:100", "4x25:500", "2x4:16:payload=70000", "2x5:20:idle=3"):
            queue = FakeQueue()
            with FakeWebSocketServer(queue) as server:
                result = drive(server, f"ws-publish:{row}")
            self.assertEqual((result["sent"], len(queue.messages)), (queue.published, queue.published))
            self.assertGreaterEqual(result["answered"], parse_row(f"ws-publish:{row}").messages)

    def test_consume(self) -> None:
        """What the load itself filled in comes out."""
        for row in ("1x1:50", "4x25:500", "2x4:16:payload=70000", "2x5:100:payload=1", "1x5:20:depth=50"):
            queue = FakeQueue()
            with FakeWebSocketServer(queue) as server:
                result = drive(server, f"ws-consume:{row}", fill=True)
            self.assertEqual((result["sent"], result["filled"]), (queue.taken, queue.published))

    def test_echo(self) -> None:
        """The same frames to a server that sends bytes back."""
        with ScriptedServer(lambda chunk: chunk) as server:
            for row in ("1x1:50", "3x20:300", "2x4:16:payload=70000"):
                self.assertGreater(drive(server, f"ws-publish:{row}", is_echo=True)["sent"], 0)


class CheatTests(SynchronousTestCase):
    """Whatever is wrong ends the run, and is told."""

    def assertFault(self, told: str, queue: FakeQueue, row: str, **options) -> None:
        """It fails with this text."""
        with FakeWebSocketServer(queue) as server:
            for name in ("answer_ok", "close_after"):
                if name in options:
                    setattr(server, name, options.pop(name))
            fault = self.assertRaises(LoadFaultError, drive, server, row, **options)
        self.assertIn(told, str(fault))

    def test_refused(self) -> None:
        """An answer that says no."""
        for shape in ("1x1", "3x20"):
            self.assertFault("wrong answer", FakeQueue({7: "refuse"}), f"ws-publish:{shape}:100")

    def test_wrong_answer(self) -> None:
        """Another text, another opcode."""
        for wrong in ("no", b"ok", "okay", ""):
            self.assertFault("wrong answer", FakeQueue(), "ws-publish:2x5:100", answer_ok=wrong)

    def test_lost_answer(self) -> None:
        """One that never comes."""
        for shape in ("1x1", "3x20"):
            self.assertFault("no answer in 0.5 seconds", FakeQueue(silent_after=9), f"ws-publish:{shape}:100")

    def test_closed(self) -> None:
        """In the middle."""
        for shape in ("1x1", "3x20"):
            self.assertFault("the server closed", FakeQueue(), f"ws-publish:{shape}:100", close_after=9)

    def test_prefilled_messages(self) -> None:
        """Those that are lost, doubled or damaged between publishing and consuming."""
        for fault in ("drop", "duplicate", "damage_body", "damage_head"):
            queue = FakeQueue({3: fault})
            told = "wrong answer" if fault == "damage_body" else "what came out is not what was put in"
            if fault == "damage_head":  # only ten digits and a letter: its head is the letter
                told = "wrong answer"
            self.assertFault(told, queue, "ws-consume:2x5:50:payload=30", fill=True)

    def test_empty(self) -> None:
        """A consumer that finds nothing."""
        self.assertFault("wrong answer", FakeQueue(), "ws-consume:2x5:50")

    def test_no_websocket(self) -> None:
        """Another server's answer to the handshake, or one that is not to our key."""
        for answer in (b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n"):
            with ScriptedServer(lambda _, answer=answer: answer) as server:
                fault = self.assertRaises(LoadFaultError, drive, server, "ws-publish:1x1:10")
            self.assertIn("no WebSocket here", str(fault))

    def test_wrong_echo(self) -> None:
        """A byte that is another."""
        with ScriptedServer(lambda chunk: chunk[:-1] + b"!") as server:
            fault = self.assertRaises(LoadFaultError, drive, server, "ws-publish:2x5:50", is_echo=True)
        self.assertIn("wrong answer", str(fault))


class FrameTests(SynchronousTestCase):
    """Answers that are cut, and pings between them."""

    def test_cut_and_pinged(self) -> None:
        """Neither disturbs the counting."""
        from perf.load.websocket import WebSocketLink

        link = WebSocketLink.__new__(WebSocketLink)
        sent: list[bytes] = []
        chunks = [b"", OK[:3], OK[3:] + b"\x89\x02hi" + OK, b"\x89\x00", OK[:1], OK[1:] + OK]
        link.read, link.send = lambda: chunks.pop(0), sent.append  # type: ignore[method-assign]
        link._answer_bytes, link._full, link._due, link._got, link._rest = len(OK), 4 * len(OK), OK * 4, 0, b""
        self.assertEqual([link.take() for _ in range(6)], [False] * 5 + [True])
        self.assertEqual([pong[0] for pong in sent], [0x8A, 0x8A])
