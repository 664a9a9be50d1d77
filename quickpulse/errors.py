"""Every error that QuickPulse raises on purpose. Nothing else belongs here.

::

    QuickPulseError
    ├── QueueError             the queue refused; the connection lives
    │   ├── QueueFull            QUEUE_FULL         "queue is full"; a retry helps once something was taken out
    │   ├── QueueEmpty           QUEUE_EMPTY        "queue is empty"; a retry helps once something was put in
    │   └── QueueUnavailable     QUEUE_UNAVAILABLE  the provider behind the queue failed; a retry may help
    ├── MessageTooLarge        MESSAGE_TOO_LARGE    the payload is over the limit; a retry never helps
    ├── SettingsError          BAD_SETTING          the server does not start
    └── ListenError            CANNOT_LISTEN        the server does not start

Each class has a stable `code`: a word for logs, metrics and clients, which does not change with the text.
"""


class QuickPulseError(Exception):
    """The root of the tree."""

    code = "ERROR"


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


class MessageTooLarge(QuickPulseError):  # noqa: N818 - named as its siblings
    """A payload is longer than `max_message_bytes`."""

    code = "MESSAGE_TOO_LARGE"

    def __init__(self, size_bytes: int, max_message_bytes: int) -> None:
        super().__init__(
            f"message of {size_bytes} bytes is over the limit of {max_message_bytes} (--max-message-bytes)"
        )


class SettingsError(QuickPulseError):
    """A flag or an environment variable is unknown or has a bad value."""

    code = "BAD_SETTING"


class ListenError(QuickPulseError):
    """An address cannot be listened on; the text starts with the address."""

    code = "CANNOT_LISTEN"
