"""The keywords that are handed on are those that are taken at the end."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.client.asking import QueueAsking
from quickpulse.client.clients import Queue
from quickpulse.client.keywords import PropertyWords, PullWords, SubscribeWords
from quickpulse.client.properties import properties_of


class KeywordTests(SynchronousTestCase):
    """Each set of them beside the function that takes it."""

    def check(self, words: Any, function: Callable[..., Any]) -> None:
        """The same names, with the same types."""
        taken = {
            name: parameter.annotation
            for name, parameter in signature(function).parameters.items()
            if parameter.kind is Parameter.KEYWORD_ONLY
        }
        self.assertEqual({name: kind.__forward_arg__ for name, kind in words.__annotations__.items()}, taken)

    def test_properties(self) -> None:
        """Of a message."""
        self.check(PropertyWords, properties_of)

    def test_pull(self) -> None:
        """Of a pull."""
        self.check(PullWords, QueueAsking.pull)

    def test_subscribe(self) -> None:
        """Of a subscription."""
        self.check(SubscribeWords, Queue.subscribe)
