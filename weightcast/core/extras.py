"""How optional packages are installed, in words that work: weightcast is on no package index."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from shlex import quote

from weightcast.core.errors import InputError

_OF_EXTRA = re.compile(r"""(?P<package>[^;]+?)\s*;\s*extra\s*==\s*["'](?P<extra>[\w-]+)["']""")


def how_to_install(extra: str) -> str:
    """The command that installs what an extra of pyproject.toml has, package by package.

    Args:
        extra: its name, such as ``symbolic``.
    """
    try:
        asked = [found for found in map(_OF_EXTRA.fullmatch, requires("weightcast") or []) if found]
    except PackageNotFoundError:  # run from a clone that was never installed
        asked = []
    packages = [quote(found["package"]) for found in asked if found["extra"] == extra]
    return f"pip install {' '.join(packages)}" if packages else f"pip install -e '.[{extra}]' in a clone of weightcast"


def require(package: str, extra: str, what: str) -> None:
    """Refuse what needs an optional package, before anything else is done.

    Args:
        package: its name, as it is imported.
        extra: of pyproject.toml that has it.
        what: needs it.

    Raises:
        InputError: it is not installed.
    """
    if find_spec(package) is None:
        raise InputError(f"{what} needs the package {package}: {how_to_install(extra)}")
