"""What ``--missing`` says of folders of files: numbers that stand for missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.dimensions import Dimension
from weightcast.core.errors import InputError
from weightcast.environments.commands.table_layout import NO_MARK
from weightcast.trajectories import FileFormat, read_trajectories
from weightcast.trajectories.npy import npy_files
from weightcast.trajectories.stated_marks import marks_there


class FileMarks:
    """Marks as they are given, and which of them files hold; found out while these are read.

    Args:
        given: on the command line; None: none.

    Raises:
        InputError: one is no number.
    """

    def __init__(self, given: Sequence[str] | None) -> None:
        self.numbers: list[float] | None = None if given is None else []
        for text in given or ():
            if text == NO_MARK:
                continue
            try:
                number = float(text)
            except ValueError:
                number = np.nan
            if not np.isfinite(number):
                raise InputError(f"--missing: found {text!r}, expected numbers, or {NO_MARK}: files hold no text")
            assert self.numbers is not None
            self.numbers.append(number)
        self._unseen = list(self.numbers or ())

    def see(self, file: Path, format: FileFormat, told: Mapping[str, Any]) -> None:
        """Look for those that no file had, in a file that can be used.

        Args:
            file: of an environment.
            format: of it.
            told: ``channels``, ``inputs`` and ``dimensions`` that it is read with.
        """
        if not self._unseen:
            return
        if format == "npy":
            found = set[float]().union(*(marks_there(np.load(one), self._unseen) for one in npy_files(file)))
        else:
            dimensions: Mapping[Dimension, str] | None = told["dimensions"]
            whole = read_trajectories(
                file, channels=told["channels"], inputs=told["inputs"], gaps=True, dimensions=dimensions, single=True
            )
            found = marks_there(whole.values, self._unseen)
        self._unseen = [mark for mark in self._unseen if mark not in found]

    @property
    def lines(self) -> list[str]:
        """A line for each that no file has, for people."""
        return [f"no file has the value {mark:g}, which --missing names" for mark in self._unseen]
