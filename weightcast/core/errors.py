"""The one error that a user's input can cause."""

from __future__ import annotations


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line that names the file, the field, what was found and what was expected. The command line
    and the pipeline's scripts print it without a traceback and exit with status 1.
    """
