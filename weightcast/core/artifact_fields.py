"""What the metadata of an artifact may say: the types of its fields, and how large what it describes can be.

A digest tells that a file is as it was written, not that it was written by somebody who means well. So metadata are
checked before anything is built from them: by type, for numbers that are none, for nesting that no writer makes, and
against the tensors that are in the file, since a network of which the file holds no weights would only fill memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from weightcast.core.artifact_types import Metadata, Normalisation, Scaling, complaint
from weightcast.core.config.messages import LONGEST_SHOWN, shown
from weightcast.core.config.predictor import AnyPredictor
from weightcast.core.density_fields import check_density
from weightcast.core.errors import InputError
from weightcast.core.nets.sizes import count_weights

DEEPEST = 32
"""Values inside of values, at most."""
DTYPES = frozenset({"F32", "F64"})
"""Types of numbers that are written."""
HARMLESS = 1_000_000
"""Numbers that may be announced whatever the file holds: what is built of them does not fit, and takes no time."""
UNFINISHED = "resume"
"""The kind of the states of trainings, whose losses may be missing, and whose counts are whole numbers."""

_MOST = 2**63
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RECORDS = ("curves", "metrics", "manifest")
"""Fields that report how a training went, as the choice of a base or a context does too: of one that broke down, a
number may be missing (NaN). Nothing is computed with these."""

_PREDICTOR: TypeAdapter[AnyPredictor] = TypeAdapter(AnyPredictor)
_PREDICTORS = {
    get_args(kind.model_fields["kind"].annotation)[0]: frozenset(kind.model_fields)
    for kind in get_args(get_args(AnyPredictor)[0])
}
"""Names of the fields of each kind of predictor."""


def check_values(metadata: Mapping[str, Any], path: Path) -> None:
    """Check every value of metadata, whatever field it stands in, without going deep into Python's stack.

    Raises:
        InputError: values are nested too deep, a number is not finite or has more than 64 bits, or a text has
            characters that cannot be printed.
    """
    for place, value, depth in _all(metadata):
        where = ".".join(place[:4])
        if depth > DEEPEST:
            raise InputError(f"{path}: metadata: {where}: found values nested {depth} deep, expected at most {DEEPEST}")
        if isinstance(value, str):
            if _CONTROL.search(value):
                raise InputError(f"{path}: metadata: {where}: found {shown(value)}, expected text that can be printed")
        elif isinstance(value, int):
            if not -_MOST <= value <= 2 * _MOST:
                raise InputError(
                    f"{path}: metadata: {where}: found a number of more than 64 bits, expected a smaller one"
                )
        elif isinstance(value, float) and not math.isfinite(value):
            is_record = place[0] in _RECORDS or place[:1] == ("choice",) or place[:2] == ("context", "choice")
            if metadata.get("kind") != UNFINISHED and not is_record:
                raise InputError(f"{path}: metadata: {where}: found {value}, expected a finite number")


def check_fields(metadata: Mapping[str, Any], path: Path) -> None:
    """Check the fields that are known, by type.

    Raises:
        InputError: names the first field that is of another type, or whose lists do not fit together.
    """
    if metadata.get("kind") == UNFINISHED:
        return
    try:
        checked = Metadata.model_validate(metadata)
    except ValidationError as error:
        raise InputError(f"{path}: metadata: {complaint(error)}") from None
    for place, normalisation in _normalisations(checked):
        found, expected = len(normalisation.scale), len(normalisation.mean)
        if found != expected:
            raise InputError(f"{path}: metadata: {place}.scale: found {found} numbers, expected {expected} as of mean")
        _check_transforms(normalisation, f"{path}: metadata: {place}")
    for place, scaling in _scalings(checked):
        _check_scaling(scaling, f"{path}: metadata: {place}")
    for name, curve in (checked.curves or {}).items():
        if (len(curve.steps), len(curve.validated_steps)) != (len(curve.training), len(curve.validation)):
            raise InputError(f"{path}: metadata: curves.{name}: expected as many values as steps")


def _scalings(checked: Metadata) -> Iterator[tuple[str, Scaling]]:
    if checked.scaling is not None:
        yield "scaling", checked.scaling
    for name in ("scaling", "taught"):
        scaling = getattr(checked.condition, name, None)
        if scaling is not None:
            yield f"condition.{name}", scaling


def _check_scaling(scaling: Scaling, where: str) -> None:
    """A range for each parameter, above 0 where its logarithm is scaled."""
    for name in ("low", "high"):
        if len(getattr(scaling, name)) != len(scaling.names):
            raise InputError(f"{where}.{name}: expected {len(scaling.names)} numbers")
    least = dict(zip(scaling.names, scaling.low, strict=True))
    for name in scaling.logarithmic:
        if least.get(name, 0.0) <= 0:
            raise InputError(f"{where}.logarithmic: found {shown(name)}, expected a parameter whose values are above 0")


def _check_transforms(normalisation: Normalisation, where: str) -> None:
    """Where a channel has a transform, all that belongs to transforms must be there, for every channel."""
    if normalisation.transforms is None:
        return
    for name in ("transforms", "offsets", "physical_mean", "physical_scale"):
        numbers = getattr(normalisation, name)
        if numbers is None or len(numbers) != len(normalisation.mean):
            found = "none" if numbers is None else len(numbers)
            raise InputError(f"{where}.{name}: found {found}, expected {len(normalisation.mean)} as of mean")
    for transform, offset in zip(normalisation.transforms, normalisation.offsets or (), strict=True):
        if transform == "log" and not offset:
            raise InputError(f"{where}.offsets: found 0 of a logarithm, expected a number above 0")


def check_sizes(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[list[int], str]], path: Path) -> None:
    """Check the tensors that a file announces, and what its metadata describe against them.

    Args:
        metadata: checked by type.
        shapes: of the tensors, and their types of numbers, by name.
        path: of the file.

    Raises:
        InputError: an unknown type of numbers, a length beyond all there is in the file, or an architecture that has
            more weights than the file has numbers.
    """
    if metadata.get("kind") == UNFINISHED:
        return
    numbers = sum(math.prod(shape) for shape, _ in shapes.values())
    for name, (shape, dtype) in shapes.items():
        if dtype not in DTYPES:
            raise InputError(f"{path}: tensors: {name}: found numbers of type {dtype}, expected {' or '.join(DTYPES)}")
        if max(shape, default=0) > max(numbers, 1):
            raise InputError(f"{path}: tensors: {name}: found shape {shape}, expected one that holds numbers")
    if metadata["numbers"] != numbers:
        raise InputError(
            f"{path}: metadata: numbers: found {metadata['numbers']}, expected {numbers} as in the tensors"
        )
    architecture = metadata.get("architecture")
    if architecture is None:
        return
    for file in metadata.get("files") or ():  # a manifest: networks are in other files, as it says
        numbers = max(numbers, file["shape"][1])
    if "kind" in architecture:
        _check_predictor(architecture, metadata, max(numbers, HARMLESS), path)
    else:
        check_density(architecture, max(numbers, HARMLESS), path)


def _check_predictor(architecture: Mapping[str, Any], metadata: Mapping[str, Any], numbers: int, path: Path) -> None:
    for place, value, _ in _all(architecture):
        if _is_whole(value) and abs(value) > numbers:
            where = ".".join(("architecture", *place[:3]))
            raise InputError(f"{path}: metadata: {where}: found {value}, expected at most {numbers}")
    fields = _PREDICTORS.get(architecture["kind"]) if isinstance(architecture["kind"], str) else None
    if fields is None:  # a network of a method's own: whoever builds it knows it, or refuses it
        return
    channels: Any = architecture.get("channels")
    if not _is_whole(channels) or channels < 1:
        raise InputError(f"{path}: metadata: architecture.channels: found {shown(channels)}, expected 1 to {numbers}")
    described = {name: value for name, value in architecture.items() if name in fields}
    try:
        settings = _PREDICTOR.validate_python(described)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["architecture", *(str(part) for part in first["loc"][1:])])
        said = first["msg"][:LONGEST_SHOWN]
        raise InputError(f"{path}: metadata: {field}: found {shown(first['input'])}: {said}") from None
    weights = count_weights(settings, channels)
    if weights > numbers:
        raise InputError(
            f"{path}: metadata: architecture: found one of {weights:,} weights, expected at most {numbers:,}, "
            "as many as the tensors hold"
        )
    normalisation = metadata.get("normalisation")
    has_more = architecture.keys() - fields - {"channels"}  # fields of an environment beside the frame, say
    if normalisation is not None and not has_more and len(normalisation["mean"]) != channels:
        found = len(normalisation["mean"])
        raise InputError(
            f"{path}: metadata: normalisation.mean: found {found} numbers, expected {channels}, one a channel"
        )


def _normalisations(checked: Metadata) -> Iterator[tuple[str, Normalisation]]:
    if checked.normalisation is not None:
        yield "normalisation", checked.normalisation
    if checked.condition is not None and checked.condition.features is not None:
        yield "condition.features.normalisation", checked.condition.features.normalisation
    for number, method in enumerate(checked.methods or []):
        if method.normalisation is not None:
            yield f"methods.{number}.normalisation", method.normalisation


def _all(metadata: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, int]]:
    """Every value with its place and depth, names included as values, a part before what is in it."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((name,), value) for name, value in metadata.items()]
    yield from (((str(name)[:64],), name, 1) for name in metadata)
    while waiting:
        place, value = waiting.pop()
        yield place, value, len(place)
        if len(place) > DEEPEST:
            continue
        if isinstance(value, dict):
            yield from ((place, name, len(place)) for name in value)
            waiting += [((*place, name), entry) for name, entry in value.items()]
        elif isinstance(value, list):
            waiting += [((*place, str(number)), entry) for number, entry in enumerate(value)]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
