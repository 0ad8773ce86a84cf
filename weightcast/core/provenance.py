"""Which code a stage runs: the library files that its module imports, found by reading the imports themselves.

Snakemake does not see edits of a library. Listing these files as inputs of a rule makes it see them, and exactly the
stages that use an edited file are run again. Only light modules are imported, since the Snakefile imports this one.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole

PACKAGE = Path(__file__).parents[1]
UNTRACED = {PACKAGE / "environments" / "jobs.py", PACKAGE / "evolution" / "jobs.py"}
"""What these compute reaches a stage as its settings, which are compared by value: their text does not matter."""

BY_NAME = {PACKAGE / "environments" / "conditions"}
"""Packages whose modules are imported by a name that a configuration gives: all of them count."""


def code_files(module: str, *further: str) -> list[str]:
    """Every file of weightcast that importing a module runs, directly or not, relative to the repository's root.

    Imports are followed wherever they stand, also inside functions, but for those that only type checkers see.

    Args:
        module: its name.
        further: names of modules that it imports by name at run time, which cannot be read from its imports.
    """
    found: set[Path] = set()
    waiting = [file for name in (module, *further) for file in _files_of(name)]
    while waiting:
        file = waiting.pop()
        if file not in found and file not in UNTRACED:
            found.add(file)
            waiting.extend(_imported(file))
    return sorted(str(file.relative_to(PACKAGE.parent)) for file in found)


def keep_code(folder: Path, module: str, *further: str) -> Path:
    """Write the list of :func:`code_files` with the digests of their contents, unless it is there; return its path.

    Args:
        folder: where lists are kept.
        module: as for :func:`code_files`.
        further: likewise.
    """
    names = (module, *further)
    path = folder / f"{'+'.join(name.rpartition('.')[2] for name in names)}.txt"
    try:
        kept = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        kept = ""
    if not _is_current(kept, names):
        text = "".join(f"{_digest(name)}  {name}\n" for name in code_files(*names))
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return path


def _is_current(kept: str, names: tuple[str, ...]) -> bool:
    """Whether a list is what :func:`code_files` would find now, without reading any imports.

    A file imports the same as long as it says the same, so a list of files that are unchanged is complete, but for
    further files of packages whose modules all count.
    """
    lines = [line.partition("  ") for line in kept.splitlines()]
    listed = {PACKAGE.parent / name for _, _, name in lines}
    first = {file for name in names for file in _files_of(name)}
    by_name = {file for package in BY_NAME if package / "__init__.py" in listed for file in package.glob("*.py")}
    if not lines or not first | by_name <= listed:
        return False
    return all((PACKAGE.parent / name).is_file() and _digest(name) == digest for digest, _, name in lines)


@cache
def _digest(name: str) -> str:
    return file_digest(PACKAGE.parent / name)


@cache
def code_digest(module: str, *further: str) -> str:
    """Digest of the contents of :func:`code_files`: part of the key of cached and resumable state."""
    total = hashlib.sha256()
    for name in code_files(module, *further):
        total.update(name.encode() + b"\0" + (PACKAGE.parent / name).read_bytes())
    return total.hexdigest()


def file_digest(path: str | Path) -> str:
    """Digest of a data file's contents.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected a file") from None


@cache
def _imported(file: Path) -> tuple[Path, ...]:
    files: list[Path] = []
    for node in _run_nodes(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                files += _files_of(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                files += _files_of(f"{node.module}.{alias.name}") or _files_of(node.module)
    return tuple(files)


def _run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below ``node`` but those under ``if TYPE_CHECKING``; no import stands within an expression."""
    for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, blocks, ()):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            yield child
            yield from _run_nodes(child)


def _files_of(module: str) -> list[Path]:
    """Files that importing a module of this package runs: its own, and the __init__ of every package above it."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return []
    target = PACKAGE.joinpath(*parts[1:])
    own = target / "__init__.py" if target.is_dir() else target.with_suffix(".py")
    if not own.is_file():
        return []
    if target in BY_NAME:
        return [*_files_of(".".join(parts[:-1])), *sorted(target.glob("*.py"))]
    parents = [PACKAGE.joinpath(*parts[1:depth]) / "__init__.py" for depth in range(1, len(parts))]
    return [*(parent for parent in parents if parent.is_file()), own]
