"""JSON schemas without what costs a model tokens and tells it nothing."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def lean(schema: Schema) -> Schema:
    """Without titles, null defaults and null alternatives: what may be null may as well be left out.

    In results it is left out indeed (`results.Result`); arguments that are null are accepted all the same.
    """
    return {name: _lean(name, value) for name, value in _unwrapped(schema).items() if not _is_noise(name, value)}


def lean_result(schema: Schema) -> Schema:
    """Also without what classes say of themselves: the tool's own description says it."""
    return lean({name: value for name, value in schema.items() if name != "description"})


def _lean(name: str, value: Any) -> Any:
    if name == "properties":
        return {key: lean(each) for key, each in value.items()}
    if name == "$defs":
        return {key: lean_result(each) for key, each in value.items()}
    if isinstance(value, dict):
        return lean(value)
    if isinstance(value, list) and name != "enum":
        return [lean(each) if isinstance(each, dict) else each for each in value]
    return value


def _unwrapped(schema: Schema) -> Schema:
    alternatives = schema.get("anyOf")
    if alternatives is None or {"type": "null"} not in alternatives:
        return schema
    rest = [each for each in alternatives if each != {"type": "null"}]
    outer = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest[0], **outer} if len(rest) == 1 else {**outer, "anyOf": rest}


def _is_noise(name: str, value: Any) -> bool:
    return (name == "title" and isinstance(value, str)) or (name == "default" and value is None)
