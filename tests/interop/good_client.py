"""A client that does everything right, in a process of its own, beside whatever attacks the server.

It sends one prebuilt request after the other on one connection, waits for each answer, and keeps the time. Its process
is its own because a test that attacks is busy: its waiting would be taken for the server's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.interop import http2_bytes as h2

PAUSE_SECONDS = 0.002
"""Between two requests: often enough to see a stall of a few milliseconds, and no load."""

ANSWER_SECONDS = 30.0
"""Longer than any bound that a test asserts."""

SERVICE = "/messagequeue.MessageQueue"


class GoodClient:
    """Starts such a process, and asks it.

    :param port: of the server's gRPC listener.
    :param mode: grpc or grpc_stream.
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
        """Since the last time: `answered`, `worst_seconds`, `worst_own_seconds`, `worst_rss`; in all: `acknowledged`.

        Own is what is left without the time that client and server waited for a processor.
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


_TOLD = ("answered", "worst_seconds", "worst_own_seconds", "worst_rss", "acknowledged")


class _Laps:
    """What was seen since the last question."""

    def __init__(self) -> None:
        self.acknowledged = 0
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


def _requests(mode: str, number: int) -> bytes:
    """What is sent for one message; the streaming mode has one stream, and what goes in comes out."""
    body = h2.payload_message(b"good %d" % number)
    if mode == "grpc":
        stream = 2 * number + 1
        return h2.headers(stream, h2.fields_of(f"{SERVICE}/Produce")) + h2.data(stream, body)
    first = b"" if number else h2.headers(1, h2.fields_of(f"{SERVICE}/StreamMessages"))
    return first + h2.data(1, body, 0)


def _exchange(sock: socket.socket, mode: str, number: int, rest: bytearray) -> None:
    """Send one message and wait for its answer."""
    sock.sendall(_requests(mode, number))
    while True:
        at = 0
        for kind, flags, stream, payload in h2.read_frames(bytes(rest)):
            at += 9 + len(payload)
            if kind in (h2.GOAWAY, h2.RST_STREAM):
                raise SystemExit(f"the server ended it: {payload!r}")
            if kind == h2.SETTINGS and not flags:
                sock.sendall(h2.frame(h2.SETTINGS, h2.ACK, 0))
            elif kind == h2.PING and not flags:
                sock.sendall(h2.frame(h2.PING, h2.ACK, 0, payload))
            elif kind == h2.DATA:
                sock.sendall(h2.window_update(0, len(payload)))
                if mode == "grpc_stream":
                    sock.sendall(h2.window_update(1, len(payload)))
                    del rest[:at]
                    return
            elif kind == h2.HEADERS and flags & h2.END_STREAM:
                del rest[:at]
                if mode == "grpc_stream" or stream != 2 * number + 1:
                    raise SystemExit(f"an answer that was not asked for: {payload!r}")
                return
        del rest[:at]
        part = sock.recv(65_536)
        if not part:
            raise SystemExit("the server ended the connection")
        rest += part


def _waited(pid: int) -> float:
    return waited_seconds(os.getpid(), threading.get_native_id()) + waited_seconds(pid, pid)


def _run(port: int, mode: str, pid: int, laps: _Laps) -> None:
    sock = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(h2.PREFACE + h2.settings())
    rest, number = bytearray(), 0
    while True:
        waited, began = _waited(pid), time.monotonic()
        _exchange(sock, mode, number, rest)
        seconds, rss = time.monotonic() - began, resident_bytes(pid)
        own = seconds - (_waited(pid) - waited)
        with laps.lock:
            laps.acknowledged += 1
            laps.answered += 1
            laps.worst_seconds = max(laps.worst_seconds, seconds)
            laps.worst_own_seconds = max(laps.worst_own_seconds, own)
            laps.worst_rss = max(laps.worst_rss, rss)
        number += 1
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
