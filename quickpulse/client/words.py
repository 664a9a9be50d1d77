"""What is said of keywords and values that users have given: which there are, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, signature
from typing import Any, NoReturn, TypeVar

from quickpulse.errors import InvalidArgument

F = TypeVar("F", bound=Callable[..., Any])


def words_of(function: Callable[..., Any]) -> Callable[[F], F]:
    """For a method that hands `**words` on: `help` and editors show those of `function`. A call costs nothing more."""

    def shown(method: F) -> F:
        own = signature(method)
        kept = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        names = {each.name for each in kept}
        taken = (each for each in signature(function).parameters.values() if each.kind is Parameter.KEYWORD_ONLY)
        parameters = [*kept, *(each for each in taken if each.name not in names)]
        method.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return method

    return shown


def hides_unknown(function: F) -> F:
    """For a function whose `**unknown` is there to say what is wrong: it is not shown."""
    return words_of(function)(function)


def no_such_word(unknown: Iterable[str], function: Callable[..., Any], *others: str) -> NoReturn:
    """Raise TypeError with the nearest word that there is.

    :param others: that callers of it take.
    """
    from difflib import get_close_matches

    word = next(iter(unknown))
    parameters = signature(function).parameters.values()
    names = [*others, *(each.name for each in parameters if each.kind is Parameter.KEYWORD_ONLY)]
    near = [name for name in names if name.startswith(word)] or get_close_matches(word, names, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    method = "publish" if function.__name__ == "properties_of" else function.__name__
    raise TypeError(f"{method}() has no keyword {word!r}{hint} There are {', '.join(names)}")


def as_payload(payload: Any, index: int | None = None) -> bytes:
    """Bytes, copied where it is something like them that may change.

    :raises InvalidArgument: it is none.
    """
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    what = "the payload" if index is None else f"payload {index}"
    hint = "; text is sent as text.encode()" if isinstance(payload, str) else ""
    raise InvalidArgument(f"{what} is of type {type(payload).__name__}, expected bytes{hint}")


def as_payloads(payloads: Any) -> Sequence[bytes]:
    """What can be counted and sent twice; whether they are bytes is not looked at.

    :raises InvalidArgument: it is one payload, or nothing of the kind.
    """
    if isinstance(payloads, (list, tuple)):
        return payloads
    if isinstance(payloads, bytes | bytearray | memoryview | str):
        raise InvalidArgument("publish_many takes many payloads, as in [b'one', b'two']; publish takes one")
    try:
        return list(payloads)
    except TypeError:
        raise InvalidArgument(
            f"payloads are of type {type(payloads).__name__}, expected an iterable of bytes"
        ) from None
