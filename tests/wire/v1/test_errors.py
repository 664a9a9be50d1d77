"""The errors' table: complete, and the same everywhere."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from quickpulse import errors
from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import (
    Draining,
    InvalidArgument,
    MalformedRequest,
    MessageTooLarge,
    NotFound,
    PermissionDenied,
    QueueFull,
    QueuePaused,
    QuickPulseError,
    RequestTooLarge,
    Unauthenticated,
)
from quickpulse.wire.grpc.status import Status
from quickpulse.wire.v1.errors import ERRORS, INTERNAL, MAX_TEXT_CHARS, fill_error, read_error, retry_after_ms, row_of
from tests.wire.v1.samples import comparable
from tests.wire.v1.samples import errors as any_error

CLASSES = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, QuickPulseError)}


def written(error: BaseException) -> pb.Error:
    """The Error message."""
    message = pb.Error()
    fill_error(error, message)
    return message


class TableTests(SynchronousTestCase):
    """ERRORS."""

    def test_every_class_has_a_row(self) -> None:
        """One of its own: which errors there are is decided in one place, and what they are on the wire in another."""
        self.assertEqual(set(ERRORS), CLASSES)

    def test_the_contracts_statuses(self) -> None:
        """What the contract says of each."""
        for kind, status, http in (
            (QueueFull, Status.RESOURCE_EXHAUSTED, 429),
            (NotFound, Status.NOT_FOUND, 404),
            (QueuePaused, Status.FAILED_PRECONDITION, 409),
            (InvalidArgument, Status.INVALID_ARGUMENT, 400),
            (MessageTooLarge, Status.INVALID_ARGUMENT, 413),
            (RequestTooLarge, Status.INVALID_ARGUMENT, 413),
            (Unauthenticated, Status.UNAUTHENTICATED, 401),
            (PermissionDenied, Status.PERMISSION_DENIED, 403),
            (Draining, Status.UNAVAILABLE, 503),
        ):
            self.assertEqual((ERRORS[kind].status, ERRORS[kind].http), (status, http), kind)

    def test_http_follows_status(self) -> None:
        """Errors of one gRPC status have one HTTP status, but for what is too large."""
        too_large = (MessageTooLarge, RequestTooLarge)
        pairs = {(row.status, row.http) for kind, row in ERRORS.items() if kind not in too_large}
        self.assertEqual(len(pairs), len({status for status, _ in pairs}))

    def test_who_asks_wrongly_need_not_ask_again(self) -> None:
        """A retry helps only where something passes."""
        passing = {Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED}
        for kind, row in ERRORS.items():
            if kind is not QueuePaused:
                self.assertEqual(bool(row.retry_after_ms), row.status in passing, kind)

    def test_close_codes(self) -> None:
        """Only what makes the rest of a connection useless ends it."""
        closing = {kind for kind, row in ERRORS.items() if row.close_code}
        self.assertEqual(closing, {MalformedRequest, RequestTooLarge, Unauthenticated})

    def test_kinds_of_others(self) -> None:
        """A provider's own kind is what it comes from; what is none of ours is internal."""

        class MyFull(QueueFull):
            pass

        self.assertIs(row_of(MyFull()), ERRORS[QueueFull])
        self.assertIs(row_of(KeyError()), INTERNAL)


class TravelTests(SynchronousTestCase):
    """fill_error and read_error."""

    @given(any_error())
    def test_round_trip(self, error: QuickPulseError) -> None:
        """Its class, its text, and when to come again."""
        self.assertEqual(comparable(read_error(written(error))), comparable(error))

    def test_an_error_may_know_better(self) -> None:
        """When a retry helps."""
        error = QueueFull()
        self.assertEqual(retry_after_ms(error), ERRORS[QueueFull].retry_after_ms)
        error.retry_after_ms = 0
        self.assertEqual(written(error).retry_after_ms, 0)

    def test_an_error_of_tomorrow(self) -> None:
        """A reason that this client does not know is kept."""
        error = read_error(pb.Error(code=8, reason="MOON_FULL", message="the moon is full", retry_after_ms=5))
        self.assertEqual(
            (type(error), error.code, str(error), error.retry_after_ms),
            (QuickPulseError, "MOON_FULL", "the moon is full", 5),
        )
        self.assertEqual(QuickPulseError.code, "ERROR")

    def test_long_texts_are_cut(self) -> None:
        """A client's own words do not come back without end."""
        self.assertEqual(len(written(InvalidArgument("x" * 10_000)).message), MAX_TEXT_CHARS)

    def test_texts_that_are_no_utf8(self) -> None:
        """Half a surrogate does not keep an error from being told."""
        self.assertEqual(written(InvalidArgument("a\ud800")).message, "a?")
