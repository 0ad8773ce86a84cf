"""``weightcast inspect``: what an artifact is and where it comes from."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.core.artifact_header import digest_of
from weightcast.core.artifacts import Artifact, load_artifact, understood
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.zoo import ExpertShard, Zoo

SHOWN_NAMES = 4
# Shown in lines of their own; everything else in the metadata is shown as it is.
_ELSEWHERE = {
    *("kind", "format", "code_version", "digest", "tensors_digest"),
    *("architecture", "normalisation", "condition", "curves", "environment", "environments"),
    *("settings", "config_digest", "metrics", "manifest", "methods", "files"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="artifact (.safetensors)")
    parser.add_argument("--json", action="store_true", help="print all metadata, and the tensors' shapes, as JSON")


def run(arguments: argparse.Namespace) -> None:
    if arguments.file.is_dir() and (found := sorted(arguments.file.rglob("*.safetensors"))):
        raise InputError(_instead_of(arguments.file, found))
    artifact = load_artifact(arguments.file)  # which also verifies both digests
    if "files" in artifact.metadata:  # a manifest, whose weights are verified where they lie
        zoo_of(artifact).verify()
    if arguments.json:
        print(json.dumps(as_json(artifact), indent=2, sort_keys=True))
    else:
        for subject, text in described(artifact):
            print(f"{subject:18s}{text}")


def _instead_of(folder: Path, found: list[Path]) -> str:
    """What to give in the place of a folder, a study's results mostly."""
    # One of each folder says more than many of one.
    first = {path.parent: str(path.relative_to(folder)) for path in reversed(found)}
    shown = listed(list(first.values())[::-1], SHOWN_NAMES)
    return f"{folder}: found a folder, expected one of the artifacts in it: {shown}"


def as_json(artifact: Artifact) -> dict[str, Any]:
    """All that is known of an artifact, as JSON values."""
    tensors = {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for name, tensor in artifact.tensors.items()
    }
    return {"file": str(artifact.path), "verified": True, "metadata": artifact.metadata, "tensors": tensors}


def described(artifact: Artifact) -> list[tuple[str, str]]:
    """The artifact in words: (subject, text) a line.

    Raises:
        InputError: its metadata are not what artifacts have.
    """
    with understood(artifact):
        return _described(artifact)


def _described(artifact: Artifact) -> list[tuple[str, str]]:
    metadata = artifact.metadata
    lines = [
        ("file", str(artifact.path)),
        ("kind", artifact.kind),
        ("written by", f"weightcast {metadata['code_version']}"),
        ("digests", f"verified: yes, of metadata and of {_verified(metadata)}"),
        ("digest", metadata["digest"]),
        ("weights digest", metadata["tensors_digest"]),
    ]
    if "architecture" in metadata:
        lines.append(("architecture", _pairs(metadata["architecture"])))
    lines += _environments(metadata)
    if "settings" in metadata:
        lines.append(("settings digest", metadata.get("config_digest", digest_of(metadata["settings"]))))
    for key, value in metadata.items():
        if key not in _ELSEWHERE and value not in ({}, [], None):
            lines.append((key.replace("_", " "), _pairs(value) if isinstance(value, Mapping) else _text(value)))
    lines += [("metrics", _pairs(metadata["metrics"]))] if "metrics" in metadata else []
    lines += _members(metadata.get("manifest", []))
    lines += [("method", _method(method)) for method in metadata.get("methods", [])]
    if files := metadata.get("files"):
        lines.append(("weights", f"{[sum(one['shape'][0] for one in files), files[0]['shape'][1]]}, {_files(files)}"))
        lines.append(("first file", files[0]["file"]))
    for name, tensor in artifact.tensors.items():
        lines.append(("tensor", f"{name}  {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"))
    return lines


def zoo_of(artifact: Artifact) -> Zoo:
    """The zoo, or the shard of one, that an artifact is the manifest of."""
    return (ExpertShard if artifact.kind == ExpertShard.kind else Zoo).from_artifact(artifact)


def _verified(metadata: Mapping[str, Any]) -> str:
    files = metadata.get("files")
    return "tensors" if files is None else f"the weights {_files(files)}"


def _files(files: list[Mapping[str, Any]]) -> str:
    return f"in {len(files)} file{'s' if len(files) > 1 else ''}"


def _environments(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the artifact is of or was made from: environments by id, one by its parameters, or the visible range."""
    lines = []
    if "environment" in metadata:
        lines.append(("environment", _pairs(metadata["environment"])))
    members = [entry["environment"] for entry in metadata.get("manifest", [])]
    names = metadata.get("environments") or list(dict.fromkeys(members))
    if names:
        lines.append(("environments", f"{len(names)}: {_some(names)}"))
    if "scaling" in metadata.get("condition", {}):
        scaling = metadata["condition"]["scaling"]
        logarithmic = scaling.get("logarithmic", ())
        ranges = [
            f"{name} {low:g}..{high:g}{' (its logarithm)' if name in logarithmic else ''}"
            for name, low, high in zip(scaling["names"], scaling["low"], scaling["high"], strict=True)
        ]
        lines.append(("visible range", ", ".join(ranges)))
    return lines


def _members(manifest: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if not manifest:
        return []
    diverged = [entry["environment"] for entry in manifest if entry["diverged"]]
    lines = [("members", f"{len(manifest)}, of which {len(diverged)} diverged")]
    for key in ("seed", "data_digest"):
        different = {entry[key] for entry in manifest if key in entry}
        if different:
            of_each = f"{len(different)} different, in the manifest (--json)" if len(different) > 1 else str(*different)
            lines.append((key.replace("_", " "), of_each))
    if diverged:
        counts = Counter(diverged)
        lines.append(("diverged", _some([f"{name} ({count})" for name, count in counts.items()])))
    errors = sorted(error for entry in manifest if (error := entry.get("validation_error")) is not None)
    if errors:
        lines.append(
            ("validation error", f"{errors[0]:.3g} to {errors[-1]:.3g}, median {errors[len(errors) // 2]:.3g}")
        )
    lines.append(("training", f"{sum(entry['seconds'] for entry in manifest):.1f} s in all"))
    return lines


def _method(method: Mapping[str, Any]) -> str:
    return (
        f"{method['method']}, seed {method['seed']}: {len(method['environments'])} environments, "
        f"{method['parameters']:,} numbers learned in {method['train_seconds']:.1f} s"
    )


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items())


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        return f"[{_some([_text(entry) for entry in value])}]"
    return str(value)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(str, names[:SHOWN_NAMES])) + more
