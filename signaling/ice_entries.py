"""ICE servers as RTCConfiguration has them (W3C WebRTC section 4.2.4)."""

from collections.abc import Sequence
from typing import Any

from signaling.deps import IceServer


def entries(servers: Sequence[IceServer]) -> list[dict[str, Any]]:
    """RTCIceServer dictionaries; user name and credential only where there are any."""
    made = []
    for server in servers:
        entry: dict[str, Any] = {"urls": list(server.urls)}
        if server.username is not None:
            entry["username"] = server.username
        if server.credential is not None:
            entry["credential"] = server.credential
        made.append(entry)
    return made
