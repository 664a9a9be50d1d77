"""Writes quickpulse/_generated/ from proto/*.proto. Usage: python proto/generate.py [OUTPUT_DIRECTORY].

Needs grpcio-tools. The checked-in stubs are made with version 1.74.0, the oldest runtime that the package supports:
generated code refuses a runtime that is older than its generator.
"""

import pathlib
import re
import sys

from grpc_tools import protoc

SOURCES = pathlib.Path(__file__).resolve().parent
DEFAULT_OUTPUT = SOURCES.parent / "quickpulse" / "_generated"


def generate(output: pathlib.Path) -> None:
    """Compile every .proto file into `output` and make the stubs' imports absolute to the package."""
    for source in sorted(SOURCES.glob("*.proto")):
        arguments = [
            "protoc",
            f"-I{SOURCES}",
            f"--python_out={output}",
            f"--pyi_out={output}",
            f"--grpc_python_out={output}",
            source.name,
        ]
        if protoc.main(arguments):
            raise SystemExit(f"protoc failed on {source.name}")
        stubs = output / f"{source.stem}_pb2_grpc.py"
        text = re.sub(
            r"^import (\w+_pb2)",
            r"from quickpulse._generated import \1",
            stubs.read_text(),
            flags=re.MULTILINE,
        )
        stubs.write_text(text)


if __name__ == "__main__":
    generate(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUTPUT)
