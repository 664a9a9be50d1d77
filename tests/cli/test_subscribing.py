"""`quickpulse sub`: what is written is acked, what is not goes back."""

from __future__ import annotations

import json
import os
import pty
import signal

from quickpulse.client import connect
from quickpulse.requests import Policy
from tests.cli.commands import CommandTestCase
from tests.interop.server import RealServer


class PrintTests(CommandTestCase):
    """What stands on stdout."""

    def test_lines(self) -> None:
        """Payloads as they are, each on a line; they are acked."""
        self.queue.publish_many([b"one", b"\xff two", b""])
        result = self.command("sub", self.name, "--wait", "0")
        self.assertEqual((result.stdout_bytes, result.stderr), (b"one\n\xff two\n\n", ""))
        info = self.queue.stats()
        self.assertEqual((info.ready, info.leased, info.counts["acked"]), (0, 0, 3))

    def test_count(self) -> None:
        """No more than that is fetched."""
        self.queue.publish_many([b"one", b"two", b"three"])
        self.assertEqual(self.command("sub", self.name, "--count", "2").stdout, "one\ntwo\n")
        self.assertEqual(self.queue.stats().counts["delivered"], 2)

    def test_many(self) -> None:
        """In order, over many helpings."""
        self.queue.publish_many([b"%d" % number for number in range(1000)])
        result = self.command("sub", self.name, "--count", "950")
        self.assertEqual(result.stdout.split(), [str(number) for number in range(950)])
        self.assertEqual(self.queue.stats().ready, 50)

    def test_nothing(self) -> None:
        """Status 3."""
        self.assertEqual(self.command("sub", self.name, "--wait", "0.01", status=3).output, "")

    def test_null_and_raw(self) -> None:
        """A NUL byte behind each, or nothing."""
        self.queue.publish_many([b"a\nb", b"c", b"d", b"e"])
        self.assertEqual(self.command("sub", self.name, "--null", "--count", "2").stdout_bytes, b"a\nb\0c\0")
        self.assertEqual(self.command("sub", self.name, "--raw", "--count", "2").stdout_bytes, b"de")

    def test_json(self) -> None:
        """All that is known of a message, on a line."""
        self.queue.publish("zwei ü\n\x1b".encode(), headers={"a": "b"}, priority=3)
        self.queue.publish(b"\xff")
        first, second = map(json.loads, self.command("sub", self.name, "--json", "--count", "2").stdout.splitlines())
        self.assertGreater(first.pop("enqueued_at_ms"), 0)
        expected = {"queue": self.name, "payload": "zwei ü\n\x1b", "headers": {"a": "b"}, "priority": 3}
        self.assertEqual(first, {**expected, "delivery_count": 1})
        self.assertEqual(second["payload_base64"], "/w==")

    def test_json_of_dead_letters(self) -> None:
        """Where they come from, and why."""
        self.queue.publish(b"x")
        message = self.queue.get()
        assert message is not None
        message.dead_letter("no use", confirm=True)
        told = json.loads(self.command("sub", f"{self.name}.dead", "--json", "--count", "1").stdout)
        self.assertEqual((told["source"], told["reason"]), (self.name, "no use"))

    def test_take(self) -> None:
        """At most once: nothing is leased."""
        self.queue.publish_many([b"a", b"b"])
        self.assertEqual(self.command("sub", self.name, "--take", "--count", "1").stdout, "a\n")
        told = json.loads(self.command("sub", self.name, "--take", "--json", "--wait", "0").stdout)
        self.assertEqual(told, {"payload": "b"})
        self.assertEqual(self.queue.stats().counts["acked"], 0)

    def test_no_ack(self) -> None:
        """Each is printed once, and all are put back."""
        self.queue.publish_many([b"a", b"b"])
        self.assertEqual(self.command("sub", self.name, "--no-ack", "--wait", "0").stdout, "a\nb\n")
        message = self.queue.get(wait_seconds=30)
        assert message is not None
        self.assertEqual((message.payload, message.delivery_count), (b"a", 1))

    def test_one_form(self) -> None:
        """Two at once are wrong usage."""
        self.command("sub", self.name, "--raw", "--json", status=2)
        self.command("sub", self.name, "--take", "--no-ack", status=2)

    def test_round_trip(self) -> None:
        """What sub --json writes, pub --json takes."""
        self.queue.publish(b"\xffx", headers={"a": "b"}, priority=4, correlation_id="c", ttl_seconds=60)
        lines = self.command("sub", self.name, "--json", "--wait", "0").stdout_bytes
        self.command("pub", self.name, "--json", stdin=lines)
        message = self.queue.get()
        assert message is not None
        told = message.properties
        self.assertEqual((message.payload, dict(told.headers), told.priority), (b"\xffx", {"a": "b"}, 4))
        self.assertEqual((told.correlation_id, told.ttl_ms), ("c", 60_000))


