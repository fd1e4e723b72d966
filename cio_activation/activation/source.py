"""Reading YAML into plain values, with the line of every key.

The node graph is read rather than the finished document: there, a key that stands twice is still visible with
both of its lines, and every such pair can be told at once.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from cio_activation.activation.problems import Path, Problems
from cio_activation.errors import ConfigError

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
)
_MAXIMUM_NODES = 50_000
"""More than any honest file holds, aliases counted as often as they are used."""


def read_source(path: FilePath, problems: Problems) -> dict[str, Any]:
    """Return the mapping in the YAML file ``path`` as plain dicts, lists and scalars; set ``problems.lines``.

    Raises ConfigError at once when there is nothing to go on with: no file, not text, not YAML, not a mapping.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(_text(path))
    except YAMLError as error:
        raise ConfigError(_not_yaml(path, error)) from error
    if not isinstance(root, MappingNode):
        raise ConfigError(f"{path.name}:1: is not a mapping of keys to values; start with 'workspace:'")
    reader = _Reader(yaml, problems)
    problems.lines = reader.lines
    data: dict[str, Any] = reader.mapping(root, ())
    return data


def _text(path: FilePath) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; set ACTIVATION_FILE to your activation file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


def _not_yaml(path: FilePath, error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    what = error.problem if isinstance(error, MarkedYAMLError) else str(error).splitlines()[0]
    line = mark.line + 1 if mark is not None else 1
    return f"{path.name}:{line}: is not YAML: {what}; check indentation, colons and quotes around this line"


class _Reader:
    """Turns nodes into values, notes lines, and reports what plain data cannot hold."""

    def __init__(self, yaml: YAML, problems: Problems) -> None:
        self.lines: dict[Path, int] = {}
        self._yaml = yaml
        self._problems = problems
        self._open: set[int] = set()
        self._nodes = 0

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                shown = key_node.value if isinstance(key_node, ScalarNode) else "a list or mapping"
                self._problems.add(path, f"{shown} is no key; a key is plain text, in quotes if need be", line)
                continue
            key = str(key_node.value)
            if key in values:
                first = self.lines[(*path, key)]
                self._problems.add(
                    (*path, key), f"stands twice, on lines {first} and {line}; rename or remove one", line
                )
                continue
            self.lines[(*path, key)] = line
            values[key] = self._value(value_node, (*path, key))
        return values

    def _value(self, node: Node, path: Path) -> Any:
        self._nodes += 1
        if id(node) in self._open or self._nodes > _MAXIMUM_NODES:
            raise ConfigError(f"aliases make the file endless at line {node.start_mark.line + 1}; write it out")
        if node.tag not in _PLAIN_TAGS:
            self._problems.add(path, f"the tag {node.tag} is not supported; write a plain value")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        value: Any = self.mapping(node, path) if isinstance(node, MappingNode) else self._list(node, path)
        self._open.remove(id(node))
        return value

    def _list(self, node: Node, path: Path) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            self.lines[(*path, index)] = item.start_mark.line + 1
            values.append(self._value(item, (*path, index)))
        return values

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        try:
            return self._yaml.constructor.construct_object(node)
        except (ValueError, OverflowError, YAMLError):  # such as 2026-02-31
            self._problems.add(path, f"{node.value!r} cannot be read; put it in quotes or write it differently")
            return None
