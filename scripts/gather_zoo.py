"""Gather the shards of experts into one artifact: [members, weights] and a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import save_artifact
from weightcast.environments.zoo import Zoo, gather


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", required=True, nargs="+", type=Path)
    parser.add_argument("--environments", required=True, nargs="+", metavar="ID", help="in the order wanted")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    zoo = gather([Zoo.load(path, "experts") for path in arguments.shards], arguments.environments)
    dropped = ("kind", "format", "code_version", "digest", "tensors_digest")
    shared = {key: value for key, value in zoo.metadata.items() if key not in dropped}
    save_artifact(arguments.output, "zoo", {"weights": zoo.weights}, shared | {"manifest": zoo.manifest})


if __name__ == "__main__":
    main()
