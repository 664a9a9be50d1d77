"""How classes are written as messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import InvalidArgument, MalformedRequest
from quickpulse.requests import Pause
from quickpulse.wire.v1.forms import member, plain

FORM = plain(Pause, pb.PauseRequest)


class FormTests(SynchronousTestCase):
    """Form and plain."""

    def test_bytes(self) -> None:
        """To protobuf and back."""
        data = FORM.serialize(Pause("jobs", True))
        self.assertEqual(data, pb.PauseRequest(queue="jobs", publishes=True).SerializeToString())
        self.assertEqual(FORM.parse(data), Pause("jobs", True))
        self.assertEqual(FORM.parse(b""), Pause("", False))

    def test_not_protobuf(self) -> None:
        """The error names the message."""
        error = self.assertRaises(MalformedRequest, FORM.parse, b"\xff")
        self.assertIn("quickpulse.v1.PauseRequest", str(error))

    def test_text_that_is_no_utf8(self) -> None:
        """It is no message of the contract."""
        self.assertRaises(MalformedRequest, FORM.parse, b"\x0a\x01\xff")

    def test_values_that_do_not_fit(self) -> None:
        """The error names the message, whatever protobuf raised."""
        for queue in ("\ud800", 5):
            error = self.assertRaises(InvalidArgument, FORM.serialize, Pause(queue))  # type: ignore[arg-type]
            self.assertIn("PauseRequest", str(error))

    def test_a_part_that_is_empty_is_there(self) -> None:
        """A request without fields is one nevertheless."""
        frame = pb.ClientFrame()
        FORM.fill_into(frame.pause, Pause(""))
        self.assertEqual(frame.WhichOneof("request"), "pause")


class MemberTests(SynchronousTestCase):
    """member."""

    def test_known(self) -> None:
        """The member."""
        self.assertEqual(member("field", 1, {1: "one"}), "one")

    def test_unknown(self) -> None:
        """The error names the field and what there is."""
        error = self.assertRaises(InvalidArgument, member, "action", 7, {1: "one", 2: "two"})
        self.assertEqual(str(error), "action: 7 is none of 1, 2")
