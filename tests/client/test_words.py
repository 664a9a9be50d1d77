"""What users are told of keywords and values."""

from __future__ import annotations

from inspect import signature

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client import aio, blocking, tx
from quickpulse.client.asking import QueueAsking
from quickpulse.client.options import Address, milliseconds
from quickpulse.client.properties import properties_of
from quickpulse.client.words import as_payload, as_payloads
from quickpulse.errors import InvalidArgument


class WordTests(SynchronousTestCase):
    """Keywords."""

    def test_signatures(self) -> None:
        """Each method shows its keywords, in all faces alike; none that hands them on shows how."""
        for face in (blocking, aio, tx):
            for owner, name, word in (
                (face.Queue, "publish", "priority"),
                (face.Queue, "publish_many", "atomic"),
                (face.Queue, "publish_many", "priority"),
                (face.Queue, "pull", "wait_seconds"),
                (face.Queue, "subscribe", "credit_messages"),
                (face.Queue, "consume", "credit_messages"),
                (face.Publisher, "publish", "headers"),
            ):
                parameters = signature(getattr(owner, name)).parameters
                self.assertIn(word, parameters)
                self.assertEqual([each for each in parameters.values() if each.kind is each.VAR_KEYWORD], [])

    def test_no_such_word(self) -> None:
        """The nearest one is named, and all that there are."""
        with self.assertRaisesRegex(TypeError, "publish.. has no keyword 'prio'; did you mean 'priority'. There are "):
            properties_of(prio=1)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "pull.. has no keyword 'max'; did you mean 'max_messages'"):
            QueueAsking(None, "q").pull(max=1).send(None)  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, "'xyz'. There are"):
            properties_of(xyz=1)  # type: ignore[arg-type]


class ValueTests(SynchronousTestCase):
    """Values of the wrong kind."""

    def test_payloads(self) -> None:
        """Bytes, and what can be copied to bytes."""
        self.assertEqual([as_payload(kind(b"x")) for kind in (bytes, bytearray, memoryview)], [b"x"] * 3)
        with self.assertRaisesRegex(InvalidArgument, "the payload is of type str, expected bytes; .*encode"):
            as_payload("x")
        with self.assertRaisesRegex(InvalidArgument, "payload 3 is of type int, expected bytes"):
            as_payload(1, 3)
        for wrong in (b"abc", "abc", 5):
            with self.assertRaises(InvalidArgument):
                as_payloads(wrong)

    def test_others(self) -> None:
        """The error has the value and what is expected."""
        for wrong in ("5", -1, None, float("nan"), float("inf")):
            with self.assertRaisesRegex(InvalidArgument, "delay_seconds is .*, expected a number of seconds"):
                milliseconds(wrong, "delay_seconds")  # type: ignore[arg-type]
        self.assertEqual([milliseconds(each) for each in (0, 0.0001, 2)], [0, 1, 2000])
        for make in (
            lambda: QueueAsking(None, None),  # type: ignore[arg-type]
            lambda: Address.of(None),  # type: ignore[arg-type]
            lambda: properties_of(headers="a"),  # type: ignore[arg-type]
            lambda: properties_of(priority="5"),  # type: ignore[arg-type]
        ):
            with self.assertRaisesRegex(InvalidArgument, "expected a"):
                make()
