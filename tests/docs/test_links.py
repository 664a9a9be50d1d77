"""A link leads somewhere."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, TestCase

from tests.docs.pages import PAGES, ROOT, anchors, links

AWAITED: set[str] = set()
"""Linked, and still being written; a line goes when its file is there."""

LINKING = (*PAGES, ROOT / "CHANGELOG.md")


class LinkTests(TestCase):
    """Relative links, of every page."""

    def test_files_exist(self) -> None:
        """Each relative link names a file or a directory of the repository."""
        missing = set()
        for page in LINKING:
            for link in links(page):
                path = link.partition("#")[0]
                if path and "://" not in link:
                    target = (page.parent / path).resolve()
                    self.assertTrue(target.is_relative_to(ROOT), f"{page.name}: {link} leaves the repository")
                    if not target.exists():
                        missing.add(target.relative_to(ROOT).as_posix())
        self.assertEqual(missing - AWAITED, set())
        if missing:
            raise SkipTest(f"not written yet: {', '.join(sorted(missing))}")

    def test_headings_exist(self) -> None:
        """Each link to a place on a page names a heading there."""
        for page in LINKING:
            for link in links(page):
                path, _, anchor = link.partition("#")
                if anchor and "://" not in link:
                    target = (page.parent / path).resolve() if path else page
                    if target.suffix == ".md" and target.exists():
                        self.assertIn(anchor, anchors(target), f"{page.name}: {link}")
