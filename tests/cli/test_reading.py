"""Commands that look: tables for people, JSON for programs, and nothing is changed."""

from __future__ import annotations

import json
import os
import pty
import signal

from quickpulse.cli.reading import Watch
from quickpulse.requests import Policy
from tests.cli.commands import CommandTestCase


class QueuesTests(CommandTestCase):
    """`queues`."""

    def test_table(self) -> None:
        """A line for each, in columns; no line ends with a space."""
        self.queue.publish_many([b"x"] * 1200)
        lines = self.command("queues", "--prefix", self.name).stdout.splitlines()
        head = ["QUEUE", "READY", "LEASED", "DELAYED", "SIZE", "OLDEST", "WAITERS", "STATE"]
        self.assertEqual(lines[0].split(), head)
        self.assertEqual(lines[1].split()[:6], [self.name, "1,200", "0", "0", "1.2", "KiB"])
        self.assertEqual([line.rstrip() for line in lines], lines)

    def test_json(self) -> None:
        """All that is known."""
        self.queue.publish(b"x")
        (told,) = json.loads(self.command("queues", "--prefix", self.name, "--json").stdout)
        self.assertEqual((told["name"], told["ready"], told["counts"]["published"]), (self.name, 1, 1))
        self.assertEqual((told["policy"]["overflow"], told["policy"]["capacity_bytes"]), ("reject", None))

    def test_none(self) -> None:
        """That is no failure; stdout has nothing, or an empty list."""
        result = self.command("queues", "--prefix", self.name)
        self.assertEqual((result.stdout, result.stderr), ("", "no queues\n"))
        self.assertEqual(self.command("queues", "--prefix", self.name, "--json").stdout, "[]\n")


class StatsTests(CommandTestCase):
    """`stats`."""

    def test_all(self) -> None:
        """What each has done."""
        self.queue.publish_many([b"x"] * 3)
        self.queue.take_many(2)
        lines = self.command("stats").stdout.splitlines()
        (own,) = (line.split() for line in lines if line.startswith(f"{self.name} "))
        self.assertEqual(own[1:], ["3", "2", "0", "0", "0", "0", "0", "0"])

    def test_one(self) -> None:
        """All that is known, a line each."""
        self.queue.publish(b"x")
        told = dict(line.split(maxsplit=1) for line in self.command("stats", self.name).stdout.splitlines())
        self.assertEqual((told["queue"], told["ready"], told["published"]), (self.name, "1", "1"))
        self.assertEqual(told["dead_letter_queue"], f"({self.name}.dead)")
        self.assertEqual(json.loads(self.command("stats", self.name, "--json").stdout)["ready"], 1)

    def test_no_such_queue(self) -> None:
        """Status 3, and one line."""
        result = self.command("stats", "@@@", status=3)
        self.assertEqual((result.stdout, result.stderr), ("", "quickpulse: there is no queue @@@\n"))

    def test_some_in_order(self) -> None:
        """Those whose names begin so, the most first; one QUEUE has no order."""
        for number, count in enumerate((1, 3, 2)):
            self.client.queue(f"{self.name}.{number}").publish_many([b"x"] * count)
        for verb in ("stats", "queues"):
            told = json.loads(self.command(verb, "--prefix", f"{self.name}.", "--sort", "in", "--json").stdout)
            self.assertEqual([each["counts"]["published"] for each in told], [3, 2, 1])
        self.assertIn("leave out QUEUE", self.command("stats", self.name, "--sort", "in", status=2).stderr)

    def test_more_queues_than_lines(self) -> None:
        """The busiest are shown, and how many more there are; else all, by name."""
        for number, count in enumerate((1, 3, 2)):
            self.client.queue(f"{self.name}.{number}").publish_many([b"x"] * count)
        watch = Watch(lambda: self.client.list_queues(f"{self.name}."), "name")
        self.assertEqual(list(watch.table().columns[0].cells), [f"{self.name}.{number}" for number in range(3)])
        self.client.queue(f"{self.name}.0").publish_many([b"x"] * 5)
        cut = watch.table(Watch.BESIDE + 2)
        self.assertEqual(list(cut.columns[0].cells), [f"{self.name}.{number}" for number in (0, 1)])
        self.assertEqual(cut.caption, "and 1 more")

    def test_watching(self) -> None:
        """Look after look, until SIGINT, which is no failure."""
        self.queue.publish(b"x")
        process = self.start("stats", self.name, "--watch", "--interval", "0.1", "--json")
        assert process.stdout is not None
        for _ in range(2):
            self.assertEqual(json.loads(process.stdout.readline())[0]["ready"], 1)
        process.send_signal(signal.SIGINT)
        _, said = self.ended(process)
        self.assertEqual(said, b"")

    def test_a_reader_that_goes_away(self) -> None:
        """That is no failure either, and nobody complains."""
        self.queue.publish(b"x")
        process = self.start("stats", self.name, "--watch", "--interval", "0.1", "--json")
        self.read_a_line_and_go(process)
        self.assertEqual(self.ended(process)[1], b"")

    def test_watching_on_a_terminal(self) -> None:
        """The table is drawn again in its place."""
        self.queue.publish(b"x")
        ours, theirs = pty.openpty()
        process = self.start("stats", self.name, "--watch", "--interval", "0.1", stdout=theirs)
        os.close(theirs)
        seen = b""
        while seen.count(b"QUEUE") < 3:
            seen += os.read(ours, 10_000)
        process.send_signal(signal.SIGINT)
        self.ended(process)
        os.close(ours)
        self.assertIn(b"IN/S", seen)
        self.assertIn(b"\x1b[1A", seen)  # one line up

    def test_watching_as_text(self) -> None:
        """Into a file or a pipe it is one table after the other."""
        self.queue.publish(b"x")
        process = self.start("stats", self.name, "--watch", "--interval", "0.1")
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        self.ended(process)
        self.assertEqual([line.split()[0] for line in lines], [b"QUEUE", self.name.encode()] * 2)


