"""The layering of packages, the names of modules, and docstrings that can be read alone."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import weightcast

PACKAGE = Path(weightcast.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "trajectories": {"core"},
    "era5": {"core", "trajectories"},
    "systems": {"core", "trajectories", "era5"},
    "samples": {"core", "trajectories"},
    "records": {"core", "trajectories"},
    "environments": {"core", "trajectories", "era5", "systems", "records"},
    "evolution": {"core", "trajectories", "systems", "samples"},
    "families": {"core", "systems", "samples", "environments", "evolution"},  # weights across both axes at once
    "top": {"core", "environments", "evolution", "families"},  # studies, runner, workflow: all kinds by name
    "cost": {"core", "trajectories", "systems", "samples", "environments", "evolution", "families", "top"},
    "cli": {
        "core",
        "trajectories",
        "era5",
        "systems",
        "samples",
        "records",
        "environments",
        "evolution",
        "families",
        "top",
        "cost",
    },
}
"""What each package may import beside itself: what stands above it here, and not all of that. The two halves,
environments and evolution, do not know each other; families stand on both.
"""


def package_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "top"


@cache
def imported_modules(file: Path) -> tuple[str, ...]:
    """Modules of weightcast that a file imports, wherever the import stands in it."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if _is_module(name) else node.module for name in names]
    return tuple(name for name in found if name.split(".")[0] == "weightcast")


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def packages_imported(file: Path) -> set[str]:
    """Packages that a file imports, but for its own; the version, which weightcast itself holds, counts for nothing."""
    found = set()
    for name in imported_modules(file):
        parts = name.split(".")[1:]
        if parts:
            found.add(parts[0] if (PACKAGE / parts[0]).is_dir() else "top")
    return found - {package_of(file)}


def test_every_package_has_its_place() -> None:
    assert {package_of(file) for file in FILES} <= ALLOWED.keys()


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_what_lies_below_it_alone(package: str) -> None:
    wrong = {
        str(file.relative_to(PACKAGE)): sorted(packages_imported(file) - ALLOWED[package])
        for file in FILES
        if package_of(file) == package
        # The public names are looked up when somebody asks for them: weightcast itself may name anything.
        and file != PACKAGE / "__init__.py"
    }
    assert {file: names for file, names in wrong.items() if names} == {}


def test_the_allowed_imports_go_in_no_circle() -> None:
    below: dict[str, set[str]] = {}
    for package, allowed in ALLOWED.items():  # in order: each may use those above alone
        assert allowed <= below.keys(), package
        below[package] = allowed


@pytest.mark.parametrize("package", sorted(ALLOWED.keys() - {"top"}))
def test_modules_of_a_package_import_each_other_in_no_circle(package: str) -> None:
    """Imports at the top of modules; those inside functions are there because they must wait."""
    files = {file for file in FILES if package_of(file) == package}
    edges = {file: {_file_of(name) for name in _first_imports(file)} & files - {file} for file in files}
    while leaves := {file for file, others in edges.items() if not others & edges.keys()}:
        edges = {file: others for file, others in edges.items() if file not in leaves}
    assert sorted(str(file.relative_to(PACKAGE)) for file in edges) == []


def _first_imports(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if _is_module(name) else node.module


def _file_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_core_knows_no_baselines() -> None:
    core = [file for file in FILES if package_of(file) == "core"]
    assert not [file for file in core if any("baselines" in name for name in imported_modules(file))]


def test_no_module_is_named_as_one_of_the_standard_library() -> None:
    """Run from inside its folder, or on a path that holds it, such a module hides the other."""
    names = {file.stem for file in FILES} | {file.parent.name for file in FILES}
    assert names & sys.stdlib_module_names == set()


# --- docstrings

FRAGMENT = re.compile(r"(Of|By|As `|In|To|From|With|On) ")
NAME = re.compile(r"\S*[.(:`\[]|[^a-zA-Z]")
"""What a docstring may begin with in small letters: the name of a file, a formula, a shape, code."""


def docstrings(file: Path) -> Iterator[tuple[str, str]]:
    """(name, docstring) of a module, its public classes and functions, and their public methods."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    waiting: list[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef]] = [(file.stem, tree)]
    while waiting:
        name, node = waiting.pop()
        text = ast.get_docstring(node)
        if text is not None:
            yield name, text
        if not isinstance(node, ast.FunctionDef):
            waiting += [
                (f"{name}.{inner.name}", inner)
                for inner in node.body
                if isinstance(inner, ast.ClassDef | ast.FunctionDef) and not inner.name.startswith("_")
            ]


@pytest.mark.parametrize("package", ALLOWED)
def test_docstrings_are_sentences_that_stand_alone(package: str) -> None:
    wrong = []
    for file in FILES:
        if package_of(file) != package:
            continue
        for name, text in docstrings(file):
            summary = text.split("\n\n")[0].rstrip()
            if not summary[0].isupper() and not NAME.match(summary):
                wrong.append(f"{name}: does not begin with a capital letter: {summary}")
            if not summary.endswith((".", ".)", ":")):
                wrong.append(f"{name}: does not end in a full stop: {summary}")
            if FRAGMENT.match(summary):
                wrong.append(f"{name}: is a fragment: {summary}")
    assert wrong == []
