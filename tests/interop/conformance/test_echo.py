"""The echo for conformance suites gives each message back, with either setting of --ws-frames."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from quickpulse.settings import Settings
from quickpulse.transports.ws_fast import FastWsProtocol
from tests.interop.conformance import echo
from tests.interop.server import ROOT
from tests.transports.conversation import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Conversation,
    client_frame,
    close_frame,
    close_of,
    server_frames,
)

MOST_BYTES = 70_000
"""Longest message here: one that needs the eight-byte length fits."""

NO_FIN, CONTINUATION = 0x00, 0

ANSWER_SECONDS = 30.0


class PlainEchoTests(SynchronousTestCase):
    """A conversation in memory; autobahn reads every frame."""

    ws_frames = "plain"

    def talk(self) -> Conversation:
        """A connection to the echo."""
        settings = Settings("ws", ws_frames=self.ws_frames, max_message_bytes=MOST_BYTES)
        return Conversation("/ws/consume", factory=echo.echo_factory(Clock(), settings)).open()

    def test_protocol(self) -> None:
        """The connection is the product's, of the setting that was asked for."""
        self.assertEqual(isinstance(self.talk().protocol, FastWsProtocol), self.ws_frames == "fast")

    def test_text_and_binary(self) -> None:
        """Each message comes back as what it was, whatever its length, and whether it looks like text or not."""
        said = [
            (BINARY, b"looks like text"),
            (TEXT, "está".encode()),
            (BINARY, b""),
            (TEXT, b""),
            *((opcode, bytes(size)) for size in (125, 126, 65_535, 65_536, MOST_BYTES) for opcode in (TEXT, BINARY)),
        ]
        sent = b"".join(client_frame(payload, opcode) for opcode, payload in said)
        self.assertEqual(self.talk().frames(sent), said)

    def test_many_of_one_read(self) -> None:
        """More than are served at once keep their order and their opcodes."""
        said = [(BINARY if number % 3 else TEXT, b"%d" % number) for number in range(1000)]
        sent = b"".join(client_frame(payload, opcode) for opcode, payload in said)
        self.assertEqual(self.talk().frames(sent), said)

    def test_ping_between_fragments(self) -> None:
        """A fragmented message comes back whole; a Ping in it is answered before; messages around it are no matter."""
        sent = b"".join(
            (
                client_frame(b"before", BINARY),
                client_frame(b"\xc3", TEXT, NO_FIN),
                client_frame(b"are you there", PING),
                client_frame(b"", CONTINUATION, NO_FIN),
                client_frame(b"\xa1", CONTINUATION),
                client_frame(b"after", BINARY),
            )
        )
        data = self.talk().say(sent)
        frames = server_frames(data)
        self.assertCountEqual(
            frames, [(BINARY, b"before"), (TEXT, "á".encode()), (BINARY, b"after"), (PONG, b"are you there")]
        )
        self.assertEqual(
            [frame for frame in frames if frame[0] != PONG],
            [(BINARY, b"before"), (TEXT, "á".encode()), (BINARY, b"after")],
        )

    def test_byte_by_byte(self) -> None:
        """It does not matter how the stream is cut."""
        said = [(TEXT, "naïve".encode()), (BINARY, bytes(range(200))), (TEXT, b"x" * 126)]
        sent = b"".join(client_frame(payload, opcode) for opcode, payload in said)
        conversation = self.talk()
        answered = b"".join(conversation.say(sent[at : at + 1]) for at in range(len(sent)))
        self.assertEqual(server_frames(answered), said)

    def test_frames_beside_the_handshake(self) -> None:
        """Frames that come in one read with the handshake are answered as others are."""
        settings = Settings("ws", ws_frames=self.ws_frames)
        conversation = Conversation("/ws/consume", factory=echo.echo_factory(Clock(), settings))
        answer = conversation.say(conversation.handshake() + client_frame(b"early", TEXT))
        self.assertEqual(server_frames(answer.partition(b"\r\n\r\n")[2]), [(TEXT, b"early")])

    def test_fault(self) -> None:
        """A fault ends the conversation as the product does it, after the answers to what came before."""
        frames = self.talk().frames(client_frame(b"good", TEXT) + client_frame(b"\xff", TEXT))
        self.assertEqual(frames[0], (TEXT, b"good"))
        self.assertEqual(close_of(frames), 1007)

    def test_close(self) -> None:
        """A Close is answered with its own code; nothing is left in the queue."""
        conversation = self.talk()
        frames = conversation.frames(client_frame(b"last") + close_frame(3000))
        self.assertEqual([opcode for opcode, _ in frames], [BINARY, CLOSE])
        self.assertEqual(close_of(frames), 3000)
        self.assertEqual(conversation.factory.queue.depth, 0)


class FastEchoTests(PlainEchoTests):
    """The same with whole reads at once."""

    ws_frames = "fast"


class ScriptTests(SynchronousTestCase):
    """The script, as the suite's runner starts it."""

    def echo(self, *arguments: str) -> list[str | bytes]:
        """Start it, send a text and a binary message to it, and give what comes back."""
        with subprocess.Popen(
            [sys.executable, echo.__file__, "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},  # a script does not look into the directory it is started in
            text=True,
        ) as process:
            try:
                address = process.stdout.readline().removeprefix("echo on ").strip()
                with connect(f"ws://{address}/ws/consume", proxy=None, compression=None) as client:
                    client.send("text")
                    client.send(b"binary")
                    return [client.recv(timeout=ANSWER_SECONDS) for _ in range(2)]
            finally:
                process.terminate()

    def test_loop(self) -> None:
        """Over the event loop's own transports."""
        self.assertEqual(self.echo("--ws-frames", "fast"), ["text", b"binary"])

    def test_epoll(self) -> None:
        """Over Twisted's own."""
        self.assertEqual(self.echo("--ws-frames", "plain", "--reactor", "epoll"), ["text", b"binary"])
