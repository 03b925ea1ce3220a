"""Looks at a server's certificate as a browser does: whether it is believed, and for how long."""

import asyncio
import contextlib
import ssl
import time
from typing import Final

from konsil.findings import Finding, fine, wrong

DAYS_LEFT: Final = 14  # fewer: whatever renews it should have done so already
PATIENCE: Final = 5.0  # seconds


async def check(subject: str, host: str, port: int, context: ssl.SSLContext) -> Finding:
    """Connects to `host`, which the certificate must cover."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return wrong(
            subject,
            f"of {host} port {port} is not believed: {error.verify_message.rstrip('.')}; use one "
            "that browsers trust, for this name, with its whole chain",
        )
    except TimeoutError:
        return wrong(subject, f"{host} port {port} does not answer")
    except OSError as error:
        return wrong(subject, f"no TLS with {host} port {port}: {reason_of(error)}")
    certificate = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await writer.wait_closed()
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    days = int(left // 86400)
    words = f"good for {days} {'day' if days == 1 else 'days'} more"
    if days < DAYS_LEFT:
        return wrong(subject, f"{words} only: renew it, and send the server a SIGHUP")
    return fine(subject, words)


def reason_of(error: OSError) -> str:
    """Why a connection failed, in a few words, without the address that asyncio puts in."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "a fault of TLS").lower().replace("_", " ")
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return error.strerror or type(error).__name__
