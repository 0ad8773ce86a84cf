"""Stages of the pipeline: typed functions, settings and artifacts in, artifacts out.

    @stage("train_vae")
    def train_vae(run: Run, settings: TrainVae, zoo: Zoo, base: Base, trajectories: TrajectoryFolder) -> VaeArtifact:

What a stage reads stands in its signature: ``settings`` is its slice of the study's configuration, every further
argument an input, whose type says how its file is read. What it returns is written by the runner
(:mod:`weightcast.runner`), whole or not at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

from weightcast.core.artifact_header import digest_of, read_metadata
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.core.provenance import code_digest, file_digest

if TYPE_CHECKING:  # what a stage does not use, it does not depend on: a simulator is none of the training loop's
    from weightcast.core.run import Run


@runtime_checkable
class Saved(Protocol):
    """What a stage returns for an output: something that writes itself."""

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True)
class Stage:
    """A stage, callable as the function that it is made of.

    Attributes:
        name: as rules and job files name it.
        function: (run, settings, **inputs) -> an output, or a mapping of outputs by name.
    """

    name: str
    function: Callable[..., Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, run: Run, settings: StageSettings, *inputs: Any, **named: Any) -> Any:
        return self.function(run, settings, *inputs, **named)

    def load(self, paths: Mapping[str, str | list[str]]) -> dict[str, Any]:
        """Read the inputs.

        Raises:
            InputError: an input is missing, also on the disk, or unknown, or a file cannot be used.
        """
        self._check(paths)
        for name, found in paths.items():
            for path in [found] if isinstance(found, str) else found:
                if not Path(path).exists():
                    raise InputError(f"{path}: found no such file, expected {name}, an input of the job {self.name}")
        return {name: _load(kind, paths.get(name)) for name, kind in self.inputs.items()}

    def key(self, settings: StageSettings, paths: Mapping[str, str | list[str]]) -> tuple[str, dict[str, Any]]:
        """The key of everything that a run of the stage depends on, and its parts.

        It is computed from the settings, the contents of all inputs and the code, so that no list of what matters is
        kept by hand: state under this key never continues a training that it does not belong to.

        Raises:
            InputError: an input is unknown, or missing, also on the disk.
        """
        self._check(paths)
        try:
            inputs = {
                name: _digest(kind, paths[name], settings) for name, kind in self.inputs.items() if paths.get(name)
            }
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            raise InputError(f"{error.filename}: {reason}, expected an input of the job {self.name}") from None
        parts = {
            "stage": self.name,
            "config_digest": settings.digest,
            "inputs": inputs,
            "code_digest": code_digest(self.function.__module__),
        }
        return digest_of(parts), parts

    def _check(self, paths: Mapping[str, str | list[str]]) -> None:
        for name in paths:
            if name not in self.inputs:
                raise InputError(
                    f"job {self.name}: inputs.{name}: unknown input, expected {', '.join(self.inputs) or 'none'}"
                )
        for name, kind in self.inputs.items():
            if name not in paths and not _is_optional(kind):
                raise InputError(f"job {self.name}: inputs.{name}: missing, expected a path")


def stage(name: str) -> Callable[[Callable[..., Any]], Stage]:
    """Make a stage of a function whose signature is (run, settings, inputs ...).

    Only the inputs' types need be there at run time: stages that train nothing import ``Run`` for type checkers alone,
    so that an edit of what it stands on does not run them again.
    """

    def made(function: Callable[..., Any]) -> Stage:
        names = list(inspect.signature(function).parameters)
        of_inputs = {argument: function.__annotations__[argument] for argument in names[2:]}
        return Stage(name, function, get_type_hints(SimpleNamespace(__annotations__=of_inputs), function.__globals__))

    return made


def _load(kind: Any, path: str | list[str] | None) -> Any:
    if not path:
        return [] if get_origin(kind) is list else None
    if get_origin(kind) is list:
        (each,) = get_args(kind)
        return [_load(each, one) for one in ([path] if isinstance(path, str) else path)]
    if isinstance(kind, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if not isinstance(path, str):
        (path,) = path
    return Path(path) if kind is Path else kind.load(Path(path))


def _digest(kind: Any, path: str | list[str], settings: StageSettings) -> Any:
    """Digest of the contents of an input, a list of them for a list."""
    if get_origin(kind) is list or isinstance(path, list):
        each = get_args(kind)[0] if get_origin(kind) is list else kind
        return [_digest(each, one, settings) for one in ([path] if isinstance(path, str) else path)]
    if isinstance(kind, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if hasattr(kind, "input_digest"):
        return kind.input_digest(Path(path), settings)
    if path.endswith(".safetensors"):  # equal weights count as equal, whatever time their training took
        return read_metadata(path)["tensors_digest"]
    return file_digest(path)


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) is list or (isinstance(kind, UnionType) and type(None) in get_args(kind))
