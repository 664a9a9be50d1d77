"""The error tree: its shape, its codes and its texts are an interface."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from quickpulse import errors
from quickpulse.errors import (
    BatchRejected,
    Draining,
    InvalidArgument,
    ListenError,
    MalformedRequest,
    MessageTooLarge,
    NoDeadLetterQueue,
    NotFound,
    PermissionDenied,
    QueueEmpty,
    QueueError,
    QueueFull,
    QueuePaused,
    QueueUnavailable,
    QuickPulseError,
    RequestTooLarge,
    ServerFull,
    SettingsError,
    TooManyQueues,
    TooManyRequests,
    Unauthenticated,
    Unsupported,
)

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, QuickPulseError)]


class ErrorTests(SynchronousTestCase):
    """Every class of errors.py."""

    def test_tree(self) -> None:
        """What a queue refuses is a QueueError; what keeps the server from starting is not."""
        self.assertEqual(
            {kind: kind.__base__ for kind in CLASSES},
            {
                QuickPulseError: Exception,
                QueueError: QuickPulseError,
                QueueFull: QueueError,
                QueueEmpty: QueueError,
                QueueUnavailable: QueueError,
                QueuePaused: QueueError,
                ServerFull: QueueError,
                TooManyQueues: QueueError,
                BatchRejected: QueueError,
                NoDeadLetterQueue: QueueError,
                NotFound: QuickPulseError,
                TooManyRequests: QuickPulseError,
                MessageTooLarge: QuickPulseError,
                RequestTooLarge: QuickPulseError,
                InvalidArgument: QuickPulseError,
                MalformedRequest: InvalidArgument,
                Unsupported: QuickPulseError,
                Draining: QuickPulseError,
                Unauthenticated: QuickPulseError,
                PermissionDenied: QuickPulseError,
                SettingsError: QuickPulseError,
                ListenError: QuickPulseError,
            },
        )

    def test_codes(self) -> None:
        """Each kind that is raised has a code of its own, which never changes."""
        codes = {kind.__name__: kind.code for kind in CLASSES if "code" in vars(kind) and kind is not QuickPulseError}
        self.assertEqual(
            codes,
            {
                "QueueFull": "QUEUE_FULL",
                "QueueEmpty": "QUEUE_EMPTY",
                "QueueUnavailable": "QUEUE_UNAVAILABLE",
                "QueuePaused": "PAUSED",
                "ServerFull": "SERVER_FULL",
                "TooManyQueues": "TOO_MANY_QUEUES",
                "BatchRejected": "BATCH_REJECTED",
                "NoDeadLetterQueue": "NO_DEAD_LETTER_QUEUE",
                "NotFound": "NOT_FOUND",
                "TooManyRequests": "TOO_MANY_REQUESTS",
                "MessageTooLarge": "MESSAGE_TOO_LARGE",
                "RequestTooLarge": "REQUEST_TOO_LARGE",
                "InvalidArgument": "INVALID_ARGUMENT",
                "MalformedRequest": "MALFORMED_REQUEST",
                "Unsupported": "UNSUPPORTED",
                "Draining": "DRAINING",
                "Unauthenticated": "UNAUTHENTICATED",
                "PermissionDenied": "PERMISSION_DENIED",
                "SettingsError": "BAD_SETTING",
                "ListenError": "CANNOT_LISTEN",
            },
        )
        self.assertEqual(len(set(codes.values())), len(codes))

    def test_the_picture_is_the_tree(self) -> None:
        """The module's docstring draws each class with its code."""
        drawn = re.findall(r"── (\w+) +(?:([A-Z_]+) )?", errors.__doc__)
        expected = [(kind.__name__, vars(kind).get("code", "")) for kind in CLASSES if kind is not QuickPulseError]
        self.assertEqual(sorted(drawn), sorted(expected))

    def test_the_contracts_texts(self) -> None:
        """Clients read these."""
        self.assertEqual(str(QueueFull()), "queue is full")
        self.assertEqual(str(QueueEmpty()), "queue is empty")
        self.assertEqual(str(QueueUnavailable()), "queue is unavailable")
        self.assertEqual(
            str(MessageTooLarge(11, 10)), "message of 11 bytes is over the limit of 10 (--max-message-bytes)"
        )

    def test_texts_of_ones_own(self) -> None:
        """A provider may say more."""
        for kind in (QueueFull, QueueEmpty, QueueUnavailable):
            self.assertEqual(str(kind("because")), "because")
