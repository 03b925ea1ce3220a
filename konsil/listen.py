"""Opens the sockets to listen on before all else, with errors that say what to do."""

import contextlib
import errno
import socket
from typing import Final

from konsil.errors import StartError

BACKLOG: Final = 1024  # connections not yet accepted; the kernel makes further ones wait
_NO_SUCH_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def bind(host: str, port: int, setting: str) -> list[socket.socket]:
    """Listening TCP sockets on every address of `host`, all on the same port.

    `port` 0 takes a free one. `setting`: name of the port's setting, for the message of StartError.
    An address of a family this machine lacks is passed over as long as another one works.
    """
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        problem: OSError | None = None
        for family, address in _addresses(host, setting):
            try:
                made = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    # "::" alone serves both families; an address or name serves what it says.
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
                made.bind((address, sockets[0].getsockname()[1] if sockets else port))
                made.listen(BACKLOG)
                made.setblocking(False)
            except OSError as error:
                problem = error
                if error.errno in _NO_SUCH_FAMILY:
                    continue
                break
            sockets.append(made)
        if problem is not None and (problem.errno not in _NO_SUCH_FAMILY or not sockets):
            raise StartError(_explained(problem, host, port, setting))
        opened.pop_all()
        return sockets


def _addresses(host: str, setting: str) -> list[tuple[socket.AddressFamily, str]]:
    if host == "::":
        # In this order: the second is for machines without IPv6 only.
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM):
            return [(socket.AF_INET6, "::")]
        return [(socket.AF_INET, "0.0.0.0")]  # noqa: S104 - asked for by the operator
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise StartError(
            f"cannot listen: {host!r} is no address of this machine; set "
            f"{setting.replace('PORT', 'HOST')}"
        ) from None
    # 127.0.0.1 first: it is the one that is always there.
    unique = dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found)
    return sorted(unique, key=lambda one: one[0] != socket.AF_INET)


def _explained(error: OSError, host: str, port: int, setting: str) -> str:
    place = f"{host} port {port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{place} is in use: stop the program that uses it, or set {setting}"
        case errno.EACCES:
            return (
                f"no permission to listen on {place}: allow it (CAP_NET_BIND_SERVICE), or set "
                f"{setting} to 1024 or above"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return (
                f"cannot listen: {host!r} is no address of this machine; set "
                f"{setting.replace('PORT', 'HOST')}"
            )
    return f"cannot listen on {place}: {error.strerror}"
