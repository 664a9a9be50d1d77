"""Numbers on a command line: what argparse takes for a type."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable


def whole(low: int, high: int) -> Callable[[str], int]:
    """Reads whole numbers within these."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= number <= high:
            raise ArgumentTypeError(f"{number} is not within {low} to {high}")
        return number

    return read


def seconds(most: float) -> Callable[[str], float]:
    """Reads seconds above 0, so many at most."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
        if not 0 < number <= most:
            raise ArgumentTypeError(f"{text} is not within 0 to {most:g} seconds")
        return number

    return read
