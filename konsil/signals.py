"""What SIGTERM, SIGINT and SIGHUP do to a server."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The first SIGTERM or SIGINT asks to drain, the second to stop at once, a third kills."""

    def __init__(self, reload: Callable[[], None]) -> None:
        """`reload` is called at each SIGHUP, on the running loop."""
        self.drain = asyncio.Event()
        self.stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in _STOPPING:
            self._loop.add_signal_handler(number, self._stopping)
        self._loop.add_signal_handler(signal.SIGHUP, reload)

    def _stopping(self) -> None:
        if not self.drain.is_set():
            self.drain.set()
            return
        self.stop.set()
        for number in _STOPPING:
            # Back to the default: should even this hang, the next signal ends the process.
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
