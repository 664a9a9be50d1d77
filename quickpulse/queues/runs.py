"""Messages that stand together, as columns. What may be done with them is decided elsewhere.

A message has no object of its own: it is a place in the columns of a run. What only some messages of a queue have (own
properties, where a dead letter comes from) is kept beside, by sequence (`Extra`), so that a run can be cut anywhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from operator import itemgetter

from quickpulse.messages import Message
from quickpulse.queues.framing import FRAME_BYTES, beside_texts, of_letter
from quickpulse.queues.usage import HEADER_BYTES, LETTER_BYTES, PROPERTIES_BYTES
from quickpulse.requests import DeadLetter, Properties

RUN_MESSAGES = 1024
"""Most in one run: to cut off its head moves the rest, which is cheap up to here."""


class Extra:
    """What one message has beside its payload and its run.

    :param properties: its own, common ones included; None: as its run has them. A `Message` is one that v0 put in.
    :param weight: bytes of the properties in force.
    """

    __slots__ = ("letter", "properties", "weight")

    def __init__(self, properties: Properties | Message | None, weight: int, letter: DeadLetter | None = None) -> None:
        self.properties = properties
        self.weight = weight
        self.letter = letter

    @property
    def beside(self) -> int:
        """Bytes of memory beside payload and texts. What v0 puts in counts for its payload alone."""
        own = self.properties
        if own is None:
            return LETTER_BYTES
        return 0 if isinstance(own, Message) else beside_of(own)

    def framing(self, otherwise: int) -> int:
        """Bytes of a frame beside payload and texts.

        :param otherwise: of a message of its run that is not in the extras.
        """
        own = otherwise if self.properties is None else FRAME_BYTES + beside_texts(self.properties)
        return own if self.letter is None else own + of_letter(self.letter)


Extras = Mapping[int, Extra]
"""By sequence."""


def weight_of(properties: Properties) -> int:
    """Bytes that properties count for: of all their texts."""
    texts = (
        properties.id,
        properties.content_type,
        properties.dedup_key,
        properties.reply_to,
        properties.correlation_id,
    )
    return sum(len(text.encode()) for text in texts if text) + sum(
        len(name.encode()) + len(value.encode()) for name, value in properties.headers.items()
    )


def beside_of(properties: Properties) -> int:
    """Bytes of memory that properties take beside their texts."""
    return PROPERTIES_BYTES + HEADER_BYTES * len(properties.headers)


def measured(payloads: Sequence[bytes], sequences: Sequence[int], weight: int, extras: Extras) -> int:
    """Bytes of these messages: payloads and properties."""
    size_bytes = sum(map(len, payloads))
    if weight:
        size_bytes += weight * len(payloads)
    if extras:
        size_bytes += sum(extras[each].weight - weight for each in sequences if each in extras)
    return size_bytes


def framed(size_bytes: int, sequences: Sequence[int], framing: int, extras: Extras) -> int:
    """Bytes that these messages take of a frame, at most.

    :param framing: of each that is not in the extras, beside payload and texts.
    """
    size_bytes += framing * len(sequences)
    if extras:
        size_bytes += sum(extras[each].framing(framing) - framing for each in sequences if each in extras)
    return size_bytes


def fitting(
    payloads: Sequence[bytes], sequences: Sequence[int], room: int, weight: int, framing: int, extras: Extras
) -> int:
    """How many of these messages fit into a frame with so much room, from the first on."""
    bare = weight + framing
    for index, (payload, sequence) in enumerate(zip(payloads, sequences, strict=True)):
        extra = extras.get(sequence)
        room -= len(payload) + (bare if extra is None else extra.weight + extra.framing(framing))
        if room < 0:
            return index
    return len(payloads)


class Run:
    """Messages of one queue in the order of their sequences, which have these things in common.

    :param payloads: the messages.
    :param sequences: of each; a range unless there are holes.
    :param accepted: moments, in ms: of all, or of each.
    :param size_bytes: payloads and properties, of all.
    :param deliveries: how often each was delivered.
    :param expires_at: when they are void unless they are leased; 0: never.
    :param common: properties of each that has no own.
    :param weight: bytes of `common`, for each.
    :param beside: bytes of memory that count for all, or for each, beside payload and texts.
    """

    __slots__ = (
        "accepted",
        "beside",
        "common",
        "deliveries",
        "expires_at",
        "payloads",
        "priority",
        "sequences",
        "size_bytes",
        "weight",
    )

    def __init__(
        self,
        payloads: list[bytes],
        sequences: Sequence[int],
        accepted: int | array[int],
        size_bytes: int,
        deliveries: int = 0,
        priority: int = 0,
        expires_at: int = 0,
        common: Properties | None = None,
        weight: int = 0,
        beside: int | array[int] = 0,
    ) -> None:
        self.payloads = payloads
        self.sequences = sequences
        self.accepted = accepted
        self.size_bytes = size_bytes
        self.deliveries = deliveries
        self.priority = priority
        self.expires_at = expires_at
        self.common = common
        self.weight = weight
        self.beside = beside

    def like(
        self,
        payloads: list[bytes],
        sequences: Sequence[int],
        accepted: int | array[int],
        size_bytes: int,
        beside: int | array[int],
    ) -> Run:
        """A run of other messages that has the same in common."""
        return Run(
            payloads,
            sequences,
            accepted,
            size_bytes,
            self.deliveries,
            self.priority,
            self.expires_at,
            self.common,
            self.weight,
            beside,
        )

    @property
    def framing(self) -> int:
        """Bytes of a frame for each message that is not in the extras, beside payload and texts."""
        return FRAME_BYTES if self.common is None else FRAME_BYTES + beside_texts(self.common)

    @property
    def beside_bytes(self) -> int:
        """Of all together, without what single ones have of their own."""
        beside = self.beside
        return beside * len(self.payloads) if isinstance(beside, int) else sum(beside)

    def framed(self, extras: Extras) -> int:
        """Bytes that all take of a frame, at most."""
        return framed(self.size_bytes, self.sequences, self.framing, extras)

    def moved(self) -> Run:
        """All of it as another run; this one is empty from now on, wherever it is still listed."""
        other = self.like(self.payloads, self.sequences, self.accepted, self.size_bytes, self.beside)
        self.payloads, self.sequences, self.size_bytes = [], (), 0
        return other

    def cut(self, count: int, extras: Extras) -> Run:
        """The first `count` messages as a run of their own; they leave this one."""
        if count >= len(self.payloads):
            return self.moved()
        head = self.slice(0, count, extras)
        del self.payloads[:count]
        self.sequences = self.sequences[count:]
        if not isinstance(self.accepted, int):
            self.accepted = self.accepted[count:]
        if not isinstance(self.beside, int):
            self.beside = self.beside[count:]
        self.size_bytes -= head.size_bytes
        return head

    def slice(self, start: int, stop: int, extras: Extras) -> Run:
        """A copy of the messages from `start` to `stop`."""
        payloads, sequences = self.payloads[start:stop], self.sequences[start:stop]
        accepted = self.accepted if isinstance(self.accepted, int) else self.accepted[start:stop]
        beside = self.beside if isinstance(self.beside, int) else self.beside[start:stop]
        return self.like(payloads, sequences, accepted, measured(payloads, sequences, self.weight, extras), beside)

    def pick(self, indexes: Sequence[int], extras: Extras) -> Run:
        """A copy of the messages at these indexes, at least one, in order."""
        if len(indexes) == indexes[-1] - indexes[0] + 1:
            return self.slice(indexes[0], indexes[-1] + 1, extras)
        chosen = itemgetter(*indexes)
        payloads, sequences = list(chosen(self.payloads)), list(chosen(self.sequences))
        accepted = self.accepted if isinstance(self.accepted, int) else array("q", chosen(self.accepted))
        beside = self.beside if isinstance(self.beside, int) else array("q", chosen(self.beside))
        return self.like(payloads, sequences, accepted, measured(payloads, sequences, self.weight, extras), beside)

    def can_take_on(self, other: Run) -> bool:
        """Whether `other` goes on where this one ends, with all the same in common."""
        sequences, others = self.sequences, other.sequences
        return (
            isinstance(sequences, range)
            and isinstance(others, range)
            and sequences.stop == others.start
            and self.deliveries == other.deliveries
            and self.priority == other.priority
            and self.expires_at == other.expires_at
            and len(sequences) > 0
            and (self.common is other.common or self.common == other.common)
        )

    def take_on(self, other: Run) -> None:
        """Add the messages of `other` behind these."""
        count, more = len(self.payloads), len(other.payloads)
        if not (isinstance(self.accepted, int) and self.accepted == other.accepted):
            self.accepted = _joined(self.accepted, count, other.accepted, more)
        if not (isinstance(self.beside, int) and self.beside == other.beside):
            self.beside = _joined(self.beside, count, other.beside, more)
        self.payloads += other.payloads
        self.sequences = range(self.sequences[0], self.sequences[0] + len(self.payloads))
        self.size_bytes += other.size_bytes

    def accepted_each(self) -> Sequence[int]:
        """When each was accepted."""
        return (self.accepted,) * len(self.payloads) if isinstance(self.accepted, int) else self.accepted


def _joined(first: int | array[int], count: int, second: int | array[int], more: int) -> array[int]:
    """One column of both; the first may be changed."""
    joined = array("q", (first,)) * count if isinstance(first, int) else first
    joined.extend(array("q", (second,)) * more if isinstance(second, int) else second)
    return joined
