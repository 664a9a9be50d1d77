"""What all queues of a server take together, and what it is that counts.

A message counts for its payload, its texts and `named.MESSAGE_BYTES`; what is kept of it beside that, or of what was
published lately, for about the memory that it takes.
"""

from __future__ import annotations

RUN_BYTES = 450
"""A run that is due one day: itself, its columns, and its places in the agenda."""

PROPERTIES_BYTES = 300
"""Properties that a message has of its own, or a batch in common."""

HEADER_BYTES = 130
"""A header of them."""

LETTER_BYTES = 200
"""That a message is a dead letter."""

KEY_BYTES = 200
"""A key beside its characters; and whatever the reply that is kept for it names."""


class Usage:
    """Bytes of all queues of a server.

    :param limit: most that they may be. What is not asked for before it comes in may be more.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
