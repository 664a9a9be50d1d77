"""Who may import whom: each arrow between the parts of quickpulse/, and from them to other packages."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

PACKAGE = "quickpulse"

VOCABULARY = {
    f"quickpulse.{name}" for name in ("errors", "events", "interfaces", "messages", "requests", "settings", "version")
}
"""What everybody may name."""

ARROWS = {
    # The vocabulary names itself only, in one direction.
    "quickpulse.errors": set(),
    "quickpulse.messages": set(),
    "quickpulse.requests": {"quickpulse.errors"},
    "quickpulse.version": set(),
    "quickpulse.interfaces": {"zope.interface", "quickpulse.errors", "quickpulse.messages", "quickpulse.requests"},
    "quickpulse.settings": {"quickpulse.errors"},
    "quickpulse.events": {"twisted.internet.defer", "twisted.python.failure"},
    # The parts: each knows the vocabulary, and not the others.
    "quickpulse.queues": {*VOCABULARY, "zope.interface"},
    "quickpulse.wire": {"quickpulse.errors", "quickpulse.messages", "quickpulse.requests", "hpack"},
    # v1's messages are protobuf's, whose runtime parses columns faster than anything written here could.
    "quickpulse.wire.v1": {
        "quickpulse.errors",
        "quickpulse.requests",
        "quickpulse.wire.grpc.codes",
        "quickpulse._generated",
        "google.protobuf",
    },
    "quickpulse.backends": {
        *VOCABULARY,
        "quickpulse.queues",
        "zope.interface",
        "twisted.internet.defer",
        "twisted.internet.interfaces",
        "twisted.logger",
    },
    "quickpulse.metrics": {
        *VOCABULARY,
        "prometheus_client",
        "twisted.internet.defer",
        "twisted.python.failure",
        "zope.interface",
    },
    "quickpulse.transports": {
        *VOCABULARY,
        "quickpulse.wire",
        "quickpulse._generated",
        "autobahn",
        "google.protobuf",
        "grpc",
        "grpc_health",
        "grpc_reflection",
        "prometheus_client",
        "twisted",
        "txaio",
        "zope.interface",
    },
    # No server is needed for a client, nor Twisted, nor gRPC's library.
    "quickpulse.client": {"quickpulse.errors", "quickpulse.requests", "quickpulse.version", "quickpulse.wire"},
    "quickpulse.client.threads": {"quickpulse.client", "quickpulse.errors", "quickpulse.requests", "uvloop"},
    "quickpulse.client.tx": {"quickpulse.client", "quickpulse.requests", "twisted"},
    "quickpulse.client.tx_connection": {"quickpulse.client", "twisted"},
    "quickpulse.client.tx_runtime": {"quickpulse.client", "twisted"},
    "quickpulse.client.tx_streams": {"quickpulse.client", "twisted"},
    # The assembly.
    "quickpulse.banner": set(),
    "quickpulse.systemd": set(),
    "quickpulse.lifecycle": {*VOCABULARY, "quickpulse.systemd", "twisted"},
    "quickpulse.service": {
        *VOCABULARY,
        "quickpulse.backends",
        "quickpulse.banner",
        "quickpulse.lifecycle",
        "quickpulse.metrics",
        "quickpulse.systemd",
        "quickpulse.transports",
        "twisted",
    },
    "quickpulse.tap": {*VOCABULARY, "quickpulse.service", "twisted", "uvloop"},
    # A server and a client for tests of other programs.
    "quickpulse.testing": {
        *VOCABULARY,
        "quickpulse.backends",
        "quickpulse.client",
        "quickpulse.metrics",
        "quickpulse.queues",
        "quickpulse.service",
        "pytest",
        "twisted",
        "uvloop",
        "zope.interface",
    },
    # The health check runs every few seconds, and knows nothing. The command knows the client, and how to start twistd.
    "quickpulse.__main__": {"quickpulse.cli"},
    "quickpulse.cli.healthcheck": set(),
    "quickpulse.cli": {*VOCABULARY, "quickpulse.client", "click", "rich", "twisted.scripts.twistd"},
    "quickpulse": {*VOCABULARY, "quickpulse.backends", "quickpulse.queues"},
}
"""Module or package, to what it may import beside the standard library and itself."""


def owner_of(module: str) -> str:
    """The key of ARROWS that speaks for `module`: the longest that it is in."""
    parts = module.split(".")
    rows = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((row for row in rows if row in ARROWS), module)


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that is done at run time, those within functions included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from statements(ast.Module(node.orelse, []))
        else:
            yield from statements(node)


def imported(source: str, module: str, is_module: set[str]) -> Iterator[str]:
    """The modules that `source`, the text of `module`, imports.

    :param is_module: names of our own modules, to tell `from quickpulse import backends` from an attribute.
    """
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        if node.level:
            raise AssertionError(f"{module} has a relative import in line {node.lineno}")
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            yield below if below in is_module or node.module == "twisted.internet" else str(node.module)


def is_within(name: str, package: str) -> bool:
    """Whether `name` is the package, or in it. The root package does not speak for its parts."""
    return name == package or (package != PACKAGE and name.startswith(f"{package}."))


def forbidden(source: str, module: str, is_module: set[str]) -> list[str]:
    """Each import of `source` that is in no row of the table, as an arrow."""
    owner = owner_of(module)
    if owner not in ARROWS:
        return [f"{module} is in no row of the table"]
    allowed = {owner, *ARROWS[owner]}
    return [
        f"{module} -> {name}"
        for name in imported(source, module, is_module)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not any(is_within(name, package) for package in allowed)
    ]


def sources() -> dict[str, str]:
    """Each module of ours by its name, without the generated ones."""
    texts = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "_generated" not in parts:
            texts[".".join(parts).removesuffix(".__init__")] = path.read_text()
    return texts


class ArrowTests(SynchronousTestCase):
    """The table above."""

    def setUp(self) -> None:
        """All of our modules."""
        self.sources = sources()
        self.modules = set(self.sources)

    def test_every_arrow_is_in_the_table(self) -> None:
        """No module imports what its row does not name."""
        arrows = [arrow for name, text in self.sources.items() for arrow in forbidden(text, name, self.modules)]
        self.assertEqual(arrows, [])

    def test_every_row_is_a_module(self) -> None:
        """The table speaks of nothing that is gone."""
        self.assertEqual(set(ARROWS) - self.modules, set())

    def test_no_circle(self) -> None:
        """Following the arrows never leads back."""

        def follow(row: str, way: tuple[str, ...]) -> None:
            self.assertNotIn(row, way, f"a circle: {' -> '.join((*way, row))}")
            for name in ARROWS.get(row, set()):
                follow(name, (*way, row))

        for row in ARROWS:
            follow(row, ())

    def assert_caught(self, module: str, source: str, name: str) -> None:
        """`source` as the text of `module` has this one arrow too many."""
        self.assertEqual(forbidden(source, module, self.modules), [f"{module} -> {name}"])

    def test_a_turned_arrow_is_caught(self) -> None:
        """Whatever the form of the import and wherever it stands."""
        self.assert_caught("quickpulse.queues.memory", "import quickpulse.service", "quickpulse.service")
        self.assert_caught(
            "quickpulse.transports.websocket",
            "from quickpulse.queues.memory import MessageQueue",
            "quickpulse.queues.memory",
        )
        self.assert_caught("quickpulse.metrics.memory", "from quickpulse import backends", "quickpulse.backends")
        self.assert_caught(
            "quickpulse.wire.origin",
            "def late():\n    if True:\n        from twisted.internet import defer",
            "twisted.internet.defer",
        )
        source = "from twisted.internet import reactor"
        self.assert_caught("quickpulse.backends.loading", source, "twisted.internet.reactor")
        self.assert_caught("quickpulse.cli.healthcheck", "import quickpulse", "quickpulse")
        self.assert_caught("quickpulse.errors", "import queue, zope.interface", "zope.interface")

    def test_a_module_without_a_row_is_caught(self) -> None:
        """A new part needs a decision."""
        self.assertEqual(forbidden("", "quickpulse.new", self.modules), ["quickpulse.new is in no row of the table"])

    def test_types_are_free(self) -> None:
        """What only a type checker reads is no arrow; what stands in the other branch is one."""
        source = "if TYPE_CHECKING:\n    import quickpulse.service\nelse:\n    import quickpulse.tap"
        self.assert_caught("quickpulse.messages", source, "quickpulse.tap")

    def test_relative_imports_are_refused(self) -> None:
        """They would hide where they lead."""
        self.assertRaises(AssertionError, forbidden, "from . import x", "quickpulse.errors", self.modules)
