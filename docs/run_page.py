"""A page of the documentation that is run: its commands and code are those that were run, with what they printed."""

from __future__ import annotations

import contextlib
import inspect
import io
import shlex
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from matplotlib.figure import Figure

from weightcast.cli.main import main as command_line
from weightcast.core.files import written_whole
from weightcast.core.plots.export import render

WIDTH = 116
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class RunPage:
    """A page that grows as its sections are run.

    Attributes:
        name: of its file, without `.md`; its pictures begin with it.
        folder: where it is written.
        work: where its commands run.
        named: how real paths are called on the page.
        parts: of the page, so far.
        seconds: of the processor, a command each.
    """

    name: str
    folder: Path
    work: Path
    named: Mapping[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def say(self, words: str) -> None:
        self.parts.append(textwrap.dedent(words).strip())

    def show(self, section: Callable[..., Any]) -> None:
        """Put the words and the code of a function on the page."""
        start, _, rest = inspect.getsource(section).rstrip().partition('"""')
        body = rest.partition('"""\n')[2]
        self.parts += [inspect.getdoc(section) or "", f"```python\n{start.rstrip()}\n{body}\n```"]

    def run(self, section: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Show a function, and call it."""
        self.show(section)
        return section(*arguments, **keywords)

    def command(self, words: str, further: str = "") -> None:
        """Run a command of weightcast, and show it with what it printed, real paths under their plain names.

        Args:
            words: as they stand on the page.
            further: options that the page does not show.
        """
        real = {plain: path for path, plain in self.named.items()}
        told = [real.get(word, word) for word in shlex.split(f"{words} {further}".replace("\\\n", " "))]
        self.work.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        with contextlib.chdir(self.work):
            said = printed(lambda: command_line(told[1:]))
        self.seconds.append(time.process_time() - started)
        for path, plain in self.named.items():
            said = said.replace(path, plain)
        self.parts.append(f"```\n$ {words}\n{said}\n```")

    def draw(self, name: str, figure: Figure, says: str) -> None:
        picture = render(figure)
        file = f"{self.name.replace('-', '_')}_{name}.{picture.suffix}"
        with written_whole(self.folder / file) as partial:
            partial.write_bytes(picture.content)
        self.parts.append(f"![{says}]({file})")

    def write(self) -> None:
        with written_whole(self.folder / f"{self.name}.md") as partial:
            partial.write_text("\n\n".join(self.parts) + "\n", encoding="utf-8")


def printed(call: Callable[[], object]) -> str:
    """What a call prints, errors included, in lines that fit the page."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        call()
    return "\n".join(
        part for line in said.getvalue().splitlines() for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")
    )
