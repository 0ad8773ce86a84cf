"""Sections that got further keys when studies of theirs had been run."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from weightcast.core.config.settings import Settings


class LaterSettings(Settings):
    """A section some of whose keys are left out of what is written and digested while they are as by default.

    So jobs of studies that do without them have the digests that they had before there were such keys.
    """

    later: ClassVar[tuple[str, ...]] = ()
    """Names of these keys."""

    @model_serializer(mode="wrap")
    def _without_later(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        for name in self.later:
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if getattr(self, name) == default:
                plain.pop(name, None)
        return plain
