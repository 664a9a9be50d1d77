"""The subprotocols of /ws/v1."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import InvalidArgument
from quickpulse.requests import Batch, Deliveries
from quickpulse.wire.v1.frames import write_reply
from quickpulse.wire.websocket.subprotocols import SUBPROTOCOLS, choose


class ChooseTests(SynchronousTestCase):
    """choose."""

    def test_the_clients_order(self) -> None:
        """Its first that is served; names are exact."""
        binary, text = SUBPROTOCOLS["quickpulse.v1.bin"], SUBPROTOCOLS["quickpulse.v1.json"]
        self.assertIs(choose([text.name, binary.name]), text)
        self.assertIs(choose(["other", binary.name, text.name]), binary)

    def test_texts(self) -> None:
        """JSON has them where they are asked for; all else of it is the same."""
        binary, text = SUBPROTOCOLS["quickpulse.v1.bin"], SUBPROTOCOLS["quickpulse.v1.json"]
        chosen = choose([text.name], "1")
        self.assertEqual((chosen.name, chosen.first_byte), (text.name, text.first_byte))
        reply = Deliveries("q", Batch(("grün".encode(),)))
        self.assertIn("grün".encode(), write_reply(1, reply, chosen.encoding))
        self.assertNotIn("grün".encode(), write_reply(1, reply, text.encoding))
        self.assertIs(choose([binary.name], "1"), binary)
        self.assertIs(choose([text.name], "false"), text)
        with self.assertRaises(InvalidArgument):
            choose([text.name], "yes")

    def test_kinds(self) -> None:
        """Of messages, and what is said of the other one."""
        self.assertEqual([each.is_binary for each in SUBPROTOCOLS.values()], [True, False])
        said = [each.wrong_kind for each in SUBPROTOCOLS.values()]
        self.assertEqual(
            said, ["quickpulse.v1.bin has binary messages only", "quickpulse.v1.json has text messages only"]
        )

    def test_the_refusal_names_both(self) -> None:
        """A client can go on from there."""
        for offered in ([], ["other", "quickpulse.v1", "Quickpulse.v1.bin", ""]):
            with self.assertRaises(InvalidArgument) as caught:
                choose(offered)
            for name in SUBPROTOCOLS:
                self.assertIn(name, str(caught.exception))