class PeekTests(CommandTestCase):
    """`peek`."""

    def test_table(self) -> None:
        """The next ones, as text that does nothing; they stay."""
        self.queue.publish_many([b"[bold]a\x1b", b"b" * 300, b"c"])
        lines = self.command("peek", self.name, "--count", "2").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["PAYLOAD", "SEQUENCE", "AGE", "SIZE", "PRIORITY", "DELIVERIES"])
        self.assertTrue(lines[1].startswith("[bold]a\\x1b "), lines)
        self.assertEqual((lines[2].split()[0], len(lines)), ("b" * 200 + "...", 3))
        self.assertEqual(self.queue.stats().ready, 3)

    def test_json(self) -> None:
        """A line each, which pub takes too."""
        self.queue.publish_many([b"a", b"b"])
        result = self.command("peek", self.name, "--json")
        told = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(each["payload"], each["sequence"]) for each in told], [("a", 1), ("b", 2)])
        self.assertEqual(told[0]["delivery_count"], 0)
        self.command("pub", self.name, "--json", stdin=result.stdout_bytes)
        self.assertEqual(self.queue.stats().ready, 4)

    def test_a_slip(self) -> None:
        """A queue with nearly that name is named."""
        self.queue.set_policy(Policy())
        slip = self.name.replace("Tests", "Tsets")
        for verb in ("peek", "stats"):
            said = self.command(verb, slip, status=3).stderr
            self.assertEqual(said, f"quickpulse: there is no queue {slip}; did you mean {self.name}?\n")

    def test_nothing(self) -> None:
        """Status 3, whether there is a queue or not."""
        self.command("peek", self.name, status=3)
        self.queue.set_policy(Policy())
        self.assertIn("no message that is ready", self.command("peek", self.name, status=3).stderr)


class ServerTests(CommandTestCase):
    """`info` and `health`."""

    def test_info(self) -> None:
        """Version, limits, capabilities."""
        server = self.client.server
        assert server is not None
        told = json.loads(self.command("info", "--json").stdout)
        self.assertEqual((told["version"], told["instance"]), (server.version, server.instance))
        text = self.command("info").stdout
        self.assertIn(server.instance, text)
        self.assertIn("max_message_bytes", text)

    def test_health(self) -> None:
        """It answers."""
        self.assertIn(f"{self.url} answers: version ", self.command("health").stdout)
        self.assertEqual(json.loads(self.command("health", "--json").stdout)["url"], self.url)
