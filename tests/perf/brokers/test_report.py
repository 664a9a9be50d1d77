"""What is told of a comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from perf import hardware
from perf.brokers import chart
from perf.brokers.figures import figures, verdicts
from perf.brokers.measure import Run
from perf.brokers.options import BrokersOptions
from perf.brokers.report import as_json, markdown, put_into
from perf.brokers.rows import AIO, BATCHED, ROWS
from tests.perf.brokers.test_figures import LOAD, rate, side_of


class ReportTests(SynchronousTestCase):
    """Markdown, JSON, PNG, and the page."""

    def setUp(self) -> None:
        """A row of each kind."""
        batches, ours = side_of("batches", AIO)
        trips, blocking = side_of("round-trip", "QuickPulse, blocking, taken")
        memory, own = side_of("memory", BATCHED)
        timed = Run(100, 1.0, 0.5, (0.25,), (100_000, 200_000, 300_000), ())
        filled = Run(0, 1.0, 1.0, (1.0,), (), (0, 147_000_000, 250_000_000))
        self.results = {
            batches: {ours: rate(AIO, 2_000_000, 1_000_000, 3_000_000, server=0.96)},
            trips: {blocking: figures(trips, blocking, [timed], LOAD)},
            memory: {own: figures(memory, own, [filled], LOAD)},
        }
        self.verdicts = verdicts(self.results)
        self.machine = replace(hardware.describe(), cpu="Abacus", cores=4)
        self.options = BrokersOptions(tuple(ROWS.values()), note="It was busy.")

    def text(self) -> str:
        """As Markdown."""
        return markdown(self.results, self.verdicts, {"nats": "it is not there"}, self.machine, self.options)

    def test_markdown(self) -> None:
        """Bars, a table for each row, what is left out, and how it was made."""
        lines = self.text().splitlines()
        self.assertIn("| batches: 1,000,000 a second is the aim | 2,000,000 | held |", lines)
        self.assertIn("| memory, in batches: 400 bytes leased | 250 | held |", lines)
        self.assertIn(f"| {AIO} | 2,000,000 | 1,000,000 to 3,000,000 | 0.48 | 0.12 | 0.06 | server |", lines)
        self.assertIn("| QuickPulse, blocking, taken | 200 | 300 | 200 to 200 | 5000.00 | 2500.00 |", lines)
        self.assertIn(f"| {BATCHED} | 147 | 250 |", lines)
        self.assertIn("nats is left out: it is not there.", lines)
        self.assertIn("- It was busy.", lines)
        self.assertIn("\n- Abacus, 4 cores", self.text())
        self.assertEqual({line.count("|") for line in lines if line.startswith("| QuickPulse, blocking")}, {7})

    def test_json(self) -> None:
        """The same for machines."""
        made = json.loads(json.dumps(as_json(self.results, self.verdicts, {}, self.machine, self.options)))
        self.assertEqual([row["row"] for row in made["rows"]], ["batches", "round-trip", "memory"])
        self.assertEqual(made["rows"][0]["sides"][AIO]["rate"], 2_000_000)
        self.assertEqual(made["bars"][0]["held"], True)
        self.assertEqual((made["load"]["rounds"], made["hardware"]["cpu"]), (3, "Abacus"))

    def test_chart(self) -> None:
        """A PNG."""
        path = self.mktemp()
        chart.draw(path, self.results, self.machine)
        self.assertTrue(Path(path).read_bytes().startswith(b"\x89PNG"))

    def test_page(self) -> None:
        """Tables take the place of the last ones; a page without marks stays as it is."""
        page = Path(self.mktemp())
        page.write_text("above\n<!-- brokers -->\nold\n<!-- /brokers -->\nbelow\n")
        put_into(str(page), "new\n")
        put_into(str(page), "newer\n")
        self.assertEqual(page.read_text(), "above\n<!-- brokers -->\nnewer\n<!-- /brokers -->\nbelow\n")
        page.write_text("none\n")
        self.assertRaises(ValueError, put_into, str(page), "new\n")
        self.assertEqual(page.read_text(), "none\n")
