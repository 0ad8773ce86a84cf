"""A study's operations as hours of a GPU: a projection, for there is no measurement of one here."""

from __future__ import annotations

from collections.abc import Mapping

from weightcast.cli.cost_lines import HOUR, IN_HOURS, number
from weightcast.cli.work import Work

A100_FLOAT32 = 19.5
"""TFLOP/s; the peak of an NVIDIA A100 in float32 without tensor cores, from its data sheet."""
SUSTAINED_SHARE = 0.3
"""Of the peak that trainings reach: large language models report 0.21 to 0.46 (model FLOPs utilisation of GPT-3,
Gopher, Megatron-Turing NLG and PaLM; Chowdhery et al., PaLM, arXiv 2204.02311, table 3)."""


def gpu_lines(parts: Mapping[str, Work], rate: float | None = None) -> list[str]:
    """As ``weightcast check`` prints them; none for a small study, if no rate is asked for.

    Args:
        parts: of the study.
        rate: sustained by the GPU, in TFLOP/s; None: a share of an A100's peak.
    """
    counted = [part for part in parts.values() if part.operations > 0]
    operations, seconds = sum(part.operations for part in counted), sum(part.seconds for part in counted)
    if rate is None and sum(part.seconds for part in parts.values()) < IN_HOURS:
        return []
    source = "--gpu-rate"
    if rate is None:
        rate = SUSTAINED_SHARE * A100_FLOAT32
        source = f"{100 * SUSTAINED_SHARE:.0f} % of an NVIDIA A100's {A100_FLOAT32:g} in float32"
    hours = number(operations / (rate * 1e12) / HOUR).strip()
    lines = [
        f"about {hours} GPU-hours: a projection, not a measurement",
        f"= {operations:.2g} floating-point operations at {rate:.3g} TFLOP/s, assumed: {source}",
        f"for comparison, the core measured above did them at {operations / seconds / 1e12:.2g} TFLOP/s",
    ]
    uncounted = sum(part.seconds for part in parts.values()) - seconds
    if uncounted > 0:
        lines.append(f"without simulation: {number(uncounted / HOUR).strip()} core-hours, which no GPU would shorten")
    lines.append("trainings run on the CPU today: this is what they would cost on a GPU")
    return lines
