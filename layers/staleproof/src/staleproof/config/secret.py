"""Secrets: values that may be used and never shown, and addresses that show all but their password."""

from __future__ import annotations

import re

HIDDEN = "***"

# Compiled when first used, each: most starts need none of them.
_PLAIN_NAME = r"[\w.-]*"
_PLAIN_PLACE = r"(?s)(?:[\w.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:[/?#].*)?"
_PARAMETER = r"(?i)([?&][^=&]*(?:pass|secret|token|key|auth)[^=&]*=)[^&]*"


class Secret:
    """A text that shows as *shown* wherever it is printed, formatted or logged; `reveal` returns the text itself."""

    __slots__ = ("_shown", "_text")

    def __init__(self, text: str, shown: str = HIDDEN) -> None:
        self._text = text
        self._shown = shown

    def reveal(self) -> str:
        """Return the text. Whoever asks must not show it."""
        return self._text

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return repr(self._shown)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def masked_url(url: str) -> str:
    """Return *url* without its credentials; in doubt about where they end, without whatever may be one."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return HIDDEN
    credentials, at, place = rest.rpartition("@")
    if not at and scheme != "unix" and not re.fullmatch(_PLAIN_PLACE, place):
        return f"{scheme}://{HIDDEN}"
    place = re.sub(_PARAMETER, rf"\1{HIDDEN}", place) if "=" in place else place
    if not at:
        return f"{scheme}://{place}"
    user, colon, _ = credentials.partition(":")
    # Without a colon it may be a token; with odd letters in it, the first colon may be the password's own.
    shown = f"{user}:{HIDDEN}" if colon and re.fullmatch(_PLAIN_NAME, user) else HIDDEN
    return f"{scheme}://{shown}@{place}"
