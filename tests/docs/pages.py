"""Reading the project's Markdown pages: tables, code blocks, links. No claim about their content is here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

README = ROOT / "README.md"

PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "perf" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""Those that tell how something is used."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    language: what the fence says; empty where it says nothing
    text: the lines between the fences
    run: what the comment above says it is to be run against ("ws", "grpc", "none"); None without one
    not_run: why no test runs it, where the comment above says so
    """

    language: str
    text: str
    run: str | None
    not_run: str | None = None


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    pattern = r"^(?:<!-- (?:run: ([\w, ]+)|not run: ([^\n]+)) -->\n)?```(\w*)\n(.*?)^```$"
    found = re.finditer(pattern, page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(match[3], match[4], match[1], match[2]) for match in found]


def shell_blocks(page: Path) -> list[Block]:
    """Those of a shell that tests run."""
    return [block for block in blocks(page) if block.language == "sh" and block.not_run is None]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the table's own head."""
    text = page.read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    rows: list[list[str]] = []
    for line in section.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def plain(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.replace("`", "")


def anchors(page: Path) -> set[str]:
    """What "#..." of a link may name: the headings, in GitHub's form."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """The targets of all links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))
