"""``weightcast init --kind time``: one file of samples at several times."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.evolution.commands.sample_choices import Choices, choose
from weightcast.evolution.commands.snapshot_words import describe_samples, describe_times
from weightcast.evolution.commands.source_file import refuse_own_file
from weightcast.evolution.commands.study_template import fill_time_template
from weightcast.evolution.config.load import parse_time_study
from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples
from weightcast.samples.record import TimedSamples
from weightcast.samples.split import split_snapshots


def init_time(arguments: argparse.Namespace) -> list[str]:
    """Write the configuration.

    Returns:
        what was found and chosen, a line each.

    Raises:
        InputError: the data cannot be used. Nothing is written then.
    """
    format = recognise(arguments.data)
    settings = _settings(arguments.settings or ())
    if arguments.time_column is not None:
        settings["time_column"] = arguments.time_column
    samples = read_samples(arguments.data, format, settings, arguments.dimensions)
    choices = choose(samples, arguments.state)
    text = fill_time_template(arguments.name, arguments.data, format, samples, choices, arguments.output)
    study = parse_time_study(yaml.safe_load(text), arguments.output)
    refuse_own_file(arguments.data, study.snapshots, "--data")
    split_snapshots(samples, study.data, study.seed)  # refuses what a study could not run with
    with written_whole(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")
    return [f"found a file of the format {format}: {arguments.data}", *_report(samples, choices)]


def _settings(words: Sequence[str]) -> dict[str, Any]:
    """Values of ``KEY=VALUE``, as YAML reads them."""
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"--settings: found {word!r}, expected KEY=VALUE")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"--settings: found {word!r}, expected a value in YAML") from None
    return settings


def _report(samples: TimedSamples, choices: Choices) -> list[str]:
    state = "real"
    if choices.states is not None:
        state = f"counts, states {choices.states} (0 to {choices.states - 1})"
    return [
        *describe_samples(samples),
        *(f"note: {note}" for note in samples.notes),
        f"state: {state}",
        describe_times(len(samples.times), choices.observed_every),
        f"held out for the evaluation: {choices.held_out:.0%}",
    ]
