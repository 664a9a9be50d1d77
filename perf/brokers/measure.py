"""One measurement: a server of its own, its workers, and what the system says of all of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from perf.brokers.rows import Side
from perf.brokers.servers import make_server
from perf.brokers.work import BATCH
from perf.compare.measure import WrongRunError
from perf.compare.process import ROOT, running
from perf.load.process_facts import resident_bytes, server_clock
from perf.spawn import LOG_LINES

STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Load:
    """How much is done in one measurement.

    seconds: that producers publish
    messages: that a queue is filled with for its memory
    loop: of asyncio's clients, uvloop or asyncio
    """

    seconds: float = 1.5
    messages: int = 1_000_000
    loop: str = "uvloop"


@dataclass(frozen=True)
class Run:
    """What one measurement gave.

    messages: that went through
    seconds: from the first publish to the last ack
    server_seconds, worker_seconds: of processor time; the workers' in the order of the side
    samples: nanoseconds of each, where times are told
    resident: the server's memory at the start, and at each stop on the way
    """

    messages: int
    seconds: float
    server_seconds: float | None
    worker_seconds: tuple[float, ...]
    samples: tuple[int, ...]
    resident: tuple[int | None, ...]


class Worker:
    """A process of `perf.brokers.worker`."""

    def __init__(self, side: Side, work: str, port: int, load: Load, log: IO[bytes]) -> None:
        self._name = f"{side.name}: {work}"
        self._log = log
        messages = max(int(load.messages * side.share) // BATCH, 1) * BATCH
        arguments = (side.module, work, str(port), str(load.seconds), str(messages), load.loop)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perf.brokers.worker", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )

    def go_on(self) -> None:
        """It waits for that."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except OSError:
            self._fail()

    def word(self) -> str | dict[str, Any]:
        """What it says next; at the end it is all that it did. Raises WrongRunError where it says nothing."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line:
            self._fail()
        return json.loads(line) if line.startswith("{") else line.strip()

    def stop(self) -> None:
        """Wait for its end, or make it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _fail(self) -> None:
        status = self.process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
        raise WrongRunError(f"{self._name}: ended with status {status}\n" + "\n".join(words))


def measure(side: Side, load: Load) -> Run:
    """Start the server, let the workers work, end it. Raises SpawnError, WrongRunError, ServerEndedError."""
    server = make_server(side.server)
    with running(server, None) as pid:
        return drive(side, pid, server.port, load)


def drive(side: Side, pid: int, port: int, load: Load) -> Run:
    """Let the workers work with a server that runs. Raises WrongRunError."""
    with _workers(side, port, load) as workers:
        for worker in workers:
            if worker.word() != "ready":
                raise WrongRunError(f"{side.name}: a worker is not ready")
        clock, resident = server_clock(pid), [resident_bytes(pid)]
        before = clock()
        for worker in reversed(workers):  # consumers first
            worker.go_on()
        facts = [_end(worker, lambda: resident.append(resident_bytes(pid))) for worker in workers]
        after = clock()
    return Run(
        messages=int(facts[-1].get("messages", 0)),
        seconds=facts[-1]["ended"] - facts[0]["started"],
        server_seconds=None if before is None or after is None else after - before,
        worker_seconds=tuple(each["cpu"] for each in facts),
        samples=tuple(facts[-1]["samples"]),
        resident=tuple(resident),
    )


def _end(worker: Worker, stopped: Callable[[], None]) -> dict[str, Any]:
    """Everything that it did; `stopped` is called where it waits on the way."""
    while isinstance(word := worker.word(), str):
        stopped()
        worker.go_on()
    return word


@contextlib.contextmanager
def _workers(side: Side, port: int, load: Load) -> Iterator[Sequence[Worker]]:
    with contextlib.ExitStack() as stack:
        workers = []
        for work in side.works:
            worker = Worker(side, work, port, load, stack.enter_context(tempfile.TemporaryFile()))
            stack.callback(worker.stop)
            workers.append(worker)
        try:
            yield workers
        except BaseException:
            for worker in workers:
                worker.process.kill()
            raise
