"""weightcast: model how the weights of trained networks vary across environments and across time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors only: importing weightcast must not import torch
    from weightcast.core.graph import WeightGraph as WeightGraph
    from weightcast.environments.public import Context as Context
    from weightcast.environments.public import Generator as Generator
    from weightcast.environments.published.reading import PublishedZoo as PublishedZoo
    from weightcast.evolution.weight_path import WeightPath as WeightPath
    from weightcast.families.public import PathFamily as PathFamily

__version__ = "0.1.0"

# Public names are resolved on first use (PEP 562), so that a stage that needs numpy alone does not pay for torch, and
# so that the pipeline can see from the imports which library files a stage really uses.
_PUBLIC = {
    "Context": "weightcast.environments.public",
    "Generator": "weightcast.environments.public",
    "PathFamily": "weightcast.families.public",
    "PublishedZoo": "weightcast.environments.published.reading",
    "WeightGraph": "weightcast.core.graph",
    "WeightPath": "weightcast.evolution.weight_path",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'weightcast' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
