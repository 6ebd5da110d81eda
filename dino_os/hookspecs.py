"""
What a plugin can bring.  Each hook's docstring is its contract.

A plugin is an installed package with an entry point in the group `dino` that names a module (or an
object) with functions marked `@hookimpl`:

    # pyproject.toml
    [project.entry-points.dino]
    weather = "dino_weather.plugin"

    # dino_weather/plugin.py
    from pathlib import Path
    from dino_os.hookspecs import hookimpl

    @hookimpl
    def dino_skill_paths():
        return [Path(__file__).parent / "skills"]

A plugin that fails is quarantined: `dino list` shows its error, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from dino_os.memory_layer.embedding import Embedder
    from dino_os.payments import PaymentProvider
    from engines.redaction import Detector

hookspec = pluggy.HookspecMarker("dino")
hookimpl = pluggy.HookimplMarker("dino")

SignalReader = Callable[[Path], Iterator[tuple[int, Mapping[str, str]]]]


class DinoSpec:
    """The hooks."""

    @hookspec
    def dino_skill_paths(self) -> Iterable[Path]:  # type: ignore[empty-body]
        """
        Files, or folders of files, with functions marked `@skill`.

        They are indexed from their syntax tree and imported only in the process that runs one.
        """

    @hookspec
    def dino_commands(self) -> Iterable[click.Command]:  # type: ignore[empty-body]
        """Commands or groups to stand beside Dino's own; a name that is taken is refused."""

    @hookspec
    def dino_tools(self) -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
        """Name → function of tools for skills and models; a name that is taken is refused."""

    @hookspec
    def dino_payment_providers(self) -> Mapping[str, PaymentProvider]:  # type: ignore[empty-body]
        """
        Name → provider, an object with the methods of `dino_os.payments.PaymentProvider`.

        `charge`, `status`, `refund` and `refund_status` answer with an `engines.orders.Answer`:
        confirmed, pending, declined or unavailable.  Asked twice with one idempotency key a
        provider does the thing once.  What it raises counts as unavailable, and is asked again.  A
        name that is taken is refused.
        """

    @hookspec
    def dino_embedders(self) -> Mapping[str, Callable[[], Embedder]]:  # type: ignore[empty-body]
        """
        Name → function that makes an embedder, for `memory.embedder`.

        It has what `dino_os.memory_layer.embedding.Embedder` has.  Its fingerprint changes when its
        vectors do; asking for it and for `dim` costs little, the model is loaded by the first
        text.  Called from several threads.  What it raises, and rows that are not as many finite
        numbers as `dim` says, are errors that name it.  A name that is taken is refused, and one of
        ours stays ours.
        """

    @hookspec
    def dino_detectors(self) -> Mapping[str, Detector]:  # type: ignore[empty-body]
        """
        Name → detector of what must not be recorded, beside Dino's own (docs/redaction.md).

        It has `find(text)`, which gives `engines.redaction.Hit`s, and in `kinds` the kinds of
        these, for the settings to name.  Asked of every text before it is recorded, from several
        threads: the same text has the same hits, and it is quick.  One that raises, or gives hits
        that are not in the text, is left out from then on.
        """

    @hookspec
    def dino_signal_sources(self) -> Mapping[str, SignalReader]:  # type: ignore[empty-body]
        """
        File ending (".gpx") → reader, for `dino plan-cycle --signals`.

        A reader yields (line number from 1, column → text) for each record, and raises
        `dino_os.errors.InvalidInput` where the file as a whole cannot be read.
        """
