"""The JSON form of v1's messages: protobuf's own, read more strictly, and bounded before it is parsed.

Source: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64decode
from functools import cache
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from quickpulse.errors import InvalidArgument, MalformedRequest
from quickpulse.wire.v1.batches import as_texts
from quickpulse.wire.v1.forms import MOST_ITEMS
from quickpulse.wire.v1.json_checks import check_object

MAX_DEPTH = 16
"""Objects and arrays within each other; the contract's messages have less than half as many."""

MAX_OBJECTS = 4 * MOST_ITEMS
"""In one text: of each message its properties, their headers, and what became of it, with some to spare."""

MAX_TEXT_CHARS = 300
"""Of what is said about bad JSON, as it may quote it."""

_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

_Bytes: TypeAlias = tuple[tuple[str, ...], str, "bytes | list[bytes]"]
"""Names of the messages down to a field, its name, and what is to be there."""


def parse_json(message: Any, data: bytes) -> Any:
    """The protobuf message of this class in a JSON text.

    :raises MalformedRequest: it is no JSON in UTF-8, or nested too deep.
    :raises InvalidArgument: it has a field that is not known, or a value of the wrong type.
    """
    return from_object(message, load_object(data))


def load_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a text.

    :raises MalformedRequest: there is none.
    """
    _require_bounds(data)
    try:
        value = _DECODER.decode(data.decode())
    except ValueError as error:  # of JSON, of UTF-8, and of numbers with thousands of digits
        raise MalformedRequest(f"JSON: {error}"[:MAX_TEXT_CHARS]) from None
    if not isinstance(value, dict):
        raise MalformedRequest("JSON: what came is no object")
    return value


def from_object(message: Any, value: dict[str, Any]) -> Any:
    """The protobuf message of this class that a JSON object stands for, which is used up by it.

    :raises InvalidArgument: it has a field that is not known, or a value of the wrong type.
    """
    check_object(message.DESCRIPTOR, value)
    taken: list[_Bytes] = []
    _take_bytes(message.DESCRIPTOR, value, (), taken)
    made = message()
    try:
        ParseDict(value, made)
    except (ParseError, ValueError, TypeError, AttributeError) as error:
        # The first line says what and where; after it follows a list of all fields.
        raise InvalidArgument(f"JSON: {str(error).partition(chr(10))[0]}"[:MAX_TEXT_CHARS]) from None
    for path, name, payloads in taken:
        part = made
        for step in path:
            part = getattr(part, step)
        if isinstance(payloads, list):
            getattr(part, name).extend(payloads)
        else:
            setattr(part, name, payloads)
    return made


def to_json(message: Any, texts: bool = False) -> bytes:
    """The JSON form of a protobuf message, in UTF-8.

    This may change the message.

    :param texts: write `texts` in place of `payloads`, where each is UTF-8.
    """
    if texts:
        _use_texts(message)
    is_frame = message.DESCRIPTOR.name == "ServerFrame"
    rejections = _rejections(message.publish if is_frame and message.HasField("publish") else message)
    value = MessageToDict(message, preserving_proto_field_name=True)
    if rejections:
        (value["publish"] if is_frame else value)["rejections"] = rejections
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _require_bounds(data: bytes) -> None:
    """Raise MalformedRequest where brackets outside of strings are too many, nested too deep, or do not match.

    In time linear in the length.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    # An escape outside of a string is no JSON: the parser stops there, whatever is thought to follow.
    outside = b"".join(re.sub(rb"\\.", b"", data, flags=re.DOTALL).split(b'"')[::2])
    if outside.count(b"{") > MAX_OBJECTS:
        raise MalformedRequest(f"JSON: more than {MAX_OBJECTS} objects")
    brackets = outside.translate(_TO_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise MalformedRequest(f"JSON: brackets that do not match, or more than {MAX_DEPTH} within each other")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("an object has a name twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _take_bytes(descriptor: Any, value: dict[str, Any], path: tuple[str, ...], taken: list[_Bytes]) -> None:
    """Move what is base64 out of `value`, decoded: the library would skip what is none, and take longer."""
    fields = _fields_with_bytes(descriptor)
    for name in [name for name in value if name in fields]:
        field, inner = fields[name], value[name]
        if inner is None:
            continue
        where = ".".join((*path, field.name))
        if field.message_type is None:
            if isinstance(inner, list) != field.is_repeated:
                raise InvalidArgument(f"{where}: expected {'a list' if field.is_repeated else 'a text'}")
            decoded = [_decoded(each, where) for each in inner] if field.is_repeated else _decoded(inner, where)
            taken.append((path, field.name, decoded))
            del value[name]
        elif isinstance(inner, dict):
            _take_bytes(field.message_type, inner, (*path, field.name), taken)
        else:
            raise InvalidArgument(f"{where}: expected an object")


@cache
def _fields_with_bytes(descriptor: Any) -> dict[str, Any]:
    """Those that are bytes or have some within, by both of their names.

    No message of the contract holds itself, and none that has bytes is repeated.
    """
    return {
        name: field
        for field in descriptor.fields
        if field.type == field.TYPE_BYTES or (field.message_type is not None and _fields_with_bytes(field.message_type))
        for name in (field.name, field.json_name)
    }


def _decoded(text: Any, where: str) -> bytes:
    """What a text stands for, in either alphabet, with padding or without."""
    try:
        return b64decode(text, validate=True)
    except (ValueError, TypeError):  # a rare form, or none
        pass
    if isinstance(text, str) and _BASE64.fullmatch(text) is not None:
        digits = text.rstrip("=")
        if len(digits) % 4 != 1 and (digits == text or len(text) % 4 == 0):
            return urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    raise InvalidArgument(f"{where}: what is there is no base64")


def _rejections(reply: Any) -> list[dict[str, Any]]:
    """Take the rejections out of a PublishReply, in their JSON form: the library would look at each error anew.

    There may be very many, of few errors.
    """
    if reply.DESCRIPTOR.name != "PublishReply":
        return []
    written: list[dict[str, Any]] = []
    errors: dict[bytes, Any] = {}
    for each in reply.rejections:
        error = each.error
        data = error.SerializeToString()
        form = errors.get(data)
        if form is None:
            form = errors[data] = MessageToDict(error, preserving_proto_field_name=True)
        index = each.index
        written.append({"index": index, "error": form} if index else {"error": form})
    reply.ClearField("rejections")
    return written


def _use_texts(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name == "batch":
            as_texts(value)
        elif field.name == "deliveries":
            as_texts(value.batch)
