"""The manifest of a published zoo, ``zoo.json``: what every file of the folder is, checked before anything is built.

A folder comes from somebody else. So its manifest is read with a limit on its length, by type, and against itself: what
it describes has to be as large as it says that its files are. Only light modules are imported: Snakemake reads this
file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from weightcast.core.artifact_fields import check_values
from weightcast.core.artifact_header import digest_of
from weightcast.core.bounded_text import read_text
from weightcast.core.config.messages import LONGEST_SHOWN, shown
from weightcast.core.config.predictor import AnyPredictor
from weightcast.core.config.settings import MOST_WEIGHTS
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.core.nets.sizes import count_weights
from weightcast.environments.config.zoo import PUBLISHED_ZOO, PublishedBase

NAME = PUBLISHED_ZOO
CARD, ATTRIBUTES = "README.md", ".gitattributes"
TEXTS = (CARD, ATTRIBUTES)
"""Files without numbers: people edit these where they publish a zoo, so that they may differ from what was written."""
FORMAT = "weightcast-zoo"
VERSION = 1
"""Of the layout; a reader refuses a newer one."""
LONGEST = 128 * 1024**2
"""Bytes of a manifest, at most: that of a hundred thousand experts has a third as many."""
LARGEST_HEADER = 100_000
"""Bytes of a file of numbers beside its numbers, at most."""
BYTES_OF_A_NUMBER = 4
FEWEST_STATES = 3
"""Of an environment: to train, to validate and to test with."""

_FILE = re.compile(r"(experts/)?[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


Text = Annotated[str, Field(max_length=1000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]
Some = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[float, Field(ge=0)]
Scale = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    """A part of the manifest: known keys of the right types, and finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class PublishedFile(_Part):
    """A file of the folder: its digest, and how long it is."""

    sha256: Digest
    bytes: Annotated[int, Field(ge=0, le=10**13)]


class PublishedSystem(_Part):
    """What the experts are predictors of.

    Attributes:
        source: a simulator's name, or the form of the files that trajectories were in.
        settings: of the simulator.
        channels: in the order of frames.
        units: of channels and coordinates, those that are known.
        grid: points along y and x.
        y: coordinates [y].
        x: likewise.
        frame_step: time between two frames.
        trained_frames: of a trajectory, which training saw.
    """

    source: Text
    settings: dict[str, Any]
    channels: list[Text] = Field(min_length=1, max_length=1024)
    units: dict[str, Text]
    grid: list[Annotated[int, Field(ge=1, le=65536)]] = Field(min_length=2, max_length=2)
    y: list[float]
    x: list[float]
    frame_step: Scale
    trained_frames: Annotated[int, Field(ge=2, le=10**6)]


class PublishedEnvironment(_Part):
    """A row of the table of environments. Those that were kept for tests are not published."""

    id: Text
    role: Literal["visible"]
    parameters: dict[str, float]


class PublishedExpert(_Part):
    """What is known of one expert, in the order of rows; errors are of one step, in normalised units.

    Attributes:
        environment: id.
        member: its number among the experts of the environment.
        seed: of its training.
        diverged: whether its training broke down.
        train_error: None where it is no number.
        validation_error: likewise, or where there were no trajectories to validate.
        seconds: of its training.
        data_digest: of the frames that it was trained on.
        sha256: of its weights, as little-endian numbers of four bytes.
    """

    environment: Text
    member: Count
    seed: int | None
    diverged: bool
    train_error: float | None
    validation_error: float | None
    seconds: Seconds
    data_digest: Text | None
    sha256: Digest


class PublishedShard(_Part):
    """A file with a tensor ``weights`` [expert, weight] of some experts."""

    file: Text
    rows: Some


class PublishedNormalisation(_Part):
    """Physical units <-> those that predictors see, a number a channel."""

    mean: list[float]
    scale: list[Scale]


class PublishedParameter(_Part):
    """A parameter of the predictor, and where it stands in a row: in the order of the list, each flattened."""

    name: Text
    shape: list[Annotated[int, Field(ge=0, le=10**9)]] = Field(max_length=16)


