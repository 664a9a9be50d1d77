"""Latency, closed loop: one request at a time on a connection of its own, in a process of its own.

`python -m perf.soak.probe MODE PORT` writes one line a sample, seconds and the message that it got, in hexadecimal
digits where there is one, until its input ends.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time

import numpy as np

from perf.load import calls, websocket
from perf.load.link import Link
from perf.load.rows import parse_row
from perf.soak.tally import PROBE

PAUSE_SECONDS = 0.01

SILENCE_SECONDS = 30.0

END_SECONDS = 40.0

_ROWS = {"ws": "ws-publish", "grpc": "unary-produce", "grpc_stream": "stream"}


class AnyStreamLink(calls.StreamLink):
    """StreamMessages with one message at a time; its answer is any message."""

    def on_data(self, stream: int, body: bytes) -> None:
        """The answer."""
        self.taken.append(body[7:] if body[6] < 0x80 else body[8:])
        self.done = 1


class Probe:
    """The process, and its samples."""

    def __init__(self, mode: str, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perf.soak.probe", mode, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._rest = b""

    def read(self) -> tuple[np.ndarray, list[bytes]]:
        """New samples in seconds, and the messages that were taken for them."""
        lines = (self._rest + (self._output.read() or b"")).split(b"\n")
        self._rest = lines.pop()
        parts = [line.split(b" ") for line in lines]
        return np.array([float(part[0]) for part in parts]), [
            bytes.fromhex(part[1].decode()) for part in parts if part[1]
        ]

    def end(self) -> tuple[int, np.ndarray, list[bytes]]:
        """Its exit status, and the last samples."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        os.set_blocking(self._output.fileno(), True)
        samples, messages = self.read()
        self._output.close()
        return self._process.wait(END_SECONDS), samples, messages

    def kill(self) -> None:
        """If it is still there."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main(mode: str, port: int) -> None:
    """Samples until stdin ends."""
    link = _open(mode, port)
    link.block(SILENCE_SECONDS)
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        began = time.perf_counter()
        link.start_window()
        while not link.take():
            pass
        seconds = time.perf_counter() - began
        taken = link.taken.pop().hex() if mode == "grpc_stream" else ""  # type: ignore[attr-defined]
        print(f"{seconds:.7f} {taken}", flush=True)
    link.close()


def _open(mode: str, port: int) -> Link:
    row = parse_row(f"{_ROWS[mode]}:1x1:payload={len(PROBE)}")
    if mode == "ws":
        return websocket.open_link(row, port, is_echo=False)
    if mode == "grpc":
        return calls.open_link(row, port, calls.windows_of(row, port, 0))
    return AnyStreamLink(port, row, None, 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
