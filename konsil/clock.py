"""The two clocks that the services are handed: what time it is, and how much time has passed."""

import time


class SystemClock:
    """The machine's clocks, in seconds."""

    def wall(self) -> float:
        """Since 1970; jumps when somebody sets the clock. Tokens and displays go by it."""
        return time.time()

    def monotonic(self) -> float:
        """Since some point in the past; never jumps. Everything else goes by it."""
        return time.monotonic()


def now() -> int:
    """Whole seconds since 1970, as in tokens."""
    return int(time.time())
