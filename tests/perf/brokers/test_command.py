"""Whole runs of `perf compare brokers`, short ones."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from perf.brokers import command
from perf.brokers.measure import Load, Run
from perf.brokers.rows import Side
from perf.compare.measure import WrongRunError
from tests.perf.running import run_perf

RUN = Run(1000, 1.0, 0.5, (0.25, 0.25), (), ())


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
        self.assertEqual((done.errors.count("taken"), done.errors.count("memory")), (4, 2))
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
        self.assertIn("| QuickPulse, in batches |", done.output)

    def test_wrong_usage(self) -> None:
        """Status 2."""
        self.assertEqual(run_perf("compare", "brokers", "nonsense").status, 2)


class FaultTests(SynchronousTestCase):
    """What fails in a comparison."""

    def run_with(self, outcomes: list[Run | WrongRunError]) -> tuple[int, str]:
        """A row's two sides, with these measurements in turn: the status and the tables."""

        def measured(side: Side, load: Load) -> Run:
            outcome = outcomes.pop(0)
            if isinstance(outcome, WrongRunError):
                raise outcome
            return outcome

        self.patch(command, "measure", measured)
        said, heard = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(heard):
            status = command.main(["taken", "--servers", "quickpulse", "--rounds", "1"])
        self.assertEqual(outcomes, [])
        return status, said.getvalue()

    def test_once_more(self) -> None:
        """A measurement that fails is made once more."""
        status, text = self.run_with([RUN, WrongRunError("lost\nlast words"), RUN])
        self.assertEqual((status, text.count("| QuickPulse, ")), (0, 2))

    def test_left_out(self) -> None:
        """One that fails again is left out, said, and the status is 1; the others are told."""
        status, text = self.run_with([RUN, WrongRunError("lost\nwords"), WrongRunError("lost\nlast words")])
        self.assertEqual((status, text.count("| QuickPulse, ")), (1, 1))
        self.assertIn("taken on QuickPulse, blocking is left out: last words.", text)

    def test_nothing_left(self) -> None:
        """Without any figures the status is 1."""
        status, _ = self.run_with([WrongRunError("lost")] * 4)
        self.assertEqual(status, 1)
