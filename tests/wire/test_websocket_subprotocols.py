"""The subprotocols of /ws/v1."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.websocket.subprotocols import NONE_OFFERED, SUBPROTOCOLS, choose


class ChooseTests(SynchronousTestCase):
    """choose."""

    def test_the_clients_order(self) -> None:
        """Its first that is served; names are exact."""
        binary, text = SUBPROTOCOLS["quickpulse.v1.bin"], SUBPROTOCOLS["quickpulse.v1.json"]
        self.assertIs(choose([text.name, binary.name]), text)
        self.assertIs(choose(["other", binary.name, text.name]), binary)
        self.assertIsNone(choose([]))
        self.assertIsNone(choose(["other", "quickpulse.v1", "Quickpulse.v1.bin", ""]))

    def test_kinds(self) -> None:
        """Of messages, and what is said of the other one."""
        self.assertEqual([each.is_binary for each in SUBPROTOCOLS.values()], [True, False])
        said = [each.wrong_kind for each in SUBPROTOCOLS.values()]
        self.assertEqual(
            said, ["quickpulse.v1.bin has binary messages only", "quickpulse.v1.json has text messages only"]
        )

    def test_the_refusal_names_both(self) -> None:
        """A client can go on from there."""
        for name in SUBPROTOCOLS:
            self.assertIn(name, NONE_OFFERED)
