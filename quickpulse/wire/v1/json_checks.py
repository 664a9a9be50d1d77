"""What protobuf's reader of JSON lets through: a field by both of its names, odd numbers, more than any request has.

It reads item by item in Python, so what is too much has to be found before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from quickpulse.errors import InvalidArgument
from quickpulse.wire.v1.forms import require_few

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON has it, where it is written as a text; Python's own idea of a number is wider."""

_INDEX = re.compile(r"0|[1-9][0-9]*")
"""The key of a map whose keys are numbers: one form for each, so that none is there twice."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A field that holds more than one value.

    :param message: of its items, its values or itself; None: they are single values.
    :param is_map: whether it is one.
    :param has_indexes: whether its keys are integers.
    :param has_integers: whether its items are.
    """

    message: Any
    is_map: bool
    has_indexes: bool
    has_integers: bool


@dataclass(frozen=True, slots=True)
class _Fields:
    """What is to be looked at in messages of one kind.

    :param other_names: JSON's own names, to those of the contract from which they differ.
    :param integers: single ones, by both names.
    :param parts: lists, maps and messages, by both names.
    """

    other_names: dict[str, str]
    integers: frozenset[str]
    parts: dict[str, _Part]


def check_object(descriptor: Any, value: dict[str, Any]) -> None:
    """Look through the JSON form of a message. Of what is not known, or of another type, the reader tells.

    :raises InvalidArgument: a field is there by both names, a number is none of JSON, or a part has too many items.
    """
    fields = _fields_of(descriptor)
    for name, inner in value.items():
        kind = type(inner)
        if kind is str:
            if name in fields.integers:
                _check_numbers(name, (inner,))
        elif (kind is dict or kind is list) and name in fields.parts:
            _check_part(name, fields.parts[name], inner)
        if name in fields.other_names and fields.other_names[name] in value:
            raise InvalidArgument(f"JSON: {name} is there twice, as {fields.other_names[name]} too")


def _check_part(name: str, part: _Part, value: Any) -> None:
    require_few(name, value)
    if type(value) is list:
        items: Iterable[Any] = value
    elif not part.is_map:
        items = (value,)
    elif part.has_indexes and not all(map(_INDEX.fullmatch, value)):
        raise InvalidArgument(f"JSON: a key of {name} is no number in its plain form")
    else:
        items = value.values()
    if part.message is not None:
        for item in items:
            if type(item) is dict:
                check_object(part.message, item)
    elif part.has_integers:
        _check_numbers(name, items)


def _check_numbers(name: str, values: Iterable[Any]) -> None:
    for value in values:
        if type(value) is str and _NUMBER.fullmatch(value) is None:
            raise InvalidArgument(f"JSON: {name}: {value[:50]!r} is no number")


@cache
def _fields_of(descriptor: Any) -> _Fields:
    fields = descriptor.fields
    singles = [field for field in fields if not field.is_repeated and field.message_type is None]
    parts = [field for field in fields if field.is_repeated or field.message_type is not None]
    return _Fields(
        {field.json_name: field.name for field in fields if field.json_name != field.name},
        frozenset(name for field in singles if _is_integer(field) for name in (field.name, field.json_name)),
        {name: _part_of(field) for field in parts for name in (field.name, field.json_name)},
    )


def _part_of(field: Any) -> _Part:
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return _Part(field.message_type, False, False, _is_integer(field))
    key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    return _Part(value.message_type, True, _is_integer(key), _is_integer(value))


def _is_integer(field: Any) -> bool:
    return field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