class EndTests(CommandTestCase):
    """How it ends: by processes of their own, with pipes."""

    def assert_put_back(self, printed: int, of: int) -> None:
        """What was not printed is ready again, at once, as if it had not been delivered."""
        info = self.queue.stats()
        self.assertEqual((info.ready, info.leased, info.counts["acked"]), (of - printed, 0, printed))

    def test_sigint(self) -> None:
        """A reader that reads nothing more: what was not written goes back, and the status is 0."""
        self.queue.set_policy(Policy(lease_ms=600_000))
        self.queue.publish_many([b"%06d" % number for number in range(1000)])
        process = self.start("sub", self.name)
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = self.ended(process)
        printed = (first + rest).split()
        self.assertEqual(printed, [b"%06d" % number for number in range(len(printed))])
        self.assertEqual(said, b"")
        self.assert_put_back(len(printed), 1000)

    def test_a_person_waits(self) -> None:
        """Who sees nothing come is told which queue that is, once; it is no part of the output."""
        ours, theirs = pty.openpty()
        process = self.start("sub", self.name, stderr=theirs)
        os.close(theirs)
        seen = b""
        while not seen.endswith(b"\n"):
            seen += os.read(ours, 1000)
        self.assertEqual(seen.strip(), f"waiting for messages in {self.name}; Ctrl-C ends".encode())
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(process)[0], b"")
        os.close(ours)

    def test_sigterm_while_it_waits(self) -> None:
        """Likewise; it had printed what there was."""
        self.queue.publish(b"x")
        process = self.start("sub", self.name)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), b"x\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), (b"", b""))
        self.assert_put_back(1, 1)

    def test_broken_pipe(self) -> None:
        """A reader that goes away ends it, without a word, and what it could not be given goes back."""
        self.queue.set_policy(Policy(lease_ms=600_000))
        payload = b"x" * 1000
        self.queue.publish_many([payload] * 500)  # more than a pipe holds
        process = self.start("sub", self.name)
        self.assertEqual(self.read_a_line_and_go(process), payload + b"\n")
        _, said = self.ended(process)
        self.assertEqual(said, b"")
        info = self.queue.stats()
        self.assertEqual((info.leased, info.ready + info.counts["acked"]), (0, 500))
        self.assertGreater(info.ready, 0)

    def test_a_reader_that_goes_while_nothing_comes(self) -> None:
        """It is found out without a message."""
        self.queue.publish(b"x")
        process = self.start("sub", self.name)
        self.assertEqual(self.read_a_line_and_go(process), b"x\n")
        self.ended(process)
        self.assert_put_back(1, 1)

    def test_broken_pipe_after_taking(self) -> None:
        """What is gone is counted: it cannot be put back."""
        payload = b"x" * 10_000
        self.queue.publish_many([payload] * 100)
        process = self.start("sub", self.name, "--take")
        self.assertEqual(self.read_a_line_and_go(process), payload + b"\n")
        _, said = self.ended(process)
        self.assertRegex(said, rb"^quickpulse: \d+ messages were taken and not printed\n$")

    def test_the_server_goes_away(self) -> None:
        """One line, and status 5, when it does not come back in time."""
        server = RealServer("grpc")
        self.addCleanup(server.end)
        url = f"quickpulse://{server.target}"
        process = self.start("sub", "q", "--url", url, "--timeout", "5")
        with connect(url, wait_seconds=30) as client:
            client.queue("q").publish(b"x")
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), b"x\n")
        server.end()
        _, said = self.ended(process, 5)
        self.assertEqual(len(said.splitlines()), 1, said)

    def test_a_terminal_is_not_controlled(self) -> None:
        """Control characters are escaped there."""
        self.queue.publish(b"\x1b[31mred\x07 \xff")
        ours, theirs = pty.openpty()
        process = self.start("sub", self.name, "--count", "1", stdout=theirs)
        os.close(theirs)
        _, said = self.ended(process)
        self.assertEqual((os.read(ours, 1000), said), (b"\\x1b[31mred\\x07 \\xff\r\n", b""))
        os.close(ours)

    def test_a_pipeline(self) -> None:
        """One queue into another, through the shell."""
        self.queue.publish_many([b"a", b"b"])
        source = self.start("sub", self.name, "--wait", "0", "--json")
        assert source.stdout is not None
        target = self.start("pub", f"{self.name}.copy", "--json", "--quiet", stdin=source.stdout)
        self.assertEqual(self.ended(target), (b"", b""))
        self.assertEqual(self.client.queue(f"{self.name}.copy").take_many(5), [b"a", b"b"])
        self.assertEqual(source.wait(timeout=30), 0)
