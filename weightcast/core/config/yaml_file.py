"""Reading a configuration file: YAML in which every key of a section stands once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from weightcast.core.errors import InputError


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A configuration file as it is written, unchecked.

    Raises:
        InputError: the file is missing, is not YAML, or has a key twice in one section.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader), path, set())
        return yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a configuration file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: found bytes that are not UTF-8, expected a YAML file") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _check_keys(node: yaml.Node | None, path: Path, checked: set[int]) -> None:
    """Refuse a key that stands twice, which YAML forbids and PyYAML does not: it keeps the last value.

    Args:
        node: a section, a list or a value, as composed.
        path: of the file, for the message.
        checked: nodes that were seen before, for an anchor may stand inside of itself.
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
