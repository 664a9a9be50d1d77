"""What a message has beside its payload, as users say it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.properties import properties_of
from quickpulse.errors import InvalidArgument
from quickpulse.requests import Properties


class PropertiesTests(SynchronousTestCase):
    """Their words, and what becomes of them."""

    def test_none(self) -> None:
        """A message has none by itself."""
        self.assertEqual(properties_of(), Properties())

    def test_seconds(self) -> None:
        """Users count in seconds."""
        self.assertEqual(properties_of(delay_seconds=1.5, ttl_seconds=60), Properties(delay_ms=1500, ttl_ms=60_000))

    def test_what_is_no_text(self) -> None:
        """The error names it."""
        five: Any = 5
        with self.assertRaisesRegex(InvalidArgument, "^id is 5, expected a str$"):
            properties_of(id=five)
        with self.assertRaisesRegex(InvalidArgument, "^header attempt is 5, expected a str$"):
            properties_of(headers={"attempt": five})
        with self.assertRaisesRegex(InvalidArgument, "^the name of a header is 5, expected a str$"):
            properties_of(headers={five: "x"})
