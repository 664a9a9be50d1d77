"""What keeps the repository in order: packages, docstrings, generated code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

GENERATED = ROOT / "quickpulse" / "_generated"

CONTRACTS = [path.relative_to(ROOT / "proto") for path in sorted((ROOT / "proto").rglob("*.proto"))]
"""Each .proto file, as the generator names it."""

GENERATOR_SECONDS = 60.0


def parsed(directory: str) -> Iterator[tuple[str, ast.Module]]:
    """Each Python file below a directory of the repository, without the generated ones."""
    for path in sorted((ROOT / directory).rglob("*.py")):
        if "_generated" not in path.parts:
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def methods_of_the_stub(path: Path) -> set[str]:
    """The attributes that the one class of stubs in it sets, and the full names of its calls."""
    (stub,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Stub")
    )
    attributes = {node.attr for node in ast.walk(stub) if isinstance(node, ast.Attribute) and is_self(node.value)}
    calls = {
        node.value
        for node in ast.walk(stub)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/")
    }
    return attributes | calls


def is_self(node: ast.AST) -> bool:
    """Whether this is the name self."""
    return isinstance(node, ast.Name) and node.id == "self"


class PackageTests(SynchronousTestCase):
    """The layout."""

    def test_plugin_directories_are_no_packages(self) -> None:
        """An __init__.py there would hide Twisted itself, or its other plugins."""
        for directory in ("twisted", "twisted/plugins"):
            self.assertFalse((ROOT / directory / "__init__.py").exists(), directory)

    def test_packages_are_installed(self) -> None:
        """Each directory with modules is in the list of packages, so that an installed copy is whole."""
        listed = (ROOT / "pyproject.toml").read_text()
        for path in (ROOT / "quickpulse").rglob("__init__.py"):
            name = ".".join(path.parent.relative_to(ROOT).parts)
            self.assertIn(f'"{name}",', listed)


class DocstringTests(SynchronousTestCase):
    """Each text says what it is about."""

    def test_modules(self) -> None:
        """Every module of quickpulse/, examples/ and perf/ opens with a docstring."""
        bare = [
            name
            for directory in ("quickpulse", "examples", "perf", "twisted")
            for name, tree in parsed(directory)
            if not ast.get_docstring(tree)
        ]
        self.assertEqual(bare, [])

    def test_test_methods(self) -> None:
        """Every test method says which behaviour it tests."""
        bare = [
            f"{name}: {node.name}"
            for name, tree in parsed("tests")
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ]
        self.assertEqual(bare, [])


class StubTests(SynchronousTestCase):
    """quickpulse/_generated/ is what proto/ says."""

    def setUp(self) -> None:
        """Compile proto/ into a directory of the test's own, in a process of its own."""
        if importlib.util.find_spec("grpc_tools") is None:
            self.skipTest("grpcio-tools is not installed")
        self.made = Path(self.mktemp()).resolve()
        self.made.mkdir()
        done = subprocess.run(
            [sys.executable, ROOT / "proto" / "generate.py", self.made],
            capture_output=True,
            text=True,
            timeout=GENERATOR_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_messages(self) -> None:
        """The same file descriptor; not the same bytes, which differ among versions of the generator."""
        for contract in CONTRACTS:
            module = contract.with_name(f"{contract.stem}_pb2.py")
            literals = [
                node.value
                for node in ast.walk(ast.parse((self.made / module).read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
            ]
            made, kept = FileDescriptorProto.FromString(max(literals, key=len)), FileDescriptorProto()
            name = ".".join(module.with_suffix("").parts)
            importlib.import_module(f"quickpulse._generated.{name}").DESCRIPTOR.CopyToProto(kept)
            self.assertEqual(made, kept)
            self.assertEqual(made.name, str(contract))

    def test_calls(self) -> None:
        """The same methods under the same names."""
        calls = set()
        for contract in CONTRACTS:
            stubs = contract.with_name(f"{contract.stem}_pb2_grpc.py")
            kept = methods_of_the_stub(GENERATED / stubs)
            self.assertEqual(methods_of_the_stub(self.made / stubs), kept)
            calls |= kept
        self.assertIn("/messagequeue.MessageQueue/Produce", calls)
        self.assertIn("/quickpulse.v1.Queues/Connect", calls)

    def test_files(self) -> None:
        """No generated file is missing, and none is left over."""
        kept = {
            path.relative_to(GENERATED) for path in GENERATED.rglob("*_pb2*.py*") if "__pycache__" not in path.parts
        }
        self.assertEqual({path.relative_to(self.made) for path in self.made.rglob("*_pb2*.py*")}, kept)

    def test_the_contracts_are_installed(self) -> None:
        """Beside what was made of them, so that they can be used from other languages; metadata lists where."""
        metadata = (ROOT / "pyproject.toml").read_text()
        for contract in CONTRACTS:
            self.assertEqual((GENERATED / contract).read_text(), (ROOT / "proto" / contract).read_text())
            package = ".".join(("quickpulse", "_generated", *contract.parent.parts))
            self.assertIn(f'"{package}" = ["*.proto"]', metadata)
