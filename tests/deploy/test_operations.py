"""docs/operations.md keeps up with the server."""

from __future__ import annotations

import re

from twisted.trial.unittest import TestCase

from quickpulse.metrics.traffic import REFUSALS
from quickpulse.settings import OPTIONS
from tests.deploy.files import ROOT, exposed_names


class OperationsManualTests(TestCase):
    """What the manual lists is what there is."""

    def setUp(self) -> None:
        """Read it."""
        self.text = (ROOT / "docs/operations.md").read_text()

    def test_every_setting(self) -> None:
        """Each setting has its row: flag, variable and default."""
        rows = dict(re.findall(r"(?m)^\| `--([a-z0-9-]+)` \| (.*)$", self.text))
        for option in OPTIONS:
            self.assertIn(f"`{option.variable}`", rows[option.name])
            self.assertIn(option.default_text, rows[option.name])
        self.assertEqual(set(rows), {"mode", *(option.name for option in OPTIONS)})

    def test_every_metric(self) -> None:
        """Each metric of ours has its row, and nothing else has."""
        listed = set(re.findall(r"(?m)^\| `(quickpulse_\w+)` \|", self.text))
        own = {name for name in exposed_names() if name.startswith("quickpulse_")}
        self.assertEqual({re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in own}, listed)

    def test_every_reason_of_a_refusal(self) -> None:
        """Each value of the label `reason` is listed."""
        self.assertEqual([reason for reason in REFUSALS if f"`{reason}`" not in self.text], [])

    def test_links_lead_somewhere(self) -> None:
        """Each link to a section has that section, and the picture is there."""
        headings = re.findall(r"(?m)^#+ (.+)$", self.text)
        anchors = {heading.lower().replace(" ", "-") for heading in headings}
        self.assertEqual(set(re.findall(r"\]\(#([\w-]+)\)", self.text)) - anchors, set())
        pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", self.text)
        self.assertEqual([name for name in pictures if not (ROOT / "docs" / name).is_file()], [])
