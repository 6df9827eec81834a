"""What a grid or a search changes about the budget."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from tune_knee.config import Budget


def changed_budget(budget: Budget, changes: Mapping[str, Any], name: str) -> Budget:
    """The budget with single numbers changed, called ``<budget>+<name>``; itself without any.

    Raises:
        ValueError: if the numbers do not fit together.
    """
    if not changes:
        return budget
    values = {**merged(asdict(budget), changes), "name": f"{budget.name}+{name}"}
    return TypeAdapter(Budget).validate_json(json.dumps(values), strict=True)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping."""
    result = dict(base)
    for name, value in changes.items():
        below = result.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merged(below, value)
        result[name] = value
    return result
