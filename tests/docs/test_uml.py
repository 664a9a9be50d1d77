"""The diagram is true to the code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, isclass, signature
from typing import Any

from twisted.trial.unittest import TestCase
from zope.interface import Interface, implementedBy
from zope.interface.interface import InterfaceClass, Method

from tests.docs.pages import ROOT

SOURCE = (ROOT / "docs" / "message_queue.puml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Drawn:
    """A class as it is drawn: `kind` class or interface; `members` such as "depth" or "dequeue()"."""

    kind: str
    name: str
    module: str
    members: tuple[str, ...]

    def code(self) -> Any:
        """The class of the code."""
        return getattr(import_module(self.module), self.name)


def drawn_classes() -> list[Drawn]:
    """All of the diagram's."""
    pattern = r"^\s*(class|interface) (\w+) <<([\w.]+)>>(?: \{\n(.*?)^\s*\})?$"
    found = re.findall(pattern, SOURCE, re.MULTILINE | re.DOTALL)
    return [Drawn(kind, name, module, tuple(re.findall(r"\+(.+)", body))) for kind, name, module, body in found]


def parameters_of(code: Any, name: str) -> list[str]:
    """The names of a method's parameters, without self."""
    if isinstance(code, InterfaceClass):
        method = code[name]
        assert isinstance(method, Method), f"{name} is no method of {code.__name__}"
        return list(method.positional)
    star = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    parameters = list(signature(getattr(code, name)).parameters.values())[1:]
    return [star.get(parameter.kind, "") + parameter.name for parameter in parameters]


def has_attribute(code: Any, name: str) -> bool:
    """Whether a class declares an attribute, or assigns it in its constructor."""
    if isinstance(code, InterfaceClass):
        return name in code
    if hasattr(code, name) or any(name in getattr(base, "__annotations__", {}) for base in code.__mro__):
        return True
    constructor = code.__init__.__code__
    return name in constructor.co_names


class DiagramTests(TestCase):
    """Each class that is drawn exists, with the members that are drawn."""

    def test_every_class_is_read(self) -> None:
        """No class escapes these tests by its form."""
        words = re.findall(r"^\s*(?:class|interface) (\w+)", SOURCE, re.MULTILINE)
        self.assertEqual([drawn.name for drawn in drawn_classes()], words)
        self.assertGreater(len(words), 20)

    def test_classes_exist(self) -> None:
        """A class or an interface is in its module."""
        for drawn in drawn_classes():
            code = drawn.code()
            self.assertEqual(isinstance(code, InterfaceClass), drawn.kind == "interface", drawn.name)
            self.assertTrue(isclass(code) or code.extends(Interface), drawn.name)

    def test_methods_exist(self) -> None:
        """A method has the parameters that are drawn."""
        for drawn in drawn_classes():
            for member in drawn.members:
                if match := re.fullmatch(r"(\w+)\((.*)\)", member):
                    parameters = [word.strip() for word in match[2].split(",") if word.strip()]
                    found = parameters_of(drawn.code(), match[1])
                    self.assertEqual(found, parameters, f"{drawn.name}.{member}")

    def test_attributes_exist(self) -> None:
        """An attribute is declared or assigned."""
        for drawn in drawn_classes():
            for member in drawn.members:
                if "(" not in member:
                    self.assertTrue(has_attribute(drawn.code(), member), f"{drawn.name}.{member}")

    def test_interfaces_are_provided(self) -> None:
        """`Interface <|.. Class`: the class declares the interface; `Base <|-- Class`: it inherits."""
        codes = {drawn.name: drawn.code() for drawn in drawn_classes()}
        arrows = re.findall(r"^(\w+) <\|(\.\.|--) (\w+)$", SOURCE, re.MULTILINE)
        self.assertGreater(len(arrows), 10)
        for general, arrow, special in arrows:
            if arrow == "..":
                self.assertTrue(codes[general].implementedBy(codes[special]), f"{special} -> {general}")
            else:
                self.assertTrue(issubclass(codes[special], codes[general]), f"{special} -> {general}")

    def test_providers_are_drawn(self) -> None:
        """Each class has an arrow to every interface of the diagram that it declares itself."""
        codes = {drawn.name: drawn.code() for drawn in drawn_classes()}
        arrows = set(re.findall(r"^(\w+) <\|\.\. (\w+)$", SOURCE, re.MULTILINE))
        for name, code in codes.items():
            if isclass(code):
                bases = [base for base in code.__bases__ if base.__name__ in codes]
                inherited = {interface for base in bases for interface in implementedBy(base)}
                for interface in set(implementedBy(code)) - inherited:
                    if interface.__name__ in codes:
                        self.assertIn((interface.__name__, name), arrows)

    def test_pictures_are_current(self) -> None:
        """Both pictures were drawn: `make uml`. The SVG names every class."""
        picture = (ROOT / "docs" / "message_queue.svg").read_text(encoding="utf-8")
        for drawn in drawn_classes():
            self.assertIn(drawn.name, picture)
            for member in drawn.members:
                self.assertIn(member, picture)
        png = (ROOT / "docs" / "message_queue.png").read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
