"""A test CA and a certificate for 127.0.0.1, signed by it."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compare.settings import Settings

DAYS = "30"
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
EXTENSIONS = """\
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
"""


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files."""

    ca: Path
    certificate: Path
    key: Path


@cache
def certificates(settings: Settings) -> Certificates:
    """Made anew by each invocation, because they expire."""
    folder = settings.work / "tls"
    folder.mkdir(exist_ok=True)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, request, extensions = (folder / name for name in ("ca.key", "server.csr", "server.ext"))
    extensions.write_text(EXTENSIONS)
    ca_name, name = ["-subj", "/CN=dingmap benchmark CA"], ["-subj", "/CN=127.0.0.1"]
    _openssl("req", "-x509", *NEW_KEY, *ca_name, "-days", DAYS, "-keyout", ca_key, "-out", made.ca)
    _openssl("req", *NEW_KEY, *name, "-keyout", made.key, "-out", request)
    signer = ("-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", DAYS)
    output = ("-extfile", extensions, "-out", made.certificate)
    _openssl("x509", "-req", "-in", request, *signer, *output)
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True)
