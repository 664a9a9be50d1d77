"""The rows of single requests: each asks what it says, and is answered."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from perf.micro import single
from perf.micro.layers import Prepared, nanoseconds
from perf.micro.single import QUEUE, SINGLE_LAYERS, SINGLES, GrpcServer, Make, Server, WsServer
from quickpulse.requests import GetQueue

ROUNDS = 70
"""More receipts than messages that are leased one by one share."""


class SingleTests(SynchronousTestCase):
    """Every row, on either transport."""

    def served(self, prepare: Callable[[Make, int, int], Prepared], batch: int) -> list[dict[str, int]]:
        """What the queue of each transport counts when all of a row was done."""
        return [self.counts(prepare, kind, batch) for kind in (GrpcServer, WsServer)]

    def counts(self, prepare: Callable[[Make, int, int], Prepared], kind: type[Server], batch: int) -> dict[str, int]:
        """Of one of them."""
        servers: list[Server] = []

        def make(depth: int = 0) -> Server:
            servers.append(kind(depth))
            return servers[-1]

        run, inputs = prepare(make, batch, ROUNDS)
        for each in inputs:
            run(each)
        info = servers[0].broker.get_queue(GetQueue(QUEUE), 0)
        return {**info.counts, "ready": info.ready, "leased": info.leased}

    def test_all_run(self) -> None:
        """With any number of requests in a read."""
        for layer in SINGLE_LAYERS:
            for batch in SINGLES:
                nanoseconds(layer, batch, batch, 1)

    def test_publish(self) -> None:
        """Each request stores a message."""
        for batch in SINGLES:
            for counts in self.served(single.publish, batch):
                self.assertEqual((counts["published"], counts["ready"]), (batch * ROUNDS,) * 2)

    def test_take(self) -> None:
        """Each takes one."""
        for batch in SINGLES:
            for counts in self.served(single.take, batch):
                self.assertEqual((counts["delivered"], counts["ready"]), (batch * ROUNDS, 0))

    def test_lease_and_settle(self) -> None:
        """Each that is leased is settled, with the receipt that it has."""
        for batch in SINGLES:
            for counts in self.served(single.lease_and_settle, batch):
                self.assertEqual((counts["acked"], counts["ready"], counts["leased"]), (batch * ROUNDS, 0, 0))

    def test_wait(self) -> None:
        """Each message goes to one that waits for it."""
        for batch in SINGLES:
            for counts in self.served(single.wait, batch):
                self.assertEqual((counts["published"], counts["delivered"]), (batch * ROUNDS,) * 2)
