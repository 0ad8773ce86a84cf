"""What left-out visible environments chose: the kind of map, the prior's kind and width, and how
wide bands are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.outputs import YamlFile
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.families.config.paths import MapKind
from weightcast.families.inflation import Inflation

WAYS = ("search", "encoder", "refined")
"""How codes of new environments are found, where a network reads samples."""


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
        code_errors: negative log-likelihood of their later samples on the path of the most probable code, by how codes
            are found: ``search``, ``encoder`` (what the network that reads samples says) or ``refined`` (a short search
            from there); empty where there is no such network.
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
    code_errors: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as YAML."""
        written = asdict(self)
        if not self.code_errors:  # as studies without the network have always written it
            del written["code_errors"]
        YamlFile(written).save(path)

    @classmethod
    def load(cls, path: Path) -> MapChoice:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing or not of this form.
        """
        stored: Any = read_yaml(path)
        known = [name for name in cls.__dataclass_fields__ if name != "code_errors"]
        if not isinstance(stored, dict) or set(stored) - {"code_errors"} != set(known):
            raise InputError(f"{path}: expected the keys {', '.join(known)}")
        if stored["kind"] not in get_args(MapKind):
            raise InputError(f"{path}: kind: found {stored['kind']!r}, expected one of {', '.join(get_args(MapKind))}")
        if stored["prior"] not in get_args(CodePriorName):
            kinds = ", ".join(get_args(CodePriorName))
            raise InputError(f"{path}: prior: found {stored['prior']!r}, expected one of {kinds}")
        if not isinstance(stored["inflation"], dict):
            raise InputError(f"{path}: inflation: found {stored['inflation']!r}, expected its four numbers")
        ways = stored.get("code_errors", {})
        if not isinstance(ways, dict) or (ways and set(ways) != set(WAYS)) or not all(map(_is_number, ways.values())):
            raise InputError(f"{path}: code_errors: found {ways!r}, expected numbers of {', '.join(WAYS)}")
        try:
            return cls(**stored | {"inflation": Inflation.described(stored["inflation"])})
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
