"""TLS for client connections: versions, certificate, ALPN, and records without a socket."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from turn.config import ConfigError, RelayConfig

# RFC 7443: TURN, and STUN for NAT discovery. A client that offers no ALPN, as browsers do for
# TURN, is served all the same.
ALPN = ["stun.turn", "stun.nat-discovery"]
_READ_SIZE = 65536


def server_context(config: RelayConfig) -> ssl.SSLContext | None:
    """A context for the configured certificate, None without one; raises ConfigError."""
    if not config.tls_certificate:
        return None
    return _context(config.tls_certificate, config.tls_key or None)


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate and its key as they were read, so that other processes, those that are started
    later too, use what has been tried, whatever has become of the files."""

    certificate: str
    key: str = field(repr=False)

    @classmethod
    def read(cls, config: RelayConfig) -> Chain | None:
        """What the configured files hold, None without any; raises ConfigError."""
        if not config.tls_certificate:
            return None
        try:
            # Comments beside the PEM may be in any encoding.
            certificate, key = (
                Path(path).read_text("latin-1")
                for path in (config.tls_certificate, config.tls_key or config.tls_certificate)
            )
        except OSError as error:
            raise _unusable(error) from error
        return cls(certificate, key)

    def context(self) -> ssl.SSLContext:
        """Raises ConfigError where it is not one."""
        with _in_memory(self.certificate) as certificate, _in_memory(self.key) as key:
            return _context(certificate, key)


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path to read the text from, as OpenSSL wants one, without a file on a disk (Linux)."""
    with open(os.memfd_create("chain"), "w", encoding="latin-1") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _context(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # whose rate nothing would bound
    context.set_alpn_protocols(ALPN)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(error) from error
    return context


def _unusable(error: OSError) -> ConfigError:
    return ConfigError(f"the relay cannot use its TLS certificate: {error}")


class TlsLayer:
    """The server's side of one TLS connection, bytes in and bytes out.

    asyncio's own TLS keeps a buffer of 256 KiB for each connection, even one that never speaks;
    this costs what OpenSSL needs, about 10 KiB before a handshake.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls", "established", "finished")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """Plaintext of what came; raises ssl.SSLError. Afterwards see `outgoing`."""
        self._incoming.write(data)
        parts: list[bytes] = []
        with contextlib.suppress(ssl.SSLWantReadError):
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while part := self._tls.read(_READ_SIZE):
                parts.append(part)
            self.finished = True  # the client's close_notify
        return b"".join(parts)

    def encrypt(self, data: bytes) -> bytes:
        """Records for plaintext to send, on an established connection."""
        self._tls.write(data)
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Records that the layer itself has to send."""
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """The close_notify, where there is a connection to close."""
        if self.established:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        return self._outgoing.read()
