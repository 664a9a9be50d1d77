"""docs/v1.md against the tables of the code."""

from __future__ import annotations

import re

from twisted.trial.unittest import TestCase

from quickpulse.errors import ListenError, QueueEmpty, QueueError, QuickPulseError, SettingsError
from quickpulse.wire.v1.errors import ERRORS
from quickpulse.wire.v1.table import ROWS
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "v1.md").read_text(encoding="utf-8")

NOT_OF_V1 = {QuickPulseError, QueueError, QueueEmpty, SettingsError, ListenError}
"""What no client of v1 sees."""


class PageTests(TestCase):
    """The page says what the code does."""

    def test_errors(self) -> None:
        """Each reason with its codes, and whether a retry helps."""
        found = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \| (\d+) \| (.+?) \|$", PAGE, re.MULTILINE)
        expected = set()
        for kind, row in ERRORS.items():
            retry = f"after {row.retry_after_ms} ms" if row.retry_after_ms else "no"
            ends = "; the connection ends" if row.close_code is not None else ""
            if kind not in NOT_OF_V1:
                expected.add((kind.code, row.status.name, str(row.http), retry + ends))
        self.assertEqual(set(found), expected)

    def test_requests(self) -> None:
        """Each has its line."""
        table = PAGE.partition("## Requests")[2].partition("## A message's life")[0]
        named = set(re.findall(r"[A-Z]\w+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))))
        self.assertEqual(named, {"".join(word.title() for word in row.name.split("_")) for row in ROWS})
