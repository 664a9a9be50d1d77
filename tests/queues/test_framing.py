"""What messages take of a frame. That it is no less than what is encoded is shown in tests/wire/v1."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.messages import Message
from quickpulse.queues.framing import HEADER_BYTES, LETTER_BYTES, PROPERTIES_BYTES, beside_texts, of_letter
from quickpulse.requests import DeadLetter, Properties


class FramingTests(SynchronousTestCase):
    """beside_texts and of_letter."""

    def test_properties(self) -> None:
        """None take nothing; each header more than one without."""
        self.assertEqual(beside_texts(None), 0)
        self.assertEqual(beside_texts(Properties(id="abc")), PROPERTIES_BYTES)
        self.assertEqual(beside_texts(Properties(headers={"a": "", "b": "x"})), PROPERTIES_BYTES + 2 * HEADER_BYTES)

    def test_a_message_of_v0(self) -> None:
        """Its id counts here, as it does not in the queue."""
        self.assertEqual(beside_texts(Message(b"payload", "é")), PROPERTIES_BYTES + 2)
        self.assertEqual(beside_texts(Message(b"payload")), PROPERTIES_BYTES)

    def test_a_letter(self) -> None:
        """With its texts."""
        self.assertEqual(of_letter(DeadLetter("jobs", "é", 3)), LETTER_BYTES + 6)
