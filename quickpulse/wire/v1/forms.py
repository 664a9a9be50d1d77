"""A form: how one class of the vocabulary is written as a protobuf message, and read back."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError

from quickpulse.errors import InvalidArgument, MalformedRequest

V = TypeVar("V")

MOST_ITEMS = 100_000
"""Of one list or map: as many as a request may have messages or receipts, and a reply."""


@dataclass(frozen=True, slots=True)
class Form(Generic[V]):
    """One class of the vocabulary, one message of the contract.

    :param message: the protobuf class.
    :param read: message to object; raises InvalidArgument with the name of the field and its bound.
    :param fill: writes the object into an empty message, which may be a part of another one already.
    """

    message: Any
    read: Callable[[Any], V]
    fill: Callable[[V, Any], None]

    def parse(self, data: bytes) -> V:
        """The object in these bytes of protobuf.

        :raises MalformedRequest: they are none.
        :raises InvalidArgument: a field has a value that it may not have.
        """
        return self.read(parsed(self.message, data))

    def serialize(self, value: V) -> bytes:
        """The object as protobuf.

        :raises InvalidArgument: a field has a value that does not fit.
        """
        data: bytes = self.filled(value).SerializeToString()
        return data

    def filled(self, value: V) -> Any:
        """The object as a message."""
        message = self.message()
        self.fill_into(message, value)
        return message

    def fill_into(self, message: Any, value: V) -> None:
        """The same, into an empty message that is there."""
        message.SetInParent()
        try:
            self.fill(value, message)
        except (ValueError, TypeError) as error:  # what protobuf says of numbers out of range and half surrogates
            raise InvalidArgument(f"{self.message.DESCRIPTOR.name}: {error}") from None


def plain(kind: type[V], message: Any) -> Form[V]:
    """The form of a class whose fields are single values, with the same names on both sides."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]

    def read(message: Any) -> V:
        return kind(*[getattr(message, name) for name in names])

    def fill(value: V, message: Any) -> None:
        for name in names:
            setattr(message, name, getattr(value, name))

    return Form(message, read, fill)


def parsed(message: Any, data: bytes) -> Any:
    """The protobuf message of this class in these bytes.

    :raises MalformedRequest: there is none.
    """
    try:
        return message.FromString(data)
    except (DecodeError, ValueError):  # ValueError: the runtime in Python says so of text that is no UTF-8
        raise MalformedRequest(f"what came is no {message.DESCRIPTOR.full_name}") from None


def member(field: str, number: int, members: dict[int, Any]) -> Any:
    """The member of an enumeration that stands for a number on the wire.

    :raises InvalidArgument: none does.
    """
    try:
        return members[number]
    except KeyError:
        raise InvalidArgument(f"{field}: {number} is none of {', '.join(map(str, sorted(members)))}") from None


def require_few(field: str, items: Sized) -> None:
    """Raise InvalidArgument where there are more than any request has: before they are gone through in Python."""
    if len(items) > MOST_ITEMS:
        raise InvalidArgument(f"{field}: {len(items)} items, and there may be {MOST_ITEMS}")
