"""Work on the state directory: off the loop, and what is wrong with it in the API's words."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from waiting_room.errors import ConfigError, StoreUnavailable

_RETRY_AFTER: Final = 60.0
_T = TypeVar("_T")


async def stored(operation: Callable[..., _T], *arguments: Any) -> _T:
    """Give what `operation` gives. Raises StoreUnavailable for what an operator has to mend."""
    try:
        return await asyncio.to_thread(operation, *arguments)
    except ConfigError as error:
        raise StoreUnavailable("KONSIL_STATE_DIR: cannot use a file there", _RETRY_AFTER) from error
