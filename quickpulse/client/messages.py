"""Messages as users have them, alike in all faces: what came, and verbs that say what became of it.

`ack` and its siblings are buffered and sent within 5 ms, at the latest before the next wait. With `confirm=True` they
return when the server has done it: the blocking face at once, the others something to await.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, overload

from quickpulse.client.options import milliseconds
from quickpulse.errors import InvalidArgument, QuickPulseError
from quickpulse.requests import NO_PROPERTIES, Action, DeadLetter, Properties, Range

if TYPE_CHECKING:
    from quickpulse.client.settling import Leased

MOST_SHOWN = 20
"""Bytes of a message in what is printed of it."""

MOST_REASON = 1_024
"""Characters of why a message is a dead letter that a server takes; the rest is cut off."""

Confirm = Callable[[str, list[Range], Action, dict[str, Any], int], Any]
"""Settle and wait for the reply: queue, receipts, what, how, and how many are known to be lost. What it returns is the
face's."""


class _Verbs:
    """What can be said of messages."""

    __slots__ = ()

    def _settle(self, action: Action, confirm: bool, **how: Any) -> Any:
        raise NotImplementedError

    def ack(self, *, confirm: bool = False) -> Any:
        """Done: gone for good.

        :raises LeaseLost: with `confirm`, when it was too late.
        """
        return self._settle(Action.ACK, confirm)

    def nack(self, *, delay_seconds: float | None = None, confirm: bool = False) -> Any:
        """Failed: again, after a delay; None: as the queue's policy has it.

        :raises LeaseLost: with `confirm`, when it was too late.
        :raises InvalidArgument: the delay is less than nothing.
        """
        return self._settle(
            Action.NACK,
            confirm,
            delay_ms=None if delay_seconds is None else milliseconds(delay_seconds, "delay_seconds"),
        )

    def release(self, *, confirm: bool = False) -> Any:
        """Not looked at: back to its place, and this delivery is not counted.

        :raises LeaseLost: with `confirm`, when it was too late.
        """
        return self._settle(Action.RELEASE, confirm)

    def dead_letter(self, reason: str, *, confirm: bool = False) -> Any:
        """Hopeless: to the dead-letter queue.

        :param reason: kept with it, up to 1,024 characters.
        :raises LeaseLost: with `confirm`, when it was too late.
        """
        return self._settle(Action.DEAD_LETTER, confirm, reason=reason[:MOST_REASON])

    def extend(self, *, seconds: float, confirm: bool = False) -> Any:
        """So much time from now on. What is held is extended by itself; this is for more.

        :raises LeaseLost: with `confirm`, when it was too late.
        :raises InvalidArgument: it is less than nothing.
        """
        return self._settle(Action.EXTEND, confirm, lease_ms=milliseconds(seconds))


