"""Trajectories that a job makes, of which those that are there as they would be made are not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from weightcast.core.errors import InputError
from weightcast.core.files import named_in_errors, written_whole
from weightcast.core.provenance import file_digest
from weightcast.environments.trajectory_manifest import TOGETHER, Made, Manifest
from weightcast.trajectories import Trajectories
from weightcast.trajectories.grouped import NotAlikeError, TrajectoryGroups, contents_digest, write_group

RECORDS = ".made"
"""Folder beside manifests, in which stands what files were made from."""


class MadeFiles:
    """Trajectories that a job makes, and what it knows of those that were made before.

    Each environment's file is noted as soon as it is there, with a digest of all that it was made from: a job that was
    killed, or whose shard was cut anew, makes nothing twice. When all are there, they are put together into one file.

    Args:
        manifest: where it will lie; files lie beside it.
        made_from: digest of what each environment's file is made from; none of those that are to be made in any case.
    """

    def __init__(self, manifest: Path, made_from: Mapping[str, str]) -> None:
        self._folder = manifest.parent
        self._record = self._folder / RECORDS / f"{manifest.stem}.jsonl"
        self._made_from = made_from
        self._made: dict[str, Made] = {}
        self._recorded: dict[str, _Entry] = {}
        self._groups = TrajectoryGroups(TOGETHER)
        for record in [self._record, *sorted(set(self._record.parent.glob("*.jsonl")) - {self._record})]:
            entries = _entries(record)
            if record == self._record:
                self._recorded = {entry.id: entry for entry in entries}
            if len(self._made) < len(made_from):
                self._find(entries)

    def __contains__(self, environment: object) -> bool:
        return environment in self._made

    def path(self, environment: str) -> Path:
        """Where an environment's file is to be written."""
        return self._folder / f"{environment}.nc"

    def note(self, environment: str) -> None:
        """Note that the file of an environment has been made."""
        path = self.path(environment)
        self._made[environment] = Made(file_digest(path), path.name)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with named_in_errors(self._record), self._record.open("a", encoding="utf-8") as record:
            record.write(self._entry(environment).line())

    def manifest(self, environments: Iterable[str]) -> Manifest:
        """The manifest of all of a job's environments, once their files are made: one for all where they are alike.

        Until it is there, the files of the environments alone stay, and the record says so.
        """
        ids = list(environments)
        alone = [self.path(id) for id in ids] if len(ids) > 1 and self._put_together(ids) else []
        # Environments that were of this shard may be wanted by a job that has not run yet.
        others = [
            entry for entry in self._recorded.values() if entry.id not in ids and (self._folder / entry.file).is_file()
        ]
        with written_whole(self._record) as partial:
            lines = [entry.line() for entry in (*map(self._entry, ids), *others)]
            partial.write_text("".join(lines), encoding="utf-8")
        for path in alone:
            path.unlink(missing_ok=True)
        return Manifest({id: self._made[id] for id in ids})

    def _put_together(self, ids: Sequence[str]) -> bool:
        """Make one file of all, named after them: another selection of environments is another file."""
        name = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:8]
        file = f"{TOGETHER}/{self._record.stem}-{name}.nc"
        if all(self._made[id].file == file for id in ids):
            return True
        try:
            digests = write_group(self._folder / file, ids, self._read)
        except NotAlikeError:
            return False
        self._made.update({id: Made(digest, file) for id, digest in digests.items()})
        return True

    def _read(self, environment: str) -> Trajectories:
        return self._groups.trajectories(self._folder / self._made[environment].file, environment, gaps=True)

    def _entry(self, environment: str) -> _Entry:
        return _Entry(environment, self._made_from.get(environment), *self._made[environment])

    def _find(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            if self._made_from.get(entry.id) == entry.made_from is not None and self._is_whole(entry):
                self._made[entry.id] = Made(entry.sha256, entry.file)

    def _is_whole(self, entry: _Entry) -> bool:
        path = self._folder / entry.file
        if not path.is_file():
            return False
        try:
            group = self._groups.find(path)
            found = file_digest(path) if group is None else contents_digest(group.trajectories(entry.id, gaps=True))
        except InputError:
            return False
        return found == entry.sha256


class _Entry(NamedTuple):
    """A line of a record.

    Attributes:
        id: of an environment.
        made_from: digest of what its trajectories were made from; None where they are made in any case.
        sha256: as in a manifest.
        file: as in a manifest.
    """

    id: str
    made_from: str | None
    sha256: str
    file: str

    def line(self) -> str:
        return json.dumps(self._asdict()) + "\n"


def _entries(record: Path) -> list[_Entry]:
    """Of a record; a line that cannot be read does not count."""
    try:
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            values = entry["id"], entry["made_from"], entry["sha256"], entry.get("file", f"{entry['id']}.nc")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if all(isinstance(value, str) for value in values) and _names_a_file(values[3]):
            found.append(_Entry(*values))
    return found


def _names_a_file(name: str) -> bool:
    """Whether a record names a file that may lie beside manifests: nothing else is read or deleted."""
    return Path(name).name == name.removeprefix(f"{TOGETHER}/") not in ("", ".", "..")
