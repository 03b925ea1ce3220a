"""TLS for the HTTP port: the operator's certificate, or one made here for a local network."""

import contextlib
import datetime as dt
import fcntl
import ipaddress
import re
import socket
import ssl
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from konsil.errors import StartError
from konsil.private_files import private_directory, write_private

# Apple's platforms refuse server certificates that live longer than 825 days.
LIFETIME: Final = dt.timedelta(days=397)
RENEW_BEFORE: Final = dt.timedelta(days=30)
_NOT_A_PAIR: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})  # OpenSSL's words
_SIOCGIFADDR: Final = 0x8915  # netdevice(7)


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context of TLS 1.2 and later. Raises StartError naming the setting."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    load(made, certificate, key)
    return made


class CertificateError(StartError):
    """Files that are no certificate and its key. `reason`: in a word, for the log."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def load(into: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Reads the files, also again after they were renewed: new connections get the new chain.

    Raises CertificateError, and `into` is as it was.
    """
    check(certificate, key)
    _load(into, certificate, key)


def check(certificate: Path, key: Path) -> None:
    """Raises CertificateError unless the files can be used."""
    for name, path in (("KONSIL_TLS_CERT", certificate), ("KONSIL_TLS_KEY", key)):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            message = f"{name}: cannot read {path}: {error.strerror}"
            raise CertificateError(message, "unreadable") from None
    # In a context of its own: one that fails has the new certificate already, and no key.
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)


def _load(into: ssl.SSLContext, certificate: Path, key: Path) -> None:
    asked = False

    def no_password() -> str:
        # Without this an encrypted key would ask on the terminal.
        nonlocal asked
        asked = True
        raise ValueError("the key is encrypted")

    try:
        into.load_cert_chain(certificate, key, password=no_password)
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = "not_a_pair" if getattr(error, "reason", "") in _NOT_A_PAIR else "not_pem"
        raise CertificateError(
            f"{certificate} and {key} are not a PEM certificate and its unencrypted key",
            "key_encrypted" if asked else reason,
        ) from None


def not_after(certificate: Path) -> float | None:
    """Until when it is good, in seconds since 1970; None where that cannot be read."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return None
    return found.not_valid_after_utc.timestamp()


def self_signed(directory: Path, now: dt.datetime, extra: Iterable[str] = ()) -> tuple[Path, Path]:
    """Certificate and key for this machine's names and addresses, made anew when they changed.

    `directory`: where they are kept (0700, key 0600). `extra`: names to cover as well. Browsers
    warn of such a certificate once. Raises StartError when the directory cannot be used.
    """
    private_directory(directory)
    certificate, key = directory / "self-signed.pem", directory / "self-signed.key"
    names = sorted({*machine_names(), *extra})
    if not _covers(certificate, key, names, now):
        _make(certificate, key, names, now)
    return certificate, key


def machine_names() -> list[str]:
    """Names and addresses that others in the local network may use for this machine."""
    names = {"localhost"}
    hostname = socket.gethostname().lower()
    if re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?", hostname):
        names |= {hostname, f"{hostname.partition('.')[0]}.local"}
    return [*sorted(names), *machine_addresses()]


def machine_addresses() -> list[str]:
    """IPv4 and global IPv6 addresses of the interfaces, loopback included."""
    found = {"127.0.0.1", "::1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, request)
            except OSError:
                continue  # an interface without an IPv4 address
            found.add(socket.inet_ntoa(answer[20:24]))
    try:
        lines = Path("/proc/net/if_inet6").read_text("ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        address = ipaddress.IPv6Address(int(line.split()[0], 16))
        if not address.is_link_local:
            found.add(str(address))
    return sorted(found)


def lan_address() -> str | None:
    """The address this machine uses towards the network, or None when it has none."""
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Connecting a datagram socket sends nothing; it only chooses a source address.
                probe.connect((outside, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return None


def _covers(certificate: Path, key: Path, names: list[str], now: dt.datetime) -> bool:
    try:
        have = x509.load_pem_x509_certificate(certificate.read_bytes())
        extension = have.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = {str(entry.value) for entry in extension}
    return key.is_file() and set(names) <= covered and have.not_valid_after_utc - now > RENEW_BEFORE


def _make(certificate: Path, key: Path, names: list[str], now: dt.datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Konsil (self-signed)")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    write_private(
        key,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM).decode())
    with contextlib.suppress(OSError):  # for others to trust; we read it either way
        certificate.chmod(0o644)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
