"""Each layer does what it says: the queue holds, or gave, what went through; the whole answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.micro import grpc, websocket
from perf.micro.__main__ import LAYERS
from perf.micro.layers import Place, nanoseconds
from perf.micro.surroundings import NowhereTransport, instrumented_queue
from tests.perf.running import run_perf

BATCH, ROUNDS = 20, 3


class LayersTests(SynchronousTestCase):
    """Every one."""

    def test_all_run(self) -> None:
        """With any size of batch."""
        for layer in LAYERS:
            for batch in (1, BATCH):
                nanoseconds(layer, batch, BATCH * ROUNDS, 1)

    def test_paths(self) -> None:
        """Each path has parts and one whole."""
        paths = {layer.path for layer in LAYERS}
        self.assertEqual(len(paths), 6)
        for path in paths:
            places = [layer.place for layer in LAYERS if layer.path == path]
            self.assertEqual(places.count(Place.WHOLE), 1)
            self.assertGreaterEqual(places.count(Place.PART), 3)

    def test_wholes_answer(self) -> None:
        """What is written in answer to each batch is as long as its messages make it."""
        queues, written = [], []
        for module in (websocket, grpc):
            made = module.factory_arguments

            def make(mode, depth, made=made, **options):
                arguments = made(mode, depth, **options)
                queues.append((arguments[1], depth))
                return arguments

            self.patch(module, "factory_arguments", make)
        self.patch(NowhereTransport, "write", lambda _, data: written.append(len(data)))
        for layer in LAYERS:
            if layer.place in (Place.WHOLE, Place.BESIDE):
                queues.clear()
                run, inputs = layer.prepare(BATCH, ROUNDS)
                ((queue, depth),) = queues
                written.clear()
                for each in inputs:
                    run(each)
                statistics = queue.statistics()
                moved = statistics.enqueued - depth, statistics.dequeued
                puts, takes = layer.path not in TAKE_ONLY, layer.path in (*TAKE_ONLY, grpc.STREAM)
                self.assertEqual(moved, (puts * BATCH * ROUNDS, takes * BATCH * ROUNDS), layer)
                self.assertGreaterEqual(sum(written), 4 * BATCH * ROUNDS, layer)

    def test_queue_is_the_services(self) -> None:
        """Metrics are the usual ones."""
        queue = instrumented_queue(5)
        queue.enqueue(b"x")
        self.assertEqual((queue.depth, queue.metrics.snapshot().enqueued), (6, 1))


TAKE_ONLY = (websocket.CONSUME, grpc.CONSUME)


class MainTests(SynchronousTestCase):
    """`python -m perf.micro`."""

    def test_table(self) -> None:
        """Of the paths that were asked for."""
        done = run_perf("Consume", "--messages", "100", "--samples", "1", module="perf.micro")
        self.assertEqual(done.status, 0, done.errors)
        self.assertIn("| unary Consume | **the whole protocol** |", done.output)
        self.assertNotIn("Produce", done.output)

    def test_unknown_path(self) -> None:
        """Wrong usage."""
        self.assertEqual(run_perf("carrier pigeon", module="perf.micro").status, 2)
