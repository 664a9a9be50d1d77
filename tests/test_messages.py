"""Messages: what they are, and what a queue takes."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.messages import Message, payload_of, require_items


class MessageTests(SynchronousTestCase):
    """Message."""

    def test_payload_and_id(self) -> None:
        """The id is optional; two messages are equal when both agree."""
        self.assertIsNone(Message(b"x").id)
        self.assertEqual(Message(b"x", "1"), Message(b"x", id="1"))
        self.assertNotEqual(Message(b"x", "1"), Message(b"x", "2"))
        self.assertNotEqual(Message(b"x"), b"x")

    def test_frozen_and_small(self) -> None:
        """It cannot change after it was put in, and has no dictionary."""
        message = Message(b"x", "1")
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, message, "payload", b"y")
        self.assertFalse(hasattr(message, "__dict__"))

    def test_length_is_the_payloads(self) -> None:
        """In bytes, without the id; an empty message is one."""
        self.assertEqual(len(Message(b"abc", "a long id")), 3)
        self.assertEqual(len(Message(b"")), 0)
        self.assertTrue(Message(b""))

    def test_hash(self) -> None:
        """Messages can be counted in a set."""
        self.assertEqual(len({Message(b"x"), Message(b"x"), Message(b"x", "1")}), 2)


class ItemTests(SynchronousTestCase):
    """payload_of and require_items."""

    def test_payload_of(self) -> None:
        """What goes over the wire, for both kinds."""
        self.assertEqual(payload_of(b"x"), b"x")
        self.assertEqual(payload_of(Message(b"x", "1")), b"x")

    def test_what_is_taken(self) -> None:
        """Both kinds, mixed, or nothing."""
        for items in ([], [b""], [b"x", Message(b"x")]):
            self.assertIsNone(require_items(items))

    def test_what_is_refused(self) -> None:
        """The first stranger is named; subclasses are strangers, as they may be mutable."""

        class Odd(bytes):
            """May have any behaviour."""

        for strange in ("x", bytearray(b"x"), memoryview(b"x"), None, 1, Odd(b"x")):
            error = self.assertRaises(TypeError, require_items, [b"x", strange, object()])
            self.assertEqual(str(error), f"a queue takes bytes or Message, not {type(strange).__name__}")
