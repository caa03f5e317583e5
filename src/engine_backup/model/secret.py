"""A text that does not print itself."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A password on its way to the one place that needs it.

    `reveal()` is the only way to the text, so that `grep reveal` lists every
    place where a secret leaves this type. Formatting, `repr` and pickling give
    nothing away.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
