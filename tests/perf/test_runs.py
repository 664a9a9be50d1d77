"""Whole runs against fakes: a correct one passes; a cheating one fails, and its deeds are counted."""

from __future__ import annotations

from pathlib import Path

from twisted.trial import unittest

from perf.processor import BUSY_CORES
from tests.perf.fakes import (
    FakeGrpcServer,
    FakeQueue,
    FakeServer,
    FakeWebSocketServer,
    UnimplementedGrpcServer,
)
from tests.perf.running import Run, run_against, run_perf

PLAN = {
    3: "refuse",
    4: "refuse",
    10: "drop",
    11: "drop",
    12: "drop",
    20: "duplicate",
    33: "duplicate",
    40: "damage_body",
    50: "damage_head",
    60: "blank",
    70: "blank",
    199: "duplicate",
}
"""The last one is the very last message: a copy of it comes when everything has come."""

CLEAN = (
    "lost",
    "duplicated",
    "damaged",
    "blank",
    "foreign",
    "unsent",
    "refused_delivered",
    "out_of_order",
    "unanswered",
)


class RunsMixin:
    """The same stories for every transport."""

    mode: str
    server_class: type[FakeServer]

    def run_with(self, queue: FakeQueue, *arguments: str) -> Run:
        """A run against a fake over this queue."""
        with self.server_class(queue) as server:
            return run_against(server.port, self.mode, *arguments)

    def assertClean(self, run: Run, messages: int) -> None:
        """Everything came out once, and the tool says so."""
        self.assertEqual(run.status, 0, run.errors)
        counts = run.result["counts"]
        self.assertGreater(messages, 0)
        wrong = {name: counts[name] for name in CLEAN if counts[name]}
        if not run.result["order_checked"]:
            wrong.pop("out_of_order", None)
        self.assertEqual(wrong, {})
        self.assertEqual((counts["acknowledged"], counts["received"], counts["delivered"]), (messages,) * 3)
        self.assertEqual((run.result["faults"], run.result["errors"]), ([], {}))

    def test_correct_server(self) -> None:
        """Status 0, for one and for several connections, with one and with many in flight."""
        for arguments in (
            ("--in-flight", "1"),
            ("--in-flight", "50", "--payload-bytes", "16"),
            ("--producers", "3", "--consumers", "2", "--messages", "1000", "--payload-bytes", "300"),
            ("--in-turn", "--payload-bytes", "70000", "--messages", "100"),
            ("--seconds", "0.3"),
        ):
            queue = FakeQueue()
            if "--seconds" in arguments:
                with self.server_class(queue) as server:
                    common = ("--mode", self.mode, "--target", f"127.0.0.1:{server.port}", "--json")
                    run = run_perf(*common, *arguments)
            else:
                run = self.run_with(queue, *arguments)
            self.assertClean(run, queue.published)
            self.assertEqual(queue.taken, queue.published)

    def test_cheating_server(self) -> None:
        """Refused, dropped, repeated, damaged and blank messages are counted exactly, and the status is 1."""
        for in_turn in ((), ("--in-turn",)):
            queue = FakeQueue(PLAN)
            run = self.run_with(queue, *in_turn)
            self.assertEqual(run.status, 1, run.errors)
            counts, done = run.result["counts"], queue.done
            self.assertEqual(counts["sent"], 200)
            self.assertEqual(counts["refused"], done["refuse"])
            self.assertEqual(run.result["errors"], {"queue is full": done["refuse"]})
            self.assertEqual(counts["acknowledged"], 200 - done["refuse"])
            self.assertEqual(counts["lost"], done["drop"])
            self.assertEqual(counts["duplicated"], done["duplicate"])
            self.assertEqual(counts["damaged"], done["damage_body"] + done["damage_head"])
            self.assertEqual(counts["blank"], done["blank"])
            self.assertEqual(counts["received"], queue.taken)
            self.assertEqual(run.result["empty_answers"], queue.empty_answers)
            self.assertEqual(len(run.result["faults"]), 4)

    def test_in_turn(self) -> None:
        """Nothing is taken before all is published: a queue that is too small keeps what it can hold."""
        queue = FakeQueue(capacity=30)
        run = self.run_with(queue, "--in-turn")
        self.assertEqual(run.status, 0, run.errors)
        counts = run.result["counts"]
        answers = (30, 170, 30) if self.mode != "grpc_stream" else (200, 0, 200)  # a stream's answers take at once
        self.assertEqual((counts["acknowledged"], counts["refused"], counts["received"]), answers)

    def test_refusals_alone_are_no_fault(self) -> None:
        """Nothing refused is expected to come out."""
        run = self.run_with(FakeQueue({5: "refuse", 6: "refuse"}))
        self.assertEqual(run.status, 0, run.errors)
        self.assertEqual((run.result["counts"]["refused"], run.result["counts"]["received"]), (2, 198))

    def test_refused_and_kept(self) -> None:
        """A refused message that comes out is a fault."""
        run = self.run_with(FakeQueue({5: "refuse_but_keep"}))
        self.assertEqual((run.status, run.result["counts"]["refused_delivered"]), (1, 1))

    def test_leftovers(self) -> None:
        """What was in the queue before is told apart."""
        queue = FakeQueue()
        queue.messages.extend((b"left over from yesterday", b"and this too"))
        run = self.run_with(queue)
        self.assertEqual(run.status, 1)
        self.assertEqual((run.result["counts"]["damaged"], run.result["counts"]["lost"]), (2, 0))

    def test_silent_from_the_beginning(self) -> None:
        """Connected, but never answered: unavailable, within the timeout."""
        run = self.run_with(FakeQueue(silent_after=0), "--timeout", "1")
        self.assertEqual((run.status, run.result), (5, {}), run.errors)
        self.assertIn("no answer in time", run.errors)

    def test_falls_silent(self) -> None:
        """Somewhere in the middle: the run ends, says so, and fails."""
        run = self.run_with(FakeQueue(silent_after=100), "--timeout", "1")
        self.assertEqual(run.status, 1, run.errors)
        self.assertGreater(run.result["errors"]["no answer in time"], 0)
        self.assertGreater(run.result["counts"]["unanswered"], 0)

    def test_nobody_listens(self) -> None:
        """Status 5 at once."""
        with self.server_class() as server:
            port = server.port
        run = run_against(port, self.mode)
        self.assertEqual((run.status, run.output), (5, ""))
        self.assertIn("unavailable", run.errors)

    def test_published_only(self) -> None:
        """Without consumers nothing is said about delivery."""
        if self.mode == "grpc_stream":
            return  # its producers receive
        queue = FakeQueue({7: "drop"})
        run = self.run_with(queue, "--consumers", "0")
        self.assertEqual((run.status, run.result["consumed"], queue.taken), (0, False, 0), run.errors)
        self.assertIn("delivery was not checked", run.errors)


