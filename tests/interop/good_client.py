"""A client that does everything right, in a process of its own, beside whatever attacks the server.

It sends one request after the other, waits for each answer, and keeps the time. Over gRPC that is one connection; over
WebSocket it publishes on one, and takes a message for each that it published on another. Its process is its own because
a test that attacks is busy: its waiting would be taken for the server's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tests.interop import http2_bytes as h2
from tests.interop import wire

PAUSE_SECONDS = 0.002
"""Between two requests: often enough to see a stall of a few milliseconds, and no load."""

ANSWER_SECONDS = 30.0
"""Longer than any bound that a test asserts."""

SERVICE = "/messagequeue.MessageQueue"


class GoodClient:
    """Starts such a process, and asks it.

    :param port: of the server's listener.
    :param mode: ws, grpc or grpc_stream.
    :param pid: of the server, whose memory is looked at meanwhile.
    """

    def __init__(self, port: int, mode: str, pid: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.good_client", str(port), mode, str(pid)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lap()

    def lap(self) -> dict[str, Any]:
        """Since the last time: `answered`, `worst_seconds`, `worst_own_seconds`, `worst_rss`.

        In all: `acknowledged`; over WebSocket also `taken`, how many of its own messages came back, and `others`, how
        often any other message came (by its text, cut off). Own seconds are what is left without the time that client
        and server waited for a processor.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("lap\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the good client broke off: the server failed it"
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self) -> None:
        """Stop it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_TOLD = ("answered", "worst_seconds", "worst_own_seconds", "worst_rss", "acknowledged", "taken", "others")

OTHERS_LETTERS = 40
"""Of a message that is not its own: enough to know it."""


class _Laps:
    """What was seen since the last question."""

    def __init__(self) -> None:
        self.acknowledged = self.taken = 0
        self.others: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.answered, self.worst_seconds, self.worst_own_seconds, self.worst_rss = 0, 0.0, 0.0, 0

    def tell(self) -> str:
        with self.lock:
            told = {name: getattr(self, name) for name in _TOLD}
            self.clear()
        return json.dumps(told)


def resident_bytes(pid: int) -> int:
    """Memory of a process, 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def waited_seconds(pid: int, thread: int) -> float:
    """How long a thread was ready to run and did not, 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/task/{thread}/schedstat") as schedstat:
            return int(schedstat.read().split()[1]) / 1e9
    except OSError:
        return 0.0


class _Grpc:
    """Calls on one connection; the streaming mode has one stream, and what goes in comes out."""

    def __init__(self, port: int, mode: str, laps: _Laps) -> None:
        self._mode = mode
        self._sock = _connected(port)
        self._sock.sendall(h2.PREFACE + h2.settings())
        self._rest = bytearray()

    def answers(self, number: int) -> Iterator[None]:
        """Send one message and wait for its answer."""
        self._sock.sendall(self._request(number))
        while True:
            at = 0
            for kind, flags, stream, payload in h2.read_frames(bytes(self._rest)):
                at += 9 + len(payload)
                if self._is_answer(kind, flags, stream, payload, number):
                    del self._rest[:at]
                    yield
                    return
            del self._rest[:at]
            self._rest += _received(self._sock)

    def _request(self, number: int) -> bytes:
        body = h2.payload_message(b"good %d" % number)
        if self._mode == "grpc":
            stream = 2 * number + 1
            return h2.headers(stream, h2.fields_of(f"{SERVICE}/Produce")) + h2.data(stream, body)
        first = b"" if number else h2.headers(1, h2.fields_of(f"{SERVICE}/StreamMessages"))
        return first + h2.data(1, body, 0)

    def _is_answer(self, kind: int, flags: int, stream: int, payload: bytes, number: int) -> bool:
        """Whether this frame ends an answer; others are answered."""
        if kind in (h2.GOAWAY, h2.RST_STREAM):
            raise SystemExit(f"the server ended it: {payload!r}")
        if kind == h2.SETTINGS and not flags:
            self._sock.sendall(h2.frame(h2.SETTINGS, h2.ACK, 0))
        elif kind == h2.PING and not flags:
            self._sock.sendall(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif kind == h2.DATA:
            self._sock.sendall(h2.window_update(0, len(payload)))
            if self._mode == "grpc_stream":
                self._sock.sendall(h2.window_update(1, len(payload)))
                return True
        elif kind == h2.HEADERS and flags & h2.END_STREAM:
            if self._mode == "grpc_stream" or stream != 2 * number + 1:
                raise SystemExit(f"an answer that was not asked for: {payload!r}")
            return True
        return False


class _WebSocket:
    """Two connections: what was published is acknowledged on one, and a message is taken on the other."""

    def __init__(self, port: int, mode: str, laps: _Laps) -> None:
        self._laps = laps
        self._last = -1
        self._publishing, self._consuming = (self._open(port, path) for path in ("/ws/publish", "/ws/consume"))

    def answers(self, number: int) -> Iterator[None]:
        """Publish one message and take one; our own come in their order."""
        if (said := self._ask(self._publishing, b"good %d" % number)) != (wire.TEXT, b"ok"):
            raise SystemExit(f"not acknowledged: {said!r}")
        yield
        opcode, payload = self._ask(self._consuming, b"")
        if opcode != wire.BINARY:
            if payload != b"error: queue is empty":
                raise SystemExit(f"no answer: {payload!r}")
        elif payload.startswith(b"good "):
            if int(payload[5:]) <= self._last:
                raise SystemExit(f"{payload!r} came behind {self._last}")
            self._last = int(payload[5:])
            self._laps.taken += 1
        else:
            self._laps.others[payload[:OTHERS_LETTERS].decode("latin-1")] += 1
        yield

    def _open(self, port: int, path: str) -> socket.socket:
        sock = _connected(port)
        sock.sendall(wire.upgrade(path))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _received(sock)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise SystemExit(f"no handshake: {head!r}")
        return sock

    def _ask(self, sock: socket.socket, payload: bytes) -> tuple[int, bytes]:
        """Send a message and wait for its answer."""
        sock.sendall(wire.frame(payload))
        received = b""
        while True:
            received += _received(sock)
            for opcode, said in wire.read_frames(received):
                if opcode == wire.PING:
                    sock.sendall(wire.frame(said, wire.PONG))
                    received = received[2 + len(said) :]
                elif opcode == wire.CLOSE:
                    raise SystemExit(f"the server ended it: {said!r}")
                else:
                    return opcode, said


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _received(sock: socket.socket) -> bytes:
    part = sock.recv(1 << 18)
    if not part:
        raise SystemExit("the server ended the connection")
    return part


def _waited(pid: int) -> float:
    return waited_seconds(os.getpid(), threading.get_native_id()) + waited_seconds(pid, pid)


def _run(port: int, mode: str, pid: int, laps: _Laps) -> None:
    client = (_WebSocket if mode == "ws" else _Grpc)(port, mode, laps)
    for number in count():
        waited, began = _waited(pid), time.monotonic()
        for _ in client.answers(number):
            seconds, rss = time.monotonic() - began, resident_bytes(pid)
            own = seconds - (_waited(pid) - waited)
            with laps.lock:
                laps.worst_seconds = max(laps.worst_seconds, seconds)
                laps.worst_own_seconds = max(laps.worst_own_seconds, own)
                laps.worst_rss = max(laps.worst_rss, rss)
            waited, began = _waited(pid), time.monotonic()
        with laps.lock:
            laps.acknowledged += 1
            laps.answered += 1
        time.sleep(PAUSE_SECONDS)


def _main() -> None:
    port, mode, pid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    laps = _Laps()

    def run() -> None:
        try:
            _run(port, mode, pid, laps)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)

    threading.Thread(target=run, daemon=True).start()
    for _ in sys.stdin:
        answered = laps.answered
        while laps.answered <= answered:  # what is under way belongs to this lap
            time.sleep(PAUSE_SECONDS)
        print(laps.tell(), flush=True)


if __name__ == "__main__":
    _main()
