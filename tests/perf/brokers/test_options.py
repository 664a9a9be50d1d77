"""The command line."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from perf.brokers.options import SERVERS, parse
from perf.brokers.rows import ROWS


class OptionsTests(SynchronousTestCase):
    """What is understood, and what is not."""

    def test_defaults(self) -> None:
        """Everything, three times."""
        options = parse([])
        self.assertEqual((options.rows, options.servers, options.rounds), (tuple(ROWS.values()), SERVERS, 3))
        self.assertEqual((options.load.seconds, options.load.messages, options.load.loop), (1.5, 1_000_000, "uvloop"))

    def test_all(self) -> None:
        """Every option."""
        line = "taken batches --rounds 2 --seconds 0.5 --messages 7000 --servers redis,nats --loop asyncio "
        line += "--json a --png b --document c --note d"
        options = parse(line.split())
        self.assertEqual([row.key for row in options.rows], ["taken", "batches"])
        self.assertEqual((options.rounds, options.servers), (2, ("redis", "nats")))
        self.assertEqual((options.load.seconds, options.load.messages, options.load.loop), (0.5, 7000, "asyncio"))
        self.assertEqual((options.json, options.png, options.document, options.note), ("a", "b", "c", "d"))

    def test_errors(self) -> None:
        """Status 2, and a line that names what is wrong."""
        for wrong in ("nonsense", "--servers kafka", "--rounds 0", "--rounds x", "--seconds 61", "--loop twisted"):
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                self.assertEqual(self.assertRaises(SystemExit, parse, wrong.split()).code, 2)
            self.assertIn(wrong.split()[-1], said.getvalue())
