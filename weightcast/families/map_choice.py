"""What left-out visible environments chose: the kind of map, the prior's kind and width, and how
wide bands are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.outputs import YamlFile
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.families.config.paths import MapKind
from weightcast.families.inflation import Inflation


@dataclass(frozen=True)
class MapChoice:
    """A choice, and what it rests on.

    Attributes:
        kind: of the map.
        widened: what standard deviations of the visible codes are multiplied with in the prior.
        prior: kind, of the codes.
        inflation: how far codes of an ensemble are moved apart for bands; as it is where no code is inferred.
        edge: ids of the environments that chose and lie at the edge of the visible ones.
        inside: ids of the others that chose.
        errors: negative log-likelihood of their held-out samples, by kind of map.
        width_errors: the same under ensembles of codes, by the width of the first kind of prior; empty where no code is
            inferred.
        prior_errors: the same by kind of prior, of the chosen width.
        coverage: share of their means and tails that 90 % bands hold, of those at the edge and of those inside, by
            inflation; empty where no code is inferred.
        seconds: that the trainings took.
    """

    kind: MapKind
    widened: float
    prior: CodePriorName
    inflation: Inflation
    edge: list[str]
    inside: list[str]
    errors: dict[str, float]
    width_errors: dict[str, float]
    prior_errors: dict[str, float]
    coverage: dict[str, dict[str, float]]
    seconds: float

    def save(self, path: Path) -> None:
        """Write as YAML."""
        YamlFile(asdict(self)).save(path)

    @classmethod
    def load(cls, path: Path) -> MapChoice:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing or not of this form.
        """
        stored: Any = read_yaml(path)
        if not isinstance(stored, dict) or set(stored) != set(cls.__dataclass_fields__):
            raise InputError(f"{path}: expected the keys {', '.join(cls.__dataclass_fields__)}")
        if stored["kind"] not in get_args(MapKind):
            raise InputError(f"{path}: kind: found {stored['kind']!r}, expected one of {', '.join(get_args(MapKind))}")
        if stored["prior"] not in get_args(CodePriorName):
            known = ", ".join(get_args(CodePriorName))
            raise InputError(f"{path}: prior: found {stored['prior']!r}, expected one of {known}")
        if not isinstance(stored["inflation"], dict):
            raise InputError(f"{path}: inflation: found {stored['inflation']!r}, expected its four numbers")
        try:
            return cls(**stored | {"inflation": Inflation.described(stored["inflation"])})
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
