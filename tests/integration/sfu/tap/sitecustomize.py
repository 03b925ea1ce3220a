"""Python reads this at its start where it is on the path: a forwarder's process begun like this
writes down every packet that it forwards, before SRTP protects it, as two bytes of length and the
packet. Nothing of it is in the forwarder: it is what somebody would do who has broken into one."""

import os
import sys

if sys.orig_argv[-2:] == ["-m", "sfu.worker"] and "SPY_TAP" in os.environ:
    from sfu.connection import Connection

    _tap = open(os.environ["SPY_TAP"], "ab", buffering=0)  # noqa: SIM115 - as long as the process
    _send_rtp = Connection.send_rtp

    def _tapped(self: Connection, length: int) -> None:
        packet = bytes(self._shop.rtp_outbox.view[:length])
        _tap.write(length.to_bytes(2) + packet)
        _send_rtp(self, length)

    Connection.send_rtp = _tapped  # type: ignore[method-assign]
