"""Reading a configuration file: YAML in which every key of a section stands once, and that is no trap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from weightcast.core.bounded_text import read_text
from weightcast.core.errors import InputError

LONGEST = 16 * 1024**2
"""Bytes of a configuration, at most."""
DEEPEST = 64
"""Sections inside of sections, at most."""
MOST_VALUES = 200_000
"""Values of a configuration, at most, with those of an anchor counted wherever it is named."""


class _Loader(yaml.SafeLoader):
    """Stops at sections too deep to be a person's, before Python's own stack ends."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _TooMuch(f"found sections inside of each other {self._depth} deep, expected at most {DEEPEST}")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _TooMuch(Exception):
    """A file that is YAML and no configuration."""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A configuration file as it is written, unchecked.

    Raises:
        InputError: the file is missing, is not YAML, has a key twice in one section, or is larger, deeper or has more
            values than any configuration: also one that is short and means endlessly much, by anchors of anchors.
    """
    path = Path(path)
    text = read_text(path, "a configuration file", "a YAML file", LONGEST)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _count_values(node, {})
            _check_keys(node, path, set())
            read: Any = None if node is None else loader.construct_document(node)
            return read
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except _TooMuch as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, OverflowError) as error:  # a date that is none, a number of ten thousand digits
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not YAML: found a value that cannot be read ({error})") from None


def _count_values(node: yaml.Node | None, counted: dict[int, int]) -> int:
    """How many values a node means; refuses more than there can be, and an anchor that stands inside of itself.

    Args:
        node: a section, a list or a value, as composed.
        counted: values by node; 0 while a node is being counted.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in counted:
        if counted[id(node)] == 0:
            raise _TooMuch(f"line {node.start_mark.line + 1}: found an anchor inside of itself, expected an end")
        return counted[id(node)]
    counted[id(node)] = 0
    within = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
    total = 1
    for part in within:
        total += _count_values(part, counted)
        if total > MOST_VALUES:
            raise _TooMuch(f"line {node.start_mark.line + 1}: found more than {MOST_VALUES} values, expected fewer")
    counted[id(node)] = total
    return total


def _check_keys(node: yaml.Node | None, path: Path, checked: set[int]) -> None:
    """Refuse a key that stands twice, which YAML forbids and PyYAML does not: it keeps the last value.

    Args:
        node: a section, a list or a value, as composed.
        path: of the file, for the message.
        checked: nodes that were seen before, through another of their names.
    """
    if not isinstance(node, yaml.CollectionNode) or id(node) in checked:
        return
    checked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _check_keys(entry, path, checked)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise InputError(
                    f"{path}: line {line}: {key.value}: found for the second time, expected once: line "
                    f"{lines[key.value]} has it"
                )
            lines[key.value] = line
        _check_keys(value, path, checked)
