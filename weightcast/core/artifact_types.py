"""The types of the fields that metadata of artifacts have, of whatever kind of artifact.

Strict ones: a text that reads as a number is none here, since a number read from it would have passed no check.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weightcast.core.config.messages import LONGEST_SHOWN, shown
from weightcast.core.config.settings import MOST_LAYERS

ABSENT: Any = None
"""Of a field that may be missing, but is never null."""

Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Text = Annotated[str, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class Fields(BaseModel):
    """Fields that are known; others are left as they are."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


def complaint(error: ValidationError, *place: str) -> str:
    """What is wrong first, in words: the field, what was found, and what pydantic says of it.

    Args:
        error: of metadata, or of a part of them.
        place: of that part.
    """
    first = error.errors()[0]
    field = ".".join([*place, *(str(part) for part in first["loc"])])
    if first["type"] == "missing":
        return f"{field}: missing, expected a value"
    said = (first["msg"][0].lower() + first["msg"][1:])[:LONGEST_SHOWN]
    return f"{field[:LONGEST_SHOWN]}: found {shown(first['input'])}: {said}"


class Normalisation(Fields):
    mean: list[Finite] = Field(min_length=1)
    scale: list[Scale] = Field(min_length=1)
    transforms: list[Literal["log", "sqrt"] | None] | None = None
    offsets: list[Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]] | None = None
    physical_mean: list[Finite] | None = None
    physical_scale: list[Scale] | None = None


class Scaling(Fields):
    names: list[Text]
    low: list[Finite]
    high: list[Finite]
    logarithmic: list[Text] = []


class FrameFeatures(Fields):
    """What a condition makes of observed frames, where it sees some."""

    channels: Count
    grid: list[Count] = Field(min_length=2, max_length=2)
    normalisation: Normalisation
    scales: dict[Text, list[Finite]]


class LabelRegression(Fields):
    """The regression by which labels are told from frames."""

    points: Count
    features: Count
    outputs: Count
    kernel: Literal["linear", "rbf", "both"]
    length: Scale


class Condition(Fields):
    kind: Text
    scaling: Scaling | None = None
    taught: Scaling | None = None
    features: FrameFeatures | None = None
    regression: LabelRegression | None = None
    inputs: Literal["statistics", "spectra"] | None = None
    environments: Whole | None = None
    dimensions: Whole | None = None


class Curve(Fields):
    steps: list[Whole]
    training: list[float | None]
    validated_steps: list[Whole]
    validation: list[float | None]


class Member(Fields):
    environment: Text
    member: Whole
    diverged: Annotated[bool, Field(strict=True)]
    seconds: Seconds
    validation_error: float | None = None
    seed: Whole | None = None
    data_digest: Text | None = None


class File(Fields):
    file: Text
    tensors_digest: Text
    shape: list[Annotated[int, Field(strict=True, ge=0, le=10**12)]] = Field(min_length=2, max_length=2)


class Method(Fields):
    method: Text
    seed: Whole
    environments: list[Text]
    train_seconds: Seconds
    adapt_seconds: Seconds
    parameters: Whole
    diverged: list[Text] = []
    normalisation: Normalisation | None = None
    model_error: list[list[Finite]] | None = None


class Calibration(Fields):
    """How far a context may be believed."""

    temper: Finite
    least_noise: list[Finite]
    model_error: list[list[Finite]]
    usual_residual: Finite
    crps: Finite | None = None


class Context(Fields):
    calibration: Calibration


class MassPath(Fields):
    """Sizes of a population at its snapshots."""

    times: list[Finite]
    masses: list[Scale]


class Trends(Fields):
    """Trends that a forecast beyond the last snapshot mixes."""

    dampings: list[Seconds] = Field(min_length=1)
    shares: list[Seconds] = Field(min_length=1)


class MassCurves(Fields):
    """How sizes of many populations go on, under one map of a family."""

    knots: list[Finite]
    regression: list[list[Finite]]
    covariance: list[list[Finite]]
    noise: Seconds


class PathMap(Fields):
    """The map from codes of a family to weights."""

    weights: Count
    condition: Annotated[int, Field(strict=True, ge=0)]
    kind: Literal["low-rank", "deep", "flow", "zoo", "vae"]
    rank: Count
    # Of a network, of a zoo, and of an autoencoder of paths, which has all of these.
    width: Count = ABSENT
    knots: Count = ABSENT
    heads: Count = ABSENT
    layers: Annotated[int, Field(strict=True, ge=1, le=MOST_LAYERS)] = ABSENT


class ZooPrior(Fields):
    """What left-out environments say of priors of a zoo's codes."""

    chosen: Literal["gaussian", "diffusion"]
    environments: Annotated[int, Field(strict=True, ge=0)]
    nll: dict[Literal["gaussian", "diffusion"], Finite]


class ZooVae(Fields):
    """What an autoencoder makes of the experts that it was trained on."""

    experts: Whole
    expert_nll: Finite
    decoded_nll: Finite
    variance_lost: Finite


class PathCondition(Fields):
    """What a diffusion of paths is told of an environment."""

    parameters: Annotated[int, Field(strict=True, ge=0)]
    said: Annotated[int, Field(strict=True, ge=0)]


class SampleEncoder(Fields):
    """The network of a family that reads samples."""

    dimensions: Count
    maps: Count
    code: Count
    width: Count


class Metadata(Fields):
    kind: Text
    code_version: Text
    numbers: Whole
    architecture: dict[str, Any] | None = None
    normalisation: Normalisation | None = None
    condition: Condition | None = None
    curves: dict[str, Curve] | None = None
    manifest: list[Member] | None = None
    files: list[File] | None = None
    methods: list[Method] | None = None
    metrics: dict[str, Any] | None = None
    environment: dict[Text, Finite] | None = None
    environments: list[Text] | None = None
    channels: list[Text] | None = None
    dimensions: list[Text] | None = None
    times: list[Finite] | None = None
    scaling: Scaling | None = None
    context: Context | None = None
    mass: MassPath | None = None
    forecast: Trends | None = None
    # What only some kinds have, and these always.
    ids: list[Text] = ABSENT
    told: Literal["codes", "parameters", "nothing", "flow"] = ABSENT
    map: PathMap = ABSENT
    inflation: dict[Text, Finite] = ABSENT
    widened: Scale = ABSENT
    masses: list[MassCurves] = ABSENT
    encoder: SampleEncoder = ABSENT
    zoo_prior: ZooPrior = ABSENT
    zoo_vae: ZooVae = ABSENT
    visible: Count = ABSENT
    path_condition: PathCondition = ABSENT
    path_diffusion: dict[Text, Any] = ABSENT
    guidance: Finite = ABSENT
    width: Count = ABSENT
    shares: list[Finite] = ABSENT
    seconds: Seconds | None = None
    seconds_before: Seconds | None = None
    seed: Whole | None = None
    arm: Text | None = None
    config_digest: Text | None = None
    data_digest: Text | None = None
