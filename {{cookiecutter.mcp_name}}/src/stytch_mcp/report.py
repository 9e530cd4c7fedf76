"""Reads the settings; one report lists all that is wrong with them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stytch_mcp.listening import Listening


@dataclass(frozen=True)
class Problem:
    """One line of the report: the name of a setting and a sentence about it."""

    name: str
    sentence: str


class Reported(Listening):
    """Settings that may be wrong together although each is right."""

    def problems(self) -> Iterator[Problem]:
        """What is wrong with several together: a subclass adds to it."""
        return iter(())


ReportedT = TypeVar("ReportedT", bound=Reported)


class SettingsError(Exception):
    """The settings cannot be used; `problems` has all that is wrong, in the order of the fields."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} settings need attention")
        self.problems = problems

    def report(self, server: str) -> str:
        """The text for a person."""
        count = len(self.problems)
        width = max(len(problem.name) for problem in self.problems)
        noun = "1 setting needs" if count == 1 else f"{count} settings need"
        lines = [f"  {problem.name:<{width}}   {problem.sentence}" for problem in self.problems]
        return "\n".join(
            [f"{server} cannot start: {noun} attention.", "", *lines, "", f"All settings: {server} serve --help"]
        )


def load(kind: type[ReportedT], env_file: Path | None = None) -> ReportedT:
    """Reads the environment, then `env_file` for what the environment does not set.

    Raises SettingsError with everything that is wrong at once.
    """
    try:
        settings = kind(_env_file=env_file)  # type: ignore[call-arg]
    except UnicodeDecodeError:
        raise SettingsError([Problem(str(env_file), "is not UTF-8 text.")]) from None
    except OSError as error:
        raise SettingsError([Problem(str(env_file), f"cannot be read: {error.strerror}.")]) from None
    except ValidationError as error:
        # What is left of the settings may be wrong together as well, and the person should read it all at once.
        bad = {str(entry["loc"][0]) for entry in error.errors() if entry["loc"]}
        first: dict[str, Problem] = {}
        for problem in (*(_problem(kind, entry) for entry in error.errors()), *_others(kind, bad, env_file)):
            first.setdefault(problem.name, problem)
        raise SettingsError(_sorted(kind, list(first.values()))) from None
    problems = list(settings.problems())
    if problems:
        raise SettingsError(_sorted(kind, problems))
    return settings


def missing(kind: type[Reported], name: str) -> Problem:
    """The problem of a setting that is needed and not there."""
    return Problem(name.upper(), f"is not set. {kind.model_fields[name].description}")


def _others(kind: type[Reported], bad: set[str], env_file: Path | None) -> list[Problem]:
    try:
        return list(_without(kind, bad, env_file).problems())
    except ValidationError as error:  # A validator of the whole model refuses what is left.
        return [_problem(kind, entry) for entry in error.errors()]


def _without(kind: type[ReportedT], bad: set[str], env_file: Path | None) -> ReportedT:
    """The settings as if the bad ones had been absent; where absence is wrong too, they get a harmless value."""
    harmless: dict[str, Any] = {
        "public_url": "http://127.0.0.1:8000",
        "allowed_emails": "somebody@example.com",
        "allowed_email_domains": "example.com",
    }
    given = {name: field.get_default() for name, field in kind.model_fields.items() if name in bad}
    given.update({name: value for name, value in harmless.items() if name in bad})
    optional: dict[str, Any] = {name: (Any, None) for name, value in given.items() if value is PydanticUndefined}
    given.update(dict.fromkeys(optional))
    return create_model(kind.__name__, __base__=kind, **optional)(_env_file=env_file, **given)  # type: ignore[call-arg]


def _problem(kind: type[Reported], entry: Mapping[str, Any]) -> Problem:
    if not entry["loc"]:  # A validator of the whole model: what it was given may hold a secret.
        return Problem("Settings", _sentence(entry))
    name = str(entry["loc"][0])
    field = kind.model_fields[name]
    if entry["type"] == "missing":
        return missing(kind, name)
    given = "" if _is_secret(field) else f'"{_given(entry["input"])}" '
    return Problem(name.upper(), given + _sentence(entry))


def _sentence(entry: Mapping[str, Any]) -> str:
    message = f"{entry['msg'][:1].lower()}{entry['msg'][1:]}"
    return str(entry["ctx"]["error"]) if entry["type"] == "value_error" else f"is not accepted: {message}."


def _given(value: object) -> str:
    text = ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    text = text.encode(errors="replace").decode()
    return textwrap.shorten(re.sub(r"(?s)//.*@", "//...@", text), 80, placeholder="...")


def _is_secret(field: FieldInfo) -> bool:
    """Bearer tokens too: whoever wrote the token where its hash belongs does not want to read it in a log."""
    return any(kind in str(field.annotation) for kind in ("Secret", "BearerToken"))


def in_order(kind: type[Reported]) -> dict[str, FieldInfo]:
    """The settings as they are shown: where it listens comes last, for most never change it."""
    return dict(sorted(kind.model_fields.items(), key=lambda item: item[0] in Listening.model_fields))


def _sorted(kind: type[Reported], problems: list[Problem]) -> list[Problem]:
    order = {name.upper(): position for position, name in enumerate(in_order(kind))}
    return sorted(problems, key=lambda problem: order.get(problem.name, len(order)))
