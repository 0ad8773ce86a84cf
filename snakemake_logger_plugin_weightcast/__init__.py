"""What a person sees while Snakemake runs: a line when a job starts, a line when it ends, and how far the run has come.

Snakemake finds a logger plugin by the name of its package, which is why this is not a part of weightcast itself. A
profile chooses it by ``logger: [weightcast]``. Only the standard library and Snakemake are imported, since Snakemake
imports every plugin whenever it starts.

A dry run, and whoever asks for less or more than this (``--quiet``, ``--verbose``, ``--printshellcmds``,
``--logger-weightcast-verbose``), gets Snakemake's own words.
"""

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from logging import Handler, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase, OutputSettingsLoggerInterface

from snakemake_logger_plugin_weightcast.cache import keep_beside_run
from snakemake_logger_plugin_weightcast.screen import Screen
from snakemake_logger_plugin_weightcast.view import RunView

TICK_SECONDS = 1.0


# Snakemake looks at the fields' types themselves, so annotations must not be left as strings in this file.
@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin: ``--logger-weightcast-verbose``."""

    verbose: bool = field(
        default=False,
        metadata={"help": "Show everything that Snakemake itself has to say about each job.", "env_var": True},
    )


class LogHandler(LogHandlerBase):
    """Shows a run in few lines, or passes everything on to the handler that Snakemake would have used."""

    def __post_init__(self) -> None:
        said = keep_beside_run()
        self._plain = _snakemakes_own(self.common_settings) if self._is_plain() else None
        self._view = RunView(Screen(sys.stdout if self.common_settings.stdout else sys.stderr))
        if said is not None and not self.common_settings.quiet:
            print(said, file=sys.stderr)
        self._stopped = threading.Event()
        if self._plain is None:
            threading.Thread(target=self._tick, name="weightcast-progress", daemon=True).start()

    def _is_plain(self) -> bool:
        settings = self.common_settings
        return bool(
            settings.dryrun
            or settings.verbose
            or settings.debug_dag
            or settings.printshellcmds
            or settings.quiet
            or getattr(self.settings, "verbose", False)
        )

    def emit(self, record: LogRecord) -> None:
        """Show what a record of Snakemake's says. One that cannot be understood is left out: it must not end a run."""
        if self._plain is not None:
            self._plain.handle(record)
            return
        with contextlib.suppress(Exception):
            self._view.take(record.__dict__)

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            self.acquire()
            try:
                with contextlib.suppress(Exception):
                    self._view.tick(time.time())
            finally:
                self.release()

    def close(self) -> None:
        """End with one line that says what has become of the run."""
        if not self._stopped.is_set():
            self._stopped.set()
            if self._plain is None:
                with contextlib.suppress(Exception):
                    self._view.end(time.time())
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake then leaves its own handler of the terminal out."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file, in .snakemake/log, is complete and stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """Nothing is kept from this handler; what it leaves out is its own affair."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Lines are made here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No graph is drawn."""
        return False


def _snakemakes_own(settings: OutputSettingsLoggerInterface) -> Handler:
    """The handler that Snakemake uses where there is no plugin."""
    from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

    stream = sys.stdout if settings.stdout else sys.stderr
    handler = ColorizingTextHandler(nocolor=settings.nocolor, stream=stream)
    handler.addFilter(
        DefaultFilter(settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds)
    )
    handler.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
    return handler
