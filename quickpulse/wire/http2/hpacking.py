"""Header blocks to what they mean. The hpack library decodes; three cheap paths stand before it.

A block seen before, while the table is the same, means the same. A block of indexes into the table means what these
entries mean, whatever else has come in since. And one field may differ in each request (for gRPC its timeout, which
clients let enter the table every time): it is split off, so that the rest still is a block of indexes.

Source: RFC 7541, section 6 for the forms, section 2.3.3 for the numbering of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hpack import Decoder, HPACKError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.fields import Field, MalformedFields, list_size
from quickpulse.wire.http2.huffman import decode_huffman

TABLE_BYTES = 4096
"""The protocol's default for the dynamic table."""

MAX_REMEMBERED = 128
"""Blocks of one connection; a client has a handful of methods."""

MAX_REMEMBERED_BYTES = 512
"""Longer blocks are decoded each time, so that what is remembered stays small."""

_VOLATILE_BYTES = 2 * MAX_REMEMBERED_BYTES
"""A volatile field in such a block is shorter, Huffman-coded or not, with what a field counts beside its bytes."""

STATIC_ENTRIES = 61
_FIRST_DYNAMIC = STATIC_ENTRIES + 1


class Known:
    """What a header block means.

    :ivar meaning: what the interpreter made of the fields.
    :ivar content_length: of the request, or None.
    :ivar volatile: the value of the volatile field, if it was in the block.
    """

    __slots__ = ("content_length", "meaning", "volatile")

    def __init__(self, meaning: Any, content_length: int | None, volatile: bytes | None) -> None:
        self.meaning = meaning
        self.content_length = content_length
        self.volatile = volatile


