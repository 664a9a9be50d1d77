"""Certificates of the tests' own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

WHY_NOT = (
    "openssl, or pyOpenSSL, is not installed"
    if shutil.which("openssl") is None or importlib.util.find_spec("OpenSSL") is None
    else ""
)
"""What keeps tests from TLS here."""


@dataclass(frozen=True)
class Certificate:
    """One that signs itself: whoever trusts it names it as its CA.

    :param certificate: PEM.
    :param key: PEM.
    """

    certificate: str
    key: str

    def endpoint(self) -> str:
        """Of a server, on a free port of loopback."""
        return f"ssl:0:privateKey={self.key}:certKey={self.certificate}:interface=127.0.0.1"


def make_certificate(folder: Path, name: str, *names: str) -> Certificate:
    """A new one.

    :param names: whom it is for: "DNS:localhost", "IP:127.0.0.1".
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}-key.pem"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(names)}"),
            *("-keyout", made.key, "-out", made.certificate),
        ],
        check=True,
        capture_output=True,
    )
    return made
