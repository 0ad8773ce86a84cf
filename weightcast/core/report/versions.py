"""What the results were computed with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("weightcast", "torch", "numpy", "scipy", "xarray", "matplotlib", "snakemake")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, read without importing them, and the platform."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {**found, "platform": f"{platform.system()} {platform.release()}, {platform.machine()}"}
