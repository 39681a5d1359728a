"""Settings of a zygote, as they go over its command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

NAMESPACES, LANDLOCK, NONE = "namespaces", "landlock", "none"
LEVELS = (NAMESPACES, LANDLOCK)
"""Levels of isolation, the strongest first."""

MB = 1 << 20
SLOTS = 1 << 16
"""Sessions of one zygote at a time, at most."""


@dataclass(frozen=True)
class Settings:
    """Settings of a zygote and of all its sessions."""

    control: int
    """Descriptor of the socket by which the driver gives orders."""
    levels: str = ",".join(LEVELS)
    """Levels to try, in this order, set apart by commas."""
    modules: str = ""
    """Modules that cells may import, set apart by commas; those that are not installed are left out."""
    characters: int = 1000
    memory_mb: int = 1024
    scratch_mb: int = 16
    nice: int = 19
    home: str = "/"
    """Of the user, whose files sessions must not see."""
    folder: str = ""
    """Working directory of sessions without isolation."""

    def words(self) -> list[str]:
        """The settings as words of a command line."""
        return [f"{name}={value}" for name, value in asdict(self).items()]

    @classmethod
    def read(cls, words: list[str]) -> Settings:
        """The settings that `words` wrote."""
        texts: Mapping[str, str] = dict(word.split("=", 1) for word in words)
        numbers = {field.name for field in fields(cls) if field.type == "int"}
        return cls(**{name: int(text) if name in numbers else text for name, text in texts.items()})  # type: ignore[arg-type]