class _Table(HeaderTable):
    """Counts what enters, so that an entry has a number for ever and a change is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.inserted = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.inserted += 1
        super().add(name, value)


class BlockReader:
    """The decoding half of HPACK for one connection.

    :param max_list_bytes: from a field list of four times this size on the connection cannot go on; up to there the
        interpreter decides.
    :param interpret: fields to `Known`; not asked again for fields that it has seen. It may raise MalformedFields, and
        is asked again. The meaning must not depend on the volatile field, nor on the list's size if that is allowed.
    :param volatile: the name of the field that differs in each request.
    """

    def __init__(
        self,
        max_list_bytes: int,
        interpret: Callable[[list[Field]], Known],
        volatile: bytes = b"",
    ) -> None:
        self.known: dict[bytes, Known] = {}
        """Block to meaning, while the table stays as it is. Cleared, and never replaced: the hot path holds it."""
        self._decoder = Decoder(max_header_list_size=4 * max_list_bytes)
        self._table = self._decoder.header_table = _Table()
        self._interpret = interpret
        self._most_bytes = max_list_bytes - _VOLATILE_BYTES
        self._volatile = volatile
        self._volatile_names = _literal_forms(volatile) if volatile else ()
        self._by_entries: dict[tuple[int, ...], Known] = {}

    def forget(self) -> None:
        """Have the interpreter asked anew."""
        self.known.clear()
        self._by_entries.clear()

    def decode(self, block: bytes) -> list[Field]:
        """The fields of any block.

        :raises ConnectionFault: it cannot be decoded, or is far too large; the table is out of step then.
        """
        before, size = self._table.inserted, self._table.maxsize
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except Exception as error:  # not only HPACKError: hpack lets an index past a block's end escape
            # The peer gets no more than the kind: the text may name an address in memory.
            kind = type(error).__name__
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"header block: {kind}") from None
        if self._table.inserted != before or self._table.maxsize != size:
            self.known.clear()
        return fields

    def read(self, block: bytes) -> tuple[Known, bytes | None]:
        """What a request's block means, and the value of its volatile field.

        :raises ConnectionFault: as `decode` does.
        """
        known = self.known.get(block)
        if known is not None:
            return known, known.volatile
        return self._by_index(block) or self._by_fields(block)

    def _by_fields(self, block: bytes) -> tuple[Known, bytes | None]:
        before, size = self._table.inserted, self._table.maxsize
        known = self._interpret(self.decode(block))
        if self._table.inserted == before and self._table.maxsize == size and len(block) <= MAX_REMEMBERED_BYTES:
            self._remember(block, known)
        return known, known.volatile

    def _remember(self, block: bytes, known: Known) -> None:
        if len(self.known) >= MAX_REMEMBERED:
            self.known.clear()
        self.known[block] = known

    def _by_index(self, block: bytes) -> tuple[Known, bytes | None] | None:
        """The meaning of a block of indexes with, at its end, at most the volatile field; None for anything else.

        Nothing is changed before the whole form is certain, and what is wrong is left to the library: it says how.
        """
        if len(block) > MAX_REMEMBERED_BYTES:
            return None
        inserted, entries = self._table.inserted, len(self._table.dynamic_entries)
        at, size, numbers = 0, len(block), []
        while at < size and block[at] & 0x80:
            index = block[at] & 0x7F
            at += 1
            if index == 0x7F:
                if at == size or block[at] & 0x80:
                    return None
                index += block[at]
                at += 1
            if index >= _FIRST_DYNAMIC:
                if index - _FIRST_DYNAMIC >= entries:
                    return None
                index -= _FIRST_DYNAMIC + inserted  # the entry's own number, below zero
            elif not index:
                return None
            numbers.append(index)
        value, enters = None, False
        if at < size:
            enters = block[at] & 0xC0 == 0x40
            start = self._after_volatile_name(block, at, enters)
            if not start or start >= size:
                return None
            length = block[start]
            if length & 0x7F == 0x7F or start + 1 + (length & 0x7F) != size:
                return None
            value = block[start + 1 :]
            if length & 0x80:
                try:
                    value = decode_huffman(value)
                except HPACKError:
                    return None
            if not value.isalnum():  # it might not be allowed in a field
                return None
        known = self._by_entries.get(key := tuple(numbers)) or self._of_entries(key)
        if known is None:
            return None
        if value is None:
            self._remember(block, known)
        elif enters:
            self._table.add(self._volatile, value)
            self.known.clear()
        return known, value if known.volatile is None else known.volatile

    def _after_volatile_name(self, block: bytes, at: int, enters: bool) -> int:
        """Where the value of the volatile field begins, whose form begins at `at`; 0 if it is another field."""
        index = block[at] & (0x3F if enters else 0x0F)
        if not enters and block[at] & 0xE0:  # a change of the table's size
            return 0
        if not index:
            for form in self._volatile_names:
                if block.startswith(form, at + 1):
                    return at + 1 + len(form)
            return 0
        at += 1
        if index == (0x3F if enters else 0x0F):
            if at == len(block) or block[at] & 0x80:
                return 0
            index += block[at]
            at += 1
        entry = index - _FIRST_DYNAMIC
        entries = self._table.dynamic_entries
        return at if 0 <= entry < len(entries) and entries[entry][0] == self._volatile else 0

    def _of_entries(self, numbers: tuple[int, ...]) -> Known | None:
        """What these entries mean together; None where they are malformed, or nearly too many."""
        table = self._table
        fields = [table.get_by_index(n if n > 0 else n + table.inserted + _FIRST_DYNAMIC) for n in numbers]
        if list_size(fields) > self._most_bytes:
            return None
        try:
            known = self._interpret(fields)
        except MalformedFields:
            return None
        if len(self._by_entries) >= MAX_REMEMBERED:
            self._by_entries.clear()
        self._by_entries[numbers] = known
        return known


@cache
def _literal_forms(name: bytes) -> tuple[bytes, ...]:
    """A literal name with its length before it, plain and Huffman-coded."""
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(name)
    return bytes((len(name),)) + name, bytes((0x80 | len(coded),)) + coded


def literal(name: bytes, value: bytes) -> bytes:
    """A field as bytes that touch no table: literal, without indexing, uncoded (RFC 7541, section 6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 0x7F:
        return bytes((size,)) + text
    length, size = bytearray(b"\x7f"), size - 0x7F
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + text
