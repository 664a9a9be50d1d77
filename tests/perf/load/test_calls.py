"""gRPC rows against honest servers and against cheats."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.load import job
from perf.load.calls import framed
from perf.load.faults import LoadFaultError
from perf.load.job import Job, run
from perf.load.rows import Row, parse_row
from quickpulse._generated import messagequeue_pb2 as pb
from quickpulse.wire.http2.frames import END_STREAM, PADDED, goaway_frame, rst_stream_frame
from tests.perf.fakes import FakeGrpcServer, FakeQueue, UnimplementedGrpcServer
from tests.perf.load.scripted import ANSWER, ScriptedServer, data, good, headers, http2, trailers

SILENCE_SECONDS = 1.0


def drive(port: int, row: str, **options):
    """Measure this row."""
    return run(Job(parse_row(row), port, silence_seconds=SILENCE_SECONDS, **options))


class MessageTests(SynchronousTestCase):
    """What is sent is protobuf."""

    def test_framed(self) -> None:
        """As the library writes it."""
        for size in (0, 1, 11, 127, 128, 20_000, 3_000_000):
            message = pb.ProduceRequest(payload=b"x" * size).SerializeToString()
            self.assertEqual(framed(b"x" * size), b"\0" + len(message).to_bytes(4, "big") + message)


class HonestTests(SynchronousTestCase):
    """Every shape ends, and all is counted, with grpcio at the other end."""

    def test_produce(self) -> None:
        """All that was sent came in; payloads that are larger than grpcio's windows too."""
        for row in (
            "unary-produce:1x1:30",
            "unary-produce:3x10:200",
            "timeouts:2x20:300",
            "unary-produce:2x3:12:payload=300000",
            "unary-produce:1x2:8:idle=2",
        ):
            queue = FakeQueue()
            with FakeGrpcServer(queue) as server:
                result = drive(server.port, row)
            self.assertEqual(result["sent"], queue.published, row)
            self.assertEqual({len(message) for message in queue.messages}, {parse_row(row).payload})

    def test_consume(self) -> None:
        """What the load itself filled in comes out; one at a time, as grpcio serves calls in any order."""
        self.patch(job, "FILL_IN_FLIGHT", 1)
        for row in ("unary-consume:1x1:30", "unary-consume:3x10:200", "unary-consume:2x3:12:payload=300000"):
            queue = FakeQueue()
            with FakeGrpcServer(queue) as server:
                result = drive(server.port, row, fill=True)
            self.assertEqual((result["sent"], result["filled"]), (queue.taken, queue.published))

    def test_stream(self) -> None:
        """Each message is answered by itself."""
        for row in ("stream:1x1:30", "stream:3x10:200", "stream:2x3:12:payload=300000"):
            queue = FakeQueue()
            with FakeGrpcServer(queue) as server:
                result = drive(server.port, row)
            self.assertEqual(result["sent"], queue.taken)


