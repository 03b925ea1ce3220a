"""The browser of these tests, and how it is started."""

from __future__ import annotations

import os
from typing import Final

CHROMIUM: Final = os.environ.get("KONSIL_CHROMIUM", "/usr/bin/chromium")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
FAKE_DEVICES: Final = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
