"""Whole runs of `perf compare brokers`, short ones."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.perf.running import run_perf


class CommandTests(SynchronousTestCase):
    """As a user runs it."""

    def test_run(self) -> None:
        """Two rounds of a row, memory once; tables on stdout, in the page, in JSON, and a chart."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        page, png, result = folder / "page.md", folder / "chart.png", folder / "result.json"
        page.write_text("<!-- brokers -->\n<!-- /brokers -->\n")
        done = run_perf(
            *("compare", "brokers", "taken", "memory", "--servers", "quickpulse", "--rounds", "2"),
            *("--seconds", "0.02", "--messages", "2000"),
            *("--document", str(page), "--png", str(png), "--json", str(result)),
        )
        self.assertEqual(done.status, 0, done.errors)
        self.assertEqual((done.errors.count("taken"), done.errors.count("memory")), (4, 1))
        self.assertIn("| QuickPulse, blocking |", done.output)
        self.assertIn(done.output.strip(), page.read_text())
        self.assertTrue(png.read_bytes().startswith(b"\x89PNG"))
        self.assertEqual([row["row"] for row in json.loads(result.read_text())["rows"]], ["taken", "memory"])

    def test_page_without_marks(self) -> None:
        """Status 1; the tables are on stdout all the same."""
        page = Path(self.mktemp()).resolve()
        page.write_text("nothing\n")
        done = run_perf(
            *("compare", "brokers", "memory", "--servers", "quickpulse", "--messages", "1000"),
            *("--document", str(page)),
        )
        self.assertEqual(done.status, 1)
        self.assertIn("has no <!-- brokers -->", done.errors)
        self.assertIn("| QuickPulse |", done.output)

    def test_wrong_usage(self) -> None:
        """Status 2."""
        self.assertEqual(run_perf("compare", "brokers", "nonsense").status, 2)
