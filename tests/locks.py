"""Reading lock files."""

import re
from pathlib import Path

REQUIREMENT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(?P<extras>\[[a-z0-9, _-]+\])?==(?P<version>[^ ;]+)(?P<marker> ; [^\\]+)?",
    re.IGNORECASE,
)


def normalized(name: str) -> str:
    """The name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(lock: Path) -> dict[str, str]:
    """Every locked version, with its marker if it has one, by the distribution's name."""
    return {normalized(each["name"]): each["version"] + (each["marker"] or "").rstrip() for each in entries(lock)}


def extras(lock: Path) -> dict[str, set[str]]:
    """The extras that each distribution is locked with."""
    return {
        normalized(each["name"]): set((each["extras"] or "[]")[1:-1].replace(" ", "").split(",")) - {""}
        for each in entries(lock)
    }


def entries(lock: Path) -> list[re.Match[str]]:
    """What each requirement of a lock says."""
    found = (REQUIREMENT.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
    return [each for each in found if each is not None]
