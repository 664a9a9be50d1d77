"""Messages as JSON: what is refused, and why."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.cli.forms import message_of
from quickpulse.errors import InvalidArgument


class MessageTests(SynchronousTestCase):
    """A line that is to be published."""

    def test_all_fields(self) -> None:
        """Each under its name; what only a message that came has is passed over."""
        own = {"id": "i", "headers": {"a": "b"}, "priority": 1, "delay_seconds": 1, "ttl_seconds": 0.5}
        line = {"payload": "ü", **own, "delivery_count": 2, "queue": "q", "sequence": 1}
        self.assertEqual(message_of(json.dumps(line).encode()), ("ü".encode(), own))

    def test_refused(self) -> None:
        """With what is wrong."""
        for line, said in (
            (b"x", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"\xff", "not JSON"),
            (b"1", "expected a JSON object, got int"),
            (b"{}", "exactly one of"),
            (b'{"payload": "a", "payload_base64": ""}', "exactly one of"),
            (b'{"payload": 1}', "exactly one of"),
            (b'{"payload": "\\ud800"}', "payload: "),
            (b'{"payload_base64": "%"}', "payload_base64: "),
            (b'{"payload": "", "prioritie": 1}', "unknown field 'prioritie'; did you mean priority?"),
            (b'{"payload": "", "priority": "1"}', "priority: expected int, got str"),
            (b'{"payload": "", "priority": true}', "priority: expected int, got bool"),
            (b'{"payload": "", "headers": {"a": 1}}', "headers: expected texts by name"),
        ):
            self.assertIn(said, str(self.assertRaises(InvalidArgument, message_of, line)))
