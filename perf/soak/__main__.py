"""`python -m perf.soak --mode ws|grpc|grpc_stream`: holds a load for a long time and says whether all stayed flat."""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from perf.compare.process import ServerEndedError, running
from perf.compare.servers import Server
from perf.latency import LatencyRecorder
from perf.load.faults import LoadFaultError
from perf.soak.probe import Probe
from perf.soak.tally import MOST_QUEUED, Tally
from perf.soak.verdict import problems, quarter_bytes
from perf.soak.watch import Sample, look
from perf.spawn import SpawnError
from perf.storm.links import EndedError, roles
from perf.storm.loop import Loop
from perf.storm.server import ours, read_metrics

FAILED, UNAVAILABLE = 1, 5

REPORT_SECONDS = 60.0

SAMPLES = 240
"""Looks at the server in a run, but at most one a second."""

LEAST_SAMPLES = 8

PROBE_READ_SECONDS = 0.1


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if all is well, 1 if not, 5 if the server does not start."""
    given = _parser().parse_args(arguments)
    server = ours(given.mode, given.server, 10 * MOST_QUEUED)
    soak = Soak(given, server)
    found: list[str] = []
    try:
        with running(server, None) as pid:
            soak.run(pid)
    except SpawnError as error:
        print(f"soak: {error}", file=sys.stderr)
        return UNAVAILABLE
    except (LoadFaultError, EndedError, ServerEndedError, OSError) as error:
        found.append(str(error))
    result = soak.result(found)
    print(json.dumps(result) if given.json else _readable(result))
    return FAILED if result["problems"] else 0


class Soak:
    """One run.

    given: the options
    """

    def __init__(self, given: argparse.Namespace, server: Server) -> None:
        self._given, self._server = given, server
        self._tally = Tally()
        self._latency = LatencyRecorder()
        self._random = random.Random(given.seed)
        self._samples: list[Sample] = []
        self._reports: list[dict[str, Any]] = []
        self._capacity = self._rate = 0.0
        self._opened = 0

    def run(self, pid: int) -> None:
        """Measure, hold, drain."""
        loop = Loop(self._server.port, self._tally)
        try:
            for _ in range(self._given.connections):
                for kind in roles(self._given.mode):
                    self._open(loop, kind)
            self._measure(loop)
            probe = Probe(self._given.mode, self._server.port)
            try:
                self._hold(loop, probe, pid)
                status, *rest = probe.end()
                self._book(*rest)
                if status:
                    self._tally.fault("probe", f"ended with status {status}")
            finally:
                probe.kill()
            self._drain(loop)
        finally:
            loop.stop()

    def result(self, found: list[str]) -> dict[str, Any]:
        """All that is known, and what is wrong."""
        samples, tally = self._samples, self._tally
        enough = len(samples) >= 4
        wanted = self._capacity * self._given.load
        if enough:
            found = found + problems(samples, tally, wanted, self._rate)
        elif not found:
            found = ["too short to judge"]
        return {
            "mode": self._given.mode,
            "server": self._given.server,
            "seconds": self._given.seconds,
            "measured_rate": round(self._capacity),
            "wanted_rate": round(wanted),
            "rate": round(self._rate),
            "connections_opened": self._opened,
            "messages": tally.sent,
            "second_quarter_bytes": round(quarter_bytes(samples, 1)) if enough else None,
            "last_quarter_bytes": round(quarter_bytes(samples, 3)) if enough else None,
            "latency_ms": dataclasses.asdict(self._latency.summary()),
            "reports": self._reports,
            "samples": [dataclasses.asdict(sample) for sample in samples],
            "problems": found,
            "examples": tally.examples,
        }

    def _open(self, loop: Loop, kind: Any) -> None:
        least, most = self._given.lifetime
        loop.open(kind).leaves_at = time.monotonic() + self._random.uniform(least, most)
        self._opened += 1

    def _turn(self, loop: Loop) -> None:
        """One turn, and connections that go and come."""
        loop.turn()
        now = time.monotonic()
        for link in list(loop.links):
            if now >= link.leaves_at:
                link.is_leaving = True
                if not link.outstanding:
                    loop.close([link])
                    self._open(loop, type(link))

    def _measure(self, loop: Loop) -> None:
        """What the server can do with this load, as long as it is asked for."""
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < self._given.measure_seconds:
            self._turn(loop)
        self._capacity = self._tally.came / seconds
        self._say(f"measured {self._capacity:,.0f} messages/s; holding {self._given.load:.0%} of it")

    def _hold(self, loop: Loop, probe: Probe, pid: int) -> None:
        given, tally = self._given, self._tally
        began = reported = time.monotonic()
        tally.hold(self._capacity * given.load, began)
        came_before, came_reported = tally.came, tally.came
        sample_every = max(min(1.0, given.seconds / LEAST_SAMPLES), given.seconds / SAMPLES)
        next_sample, next_probe = began + sample_every, began
        while (now := time.monotonic()) < began + given.seconds:
            self._turn(loop)
            if now >= next_probe:
                next_probe = now + PROBE_READ_SECONDS
                self._book(*probe.read())
            if now >= next_sample:
                next_sample += sample_every
                self._samples.append(look(self._server, pid, tally, now - began))
            if now >= reported + REPORT_SECONDS:
                self._report((tally.came - came_reported) / (now - reported))
                reported, came_reported = now, tally.came
        self._rate = (tally.came - came_before) / (now - began)
        if now > reported + 1:
            self._report((tally.came - came_reported) / (now - reported))

    def _book(self, samples: Any, messages: list[bytes]) -> None:
        self._latency.record_many(samples)
        if messages:
            self._tally.received(messages, 0, in_order=False)

    def _report(self, rate: float) -> None:
        latency, last = self._latency.close_interval(), self._samples[-1]
        errors = sum(self._tally.faults.values())
        report = {
            **dataclasses.asdict(last),
            "rate": round(rate),
            "p50": latency.p50,
            "p99": latency.p99,
            "errors": errors,
        }
        self._reports.append(report)
        self._say(
            f"{last.seconds:7.0f} s  {last.resident_bytes / 2**20:7.1f} MiB  {last.open_files} files  "
            f"{last.connections} connections  depth {last.depth}  {rate:,.0f} messages/s  "
            f"p50 {latency.p50} ms  p99 {latency.p99} ms  {errors} errors"
        )

    def _drain(self, loop: Loop) -> None:
        """All that was sent comes out."""
        self._latency.close_interval()
        for link in loop.links:
            link.is_leaving = link.puts
        while any(link.outstanding for link in loop.links if link.puts):
            loop.turn()
        if self._given.mode != "grpc_stream":
            while read_metrics(self._server).depth:
                for _ in range(10):
                    loop.turn()
        for link in loop.links:
            link.is_leaving = True
        while any(link.outstanding for link in loop.links):
            loop.turn()
        loop.close(loop.links)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _readable(result: dict[str, Any]) -> str:
    latency = result["latency_ms"]
    lines = [
        f"{result['mode']}: {result['messages']:,} messages, {result['connections_opened']} connections opened, "
        f"{result['rate']:,} messages/s held of {result['measured_rate']:,} measured",
        f"  latency of single requests: p50 {latency['p50']} ms, p99 {latency['p99']} ms, longest {latency['max']} ms",
    ]
    if result["second_quarter_bytes"] is not None:
        second, last = (result[f"{name}_quarter_bytes"] / 2**20 for name in ("second", "last"))
        lines.append(f"  memory: {second:.1f} MiB in the second quarter, {last:.1f} MiB in the last")
    lines += [f"  FAILED: {problem}" for problem in result["problems"]] or ["  all flat, no errors"]
    return "\n".join([*lines, *(f"    {example}" for example in result["examples"])])


def _range(text: str) -> tuple[float, float]:
    least, _, most = text.partition("-")
    if not 0 < float(least) <= float(most):
        raise ValueError
    return float(least), float(most)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.soak", description=__doc__, allow_abbrev=False)
    parser.add_argument("--mode", required=True, choices=("ws", "grpc", "grpc_stream"))
    parser.add_argument("--seconds", type=float, default=1200.0, metavar="S", help="of holding (default 1200)")
    parser.add_argument("--load", type=float, default=0.5, metavar="SHARE", help="of what was measured (default 0.5)")
    parser.add_argument("--measure-seconds", type=float, default=5.0, metavar="S", help="before (default 5)")
    parser.add_argument("--connections", type=int, default=8, metavar="N", help="of each kind (default 8)")
    parser.add_argument(
        "--lifetime", type=_range, default=(2.0, 8.0), metavar="S-S", help="of a connection, in seconds (default 2-8)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of lifetimes")
    parser.add_argument("--server", default="", metavar="OPTIONS", help="further options of twistd quickpulse")
    parser.add_argument("--json", action="store_true", help="the whole result as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