class PublishedForecast(_Part):
    """Errors of the experts' forecasts in their own environments, as the study that made them has them."""

    horizon: Some
    median_rmse: float
    environments: Some


class PublishedExperts(_Part):
    """The experts that started from one base.

    Attributes:
        architecture: of their predictor: its settings, and how many channels there are.
        normalisation: of frames.
        weights: of one expert.
        parameters: of the predictor, in the order of a row.
        base: what the base is: pooled, film, ...
        base_seconds: of its training.
        zoo_digest: of the zoo that they are of.
        forecast: None where nobody has evaluated them.
        experts: in the order of rows.
        shards: files, whose rows follow each other.
    """

    architecture: dict[str, Any]
    normalisation: PublishedNormalisation
    weights: Some
    parameters: list[PublishedParameter]
    base: Text
    base_seconds: Seconds
    zoo_digest: Text
    forecast: PublishedForecast | None
    experts: list[PublishedExpert] = Field(min_length=1)
    shards: list[PublishedShard] = Field(min_length=1)

    @property
    def predictor(self) -> AnyPredictor:
        """Settings of the predictor, as a configuration has them."""
        return _predictor(self.architecture)


class PublishedStates(_Part):
    """A file with a tensor ``states`` [environment, state, channel, y, x] in physical units, environments in their
    order, and which frame of which training trajectory each is."""

    file: Text
    trajectories: list[Count] = Field(min_length=FEWEST_STATES)
    frames: list[Count] = Field(min_length=FEWEST_STATES)


class ZooManifest(_Part):
    """All that ``zoo.json`` says.

    Attributes:
        written_by: version of weightcast.
        name: of the study that made the experts.
        licence: an SPDX identifier, or one like it.
        study_seed: every random number of their training derives from it.
        parameter_names: of environments, in the order of columns.
        logarithmic_parameters: those whose ratios count.
        trained_with: sections ``base`` and ``zoo`` of the configuration that they were trained with.
        files: all of the folder but the manifest.
        digest: of all else that the manifest says.
    """

    format: Literal["weightcast-zoo"]
    version: int
    written_by: Text
    name: Text
    licence: Text
    study_seed: int
    parameter_names: list[Text] = Field(max_length=1000)
    logarithmic_parameters: list[Text]
    system: PublishedSystem
    environments: list[PublishedEnvironment] = Field(min_length=1)
    zoos: dict[PublishedBase, PublishedExperts] = Field(min_length=1)
    states: PublishedStates
    trained_with: dict[str, dict[str, Any]]
    files: dict[str, PublishedFile]
    digest: Digest

    @property
    def ids(self) -> list[str]:
        """Ids of the environments, in their order."""
        return [environment.id for environment in self.environments]

    @property
    def state_shape(self) -> list[int]:
        """[environment, state, channel, y, x]."""
        return [len(self.environments), len(self.states.frames), len(self.system.channels), *self.system.grid]

    def without_digest(self) -> dict[str, Any]:
        """JSON values of all that the digest is of."""
        return self.model_dump(mode="json", exclude={"digest"})


def with_digest(described: Mapping[str, Any], path: Path) -> ZooManifest:
    """The manifest that says this; checked like one that was read.

    Args:
        described: JSON values of all but format, version and digest.
        path: where it will lie.

    Raises:
        InputError: it would be refused.
    """
    plain = {"format": FORMAT, "version": VERSION, **described}
    plain = _checked(plain | {"digest": digest_of(plain)}, path).without_digest()  # numbers as they are read
    return _checked(plain | {"digest": digest_of(plain)}, path)


def to_text(manifest: ZooManifest) -> str:
    """As the file has it; the same manifest gives the same bytes."""
    return json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False) + "\n"