class CheatTests(SynchronousTestCase):
    """Whatever is wrong ends the run, and is told."""

    def assertFault(self, told: str, port: int, row: str, **options) -> None:
        """It fails with this text."""
        fault = self.assertRaises(LoadFaultError, drive, port, row, **options)
        self.assertIn(told, str(fault))

    def test_refused(self) -> None:
        """An answer that says no."""
        with FakeGrpcServer(FakeQueue({7: "refuse"})) as server:
            self.assertFault("wrong answer", server.port, "unary-produce:2x5:50")

    def test_lost_answer(self) -> None:
        """One that never comes."""
        for kind in ("unary-produce", "stream"):
            with FakeGrpcServer(FakeQueue(silent_after=9)) as server:
                self.assertFault("no answer in 1 seconds", server.port, f"{kind}:2x5:50")

    def test_unimplemented(self) -> None:
        """Another mode."""
        with UnimplementedGrpcServer() as server:
            self.assertFault("grpc-status: 12", server.port, "unary-produce:1x1:50")

    def test_prefilled_messages(self) -> None:
        """Those that are lost, doubled or damaged between producing and consuming."""
        for fault, told in (("drop", "not what was put in"), ("duplicate", "not what"), ("damage_body", "wrong")):
            with FakeGrpcServer(FakeQueue({3: fault})) as server:
                self.assertFault(told, server.port, "unary-consume:2x5:50:payload=30", fill=True)

    def test_stream_answers(self) -> None:
        """A stream's answers are compared too."""
        with FakeGrpcServer(FakeQueue({3: "damage_body"})) as server:
            self.assertFault("wrong answer", server.port, "stream:1x5:50")

    def test_frames(self) -> None:
        """What no honest server sends."""
        for answer, told in (
            (b"", "no answer in 1 seconds"),
            (None, "the server closed the connection"),
            (headers(1) + trailers(1), "ended without its answer"),
            (good(1) + good(1), "or was not open"),
            (good(3), "or was not open"),
            (headers(1) + data(1) + data(1) + trailers(1), "was answered twice"),
            (headers(1) + data(1, ANSWER[:-1] + b"\0"), "wrong answer"),
            (headers(1) + data(1, ANSWER + b"\0"), "wrong answer"),
            (headers(1) + data(1, flags=END_STREAM), "no gRPC server's"),
            (headers(1) + data(1, flags=PADDED), "no gRPC server's"),
            (headers(1, flags=0), "a header block in several frames"),
            (headers(1, b"\x8d"), ":status: 404"),
            (headers(1) + data(1) + trailers(1, b"\x00\x0bgrpc-status\x018"), "grpc-status: 8"),
            (rst_stream_frame(1, 8), "reset stream 1 with code 8"),
            (goaway_frame(1, 11, b"calm down"), "GOAWAY, last stream 1, code 11 b'calm down'"),
        ):
            with ScriptedServer(http2(answer)) as server:
                self.assertFault(told, server.port, "unary-produce:1x1:1")

    def test_settings(self) -> None:
        """A server that takes less than the row needs, or has another header table, is not measured wrongly."""
        for setting, told in (((3, 19), "takes 19 streams at once"), ((1, 0), "header table is smaller")):
            with ScriptedServer(http2(b"", setting)) as server:
                self.assertFault(told, server.port, "unary-produce:1x20:40")

    def test_window_is_obeyed(self) -> None:
        """Not a byte more than the server's window is sent: then there is silence."""
        seen: list[bytes] = []
        script = http2(b"", (4, 10))

        def spy(chunk: bytes) -> bytes | None:
            seen.append(chunk)
            return script(chunk)

        with ScriptedServer(spy) as server:
            self.assertFault("no answer", server.port, "unary-produce:1x1:1")
        self.assertNotIn(b"hello world", b"".join(seen))


class PlainTests(SynchronousTestCase):
    """A server of HTTP/2 without gRPC."""

    def test_any_answer(self) -> None:
        """With status 200, if all are alike."""
        row = Row("unary-produce", 1, 1, 1)
        for answer in (headers(1) + data(1, b"any", END_STREAM), headers(1) + trailers(1, b"\x00\x01a\x01b")):
            with ScriptedServer(http2(answer)) as server:
                self.assertEqual(run(Job(row, server.port, is_plain=True))["sent"], 1)

    def test_other_answers(self) -> None:
        """One that differs, or has another status."""
        for answer, told in (
            (headers(1) + data(1, b"a", END_STREAM) + headers(3) + data(3, b"b", END_STREAM), "wrong answer"),
            (headers(1, b"\x8d") + data(1, b"a", END_STREAM), ":status: 404"),
        ):
            with ScriptedServer(http2(answer)) as server:
                fault = self.assertRaises(LoadFaultError, drive, server.port, "unary-produce:1x2:2", is_plain=True)
                self.assertIn(told, str(fault))
