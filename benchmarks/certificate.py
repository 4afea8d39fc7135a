"""A certificate of this machine's own, for one run: whoever measures TLS verifies it on both sides."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class OwnCertificate:
    """Where its two files are."""

    public: Path
    private: Path

    def verifying(self) -> ssl.SSLContext:
        """Give what trusts this one and no other."""
        return ssl.create_default_context(cafile=str(self.public))


def make_certificate(folder: Path) -> OwnCertificate:
    """Make one for 127.0.0.1, which is good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "venue of the benchmarks")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    made = OwnCertificate(folder / "venue.pem", folder / "venue.key.pem")
    made.public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.private.touch(mode=0o600)
    made.private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def serving(public: Path, private: Path) -> ssl.SSLContext:
    """Give what a server shows it with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context
