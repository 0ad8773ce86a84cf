"""``weightcast zoo``: a study's experts as a folder to be published, and a study that begins from such a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.core.console.outputs import check_output
from weightcast.core.console.warning import warn
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.environments.published.begin import Beginning, held_out_table
from weightcast.environments.published.export import SHARD_GB, STATES_EACH, Export
from weightcast.environments.published.manifest import FEWEST_STATES
from weightcast.environments.published.reading import PublishedZoo

HELD_OUT = 0.2
"""Share of a zoo's environments that are unseen in a study that begins from it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    export = commands.add_parser("export", help="write the experts of a study as a folder with a data card")
    export.description = "Write a study's zoo as a folder that hubs of models and data take as it is; see docs/zoos.md."
    export.add_argument("results", type=Path, metavar="RESULTS", help="folder of a study with a zoo: results/STUDY")
    export.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="a new folder, or this export")
    export.add_argument(
        "--licence",
        "--license",
        required=True,
        metavar="ID",
        help="under which the weights are published, as SPDX names it: CC-BY-4.0, MIT, ...; no default",
    )
    export.add_argument(
        "--states",
        type=int,
        default=STATES_EACH,
        metavar="N",
        help="frames of each environment's training trajectories to publish beside the weights; default: %(default)s",
    )
    export.add_argument(
        "--shard-size", type=float, default=SHARD_GB, metavar="GB", help="of a file, at most; default: %(default)g"
    )
    export.add_argument(
        "--trajectories", type=Path, metavar="DIR", help="of the study; default: data/STUDY/trajectories beside results"
    )
    export.set_defaults(act=_export)

    begin = commands.add_parser("import", help="verify a published zoo, and write a study that begins from it")
    begin.description = (
        "Verify a published zoo, and write the configuration of a study that begins from its experts, without any"
        " trajectories; see docs/zoos.md."
    )
    begin.add_argument("folder", type=Path, metavar="DIR", help="as it was exported, or downloaded")
    begin.add_argument("--name", required=True, metavar="STUDY", help="of the study; results go to results/STUDY")
    begin.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the configuration to write")
    begin.add_argument("--base", metavar="NAME", help="whose experts to use; default: conditioned, if there are some")
    held_out = begin.add_mutually_exclusive_group()
    held_out.add_argument(
        "--hold-out", nargs="+", metavar="ID", help="environments that are to be unseen; default: drawn"
    )
    held_out.add_argument(
        "--hold-out-share",
        type=float,
        default=HELD_OUT,
        metavar="SHARE",
        help="of the environments to draw, by the study's seed; 0: none; default: %(default)g",
    )
    begin.add_argument("--seed", type=int, default=0, metavar="N", help="of the study; default: %(default)s")
    begin.add_argument("--force", action="store_true", help="overwrite FILE, and the table beside it")
    begin.set_defaults(act=_import)


def run(arguments: argparse.Namespace) -> None:
    arguments.act(arguments)


def _export(arguments: argparse.Namespace) -> None:
    if arguments.states < FEWEST_STATES:
        raise InputError(f"--states: found {arguments.states}, expected {FEWEST_STATES} or more")
    if not 0 < arguments.shard_size <= 1000:
        raise InputError(f"--shard-size: found {arguments.shard_size:g}, expected GB above 0, at most 1000")
    export = Export(
        arguments.results,
        arguments.licence,
        arguments.states,
        round(1e9 * arguments.shard_size),
        arguments.trajectories,
    )
    manifest, is_new = export.write(arguments.output)
    size = sum(file.bytes for file in manifest.files.values())
    counts = ", ".join(f"{len(zoo.experts)} experts from the base {base}" for base, zoo in manifest.zoos.items())
    print(f"{counts}; {len(manifest.environments)} environments, {len(manifest.states.frames)} sample states of each")
    if not is_new:
        print(f"{arguments.output}: is this export already, digest {manifest.digest[:12]}: left as it is")
        return
    print(f"wrote {arguments.output}: {len(manifest.files) + 1} files, {size:,} bytes, digest {manifest.digest[:12]}")


def _import(arguments: argparse.Namespace) -> None:
    check_name(arguments.name, "--name", "weightcast zoo import")
    if arguments.seed < 0:
        raise InputError(f"--seed: found {arguments.seed}, expected 0 or more")
    if not 0 <= arguments.hold_out_share < 1:
        raise InputError(f"--hold-out-share: found {arguments.hold_out_share:g}, expected at least 0 and below 1")
    output = arguments.output
    table_path = output.with_name(f"{output.stem}-environments.csv")
    for path in (output, table_path):
        if path.exists() and not arguments.force:
            raise InputError(f"{path}: exists already, expected a new file (or --force to overwrite it)")
        check_output(path)
    zoo = PublishedZoo.open(arguments.folder)
    base = zoo.base(arguments.base)
    for name in zoo.verify():
        warn(f"{zoo.folder / name}: is not as it was exported: it holds no numbers, and was left unread")
    table = held_out_table(zoo, base, table_path, arguments.hold_out, arguments.hold_out_share, arguments.seed)
    Beginning(zoo, base, arguments.name, arguments.seed, table, output).write()
    manifest, experts = zoo.manifest, zoo.manifest.zoos[base]
    left = len(manifest.environments) - len(table)
    print(f"verified {arguments.folder}: {manifest.name}, licence {manifest.licence}, digest {manifest.digest[:12]}")
    print(
        f"{len(experts.experts)} experts of {experts.weights:,} weights from the base {base}; {len(table.visible)} "
        f"environments to learn from, {len(table.interpolation)} held out inside their range, "
        f"{len(table.extrapolation)} outside" + (f"; {left} without an expert left out" if left else "")
    )
    print(f"wrote {table_path} and {output}; see what it would run with: weightcast check --config {output}")
