"""Keys taken out of whatever a server says, before anything of it is cut, shown or kept."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

_MARK = b"[key]"
_SHORTEST = 6
"""Characters of a secret; a shorter one may stand in any text by chance."""


class Redactor:
    """Replaces secrets in bytes, in the spellings that a body may have: as they are, as JSON, in a URL."""

    def __init__(self, *secrets: str | None) -> None:
        spellings = {
            spelling.encode()
            for secret in secrets
            if secret and len(secret) >= _SHORTEST
            for spelling in _spellings(secret)
        }
        # Longer ones first: one may be the beginning of another.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def clean(self, content: bytes) -> bytes:
        """The bytes without secrets."""
        for spelling in self._spellings:
            if spelling in content:
                content = content.replace(spelling, _MARK)
        return content

    def clean_text(self, text: str) -> str:
        """The text without secrets."""
        return self.clean(text.encode("utf-8", "replace")).decode()


def _spellings(secret: str) -> set[str]:
    plain = {secret, *(json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))}
    in_urls = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return {
        *plain,
        *(spelling.replace("/", "\\/") for spelling in plain),
        *in_urls,
        *(re.sub("%..", lambda found: found[0].lower(), spelling) for spelling in in_urls),
    }


def without_user(url: str) -> str:
    """The address without user and password, for messages; unreadable addresses are not shown."""
    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        return "(an address that cannot be read)"


def user_of(url: str) -> tuple[str, str] | None:
    """User and password of an address; None where it has none."""
    parts = urlsplit(url)
    return (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
