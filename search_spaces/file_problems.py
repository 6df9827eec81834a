"""The problems of a file in words."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError


def problems_of(error: ValidationError, file: type[BaseModel]) -> list[str]:
    """One line per problem: the field's path, what must hold, what was found."""
    return [_in_words(problem["loc"], problem, file) for problem in error.errors()]


def _in_words(loc: tuple[int | str, ...], problem: Any, file: type[BaseModel]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    path = path.removeprefix(".") or "file"
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{path}: must be one of the fields {', '.join(_siblings(loc, file))}"
        case "missing":
            return f"{path}: must be given"
        case "value_error":
            return f"{path}: {problem['ctx']['error']}"
        case _:
            return f"{path}: {problem['msg'].lower()}, got {problem['input']!r}"


def _siblings(loc: tuple[int | str, ...], file: type[BaseModel]) -> list[str]:
    """Fields of the class in which the path's last part was looked for."""
    kind: Any = file
    for part in loc[:-1]:
        kind = get_args(kind)[0] if isinstance(part, int) else get_type_hints(kind)[part]
    return [field.name for field in fields(kind)] if is_dataclass(kind) else [*kind.model_fields]
