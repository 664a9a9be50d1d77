"""What tests of hostile WebSocket clients share: what came of an attack, and the ledger that must balance after.

The attacks are in `test_hostile_ws` (bytes that are wrong, one attack a row), `test_hostile_ws_floods` (by amount) and
`test_hostile_ws_peers` (by time, or by the number of connections). Each runs against a server process with a good
client beside it. To see the table, with how long the good client waited at most and what memory the server had:

    trial --temp-directory=/tmp/hostile tests.interop.test_hostile_ws{,_floods,_peers}
    grep -o 'hostile: .*' /tmp/hostile/test.log
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable

from tests.interop import wire
from tests.interop.good_client import OTHERS_LETTERS
from tests.interop.hostile import HostileTestCase, Outcome, is_over
from tests.interop.wire import BINARY, CLOSE, PONG, TEXT, frame, upgrade

PUBLISH, CONSUME = "/ws/publish", "/ws/consume"

MARK = b"the end."
"""In a ping behind an attack: its answer says that the connection lives, and that all was read."""

OK = (TEXT, b"ok")

EMPTY = (TEXT, b"error: queue is empty")

AT_ONCE = 10_000
"""Messages that are taken by one burst of requests."""


class Answers:
    """What a server sent on one connection.

    :param received: all of it.
    """

    def __init__(self, received: bytes) -> None:
        self.received = received
        head, _, self.rest = received.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        words = line.split(" ", 2)
        self.status = int(words[1]) if len(words) == 3 and words[0] == "HTTP/1.1" else None
        self.fields = [tuple(field.split(": ", 1)) for field in fields]
        self.frames = list(wire.read_frames(self.rest)) if self.status == 101 else []

    @property
    def closes(self) -> list[int | None]:
        """The code of each Close; `None` where it has none."""
        return [int.from_bytes(said[:2], "big") if said else None for opcode, said in self.frames if opcode == CLOSE]

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """All but pings and pongs, the Close, and what tells of an empty queue."""
        return [one for one in self.frames if one[0] in (TEXT, BINARY)]

    @property
    def is_marked(self) -> bool:
        """Whether the ping behind the attack was answered."""
        return (PONG, MARK) in self.frames

    def __repr__(self) -> str:
        shown = Counter((opcode, said[:60]) for opcode, said in self.frames)
        return f"status {self.status}, {dict(shown.most_common(9))}, {self.received[:200]!r}"


def refuses(*statuses: int, **fields: str) -> Outcome:
    """No handshake: one of these statuses, a line that says why, and these header fields."""
    wanted = {(name.replace("_", "-"), value) for name, value in fields.items()}

    def holds(answers: Answers) -> bool:
        said = answers.rest
        if ("Content-Type", "text/plain; charset=utf-8") not in answers.fields or b"\n" not in said:
            return False
        is_line = said.count(b"\n") == 1 and said.endswith(b"\n") and said[:-1].decode().isprintable()
        is_measured = ("Content-Length", str(len(said))) in answers.fields
        return answers.status in statuses and is_line and is_measured and wanted <= set(answers.fields)

    return Outcome(f"HTTP {' or '.join(map(str, statuses))}", True, holds)


def closes(code: int | None, answered: int = 1) -> Outcome:
    """A Close with this code, as the last frame, behind the answers to so many messages and nothing else."""

    def holds(answers: Answers) -> bool:
        is_last = bool(answers.frames) and answers.frames[-1][0] == CLOSE
        is_answered = answers.messages == [OK] * answered and not answers.is_marked
        return is_last and answers.closes == [code] and is_answered

    return Outcome(f"Close {code or 'without a code'}", True, holds)


def serves(answered: int) -> Outcome:
    """So many messages are put in, and the connection lives."""
    return Outcome(
        f"{answered} are put in",
        False,
        lambda answers: answers.is_marked and answers.messages == [OK] * answered and not answers.closes,
    )


async def converse(
    sock: socket.socket,
    sent: bytes,
    is_enough: Callable[[Answers], bool],
    step: int = 0,
    seconds: float = 10.0,
) -> tuple[Answers, bool]:
    """Send bytes, and read until there is enough or the server ends the connection; gives also whether it did.

    As the standard asks, a Close is answered, and then nothing more is sent. What takes too long is given as it is.

    :param step: bytes that are sent at once; 0 is all.
    """
    loop, received = asyncio.get_running_loop(), bytearray()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(sent), step or len(sent)):
                await loop.sock_sendall(sock, sent[at : at + (step or len(sent))])
                await asyncio.sleep(0)

    sending = asyncio.ensure_future(send())

    async def read() -> bool:
        has_closed = False
        with contextlib.suppress(ConnectionError):
            while part := await loop.sock_recv(sock, 1 << 18):
                received.extend(part)
                answers = Answers(bytes(received))
                if is_enough(answers):
                    return False
                if answers.closes and not has_closed:
                    has_closed = True
                    await sending
                    said = next(said for opcode, said in answers.frames if opcode == CLOSE)
                    await loop.sock_sendall(sock, frame(said[:2], CLOSE))
                    sock.shutdown(socket.SHUT_WR)  # for faults after which our Close is no frame to the server
        return True

    has_ended = await is_over(sending, read(), seconds)
    return Answers(bytes(received)), has_ended


def has_answers(count: int) -> Callable[[Answers], bool]:
    """Whether so many messages were answered."""
    return lambda answers: len(answers.messages) >= count


class HostileWsTestCase(HostileTestCase):
    """One server and one good client for a test; what is put in by attacks and acknowledged is written down."""

    transport = "ws"
    bystanders = 2  # the good client publishes on one and consumes on the other

    def begin(self, ws_frames: str, *arguments: str) -> None:
        """Start both."""
        self.start("ws", "--ws-frames", ws_frames, *arguments)
        self.put: Counter[bytes] = Counter()

    async def take_all(self) -> Counter[bytes]:
        """Take all that is in, but for what the good client puts in meanwhile."""
        taken: Counter[bytes] = Counter()
        while depth := await self.server.metric("quickpulse_queue_depth"):
            count = min(depth, AT_ONCE)
            sock = await wire.connect(self.server.port)
            with sock:
                sent = upgrade(CONSUME) + frame(b"") * count
                answers, _ = await converse(sock, sent, has_answers(count), seconds=60.0)
            self.assertEqual(len(answers.messages), count)
            taken.update(said for opcode, said in answers.frames if opcode == BINARY)
            if depth < AT_ONCE:
                break
        return taken

    async def balance(self) -> None:
        """Take all that is in: each message that was acknowledged came out once, here or to the good client."""
        taken = await self.take_all()
        lap = await self.lap("all is taken out")
        out = Counter({payload.encode("latin-1"): count for payload, count in lap["others"].items()})
        own = lap["taken"]
        for payload, count in taken.items():
            if payload.startswith(b"good "):
                own += count
            else:
                out[payload[:OTHERS_LETTERS]] += count
        self.assertEqual(out, self.put)
        self.assertAlmostEqual(own, lap["acknowledged"], delta=2)  # the one that is on its way just now
