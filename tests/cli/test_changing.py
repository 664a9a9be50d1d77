"""Commands that change a queue, and what they ask before."""

from __future__ import annotations

import json
import os
import pty

from quickpulse.requests import UNBOUNDED, Overflow, Policy
from tests.cli.commands import CommandTestCase


class PolicyTests(CommandTestCase):
    """`policy`."""

    def test_set(self) -> None:
        """What is named changes, and the queue is made for it; what was set before stays."""
        self.command("policy", self.name, "--set", "capacity=5", "--set", "overflow=drop_oldest")
        told = self.command("policy", self.name, "--set", "retry_delays_ms=0,500", "--set", "lease_ms=1000", "--json")
        policy = self.queue.stats().policy
        self.assertEqual((policy.capacity, policy.overflow, policy.lease_ms), (5, Overflow.DROP_OLDEST, 1000))
        self.assertEqual(list(policy.retry_delays_ms or ()), [0, 500])
        self.assertEqual(json.loads(told.stdout)["retry_delays_ms"], [0, 500])

    def test_back_to_default(self) -> None:
        """As the server has it; `unbounded` is a bound that is none."""
        self.queue.set_policy(Policy(capacity=5, capacity_bytes=5, dead_letter_queue="x"))
        words = ("capacity=default", "capacity_bytes=unbounded", "dead_letter_queue=")
        self.command("policy", self.name, *(part for word in words for part in ("--set", word)))
        policy = self.queue.stats().policy
        self.assertEqual((policy.capacity, policy.capacity_bytes), (1_000_000, UNBOUNDED))
        self.assertEqual(policy.dead_letter_queue, "")

    def test_show(self) -> None:
        """Under the names that --set takes; a queue that is not there has none."""
        self.command("policy", self.name, status=3)
        self.queue.set_policy(Policy(max_deliveries=3))
        told = dict(line.split(maxsplit=1) for line in self.command("policy", self.name).stdout.splitlines())
        self.assertEqual(set(told), set(Policy.__slots__))
        self.assertEqual((told["max_deliveries"], told["retry_delays_ms"]), ("3", "0,1000,10000,60000"))

    def test_wrong_words(self) -> None:
        """The nearest is named, or what was expected."""
        for word, said in (
            ("capacities=5", "unknown key capacities; did you mean capacity?"),
            ("capacity=much", "expected a whole number"),
            ("capacity", "expected KEY=VALUE"),
            ("overflow=drop_oldes", "did you mean drop_oldest?"),
            ("capacity=0", "capacity is 0, expected 1 to"),
            ("capacity_bytes=none", "expected a whole number, or unbounded"),
            ("dead_letter_queue=None", "expected the name of a queue"),
            ("dead_letter_queue=off", "max_deliveries=0 is without"),
        ):
            self.assertIn(said, self.command("policy", self.name, "--set", word, status=2).stderr)


class PauseTests(CommandTestCase):
    """`pause` and `resume`."""

    def test_both(self) -> None:
        """Deliveries, and new messages if that is asked for."""
        self.queue.publish(b"x")
        self.command("pause", self.name)
        self.assertEqual((self.queue.stats().paused, self.queue.stats().publish_paused), (True, False))
        self.assertEqual(self.command("pause", self.name, "--publishes").stdout, "")
        self.assertTrue(self.queue.stats().publish_paused)
        self.command("resume", self.name)
        self.assertEqual((self.queue.stats().paused, self.queue.stats().publish_paused), (False, False))

    def test_no_such_queue(self) -> None:
        """Status 3."""
        self.command("pause", self.name, status=3)
        self.command("resume", self.name, status=3)


class RedriveTests(CommandTestCase):
    """`redrive`."""

    def setUp(self) -> None:
        """Two dead letters."""
        super().setUp()
        self.queue.publish_many([b"a", b"b"])
        self.queue.pull(max_messages=2).dead_letter("why", confirm=True)

    def test_back(self) -> None:
        """To where they came from; when there is none, the status is 3."""
        result = self.command("redrive", f"{self.name}.dead", "--count", "1")
        self.assertEqual((result.stdout, result.stderr), ("", "1 put back\n"))
        self.command("redrive", f"{self.name}.dead")
        self.assertEqual(self.payloads(), [b"a", b"b"])
        self.command("redrive", f"{self.name}.dead", status=3)

    def test_elsewhere(self) -> None:
        """To a queue that is named."""
        self.command("redrive", f"{self.name}.dead", "--target", f"{self.name}.other")
        self.assertEqual(self.client.queue(f"{self.name}.other").take_many(5), [b"a", b"b"])

    def test_not_what_is_alive(self) -> None:
        """Messages that are no dead letters are moved only when that is said."""
        self.queue.publish(b"live")
        words = ("redrive", self.name, "--target", f"{self.name}.other")
        self.assertIn("no dead letters: give --any", self.command(*words, status=2).stderr)
        self.assertEqual(self.queue.stats().ready, 1)
        self.command(*words, "--any")
        self.assertEqual(self.client.queue(f"{self.name}.other").take_many(5), [b"live"])

    def test_the_wrong_queue(self) -> None:
        """Whose dead letters are elsewhere: that is said."""
        said = self.command("redrive", self.name, status=3).stderr
        self.assertEqual(said, f"0 put back; the dead letters of {self.name} are in {self.name}.dead: 2 ready\n")


class AskTests(CommandTestCase):
    """`purge` and `delete`."""

    def test_nobody_to_ask(self) -> None:
        """Without a terminal --yes is wanted, and nothing is done."""
        self.queue.publish(b"x")
        for verb in ("purge", "delete"):
            self.assertIn("give --yes", self.command(verb, self.name, status=2).stderr)
        self.assertEqual(self.queue.stats().ready, 1)

    def test_yes(self) -> None:
        """Then it is done."""
        self.queue.publish(b"x")
        self.assertEqual(self.command("purge", self.name, "--yes").stderr, "1 thrown away\n")
        self.assertEqual(self.queue.stats().ready, 0)
        self.assertIn("is gone", self.command("delete", self.name, "--yes").stderr)
        self.command("delete", self.name, "--yes", status=3)
        self.command("purge", self.name, "--yes", status=3)

    def asked(self, answer: bytes, status: int) -> bytes:
        """What a person sees, who answers so."""
        ours, theirs = pty.openpty()
        process = self.start("purge", self.name, stdin=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, answer)
        self.ended(process, status)
        os.close(ours)
        return seen

    def test_a_person_says_no(self) -> None:
        """Nothing is done, and the status says so."""
        self.queue.publish(b"x")
        self.assertIn(f"Purge {self.name}: 1 ready, 0 delayed?".encode(), self.asked(b"n\n", 1))
        self.assertEqual(self.queue.stats().ready, 1)

    def test_a_person_says_yes(self) -> None:
        """It is done."""
        self.queue.publish(b"x")
        self.asked(b"y\n", 0)
        self.assertEqual(self.queue.stats().ready, 0)