class WebSocketRunTests(RunsMixin, unittest.TestCase):
    """Mode ws."""

    mode = "ws"
    server_class = FakeWebSocketServer

    def test_swapped(self) -> None:
        """Two that changed places: one came after its later one."""
        run = self.run_with(FakeQueue({100: "swap", 150: "swap"}), "--in-turn", "--in-flight", "40")
        self.assertEqual((run.status, run.result["counts"]["out_of_order"]), (1, 2), run.errors)

    def test_blank_acknowledgement(self) -> None:
        """Neither ok nor an error: the message stays unanswered."""

        class Blank(FakeWebSocketServer):
            answer_ok = ""

        with Blank() as server:
            run = run_against(server.port, "ws")
        self.assertEqual((run.status, run.result["errors"]), (1, {"blank answer": 200}), run.errors)
        self.assertEqual((run.result["counts"]["acknowledged"], run.result["counts"]["unanswered"]), (0, 200))

    def test_closed_in_the_middle(self) -> None:
        """The close code is told."""

        class Closing(FakeWebSocketServer):
            close_after = 150

        with Closing() as server:
            run = run_against(server.port, "ws")
        self.assertEqual(run.status, 1, run.errors)
        self.assertIn("the server closed: 1011 enough", run.errors)

    def test_not_a_web_socket(self) -> None:
        """Something else listens: unavailable."""
        with FakeGrpcServer() as server:
            run = run_against(server.port, "ws", "--timeout", "1")
        self.assertEqual(run.status, 5, run.errors)


