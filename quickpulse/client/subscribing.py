"""A subscription as the client sees it: what was pushed and not handed on, and the room for more. No I/O is here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from quickpulse.requests import Deliveries, Delivery, Subscribe

if TYPE_CHECKING:
    from quickpulse.client.settling import Leased
    from quickpulse.errors import QuickPulseError


def size_of(deliveries: Deliveries) -> int:
    """Bytes of its payloads."""
    return sum(map(len, deliveries.batch.payloads))


class Subscribing:
    """Helpings in their order. Room is given back for one when its messages have been handed on.

    :param template: the request, with the room that there is in all.
    :param changed: called when a helping came, or the end.
    """

    def __init__(self, template: Subscribe, changed: Callable[[], None]) -> None:
        self._template = template
        self._changed = changed
        self.id = 0
        """The request_id on this connection; 0: there is none for now."""
        self.helpings: deque[Leased] = deque()
        self.taken_back: Callable[[], None] | None = None
        """Called when the server has taken back what its user has not seen."""
        self.is_ending = False
        """Whether its user wants no more."""
        self.is_ended = False
        self.error: QuickPulseError | None = None
        """Why it has ended."""
        self._held = 0  # messages that came and were not handed on
        self._held_bytes = 0
        self._due = 0  # credit that was earned and not given
        self._due_bytes = 0

    def request(self) -> Subscribe:
        """The request for a new connection: with room for what is not here already."""
        template = self._template
        self._due = self._due_bytes = 0
        size = max(template.credit_bytes - self._held_bytes, 1) if template.credit_bytes else 0
        return Subscribe(
            template.queue,
            max(template.credit_messages - self._held, 0),
            size,
            template.lease_ms,
            template.delivery,
            template.release_on_disconnect,
            template.with_enqueued_at,
        )

    @property
    def is_leased(self) -> bool:
        """Whether its messages are to be settled."""
        return self._template.delivery is Delivery.LEASED

    def take(self, leased: Leased) -> None:
        """A helping came."""
        self._held += len(leased.deliveries.batch.payloads)
        self._held_bytes += size_of(leased.deliveries)
        self.helpings.append(leased)
        self._changed()

    def lost(self) -> None:
        """The connection is over. What the server then takes back comes again, and is not handed on."""
        self.id = 0
        if self._template.release_on_disconnect:
            for leased in self.helpings:
                self._held -= len(leased.deliveries.batch.payloads)
                self._held_bytes -= size_of(leased.deliveries)
            if self.taken_back is not None:
                self.taken_back()
            self.helpings.clear()

    def handed_on(self, leased: Leased) -> bool:
        """The user's code has seen all of a helping; whether it is time to give room."""
        messages, size = len(leased.deliveries.batch.payloads), size_of(leased.deliveries)
        self._held -= messages
        self._held_bytes -= size
        self._due += messages
        self._due_bytes += size
        template = self._template
        enough_bytes = bool(template.credit_bytes) and self._due_bytes * 2 >= template.credit_bytes
        return self._due * 2 >= template.credit_messages or enough_bytes

    def take_credit(self) -> tuple[int, int]:
        """The room to give, in messages and bytes; it is handed out once."""
        due = self._due, self._due_bytes if self._template.credit_bytes else 0
        self._due = self._due_bytes = 0
        return due

    def end(self, error: QuickPulseError | None) -> None:
        """Nothing more will come."""
        if not self.is_ended:
            self.is_ended, self.error = True, error
            self._changed()
