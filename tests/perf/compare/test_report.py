"""What is told of a comparison."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from perf import hardware
from perf.compare import chart
from perf.compare.figures import figures
from perf.compare.report import LIMITED, as_json, markdown
from perf.load.rows import parse_row
from tests.perf.compare.test_figures import measured


class ReportTests(SynchronousTestCase):
    """Markdown, JSON, PNG."""

    def setUp(self) -> None:
        """Two rows."""
        limited = measured(123_456.0, load=0.99, server=0.4)
        self.results = {
            parse_row("ws-publish:10x20"): figures(
                {"ours": measured(3000.0, 5000.0, 4000.0), "stock": measured(1000.0)}
            ),
            parse_row("stream:10x20:payload=1024"): figures({"ours": limited}),
        }
        self.machine = replace(hardware.describe(), cpu="Abacus")

    def test_markdown(self) -> None:
        """A line for each server of each row, and the machine."""
        text = markdown(self.results, self.machine, "Three rounds.")
        lines = text.splitlines()
        self.assertEqual(
            lines[2], "| ws-publish:10x20 | ours | 4,000 | 3,000 to 5,000 | 4.00 |  | 2.00 | 90% | 50% |  |"
        )
        self.assertIn("| ws-publish:10x20 | stock | 1,000 | 1,000 to 1,000 |  |  | 2.00 | 90% | 50% |  |", lines)
        self.assertIn(f"| 121 MiB/s; {LIMITED} |", text)
        self.assertEqual({line.count("|") for line in lines[:5]}, {11})
        self.assertIn("Three rounds.\nAbacus, ", text)

    def test_json(self) -> None:
        """The same for machines."""
        made = json.loads(json.dumps(as_json(self.results, self.machine, {"rounds": 3})))
        self.assertEqual([row["row"] for row in made["rows"]], ["ws-publish:10x20", "stream:10x20:payload=1024"])
        self.assertEqual(made["rows"][0]["servers"]["ours"]["rates"], [3000.0, 5000.0, 4000.0])
        self.assertEqual((made["options"], made["hardware"]["cpu"]), ({"rounds": 3}, "Abacus"))

    def test_chart(self) -> None:
        """A PNG."""
        path = self.mktemp()
        chart.draw(path, self.results, self.machine)
        with open(path, "rb") as file:
            self.assertEqual(file.read(4), b"\x89PNG")