class UnaryRunTests(RunsMixin, unittest.TestCase):
    """Mode grpc."""

    mode = "grpc"
    server_class = FakeGrpcServer

    def test_order_with_one_in_flight(self) -> None:
        """Only then is there an order to check."""
        for in_flight, status in ((1, 1), (2, 0)):
            queue = FakeQueue({100: "swap"})
            run = self.run_with(queue, "--in-turn", "--in-flight", str(in_flight))
            self.assertEqual((run.status, run.result["order_checked"]), (status, in_flight == 1), run.errors)

    def test_server_in_another_mode(self) -> None:
        """UNIMPLEMENTED is told, and not asked for again and again."""
        with UnimplementedGrpcServer() as server:
            run = run_against(server.port, "grpc")
        self.assertEqual(run.status, 5, run.errors)
        self.assertIn("is not implemented in streaming mode", run.errors)


class StreamRunTests(RunsMixin, unittest.TestCase):
    """Mode grpc_stream."""

    mode = "grpc_stream"
    server_class = FakeGrpcServer

    def test_drains_without_consumers(self) -> None:
        """A stream of its own takes what is left."""
        queue = FakeQueue({3: "refuse", 10: "duplicate", 11: "duplicate"})
        run = self.run_with(queue, "--consumers", "0")
        self.assertEqual((run.status, run.result["counts"]["duplicated"]), (1, 2), run.errors)
        self.assertEqual((run.result["counts"]["lost"], len(queue.messages)), (0, 0))


class ReportTests(unittest.TestCase):
    """What a run leaves behind."""

    def test_json_has_everything(self) -> None:
        """Figures, options, machine and slices."""
        with FakeWebSocketServer() as server:
            run = run_against(server.port, "ws", "--messages", "5000")
        result = run.result
        self.assertEqual((result["form"], result["mode"], result["spawned"]), (1, "ws", False))
        self.assertEqual(result["options"]["messages"], 5000)
        for kind in ("publish", "end_to_end"):
            latency = result["latency_milliseconds"][kind]
            self.assertEqual(latency["count"], 5000)
            values = [latency[name] for name in ("p50", "p90", "p99", "p999", "max")]
            self.assertEqual(values, sorted(values))
            self.assertGreater(values[0], 0)
        for name in ("published_per_second", "received_per_second", "load_cpu_share"):
            self.assertGreater(result[name], 0)
        self.assertGreaterEqual(result["server_cpu_share"], 0)  # the fake is a process of this machine
        self.assertIs(result["load_is_limit"], result["load_cpu_share"] >= BUSY_CORES)
        machine = result["hardware"]
        self.assertGreater(machine["memory_bytes"], 0)
        self.assertGreater(machine["cores"], 0)
        for name in ("cpu", "system", "python", "uvloop"):
            self.assertTrue(machine[name])
        published = sum(each["published_per_second"] for each in result["slices"])
        self.assertGreater(published, 0)

    def test_table(self) -> None:
        """Without --json, on standard output."""
        with FakeWebSocketServer(FakeQueue({9: "drop"})) as server:
            address = f"127.0.0.1:{server.port}"
            run = run_perf("--messages", "100", "--target", address, module="perf.perf_ws_throughput")
        self.assertEqual(run.status, 1)
        for words in (
            "acknowledged",
            "p99",
            "uvloop",
            "of a core",
            "FAULT: 1 acknowledged and never came out",
        ):
            self.assertIn(words, run.output)

    def test_plot(self) -> None:
        """A PNG that has something in it."""
        path = Path(self.mktemp()).absolute()
        with FakeWebSocketServer() as server:
            run = run_against(server.port, "ws", "--messages", "5000", "--plot", str(path))
        self.assertEqual(run.status, 0, run.errors)
        drawn = path.read_bytes()
        self.assertEqual(drawn[:8], b"\x89PNG\r\n\x1a\n")
        self.assertGreater(len(drawn), 20_000)

    def test_plot_that_cannot_be_written(self) -> None:
        """The result is told all the same."""
        with FakeWebSocketServer() as server:
            run = run_against(server.port, "ws", "--plot", str(Path(self.mktemp()).absolute() / "x.png"))
        self.assertEqual((run.status, run.result["exit_status"]), (1, 0), run.errors)
