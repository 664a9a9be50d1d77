"""The examples in a real `twistd`: what was published before a restart is consumed after it, in each mode."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
from twisted.trial.unittest import SynchronousTestCase

from examples.sqlite_queue import PATH_VARIABLE
from quickpulse._generated.messagequeue_pb2 import ConsumeRequest, ProduceRequest, StreamMessage
from quickpulse._generated.messagequeue_pb2_grpc import MessageQueueStub
from tests.test_process import ask_ws

ROOT = Path(__file__).resolve().parents[2]

SECONDS = 30.0
"""For a start, an answer or an end on a busy machine; each takes about one second."""

PAYLOADS = [b"first", b"\xff\x00", b"third"]


class Server:
    """One `twistd quickpulse` in a directory of its own, on free ports.

    :param directory: its working directory, with its log and the queue's file.
    :param mode: ws, grpc or grpc_stream.
    :param flags: further flags.
    """

    def __init__(self, directory: Path, mode: str, *flags: str) -> None:
        self.log_path = directory / "server.log"
        environment = {name: text for name, text in os.environ.items() if not name.startswith("QUICKPULSE_")}
        environment |= {"PYTHONPATH": str(ROOT), PATH_VARIABLE: str(directory / "queue.sqlite")}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("twistd"),
                    *("--pidfile=", "-n", "quickpulse", "--mode", mode, *flags),
                    *("--ws-port", "0", "--grpc-port", "0", "--http-port", "0"),
                ],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        """All that it has written so far."""
        return self.log_path.read_text()

    def ports(self) -> dict[str, int]:
        """The port of each listener by its name, once /readyz says that all is well."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if said := re.search(r"QuickPulse \S+, mode \w+: (.*)\n", self.log()):
                ports = {name: int(port) for name, port in re.findall(r"(\w+) on [\d.]+:(\d+)", said[1])}
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{ports['HTTP']}/readyz", timeout=SECONDS):
                        return ports
                except urllib.error.HTTPError as error:
                    error.close()
            time.sleep(0.02)
        raise AssertionError(f"the server did not start:\n{self.log()}")

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        """The end, if it has not come yet."""
        self.process.kill()
        self.process.wait()


def message_port(server: Server) -> int:
    """The port of the one listener that is not HTTP."""
    return next(port for name, port in server.ports().items() if name != "HTTP")


def publish_ws(port: int) -> None:
    """All payloads over a WebSocket."""
    assert ask_ws(port, "/ws/publish", PAYLOADS) == [b"ok"] * len(PAYLOADS)


def consume_ws(port: int) -> list[bytes]:
    """As many messages over a WebSocket."""
    return ask_ws(port, "/ws/consume", [b"more"] * len(PAYLOADS))


def publish_grpc(port: int) -> None:
    """All payloads by Produce."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for payload in PAYLOADS:
            assert MessageQueueStub(channel).Produce(ProduceRequest(payload=payload), timeout=SECONDS).success


def consume_grpc(port: int) -> list[bytes]:
    """As many messages by Consume."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = MessageQueueStub(channel)
        return [stub.Consume(ConsumeRequest(), timeout=SECONDS).payload for _ in PAYLOADS]


def stream(port: int, payloads: list[bytes]) -> list[tuple[bytes, str]]:
    """One stream: the answer to each payload."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        requests = [StreamMessage(payload=payload) for payload in payloads]
        answers = MessageQueueStub(channel).StreamMessages(iter(requests), timeout=SECONDS)
        return [(answer.payload, answer.error) for answer in answers]


class ExampleServerTestCase(SynchronousTestCase):
    """Starts servers, and ends them after the test."""

    def serve(self, directory: Path, mode: str, *flags: str) -> Server:
        """A server for the time of the test."""
        server = Server(directory, mode, *flags)
        self.addCleanup(server.kill)
        return server

    def directory(self) -> Path:
        """An empty one."""
        made = Path(self.mktemp()).resolve()
        made.mkdir()
        return made


class SqliteServerTests(ExampleServerTestCase):
    """--queue examples.sqlite_queue:make_queue."""

    def restarted(self, before: str, after: str, publish: Callable[[int], None]) -> tuple[Server, int]:
        """A server of mode `before`, published to and stopped, and one of mode `after` on its file, with its port."""
        directory = self.directory()
        flags = ("--queue", "examples.sqlite_queue:make_queue")
        first = self.serve(directory, before, *flags)
        publish(message_port(first))
        self.assert_stops(first)
        second = self.serve(directory, after, *flags)
        return second, message_port(second)

    def assert_stops(self, server: Server) -> None:
        """In order, with nothing in the log that is not meant."""
        self.assertEqual(server.stop(), 0, server.log())
        self.assertNotIn("Traceback", server.log())

    def test_ws(self) -> None:
        """Messages published over WebSocket are consumed after a restart, in order."""
        server, port = self.restarted("ws", "ws", publish_ws)
        self.assertEqual(consume_ws(port), PAYLOADS)
        self.assert_stops(server)

    def test_grpc(self) -> None:
        """Messages produced by single calls are consumed after a restart, in order."""
        server, port = self.restarted("grpc", "grpc", publish_grpc)
        self.assertEqual(consume_grpc(port), PAYLOADS)
        self.assert_stops(server)

    def test_grpc_stream(self) -> None:
        """A stream takes what single calls produced before a restart; with a payload it exchanges."""
        server, port = self.restarted("grpc", "grpc_stream", publish_grpc)
        answers = stream(port, [b"", b"last", b"", b"", b""])
        self.assertEqual(answers, [*((payload, "") for payload in [*PAYLOADS, b"last"]), (b"", "queue is empty")])
        self.assert_stops(server)

    def test_a_file_that_cannot_be_used(self) -> None:
        """The server ends with one line that names the variable, and without a traceback."""
        directory = self.directory()
        (directory / "queue.sqlite").mkdir()
        server = self.serve(directory, "ws", "--queue", "examples.sqlite_queue:make_queue")
        self.assertEqual(server.process.wait(SECONDS), 1)
        last = server.log().splitlines()[-1]
        self.assertTrue(last.startswith(f"quickpulse: {PATH_VARIABLE} "), server.log())
        self.assertNotIn("Traceback", server.log())


class LoggingServerTests(ExampleServerTestCase):
    """--metrics examples.logging_metrics:make_metrics."""

    def test_every_event_is_in_the_log(self) -> None:
        """Three messages in and three out: each is in the log, with its latency and the depth."""
        server = self.serve(self.directory(), "grpc", "--metrics", "examples.logging_metrics:make_metrics")
        port = server.ports()["gRPC"]
        publish_grpc(port)
        self.assertEqual(consume_grpc(port), PAYLOADS)
        self.assertEqual(server.stop(), 0)
        log = server.log()
        sums = {word: sum(map(int, re.findall(rf"{word} (\d+)\n", log))) for word in ("enqueued", "dequeued")}
        self.assertEqual(sums, {"enqueued": 3, "dequeued": 3}, log)
        self.assertEqual(sum(map(int, re.findall(r"(\d+) accepted after", log))), 3, log)
        self.assertEqual(re.findall(r"depth (\d+)", log)[-1], "0", log)
        self.assertNotIn("Traceback", log)
