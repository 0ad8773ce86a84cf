"""Files that are written whole or not at all, also where the power fails; and what killed writers leave behind."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".partial"
ABANDONED_SECONDS = 3600.0
"""After so long without a byte written, a file whose writer nobody here can know of is taken for abandoned."""
TRIAL_BYTES = 64 * 1024
"""Of the file by which a folder is tried: about what planning and the notes of a run take."""

_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
_PARTIAL = re.compile(r"\..+\.(?P<host>[^.]*)\.(?P<process>\d+)\.partial")


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends, remove it when the block fails.

    A reader sees the old file or the new one, never half of one, also after a loss of power: contents are on the disk
    before the name is, and the name is when the block has ended. Folders are made as needed. Who may read the file is
    what the process's umask says, whatever the library that writes it does. The temporary name is hidden and carries
    host and process, so that two writers do not meet and what a killed one left is known for what it is.

    Raises:
        OSError: it cannot be written; names `path` also where the system names no file, as of a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{_host()}.{os.getpid()}{SUFFIX}")
    try:
        partial.touch()
        mode = partial.stat().st_mode & 0o777  # some writers replace the file by one that nobody else may read
        yield partial
        partial.chmod(mode)
        _synchronise(partial)
        partial.replace(path)
        _synchronise_folder(path.parent)
    except OSError as error:
        raise _named(error, path, partial) from error
    finally:
        with contextlib.suppress(OSError):  # what went wrong is said already
            partial.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; rename it to `path` when the block ends, remove it when the block fails, or
    has removed it itself.

    There must be no folder of that name, or an empty one. All files are on the disk before the folder's name is. What
    killed writers of the same folder left is removed first.

    Raises:
        OSError: it cannot be written; names `path` also where the system names no file.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.iterdir():
        named = left.name.startswith(f".{path.name}.") and left.name.endswith(SUFFIX)
        if named and left.is_dir() and _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    partial = path.with_name(f".{path.name}.{_host()}.{os.getpid()}{SUFFIX}")
    try:
        partial.mkdir()
        yield partial
        if not partial.is_dir():
            return
        for file in sorted(partial.rglob("*")):
            _synchronise_folder(file) if file.is_dir() else _synchronise(file)
        _synchronise_folder(partial)
        partial.replace(path)
        _synchronise_folder(path.parent)
    except OSError as error:
        raise _named(error, path, partial) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_partials_of(path: str | Path) -> list[Path]:
    """Remove what killed writers of a file left beside it, and return it. Only for whoever is its only writer now."""
    path = Path(path)
    if not path.parent.is_dir():
        return []
    prefix = f".{path.name}."
    found = [one for one in path.parent.iterdir() if one.name.startswith(prefix) and one.name.endswith(SUFFIX)]
    return _removed(found)


def remove_abandoned(folder: str | Path) -> list[Path]:
    """Remove what killed writers left anywhere in a folder, and return it.

    A file stays while its writer lives. The process is asked for where it is one of this machine; of another machine's,
    and of a process number that was given out again, a file goes once it is ``ABANDONED_SECONDS`` old.
    """
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(SUFFIX) and _is_abandoned(Path(parent, name)):
                found.append(Path(parent, name))
    return _removed(found)


@contextmanager
def named_in_errors(path: str | Path) -> Iterator[None]:
    """Within the block a file is written or added to that need not be whole, as a record of a line after the other is.

    Raises:
        OSError: it cannot be written; names `path` also where the system names no file.
    """
    try:
        yield
    except OSError as error:
        raise _named(error, Path(path), Path(path)) from error


def check_writable(folder: str | Path) -> None:
    """Write a small file into a folder, or into where it would be made, and remove it.

    Raises:
        OSError: that cannot be done; names the folder.
    """
    folder = Path(folder).absolute()
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    trial = there / f".writable.{_host()}.{os.getpid()}{SUFFIX}"
    try:
        trial.write_bytes(bytes(TRIAL_BYTES))
        _synchronise(trial)
    except OSError as error:
        raise _named(error, folder, trial) from error
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)


def _named(error: OSError, path: Path, partial: Path) -> OSError:
    """The same error of the file or folder that was to be written, unless it is of another one or says so already."""
    others = error.filename not in (None, str(partial), partial)
    if error.errno is None or error.strerror is None or others or isinstance(error, BrokenPipeError):
        return error
    return OSError(error.errno, error.strerror, str(path))


def _is_abandoned(path: Path) -> bool:
    named = _PARTIAL.fullmatch(path.name)
    if named is not None and named["host"] == _host() and not _is_alive(int(named["process"])):
        return True
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:  # gone meanwhile
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True


def _removed(paths: list[Path]) -> list[Path]:
    removed = []
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
            removed.append(path)
    return removed


def _synchronise(path: Path) -> None:
    """Wait until a file's contents are on the disk.

    Raises:
        OSError: they cannot be written, for instance because the disk is full, which some systems find out only now.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def _synchronise_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can do that for folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:32]