def read_manifest(folder: str | Path) -> ZooManifest:
    """Read the manifest of a published zoo; the files that it names are still to be verified.

    Raises:
        InputError: there is none, it is damaged, of a newer version, or contradicts itself.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the manifest of a published zoo (weightcast zoo export)")
    text = read_text(path, "the manifest of a published zoo", "JSON", LONGEST)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON, expected the manifest of a published zoo: damaged?") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        said = shown(found.get("format")) if isinstance(found, dict) else type(found).__name__
        raise InputError(f"{path}: format: found {said}, expected {FORMAT!r}")
    version = found.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        raise InputError(
            f"{path}: version: found {shown(version)}, expected 1 to {VERSION}: written by a newer weightcast?"
        )
    return _checked(found, path)


def _checked(found: dict[str, Any], path: Path) -> ZooManifest:
    check_values(found, path)
    digest = found.get("digest")
    own = digest_of({name: value for name, value in found.items() if name != "digest"})
    if digest != own:
        raise InputError(f"{path}: digest: found {shown(digest)}, expected {own}, of what the file says: damaged?")
    try:
        manifest = ZooManifest.model_validate(found)
    except ValidationError as error:
        raise InputError(_said(error, path)) from None
    _check_names(manifest, path)
    _check_system(manifest, path)
    _check_files(manifest, path)
    for base, experts in manifest.zoos.items():
        _check_experts(manifest, experts, path, f"zoos.{base}")
    return manifest


def _said(error: ValidationError, path: Path) -> str:
    first = error.errors()[0]
    field = ".".join(str(part)[:64] for part in first["loc"])
    if first["type"] == "missing":
        return f"{path}: {field}: missing, expected a value"
    if first["type"] == "extra_forbidden":
        return f"{path}: {field}: unknown key, expected none of that name"
    message = (first["msg"][0].lower() + first["msg"][1:])[:LONGEST_SHOWN]
    return f"{path}: {field}: found {shown(first['input'])}: {message}"


def _check_names(manifest: ZooManifest, path: Path) -> None:
    check_name(manifest.name, "name", path)
    check_licence(manifest.licence, f"{path}: licence")
    for field in ("parameter_names", "logarithmic_parameters"):
        names = getattr(manifest, field)
        for name in names:
            check_name(name, field, path)
        _check_once(names, field, path)
    for name in manifest.logarithmic_parameters:
        if name not in manifest.parameter_names:
            raise InputError(f"{path}: logarithmic_parameters: found {name!r}, expected some of parameter_names")
    for environment in manifest.environments:
        check_name(environment.id, "environments", path)
        if set(environment.parameters) != set(manifest.parameter_names):
            raise InputError(
                f"{path}: environments.{environment.id}.parameters: found {shown(sorted(environment.parameters))}, "
                f"expected those of parameter_names"
            )
    _check_once([id.casefold() for id in manifest.ids], "environments", path)
    for channel in manifest.system.channels:
        check_name(channel, "system.channels", path)
    _check_once(manifest.system.channels, "system.channels", path)


def _check_system(manifest: ZooManifest, path: Path) -> None:
    system = manifest.system
    for name, coordinates, points in (("y", system.y, system.grid[0]), ("x", system.x, system.grid[1])):
        if len(coordinates) != points:
            raise InputError(f"{path}: system.{name}: found {len(coordinates)} numbers, expected {points} as of grid")


def _check_files(manifest: ZooManifest, path: Path) -> None:
    """Names that lead out of the folder, and files that nothing is said about, or that nothing is in."""
    shards = {shard.file for experts in manifest.zoos.values() for shard in experts.shards}
    count = sum(len(experts.shards) for experts in manifest.zoos.values())
    for name in [*manifest.files, *shards, manifest.states.file]:
        if name not in TEXTS and not _FILE.fullmatch(name):
            raise InputError(f"{path}: files: found {shown(name)}, expected names like experts/erm.safetensors")
    expected = shards | {manifest.states.file, *TEXTS}
    if set(manifest.files) != expected or len(expected) != count + 1 + len(TEXTS):
        odd = sorted(set(manifest.files) ^ expected)
        raise InputError(
            f"{path}: files: found {shown(odd)} in one place alone, expected each file of experts and states once, "
            f"and {' and '.join(TEXTS)}"
        )
    states = manifest.states
    if len(states.trajectories) != len(states.frames):
        raise InputError(
            f"{path}: states.trajectories: found {len(states.trajectories)} numbers, expected {len(states.frames)} as "
            "of frames"
        )
    _check_size(manifest, states.file, math.prod(manifest.state_shape), path)


def _check_experts(manifest: ZooManifest, experts: PublishedExperts, path: Path, field: str) -> None:
    channels = experts.architecture.get("channels")
    if channels != len(manifest.system.channels) or isinstance(channels, bool):
        raise InputError(
            f"{path}: {field}.architecture.channels: found {shown(channels)}, expected "
            f"{len(manifest.system.channels)} as of system.channels"
        )
    try:
        predictor = experts.predictor
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part)[:64] for part in first["loc"][1:]) or "kind"
        said = first["msg"][:LONGEST_SHOWN]
        raise InputError(f"{path}: {field}.architecture.{place}: found {shown(first['input'])}: {said}") from None
    weights = count_weights(predictor, channels)
    if weights != experts.weights or weights > MOST_WEIGHTS:
        raise InputError(
            f"{path}: {field}.architecture: found one of {weights:,} weights, expected {experts.weights:,} as of "
            f"{field}.weights, and at most {MOST_WEIGHTS:,}"
        )
    misfit = predictor.misfit((manifest.system.grid[0], manifest.system.grid[1]))
    if misfit is not None:
        raise InputError(f"{path}: {field}.architecture.{misfit}")
    described = sum(math.prod(parameter.shape) for parameter in experts.parameters)
    if described != weights:
        raise InputError(f"{path}: {field}.parameters: found {described:,} numbers, expected {weights:,}")
    for name in ("mean", "scale"):
        found = len(getattr(experts.normalisation, name))
        if found != channels:
            raise InputError(
                f"{path}: {field}.normalisation.{name}: found {found} numbers, expected {channels}, one a channel"
            )
    rows = sum(shard.rows for shard in experts.shards)
    if rows != len(experts.experts):
        raise InputError(f"{path}: {field}.shards: found {rows} rows, expected {len(experts.experts)} as of experts")
    for shard in experts.shards:
        _check_size(manifest, shard.file, shard.rows * weights, path)
    known, seen = set(manifest.ids), set[tuple[str, int]]()
    for number, expert in enumerate(experts.experts):
        if expert.environment not in known:
            raise InputError(
                f"{path}: {field}.experts.{number}.environment: found {shown(expert.environment)}, expected one of "
                "environments"
            )
        if (expert.environment, expert.member) in seen:
            raise InputError(
                f"{path}: {field}.experts.{number}: found member {expert.member} of {expert.environment} twice, "
                "expected every expert once"
            )
        seen.add((expert.environment, expert.member))


def _check_size(manifest: ZooManifest, name: str, numbers: int, path: Path) -> None:
    """A file can be no shorter than the numbers in it, and little longer."""
    found, least = manifest.files[name].bytes, BYTES_OF_A_NUMBER * numbers
    if not least < found <= least + LARGEST_HEADER:
        raise InputError(
            f"{path}: files.{name}.bytes: found {found:,}, expected {least:,} of its numbers, and a few more"
        )


def _check_once(names: list[str], field: str, path: Path) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: {field}: found {shown(twice)} twice, expected every entry once")


def check_licence(licence: str, where: str) -> str:
    """The identifier of a licence, if it looks like one.

    Raises:
        InputError: it does not.
    """
    if not _LICENCE.fullmatch(licence):
        raise InputError(f"{where}: found {shown(licence)}, expected an SPDX identifier such as CC-BY-4.0 or MIT")
    return licence


_PREDICTOR: TypeAdapter[AnyPredictor] = TypeAdapter(AnyPredictor)


def _predictor(architecture: Mapping[str, Any]) -> AnyPredictor:
    described = {name: value for name, value in architecture.items() if name != "channels"}
    return _PREDICTOR.validate_python(described)
