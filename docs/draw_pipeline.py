"""The picture of the pipeline in the README: ``python docs/draw_pipeline.py`` writes docs/pipeline.svg.

Cards bring their own light ground, and what lies outside of them is mid-grey, so that the picture reads on a light page
and on a dark one. Colours are those of the report's figures.
"""

from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT = 976, 420
CARD_WIDTH, CARD_HEIGHT = 140, 74
INK, GREY = "#1a1a1a", "#7d8894"
DATA, GENERATOR, BASELINE = "#5b6773", "#d55e00", "#0072b2"


def card(x: float, y: float, colour: str, title: str, *lines: str, code: bool = True) -> list[str]:
    """A card, centred at (x, y): the stage, as Snakemake knows it, and what it makes."""
    left, top = x - CARD_WIDTH / 2, y - CARD_HEIGHT / 2
    font = ' class="code"' if code else ""
    return [
        f'<rect x="{left}" y="{top}" width="{CARD_WIDTH}" height="{CARD_HEIGHT}" rx="7" fill="#fbfcfd"'
        f' stroke="{colour}" stroke-width="1.5"/>',
        f'<rect x="{left}" y="{top + 7}" width="4" height="{CARD_HEIGHT - 14}" rx="2" fill="{colour}"/>',
        f'<text{font} x="{left + 14}" y="{top + 22}" font-size="14.5" font-weight="700" fill="{INK}">{title}</text>',
        *(
            f'<text x="{left + 14}" y="{top + 41 + 15.5 * number}" font-size="11.6" fill="#3b4650">{line}</text>'
            for number, line in enumerate(lines)
        ),
    ]


def arrow(*points: tuple[float, float]) -> str:
    """A line along points, with a head at the last."""
    path = " L".join(f"{x} {y}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{GREY}" stroke-width="1.6" marker-end="url(#head)"/>'


def label(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="12" fill="{GREY}" text-anchor="middle">{text}</text>'


def group(left: float, top: float, right: float, bottom: float, colour: str, title: str) -> list[str]:
    """A dashed frame with a title above it."""
    return [
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="12" fill="none"'
        f' stroke="{colour}" stroke-width="1.2" stroke-dasharray="4 4" opacity="0.75"/>',
        f'<text x="{left + 2}" y="{top - 8}" font-size="12.5" font-weight="700" fill="{colour}">{title}</text>',
    ]


def picture() -> str:
    half_width, half_height = CARD_WIDTH / 2, CARD_HEIGHT / 2
    simulate, base, zoo, learn, weights, evaluate = (76 + 165 * column for column in range(6))
    # The generator's three trainings stand above one another: side by side they would make the text too small.
    vae, diffusion, tune = 134, 226, 318
    middle, low, bypass, bottom = diffusion, 340, 26, 404
    codes, over, fork = middle - 112, 52, (simulate + base) / 2
    parts = [
        *group(learn - half_width - 11, vae - 50, learn + half_width + 11, tune + 48, GENERATOR, "generator"),
        *card(simulate, middle, DATA, "simulate", "trajectories in", "every environment"),
        *card(base, middle, DATA, "base", "one network for", "all visible ones"),
        *card(base, codes, GENERATOR, "context", "learned codes, and", "a map to weights"),
        *card(zoo, middle, DATA, "zoo", "expert networks", "per environment"),
        *card(learn, vae, GENERATOR, "vae", "weights as a graph", "to latent tokens"),
        *card(learn, diffusion, GENERATOR, "diffusion", "p(tokens |", "environment)"),
        *card(learn, tune, GENERATOR, "end to end", "tuned on the error", "of forecasts", code=False),
        *card(zoo, low, BASELINE, "baselines", "FiLM, regression,", "hypernetwork, ...", code=False),
        *card(weights, middle, DATA, "weights", "by every method,", "per environment", code=False),
        *card(evaluate, middle, DATA, "evaluate", "forecast, compare:", "metrics.csv"),
        *card(evaluate, low, DATA, "report", "one offline page:", "report.html"),
        arrow((simulate + half_width, middle), (base - half_width - 3, middle)),
        arrow((fork, middle), (fork, codes), (base - half_width - 3, codes)),
        arrow(
            (base + half_width, codes),
            (zoo, codes),
            (zoo, over),
            (weights, over),
            (weights, middle - half_height - 3),
        ),
        label((zoo + weights) / 2, over - 8, "with a few frames of an unknown environment"),
        arrow((base + half_width, middle), (zoo - half_width - 3, middle)),
        arrow((zoo, middle - half_height), (zoo, vae), (learn - half_width - 3, vae)),
        arrow((learn, vae + half_height), (learn, diffusion - half_height - 3)),
        arrow((learn, diffusion + half_height), (learn, tune - half_height - 3)),
        arrow((learn + half_width + 11, middle), (weights - half_width - 3, middle)),
        arrow((weights + half_width, middle), (evaluate - half_width - 3, middle)),
        arrow((evaluate, middle + half_height), (evaluate, low - half_height - 3)),
        arrow((zoo, middle + half_height), (zoo, low - half_height - 3)),
        arrow((base, middle + half_height), (base, low), (zoo - half_width - 3, low)),
        arrow((zoo, low + half_height), (zoo, bottom), (weights, bottom), (weights, middle + half_height + 3)),
        arrow(
            (simulate, middle - half_height),
            (simulate, bypass),
            (evaluate, bypass),
            (evaluate, middle - half_height - 3),
        ),
        label((simulate + zoo) / 2, bypass - 9, "test trajectories, never trained on"),
    ]
    body = "\n".join(f"  {part}" for part in parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">
  <title>The pipeline: simulate, base, context, zoo, generator or baselines, weights, evaluate, report</title>
  <style>
    text {{ font-family: -apple-system, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; }}
    .code {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
  </style>
  <defs>
    <marker id="head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="6" markerHeight="6" orient="auto">
      <path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/>
    </marker>
  </defs>
{body}
</svg>
"""


if __name__ == "__main__":
    Path(__file__).with_name("pipeline.svg").write_text(picture(), encoding="utf-8")
