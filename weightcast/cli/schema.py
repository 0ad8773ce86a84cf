"""``weightcast schema``: the JSON schema that config/schema.json holds, for Snakemake and for editors."""

from __future__ import annotations

import argparse
import json

from weightcast.studies import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The repository's copy is made by: weightcast schema > config/schema.json"


def run(arguments: argparse.Namespace) -> None:
    print(json.dumps(json_schema(), indent=2))
