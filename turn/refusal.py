"""The one way a request handler says no."""

from __future__ import annotations

from turn.attributes import ErrorCode


class RequestRefused(Exception):  # noqa: N818 - a verdict on the peer's request, not our error
    """Answer the request with this error and these attributes; caught by the dispatcher only."""

    def __init__(self, code: ErrorCode, attributes: tuple[tuple[int, bytes], ...] = ()) -> None:
        super().__init__(code.name)
        self.code = code
        self.attributes = attributes
