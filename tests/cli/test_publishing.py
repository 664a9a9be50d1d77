"""`quickpulse pub`: what it takes from where, and what it says."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from quickpulse.client import connect
from quickpulse.requests import Policy
from tests.cli.commands import CommandTestCase
from tests.interop.server import RealServer


class SourceTests(CommandTestCase):
    """Where messages come from."""

    def test_arguments(self) -> None:
        """Each is a message; how many there were is said on stderr, and nothing on stdout."""
        result = self.command("pub", self.name, "one", "zwei ü", "")
        self.assertEqual((result.stdout, result.stderr), ("", f"3 published to {self.name}\n"))
        self.assertEqual(self.payloads(), [b"one", "zwei ü".encode(), b""])

    def test_lines(self) -> None:
        """Without an argument each line of stdin is one, whatever bytes it has, the last also without its end."""
        self.command("pub", self.name, "--quiet", stdin=b"a\n\n\xff\x00 b\r\nlast")
        self.assertEqual(self.payloads(), [b"a", b"", b"\xff\x00 b\r", b"last"])

    def test_parts(self) -> None:
        """With --null a message ends with a NUL byte."""
        self.command("pub", self.name, "--null", stdin=b"a\nb\0\0last")
        self.assertEqual(self.payloads(), [b"a\nb", b"", b"last"])

    def test_files(self) -> None:
        """A file is one message, stdin too."""
        path = Path(self.mktemp())
        path.write_bytes(b"of\na file\n")
        self.command("pub", self.name, "--file", str(path), "--file", "-", stdin=b"of\nstdin\n")
        self.assertEqual(self.payloads(), [b"of\na file\n", b"of\nstdin\n"])

    def test_a_file_that_is_not_there(self) -> None:
        """It is named."""
        result = self.command("pub", self.name, "--file", "/nowhere/x", status=2)
        self.assertIn("--file /nowhere/x: No such file or directory", result.stderr)

    def test_json(self) -> None:
        """An object has properties of its own, over those of all."""
        lines = [{"payload": "x", "priority": 2, "headers": {"a": "b"}}, {"payload_base64": "/w=="}]
        text = "\n\n".join(map(json.dumps, lines)).encode()
        self.command("pub", self.name, "--json", "--priority", "1", stdin=text)
        first, second = self.queue.pull(max_messages=5)
        self.assertEqual((first.payload, first.properties.priority, dict(first.headers)), (b"x", 2, {"a": "b"}))
        self.assertEqual((second.payload, second.properties.priority), (b"\xff", 1))

    def test_a_bad_line(self) -> None:
        """It is named; what came before is published and counted."""
        result = self.command("pub", self.name, "--json", stdin=b'{"payload": "x"}\n{"payloat": "y"}\n', status=2)
        self.assertIn("1 published", result.stderr)
        self.assertIn("quickpulse: line 2: expected exactly one of payload and payload_base64", result.stderr)
        self.assertEqual(self.payloads(), [b"x"])

    def test_one_source(self) -> None:
        """Two at once are wrong usage."""
        self.command("pub", self.name, "x", "--json", status=2)
        self.command("pub", self.name, "--null", "--json", status=2)


class PropertyTests(CommandTestCase):
    """What a message has beside its payload."""

    def test_all(self) -> None:
        """Each option is the property of its name."""
        self.command(
            *("pub", self.name, "x", "--priority", "7", "--ttl", "60", "--header", "a=b=c", "--header", "d="),
            *("--id", "i", "--content-type", "text/plain", "--dedup-key", "k", "--reply-to", "r"),
            *("--correlation-id", "c"),
        )
        message = self.queue.get()
        assert message is not None
        told = message.properties
        self.assertEqual(dict(told.headers), {"a": "b=c", "d": ""})
        self.assertEqual((told.priority, told.ttl_ms, told.id, told.content_type), (7, 60_000, "i", "text/plain"))
        self.assertEqual((told.dedup_key, told.reply_to, told.correlation_id), ("k", "r", "c"))

    def test_delay(self) -> None:
        """It is not ready before."""
        self.command("pub", self.name, "x", "--delay", "3600")
        info = self.queue.stats()
        self.assertEqual((info.ready, info.delayed), (0, 1))

    def test_wrong_values(self) -> None:
        """They are wrong usage, and nothing is published."""
        for wrong in (("--priority", "10"), ("--delay", "-1"), ("--header", "a"), ("--header", "=b"), ("--rate", "0")):
            self.command("pub", self.name, "x", *wrong, status=2)
        self.command("stats", self.name, status=3)

    def test_rate(self) -> None:
        """All come, one after the other."""
        self.command("pub", self.name, "--rate", "1000", "a", "b", "c")
        self.assertEqual(self.payloads(), [b"a", b"b", b"c"])


class RefusalTests(CommandTestCase):
    """What is not accepted."""

    def test_a_full_queue(self) -> None:
        """What went in, what did not, and why; a stream is not read to its end for it."""
        self.queue.set_policy(Policy(capacity=2))
        result = self.command("pub", self.name, stdin=b"x\n" * 5, status=4)
        self.assertRegex(result.stderr, r"^quickpulse: 2 published, [123] refused: queue is full\n$")

    def test_publishes_are_paused(self) -> None:
        """Refused."""
        self.queue.publish(b"x")
        self.queue.pause(publishes=True)
        self.assertIn("publishing is paused", self.command("pub", self.name, "y", status=4).stderr)

    def test_a_name_that_no_queue_has(self) -> None:
        """Wrong usage."""
        self.assertIn("expected 1 to 255 of", self.command("pub", "a$b", "x", status=2).stderr)

    def test_a_stream_ends_with_its_first_refusal(self) -> None:
        """Although its writer goes on."""
        self.queue.set_policy(Policy(capacity=2))
        process = self.start("pub", self.name)
        assert process.stdin is not None
        with self.assertRaises(BrokenPipeError):
            while True:
                process.stdin.write(b"x\n")
                process.stdin.flush()
        process.stdin = None
        _, said = self.ended(process, 4)
        self.assertIn(b"2 published", said)

    def test_the_server_goes_away(self) -> None:
        """What was confirmed is told apart from what was not, and the status is 5."""
        server = RealServer("grpc")
        self.addCleanup(server.end)
        url = f"quickpulse://{server.target}"
        process = self.start("pub", "q", "--url", url, "--timeout", "5")
        assert process.stdin is not None
        process.stdin.write(b"x\n")
        with connect(url, wait_seconds=30) as client:
            self.assertIsNotNone(client.queue("q").get(wait_seconds=30))
        server.end()
        process.stdin.write(b"y\n")
        _, said = self.ended(process, 5)
        self.assertTrue(said.startswith(b"quickpulse: 1 published, 1 not confirmed: "), said)
        self.assertEqual(len(said.splitlines()), 1)

    def test_interrupted(self) -> None:
        """What was read is published before the end, and counted."""
        process = self.start("pub", self.name)
        assert process.stdin is not None
        process.stdin.write(b"x\n")
        process.stdin.flush()
        self.assertIsNotNone(self.queue.get(wait_seconds=30))
        process.send_signal(signal.SIGINT)
        out, said = self.ended(process, 1)
        self.assertEqual((out, said), (b"", f"1 published to {self.name}\nquickpulse: interrupted\n".encode()))
