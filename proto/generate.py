"""Writes quickpulse/_generated/ from the .proto files below proto/, and lays those beside.

Usage: python proto/generate.py [OUTPUT_DIRECTORY].

Needs grpcio-tools. The checked-in stubs are made with version 1.74.0, the oldest runtime that the package supports:
generated code refuses a runtime that is older than its generator.
"""

import pathlib
import re
import shutil
import sys

from grpc_tools import protoc

SOURCES = pathlib.Path(__file__).resolve().parent
DEFAULT_OUTPUT = SOURCES.parent / "quickpulse" / "_generated"
PACKAGE = "quickpulse._generated"
"""That the generated modules lie in."""


def generate(output: pathlib.Path) -> None:
    """Compile every .proto file into `output` and make the stubs' imports absolute to the package."""
    for source in sorted(SOURCES.rglob("*.proto")):
        name = source.relative_to(SOURCES)
        arguments = [
            "protoc",
            f"-I{SOURCES}",
            f"--python_out={output}",
            f"--pyi_out={output}",
            f"--grpc_python_out={output}",
            str(name),
        ]
        if protoc.main(arguments):
            raise SystemExit(f"protoc failed on {name}")
        for directory in name.parents:
            (output / directory / "__init__.py").touch()
        shutil.copyfile(source, output / name)  # so that an installed copy has them, for other languages
        stubs = output / name.with_name(f"{name.stem}_pb2_grpc.py")
        text = stubs.read_text()
        for found, absolute in (
            (r"^from (?!google\.)([\w.]+) import (\w+_pb2)", rf"from {PACKAGE}.\1 import \2"),
            (r"^import (\w+_pb2)", rf"from {PACKAGE} import \1"),
        ):
            text = re.sub(found, absolute, text, flags=re.MULTILINE)
        stubs.write_text(text)


if __name__ == "__main__":
    generate(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUTPUT)
