"""How the command line warns."""

from __future__ import annotations

import sys


def warn(message: str) -> None:
    """Print a warning as one line on stderr."""
    print(f"weightcast: warning: {' '.join(message.split())}", file=sys.stderr)
