"""The storm: against the server, and against queues with a fault."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from perf.storm.account import Account
from perf.storm.numbered import BLOCK, MOST_BYTES, PADDINGS, payloads, read_numbers
from perf.storm.server import Metrics
from perf.storm.verdict import problems
from tests.perf.running import Run, run_perf

ALL = "reset,half-close,cancel"

MESSAGES = 20_000


def storm(mode: str, *arguments: str) -> Run:
    """A short one with a server of its own."""
    return run_perf("--mode", mode, "--messages", str(MESSAGES), "--json", *arguments, module="perf.storm")


class NumberedTests(SynchronousTestCase):
    """Messages are known again."""

    def test_read(self) -> None:
        """Each by its number; their lengths differ."""
        messages = payloads(5 * BLOCK)
        numbers, altered = read_numbers(messages)
        self.assertEqual((numbers.tolist(), altered), (list(range(5 * BLOCK, 6 * BLOCK)), []))
        self.assertLessEqual(max(map(len, messages)), MOST_BYTES)
        self.assertGreater(len({len(message) for message in messages}), 20)

    def test_altered(self) -> None:
        """Cut, longer, other padding: told; another number is one that was never sent."""
        padded = next(place for place, padding in enumerate(PADDINGS) if padding)
        message = payloads(0)[padded]
        for wrong in (message[:-1], message + b"x", message[:-1] + bytes((message[-1] ^ 1,)), message[:5], b""):
            self.assertEqual(read_numbers([wrong, *payloads(0)])[1], [wrong])
        numbers, _ = read_numbers([bytes((message[0] ^ 1,)) + message[1:]])
        self.assertGreater(int(numbers[0]), 2**40)


def metrics(enqueued: int, dequeued: int, undelivered: int = 0, depth: int = 0) -> Metrics:
    """The server's numbers."""
    return Metrics(enqueued, dequeued, depth, undelivered, 0)


class AccountTests(SynchronousTestCase):
    """The books, and the verdict over them."""

    def setUp(self) -> None:
        """Two blocks are sent by one publisher, and acknowledged."""
        self.account = Account(3 * BLOCK)
        for _ in range(2):
            first = self.account.next_block(7)
            assert first is not None
            self.account.acknowledged(slice(first, first + BLOCK))

    def found(self, messages: list[bytes], undelivered: int = 0, lost: int = 0) -> list[str]:
        """What is wrong after these came out."""
        self.account.received(messages, 1, in_order=True)
        received = self.account.counts().received
        return problems(self.account, metrics(2 * BLOCK, received + lost, undelivered, 2 * BLOCK - received - lost))

    def test_all_well(self) -> None:
        """Each came once."""
        self.assertEqual(self.found(payloads(0) + payloads(BLOCK)), [])

    def test_missing(self) -> None:
        """Only within what is counted as undelivered, which is only what was under way."""
        messages = (payloads(0) + payloads(BLOCK))[:-3]
        self.assertEqual(len(self.found(messages, lost=3)), 2)
        self.account.killed_in_flight = 2
        self.assertIn("too many", self.found([], undelivered=3, lost=3)[0])
        self.account.killed_in_flight = 3
        self.assertEqual(self.found([], undelivered=3, lost=3), [])

    def test_faults(self) -> None:
        """Doubled at once and later, altered, never sent, acknowledged twice, out of order."""
        messages = payloads(0) + payloads(BLOCK)
        self.found([*messages, messages[-1]])
        self.account.received([messages[0], b"short", *payloads(2 * BLOCK)[:2]], 2, in_order=False)
        self.account.received([messages[9], messages[8]], 3, in_order=True)
        self.account.acknowledged(np.array([4]))
        self.assertEqual(
            dict(self.account.fault_counts),
            {"doubled": 4, "altered": 1, "never sent": 2, "out of order": 1, "acknowledged twice": 1},
        )


class RealTests(SynchronousTestCase):
    """Against our server."""

    def test_every_mode(self) -> None:
        """All is well, whatever is reset, half closed or cancelled."""
        for mode, ways in (("ws", "reset,half-close"), ("grpc", ALL), ("grpc_stream", ALL)):
            run = storm(mode, "--kill-every", "0.01", "--ways", ways)
            self.assertEqual((run.status, run.result["problems"]), (0, []), run.errors)
            counts = run.result["counts"]
            self.assertGreaterEqual(counts["sent"], MESSAGES)
            self.assertEqual(counts["sent"], counts["acknowledged"] + counts["unknown"])
            self.assertGreater(sum(run.result["kills"].values()), 0)

    def test_calm(self) -> None:
        """Without kills, all is acknowledged and all comes out."""
        for mode in ("ws", "grpc", "grpc_stream"):
            counts = storm(mode, "--kill-every", "0").result["counts"]
            self.assertEqual((counts["unknown"], counts["missing"], counts["received"]), (0, 0, counts["sent"]))

    def test_other_servers(self) -> None:
        """The options reach the server."""
        for mode, options in (("ws", "--ws-frames plain"), ("grpc", "--grpc-server grpcio")):
            run = run_perf(
                *("--mode", mode, "--messages", "3000", "--kill-every", "0", "--json", "--server", options),
                module="perf.storm",
            )
            self.assertEqual((run.status, run.result["problems"]), (0, []), run.errors)


class FaultyTests(SynchronousTestCase):
    """Against our server over a queue with one fault."""

    def test_found(self) -> None:
        """The run fails and says why."""
        for fault, mode, told in (
            ("Loses", "ws", "1 acknowledged messages are missing"),
            ("Loses", "grpc", "1 acknowledged messages are missing"),
            ("Doubles", "ws", "1 doubled"),
            ("Doubles", "grpc", "1 doubled"),
            ("Alters", "ws", "1 never sent"),
            ("Swaps", "ws", "out of order"),
        ):
            queue = f"--queue tests.perf.faulty_queues:{fault}"
            run = storm(mode, "--kill-every", "0", "--server", queue)
            self.assertEqual(run.status, 1, run.errors)
            self.assertIn(told, "; ".join(run.result["problems"]), fault)

    def test_does_not_start(self) -> None:
        """Unavailable, with the server's last words."""
        run = storm("ws", "--server=--nonsense")
        self.assertEqual((run.status, run.output), (5, ""))
        self.assertIn("nonsense", run.errors)
