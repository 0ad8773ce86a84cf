"""What metadata say of the architecture of a density: its values, and the network that tells their law."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from weightcast.core.artifact_types import Count, Fields, Finite, Scale, Whole, complaint
from weightcast.core.config.messages import shown
from weightcast.core.errors import InputError


class _Counts(Fields):
    kind: Literal["counts"]
    states: Count
    dimensions: Count


class _Reals(Fields):
    kind: Literal["real"]
    mean: list[Finite] = Field(min_length=1)
    deviation: list[Scale]
    components: Count
    atoms: list[list[Finite]] | None = None

    @property
    def dimensions(self) -> int:
        return len(self.mean)


class _Density(Fields):
    backbone: Literal["gru", "transformer"]
    hidden: Count
    layers: Count
    heads: Count
    space: Annotated[_Counts | _Reals, Field(discriminator="kind")]
    order: list[Whole]


def check_density(architecture: Mapping[str, Any], numbers: int, path: Path) -> None:
    """Check a density that metadata describe: its fields by type, its lists against each other, its size.

    Args:
        architecture: as metadata have it.
        numbers: of weights that there may be.
        path: of the file.

    Raises:
        InputError: names the first field that does not fit.
    """
    try:
        density = _Density.model_validate(architecture)
    except ValidationError as error:
        raise InputError(f"{path}: metadata: {complaint(error, 'architecture')}") from None
    space = density.space
    sizes = {"hidden": density.hidden, "layers": density.layers, "heads": density.heads}
    sizes |= {"space.dimensions": space.dimensions, "space.states": _values_of(space)}
    for name, size in sizes.items():
        if size > numbers:
            raise InputError(f"{path}: metadata: architecture.{name}: found {size}, expected 1 to {numbers}")
    if isinstance(space, _Reals):
        _check_lists(space, f"{path}: metadata: architecture.space")
    # A backbone has at least a square matrix a layer, and a row for each value of a dimension.
    least = density.hidden * max(density.layers * density.hidden, _values_of(space))
    if least > numbers:
        raise InputError(
            f"{path}: metadata: architecture: found one of {least:,} weights or more, expected at most {numbers:,}, "
            "as many as the tensors hold"
        )
    if sorted(density.order) != list(range(space.dimensions)):
        found = shown(density.order)
        raise InputError(f"{path}: metadata: architecture.order: found {found}, expected each dimension once")


def _values_of(space: _Counts | _Reals) -> int:
    """Numbers that the law of a value is made of, at least."""
    if isinstance(space, _Counts):
        return space.states
    return 3 * space.components + max(map(len, space.atoms or [[]]), default=0)


def _check_lists(space: _Reals, where: str) -> None:
    """An entry for each dimension."""
    for name in ("deviation", "atoms"):
        entries = getattr(space, name)
        if entries is not None and len(entries) != space.dimensions:
            raise InputError(f"{where}.{name}: found {len(entries)} entries, expected {space.dimensions} as of mean")
