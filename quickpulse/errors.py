"""Every error that QuickPulse raises on purpose. Nothing else belongs here.

::

    QuickPulseError
    ├── QueueError             the queue refused; the connection lives
    │   ├── QueueFull            QUEUE_FULL         "queue is full"; a retry helps once something was taken out
    │   ├── QueueEmpty           QUEUE_EMPTY        "queue is empty"; a retry helps once something was put in
    │   ├── QueueUnavailable     QUEUE_UNAVAILABLE  the provider behind the queue failed; a retry may help
    │   ├── QueuePaused          PAUSED             it takes no new messages; a retry helps once it was resumed
    │   ├── ServerFull           SERVER_FULL        all queues together are; a retry helps once something was taken out
    │   ├── TooManyQueues        TOO_MANY_QUEUES    one more is not made; a retry helps once another is gone
    │   ├── BatchRejected        BATCH_REJECTED     all or none was asked for, and another one was rejected
    │   └── NoDeadLetterQueue    NO_DEAD_LETTER_QUEUE  it is one itself, and its policy names none
    ├── MessageTooLarge        MESSAGE_TOO_LARGE    the payload is over the limit; a retry never helps
    ├── RequestTooLarge        REQUEST_TOO_LARGE    the whole request is over the limit; a retry never helps
    ├── InvalidArgument        INVALID_ARGUMENT     a field has a value that it may not have; a retry never helps
    │   └── MalformedRequest     MALFORMED_REQUEST  what came is no request at all; the connection ends
    ├── TooManyRequests        TOO_MANY_REQUESTS    so many of a connection wait for their reply; a retry helps later
    ├── NotFound               NOT_FOUND            there is no such queue
    ├── Unsupported            UNSUPPORTED          nothing here knows the request, or honours that field
    ├── Draining               DRAINING             the server is about to end; a retry helps, there or elsewhere
    ├── Unauthenticated        UNAUTHENTICATED      no token, or one that is not known
    ├── PermissionDenied       PERMISSION_DENIED    who asks may not
    ├── SettingsError          BAD_SETTING          the server does not start
    └── ListenError            CANNOT_LISTEN        the server does not start

Each class has a stable `code`: a word for logs, metrics and clients, which does not change with the text.
"""


class QuickPulseError(Exception):
    """The root of the tree."""

    code = "ERROR"

    retry_after_ms: int | None = None
    """Not before so long is a retry worth it; 0: it does not help; None: as its kind has it in general."""


class QueueError(QuickPulseError):
    """A queue said no. The connection that asked lives on."""


class QueueFull(QueueError):  # noqa: N818 - the name is the contract's
    """The message would break the queue's bound in messages or in bytes."""

    code = "QUEUE_FULL"

    def __init__(self, text: str = "queue is full") -> None:
        super().__init__(text)


class QueueEmpty(QueueError):  # noqa: N818 - the name is the contract's
    """There is nothing to take."""

    code = "QUEUE_EMPTY"

    def __init__(self, text: str = "queue is empty") -> None:
        super().__init__(text)


class QueueUnavailable(QueueError):  # noqa: N818 - named as its siblings
    """The provider behind the queue failed, so whether the request took effect is not known."""

    code = "QUEUE_UNAVAILABLE"

    def __init__(self, text: str = "queue is unavailable") -> None:
        super().__init__(text)


class QueuePaused(QueueError):  # noqa: N818 - named as its siblings
    """Publishing to this queue was paused."""

    code = "PAUSED"

    def __init__(self, text: str = "publishing is paused") -> None:
        super().__init__(text)


class ServerFull(QueueError):  # noqa: N818 - named as its siblings
    """The message would break the bound in bytes of all queues together."""

    code = "SERVER_FULL"

    def __init__(self, text: str = "the server is full (--total-bytes)") -> None:
        super().__init__(text)


class TooManyQueues(QueueError):  # noqa: N818 - named as its siblings
    """The request would make one more queue than may be."""

    code = "TOO_MANY_QUEUES"

    def __init__(self, max_queues: int) -> None:
        super().__init__(f"there are {max_queues} queues, which is the most (--max-queues)")


class BatchRejected(QueueError):  # noqa: N818 - named as its siblings
    """Nothing is wrong with this message, but with another of its atomic batch."""

    code = "BATCH_REJECTED"

    def __init__(self, text: str = "another message of the atomic batch was rejected") -> None:
        super().__init__(text)


class NoDeadLetterQueue(QueueError):  # noqa: N818 - named as its siblings
    """Dead letters of a dead-letter queue go nowhere, unless its own policy says where."""

    code = "NO_DEAD_LETTER_QUEUE"

    def __init__(self, queue: str) -> None:
        super().__init__(f"{queue} is a dead-letter queue, and its policy names none")


class MessageTooLarge(QuickPulseError):  # noqa: N818 - named as its siblings
    """A payload is longer than `max_message_bytes`."""

    code = "MESSAGE_TOO_LARGE"

    def __init__(self, size_bytes: int, max_message_bytes: int) -> None:
        super().__init__(
            f"message of {size_bytes} bytes is over the limit of {max_message_bytes} (--max-message-bytes)"
        )


class RequestTooLarge(QuickPulseError):  # noqa: N818 - named as its siblings
    """A request with all that is in it is longer than `max_batch_bytes`."""

    code = "REQUEST_TOO_LARGE"


class InvalidArgument(QuickPulseError):  # noqa: N818 - the name is the contract's
    """The text names the field and its bound."""

    code = "INVALID_ARGUMENT"


class MalformedRequest(InvalidArgument):
    """What came cannot be read, so what follows it on the connection cannot be trusted either."""

    code = "MALFORMED_REQUEST"


class TooManyRequests(QuickPulseError):  # noqa: N818 - named as its siblings
    """A connection has as many requests open as it may; one of them must be answered first."""

    code = "TOO_MANY_REQUESTS"


class NotFound(QuickPulseError):  # noqa: N818 - the name is the contract's
    """There is no such queue; only publishing, pulling and subscribing make one."""

    code = "NOT_FOUND"


class Unsupported(QuickPulseError):  # noqa: N818 - named as its siblings
    """The text names what nothing here honours."""

    code = "UNSUPPORTED"


class Draining(QuickPulseError):  # noqa: N818 - named as its siblings
    """The server takes no new work."""

    code = "DRAINING"

    def __init__(self, text: str = "the server is draining") -> None:
        super().__init__(text)


class Unauthenticated(QuickPulseError):  # noqa: N818 - the name is the contract's
    """Who asks is not known."""

    code = "UNAUTHENTICATED"

    def __init__(self, text: str = "a bearer token is wanted") -> None:
        super().__init__(text)


class PermissionDenied(QuickPulseError):  # noqa: N818 - the name is the contract's
    """Who asks is known, or need not be, and may not."""

    code = "PERMISSION_DENIED"


class SettingsError(QuickPulseError):
    """A flag or an environment variable is unknown or has a bad value."""

    code = "BAD_SETTING"


class ListenError(QuickPulseError):
    """An address cannot be listened on; the text starts with the address."""

    code = "CANNOT_LISTEN"
