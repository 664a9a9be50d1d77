"""Commands that start a tool of `perf` or `tests` take too long to be run: the tool itself reads their options."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
import warnings
from typing import NoReturn

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import PAGES, blocks

PLACEHOLDERS = {"MODE": "ws"}
"""Words of a page that stand for a choice, and one that can be made."""


class OptionsReadError(Exception):
    """The tool would begin now."""


def commands() -> list[tuple[str, list[str]]]:
    """Module and arguments of every line that starts a tool."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            for module, rest in re.findall(r"^python -m ((?:perf|tests)[\w.]*)(.*)$", block.text, re.MULTILINE):
                words = shlex.split(rest.partition(" >")[0], comments=True)
                found.append((module, [PLACEHOLDERS.get(word, word) for word in words]))
    return found


class ToolTests(SynchronousTestCase):
    """Tools on pages."""

    def test_options(self) -> None:
        """They exist, and take the values that they are given."""
        read = argparse.ArgumentParser.parse_args

        def read_and_stop(*given: object) -> NoReturn:
            read(*given)  # type: ignore[call-overload]
            raise OptionsReadError

        self.patch(argparse.ArgumentParser, "parse_args", read_and_stop)
        found = commands()
        self.assertGreater(len(found), 30)
        for module, arguments in found:
            self.patch(sys, "argv", [module, *arguments])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # tests have imported some of these modules
                try:
                    runpy.run_module(module, run_name="__main__")
                except OptionsReadError:
                    continue
                except SystemExit:
                    self.fail(f"python -m {module} {shlex.join(arguments)}: not understood")
            self.fail(f"{module} reads no options")
