"""The entry point of the command `quickpulse`. What the command is made of comes with the extra `cli`."""

from __future__ import annotations

import sys

EXTRA = ("click", "rich")
"""What the extra brings."""

MISSING_STATUS = 2


def main() -> int:
    """Run the command; without the extra, one line that says how to get it."""
    try:
        from quickpulse.cli.app import commands
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA:
            raise
        print(
            "quickpulse: the command needs the extra cli (click and rich), in a clone: pip install '.[cli]'",
            file=sys.stderr,
        )
        return MISSING_STATUS
    return int(commands.main(prog_name="quickpulse") or 0)
