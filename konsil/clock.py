"""The two clocks that the services are handed: what time it is, and how much time has passed."""

import time


def wall_ms() -> int:
    """Milliseconds since 1970; may jump when somebody sets the clock. For tokens and displays."""
    return time.time_ns() // 1_000_000


def wall_seconds() -> int:
    """Whole seconds since 1970, as in tokens."""
    return time.time_ns() // 1_000_000_000
