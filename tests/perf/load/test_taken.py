"""Finding out what became of prefilled messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from perf.load.faults import LoadFaultError
from perf.load.numbered import numbered
from perf.load.taken import check_taken

HEAD = b"\x82\x0b"


def answers(*numbers: int, size: int = 11) -> list[bytes]:
    """As a server gives them."""
    return [HEAD + payload for number in numbers for payload in numbered(number, 1, size)]


class CheckTests(SynchronousTestCase):
    """What was taken is compared with what was there."""

    def test_good(self) -> None:
        """Any order, any cut, any size."""
        check_taken(answers(2, 0, 1), HEAD, 11, 3)
        whole = b"".join(answers(2, 0, 1))
        check_taken([whole[:5], whole[5:20], whole[20:]], HEAD, 11, 3)
        for size in (1, 2, 200):
            check_taken(answers(*range(30), size=size), HEAD, size, 30)

    def test_bad(self) -> None:
        """A message that is missing, there twice, altered, or not of ours; an answer that is none."""
        filler = answers(1)[0][:-1] + b"!"
        for wrong in (
            answers(0, 1),
            answers(0, 1, 3),
            answers(0, 1, 1),
            answers(0, 1, 2, 2),
            [*answers(0, 2), filler],
            [*answers(0, 2), b"\x81\x0b" + answers(1)[0][2:]],
            [*answers(0, 2), HEAD + b"not my own"[:9] + b"!!"],
        ):
            self.assertRaises(LoadFaultError, check_taken, wrong, HEAD, 11, 3)
