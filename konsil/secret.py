"""A text that must not be seen: every way of printing or copying it out shows a placeholder."""

import hmac
from typing import Final, NoReturn, Self

PLACEHOLDER: Final = "(secret)"


class Secret:
    """Holds a password or key. `reveal()` is the one way to it, and easy to search for.

    `repr`, `str`, `format` and JSON by way of `default=str` give a placeholder;
    `dataclasses.asdict` and `copy` keep the Secret itself; pickling raises TypeError.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        return self.__text

    def __repr__(self) -> str:
        return f"Secret({PLACEHOLDER})"

    def __str__(self) -> str:
        return PLACEHOLDER

    def __format__(self, spec: str) -> str:
        return format(PLACEHOLDER, spec)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.__text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is never pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")
