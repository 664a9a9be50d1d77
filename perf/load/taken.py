"""What was taken, against what was there before.

A server that loses, repeats or alters a prefilled message is found, whatever connection it went to: what all
connections took must be the first ones that were queued, each once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perf.load.faults import LoadFaultError, wrong_answer
from perf.load.numbered import alike, digits_of, numbered


def check_taken(answers: Sequence[bytes], head: bytes, size: int, count: int) -> None:
    """Whether the joined `answers` are the first `count` numbered payloads, each behind `head`, in any order.

    Raises LoadFaultError.
    """
    data = b"".join(answers)
    width = len(head) + size
    if len(data) != width * count:
        raise LoadFaultError(f"{count} answers of {width} bytes are due, {len(data)} bytes came")
    rows = np.frombuffer(data, np.uint8).reshape(count, width)
    digits = digits_of(size)
    start = len(head) + digits
    for columns, due in ((rows[:, : len(head)], head), (rows[:, start:], alike(size - digits))):
        same = (columns == np.frombuffer(due, np.uint8)).all(axis=1)
        if not same.all():
            raise wrong_answer(rows[int(same.argmin())].tobytes())
    got = np.sort(np.ascontiguousarray(rows[:, len(head) : start]).view(f"S{digits}").ravel())
    expected = np.sort(np.array([payload[:digits] for payload in numbered(0, count, size)], f"S{digits}"))
    if not np.array_equal(got, expected):
        odd = int((got != expected).argmax())
        raise LoadFaultError(f"what came out is not what was put in: {got[odd]!r} where {expected[odd]!r} is due")
