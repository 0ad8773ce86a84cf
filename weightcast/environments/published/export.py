"""Writing a zoo as a folder that can be published: experts in files of bounded size, states, manifest, card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from weightcast import __version__
from weightcast.core.artifact_header import read_metadata
from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.core.errors import InputError
from weightcast.core.files import folder_written_whole
from weightcast.core.provenance import file_digest
from weightcast.core.stored_tensor import Rows, write_safetensors
from weightcast.core.tables import read_metrics
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.config.zoo import PublishedBase
from weightcast.environments.dataset import TrajectoryFolder, tensor_digest
from weightcast.environments.plan import source_settings
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.published.card import data_card
from weightcast.environments.published.manifest import (
    ATTRIBUTES,
    BYTES_OF_A_NUMBER,
    CARD,
    NAME,
    ZooManifest,
    check_licence,
    read_manifest,
    to_text,
    with_digest,
)
from weightcast.environments.published.reading import STATES, WEIGHTS, row_digest
from weightcast.environments.published.states import SampledStates, frame_step_of, sample_places
from weightcast.environments.zoo import Zoo

PUBLISHED_BASES: tuple[PublishedBase, ...] = get_args(PublishedBase)
SHARD_GB = 5.0
"""Of a file of experts, at most: what hubs of models recommend, and any file system has."""
HEADER = 1000
"""Bytes of a file beside its numbers, at most."""
STATES_EACH = 8
"""Sample states of an environment."""
LARGE_FILES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
STATES_FILE = "states.safetensors"


@dataclass(frozen=True)
class Export:
    """What is to be published, and how.

    Attributes:
        results: folder of a study that has its zoo: results/<study>.
        licence: an SPDX identifier, or one like it; nobody but the person who publishes knows it.
        states: of each environment, taken from its training trajectories.
        shard_bytes: of a file of experts, at most; one expert is never cut.
        trajectories: folder of the study's; None: data/<study>/trajectories beside results.
    """

    results: Path
    licence: str
    states: int = STATES_EACH
    shard_bytes: int = round(1e9 * SHARD_GB)
    trajectories: Path | None = None

    def write(self, folder: Path) -> tuple[ZooManifest, bool]:
        """Write the folder whole, or leave it as it is where it is this very export; the same study and options give
        the same bytes.

        Returns:
            The manifest, and whether it was written now.

        Raises:
            InputError: the study cannot be exported, or the folder has something else in it.
        """
        check_licence(self.licence, "--licence")
        there = _refuse_other(folder)
        study, table, bases = self._study()
        with folder_written_whole(folder) as partial:
            manifest = self._write(partial, study, table, bases)
            if not there:
                return manifest, True
            _compare(folder, partial)
            shutil.rmtree(partial)
        return manifest, False

    def _study(self) -> tuple[Study, EnvironmentTable, list[PublishedBase]]:
        config = self.results / "config.yaml"
        if not config.is_file():
            raise InputError(
                f"{config}: no such file, expected the folder of a study that has been run; of one that was run up to "
                f"its zoo: snakemake {config}"
            )
        study = load_study(config)
        table = read_environments(self.results / "environments.csv")
        if study.zoo.published is not None:
            raise InputError(
                f"{self.results}: zoo.published: found a study that begins from the zoo {study.zoo.published}, "
                "expected one that trained its experts: that zoo is published already"
            )
        if columns := study.data.input_columns:
            raise InputError(
                f"{self.results}: data.inputs: found {', '.join(columns)}, expected none: published experts depend on "
                "the state alone"
            )
        if study.data.history > 1:
            raise InputError(
                f"{self.results}: data.history: found {study.data.history}, expected 1: published experts depend on "
                "one frame alone"
            )
        if transforms := study.data.transforms:
            raise InputError(
                f"{self.results}: data.transforms: found {', '.join(transforms)}, expected none: published experts see "
                "channels in their own units"
            )
        if study.data.gaps is not None:
            raise InputError(
                f"{self.results}: data.gaps: found {study.data.gaps.words}, expected none: published sample states are "
                "whole"
            )
        bases = [base for base in PUBLISHED_BASES if base in study.zoo.bases]
        if not bases:
            found, expected = ", ".join(study.zoo.bases), " or ".join(PUBLISHED_BASES)
            raise InputError(f"{self.results}: zoo.bases: found {found}, expected {expected}")
        return study, table, bases

    def _write(
        self, folder: Path, study: Study, table: EnvironmentTable, bases: Sequence[PublishedBase]
    ) -> ZooManifest:
        visible = table.visible
        ids = [environment.id for environment in visible]
        folder_of_data = self.trajectories or self.results.resolve().parent.parent / study.trajectories
        data, trajectories = study.data.of_role("visible"), TrajectoryFolder(folder_of_data)
        places = sample_places(self.states, data.trajectories.train, data.trained_frames)
        states = SampledStates(trajectories, ids, data, places)
        first = trajectories.trajectories(ids[0], data.channels)
        zoos = {base: self._experts(folder, base, study, ids, states) for base in bases}
        write_safetensors(folder / STATES_FILE, {STATES: states}, {"format": "pt"})
        described: dict[str, Any] = {
            "written_by": __version__,
            "name": study.study,
            "licence": self.licence,
            "study_seed": study.seed,
            "parameter_names": list(table.parameter_names),
            "logarithmic_parameters": study.logarithmic_parameters,
            "system": {
                "source": study.data.source,
                # Nobody else needs to know where files lay.
                "settings": {
                    name: value
                    for name, value in (() if study.data.imported else source_settings(study.data).items())
                    if name != "directory"
                },
                "channels": list(data.channels),
                "units": {name: str(unit)[:1000] for name, unit in first.units.items()},
                "grid": list(data.grid),
                "y": first.y.tolist(),
                "x": first.x.tolist(),
                "frame_step": frame_step_of(first, data.frames, folder_of_data),
                "trained_frames": data.trained_frames,
            },
            "environments": [
                {
                    "id": environment.id,
                    "role": environment.role,
                    "parameters": {name: float(value) for name, value in environment.parameters.items()},
                }
                for environment in visible
            ],
            "zoos": zoos,
            "states": {
                "file": STATES_FILE,
                "trajectories": [trajectory for trajectory, _ in places],
                "frames": [frame for _, frame in places],
            },
            "trained_with": {name: getattr(study, name).model_dump(mode="json") for name in ("base", "zoo")},
        }
        (folder / ATTRIBUTES).write_text(LARGE_FILES, encoding="utf-8")
        numbers = [STATES_FILE, *(shard["file"] for experts in zoos.values() for shard in experts["shards"])]
        files = {name: _described_file(folder / name) for name in sorted([ATTRIBUTES, *numbers])}
        (folder / CARD).write_text(data_card(described, {name: files[name] for name in numbers}), encoding="utf-8")
        files[CARD] = _described_file(folder / CARD)
        manifest = with_digest(described | {"files": files}, folder / NAME)
        (folder / NAME).write_text(to_text(manifest), encoding="utf-8")
        return manifest

    def _experts(
        self, folder: Path, base: PublishedBase, study: Study, ids: Sequence[str], states: SampledStates
    ) -> dict[str, Any]:
        """Write the experts of a base; what the manifest says of them."""
        path = self.results / "zoo" / f"{base}.safetensors"
        zoo = Zoo.load(path)
        if list(dict.fromkeys(zoo.environments)) != list(ids):
            raise InputError(
                f"{path}: manifest: found experts of other environments than the visible ones of "
                f"{self.results / 'environments.csv'}, expected those: run it again"
            )
        self._check_trajectories(zoo, ids, states)
        experts = []
        for row, entry in enumerate(zoo.manifest):
            known = {name: entry.get(name) for name in ("environment", "member", "seed", "diverged")}
            known |= {name: entry.get(name) for name in ("train_error", "validation_error", "seconds", "data_digest")}
            experts.append(known | {"sha256": row_digest(zoo.weights[row])})
        weights = zoo.weights.shape[1]
        each = max(1, (self.shard_bytes - HEADER) // (BYTES_OF_A_NUMBER * weights))
        starts = range(0, len(experts), each)
        shards = []
        for number, start in enumerate(starts, start=1):
            name = f"experts/{base}-{number:05d}-of-{len(starts):05d}.safetensors"
            rows = _Part(zoo.weights, start, min(each, len(experts) - start))
            (folder / name).parent.mkdir(exist_ok=True)
            write_safetensors(folder / name, {WEIGHTS: rows}, {"format": "pt"})
            shards.append({"file": name, "rows": len(rows)})
        metadata = read_metadata(self.results / "base" / f"{base}.safetensors")
        architecture = zoo.metadata["architecture"]
        graph = StackedPredictor.of_architecture(architecture).graph
        return {
            "architecture": architecture,
            "normalisation": zoo.metadata["normalisation"],
            "weights": weights,
            "parameters": [{"name": name, "shape": list(shape)} for name, shape in graph.shapes.items()],
            "base": zoo.metadata["base"],
            "base_seconds": metadata["seconds"],
            "zoo_digest": zoo.metadata["digest"],
            "forecast": self._forecast(base, study),
            "experts": experts,
            "shards": shards,
        }

    def _check_trajectories(self, zoo: Zoo, ids: Sequence[str], states: SampledStates) -> None:
        """Refuse states of other trajectories than the experts were trained on."""
        trained_on = {entry["environment"]: entry.get("data_digest") for entry in zoo.manifest}
        for number, id in enumerate(ids):
            found = tensor_digest(states.trained_on(number))
            if trained_on[id] is not None and trained_on[id] != found:
                raise InputError(
                    f"{self.results}: environment {id}: found other trajectories than its experts were trained on, "
                    "expected those: states are taken from them (--trajectories)"
                )

    def _forecast(self, base: PublishedBase, study: Study) -> dict[str, Any] | None:
        """How well first experts forecast test trajectories of their own environments, if that was evaluated."""
        path = self.results / "evaluation" / f"zoo-{base}.csv"
        if not path.is_file():
            return None
        metrics = read_metrics(path)
        chosen = metrics[(metrics["method"] == f"one-per-env-{base}") & (metrics["split"] == "visible")]
        errors = chosen[(chosen["metric"] == "rmse") & (chosen["horizon"] == study.trained_horizon)]["value"]
        median = float(errors.median()) if len(errors) else float("inf")
        if median == float("inf"):
            return None
        return {"horizon": study.trained_horizon, "median_rmse": median, "environments": len(errors)}


class _Part:
    """Some rows of others that follow each other, still to be read."""

    dtype = torch.float32

    def __init__(self, rows: Rows, start: int, count: int) -> None:
        self._rows, self._start = rows, start
        self.shape = torch.Size((count, *rows.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: Any) -> torch.Tensor:
        return self._rows[self._start + row]


def _described_file(path: Path) -> dict[str, Any]:
    return {"sha256": file_digest(path), "bytes": path.stat().st_size}


def _refuse_other(folder: Path) -> bool:
    """Whether there is a published zoo already; refuses a folder with anything else in it.

    Raises:
        InputError: there is something else.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise InputError(f"{folder}: found a file, expected a new folder")
    if not any(folder.iterdir()):
        return False
    if not (folder / NAME).is_file():
        raise InputError(f"{folder}: found a folder with other files in it, expected a new or an empty one")
    return True


def _compare(folder: Path, exported: Path) -> None:
    """Refuse a folder that is not the same export, file by file."""
    found, expected = _digests(folder), _digests(exported)
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            digest = read_manifest(exported).digest[:12]
            raise InputError(
                f"{folder / name}: found another file than this export has (digest {digest}), expected the same, or a "
                "new folder"
            )


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in folder.rglob("*") if path.is_file()}