class Batch(_Verbs):
    """Messages that came together; the verbs are about those that were not settled one by one. A slice is a list.

    :param leased: they.
    :param confirm: the face's.
    :ivar payloads: of each, in order.
    """

    __slots__ = ("_confirm", "_leased", "payloads")

    def __init__(self, leased: Leased, confirm: Confirm) -> None:
        self._leased = leased
        self._confirm = confirm
        self.payloads = leased.deliveries.batch.payloads

    @property
    def queue(self) -> str:
        """Where they come from; "" when none came."""
        return self._leased.deliveries.queue

    def __len__(self) -> int:
        return len(self.payloads)

    def __iter__(self) -> Iterator[Message]:
        for index, payload in enumerate(self.payloads):
            yield Message(payload, self, index)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        indexes = range(len(self.payloads))
        if isinstance(index, slice):
            return [Message(self.payloads[each], self, each) for each in indexes[index]]
        try:
            at = indexes[index]
        except IndexError:
            raise IndexError(f"there is no message {index} in a batch of {len(indexes)}") from None
        return Message(self.payloads[at], self, at)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} from {self.queue!r}>" if self.payloads else "<Batch of 0>"

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Ack what is not settled, or nack it after an exception."""
        _leave(self, kind)

    def _settle(self, action: Action, confirm: bool, **how: Any) -> Any:
        return self.settle(0, len(self.payloads) - 1, action, confirm, how)

    def settle(self, first: int, last: int, action: Action, confirm: bool, how: dict[str, Any]) -> Any:
        """Say it of those from index to index, both included, which are not settled.

        :raises InvalidArgument: they are not leased.
        """
        leased = self._leased
        if self.payloads:
            leased.require_leased()
        if not confirm and action is not Action.EXTEND:
            leased.say_lost(first, last)
        ranges = leased.claim(first, last, stays_open=action is Action.EXTEND)
        if action is Action.EXTEND:
            leased.longer_ms = max(leased.longer_ms, how["lease_ms"])
        if confirm:
            return self._confirm(leased.deliveries.queue, ranges, action, how, leased.count_lost(first, last))
        if ranges:
            leased.settling.add(leased.deliveries.queue, ranges, action, **how)
        return DONE

    def require_open(self, index: int) -> None:
        """Raise InvalidArgument if a message was settled before: nothing is known of that to be confirmed."""
        if self._leased.is_settled(index):
            self._leased.require_leased()
            raise InvalidArgument("the message was settled before, by another verb: the first one counts")

    def ack_one(self, index: int) -> None:
        """The most usual of all."""
        self._leased.ack(index)

    def properties_of(self, index: int) -> Properties:
        """What a message has beside its payload."""
        batch = self._leased.deliveries.batch
        return batch.properties.get(index) or batch.common or NO_PROPERTIES

    def column(self, name: str, index: int) -> int | None:
        """One of the columns of deliveries; None where it is not there."""
        values = getattr(self._leased.deliveries, name)
        return None if values is None else int(values[index])

    def dead_letter_of(self, index: int) -> DeadLetter | None:
        """Where a message of a dead-letter queue comes from."""
        return self._leased.deliveries.dead_letters.get(index)


class Message(_Verbs):
    """One message. As a context manager it acks on success, and nacks after an exception.

    :param payload: its bytes.
    :param batch: what it came with.
    :param index: its place there.
    """

    __slots__ = ("_batch", "_index", "payload")

    def __init__(self, payload: bytes, batch: Batch, index: int) -> None:
        self.payload = payload
        self._batch = batch
        self._index = index

    def ack(self, *, confirm: bool = False) -> Any:
        """Done: gone for good.

        :raises LeaseLost: with `confirm`, when it was too late.
        """
        if confirm:
            return self._settle(Action.ACK, True)
        self._batch.ack_one(self._index)
        return DONE

    def _settle(self, action: Action, confirm: bool, **how: Any) -> Any:
        if confirm:
            self._batch.require_open(self._index)
        return self._batch.settle(self._index, self._index, action, confirm, how)

    @property
    def queue(self) -> str:
        """Where it comes from."""
        return self._batch.queue

    @property
    def properties(self) -> Properties:
        """All that it has beside its payload."""
        return self._batch.properties_of(self._index)

    @property
    def id(self) -> str:
        """The publisher's own name for it."""
        return self.properties.id

    @property
    def headers(self) -> Mapping[str, str]:
        """The publisher's own names and values."""
        return self.properties.headers

    @property
    def delivery_count(self) -> int:
        """How often it was delivered, with this time."""
        return self._batch.column("delivery_counts", self._index) or 1

    @property
    def enqueued_at_ms(self) -> int | None:
        """When it was accepted, in milliseconds since 1970; None where that was not asked for."""
        return self._batch.column("enqueued_at_ms", self._index)

    @property
    def source(self) -> DeadLetter | None:
        """Of a dead letter: where it comes from, and why."""
        return self._batch.dead_letter_of(self._index)

    def __repr__(self) -> str:
        start = bytes(self.payload[:MOST_SHOWN])
        rest = "..." if len(self.payload) > MOST_SHOWN else ""
        name = f" {self.id!r}" if self.id else ""
        what = f"{name} {start!r}{rest} ({len(self.payload)} bytes)"
        return f"<Message{what} from {self.queue!r}, delivery {self.delivery_count}>"

    def __enter__(self) -> Message:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Ack it, or nack it after an exception, unless it was settled already."""
        _leave(self, kind)


_interruptions: tuple[type[BaseException], ...] = ()


def interrupted_by(kind: type[BaseException]) -> None:
    """Know an exception, of a framework, that is no failure of whoever has a message."""
    global _interruptions  # told once, by a module that is imported
    if kind not in _interruptions:
        _interruptions += (kind,)


def _leave(messages: _Verbs, kind: type[BaseException] | None) -> None:
    if kind is None:
        messages.ack()
    elif issubclass(kind, Exception) and not issubclass(kind, _interruptions):
        with suppress(QuickPulseError):  # of a client that was closed: the failure itself is what is to be seen
            messages.nack()
    else:  # it was interrupted, and did not fail
        with suppress(QuickPulseError):
            messages.release()


class _Done:
    """What can be awaited and is there already: verbs that were buffered return it."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return iter(())

    def __repr__(self) -> str:
        return "<said, and sent soon>"


DONE = _Done()
