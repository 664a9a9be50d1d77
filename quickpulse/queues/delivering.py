"""What was taken out of a queue, as the columns of a reply."""

from __future__ import annotations

from collections.abc import Sequence

from quickpulse.messages import Message
from quickpulse.queues.named import NamedQueue
from quickpulse.queues.runs import Run
from quickpulse.requests import Batch, DeadLetter, Deliveries, Properties


def batch_of(queue: NamedQueue, pieces: Sequence[Run]) -> tuple[Batch, dict[int, DeadLetter]]:
    """Messages with their properties, and which of them are dead letters. The lists are the reply's own."""
    payloads = pieces[0].payloads[:]
    common = pieces[0].common
    own: dict[int, Properties] = {}
    letters: dict[int, DeadLetter] = {}
    if len(pieces) == 1 and not queue.extras:
        return Batch(payloads, common, own), letters
    for piece in pieces[1:]:
        payloads += piece.payloads
    if any(piece.common is not common for piece in pieces):
        common, index = None, 0
        for piece in pieces:
            if piece.common is not None:
                own.update(dict.fromkeys(range(index, index + len(piece.payloads)), piece.common))
            index += len(piece.payloads)
    if queue.extras:
        index = 0
        for piece in pieces:
            for index, sequence in enumerate(piece.sequences, index):  # noqa: B020 - goes on where the last one ended
                extra = queue.extras.get(sequence)
                if extra is None:
                    continue
                if extra.letter is not None:
                    letters[index] = extra.letter
                if extra.properties is not None:
                    own[index] = _properties(extra.properties)
            index += 1
    if len(own) == len(payloads):
        common = None  # of nobody
    return Batch(payloads, common, own), letters


def deliver(
    queue: NamedQueue,
    pieces: Sequence[Run],
    counts: Sequence[int],
    first_receipt: int,
    lease_ms: int,
    with_enqueued_at: bool,
    with_sequences: bool = False,
) -> Deliveries:
    """The reply.

    :param counts: how often the messages of each piece were delivered.
    """
    batch, letters = batch_of(queue, pieces)
    delivery_counts = None
    if counts.count(1) != len(counts):
        delivery_counts = [
            count for count, piece in zip(counts, pieces, strict=True) for _ in range(len(piece.payloads))
        ]
    return Deliveries(
        queue.name,
        batch,
        first_receipt,
        lease_ms,
        delivery_counts,
        [moment for piece in pieces for moment in piece.accepted_each()] if with_enqueued_at else None,
        [sequence for piece in pieces for sequence in piece.sequences] if with_sequences else None,
        letters,
    )


def _properties(properties: Properties | Message) -> Properties:
    """As v1 has them: a message that v0 put in may have an id."""
    return Properties(id=properties.id or "") if isinstance(properties, Message) else properties
