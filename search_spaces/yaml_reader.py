"""YAML as its users mean it: the core schema of YAML 1.2, and no key twice.

YAML 1.1, PyYAML's own, reads the ratio 1:0 as the number 60 and 1e-4 as text.
"""

import re
from collections.abc import Hashable
from importlib.resources.abc import Traversable
from typing import Any

import yaml

# By first character, as PyYAML wants it; the first match counts.
_NULL = ("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"))
_BOOL = ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"))
_INT = ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"))
_FLOAT = (
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
)


class _CoreLoader(yaml.SafeLoader):
    yaml_implicit_resolvers = (
        {first: [_INT, _FLOAT] for first in "-+.0123456789"}
        | {first: [_NULL] for first in ("", "~", "n")}
        | {first: [_BOOL] for first in "tf"}
    )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"keys must be unique, got {key} twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(source: Traversable) -> object:
    """Content of a YAML file.

    Raises:
        ValueError: if it is no YAML, or a mapping has a key twice; with line and column.
    """
    try:
        return yaml.load(source.read_bytes(), _CoreLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{source} must be valid YAML, got an error: {error}") from None
