"""The section `personas`: which of them may ask a model, and how far that reaches."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from dino_os.config.bounds import Positive, Share


class Persona(Struct, forbid_unknown_fields=True, frozen=True):
    """One that writes texts, or infers skills."""

    model: bool = False


class RiskPersona(Persona, forbid_unknown_fields=True, frozen=True):
    """One that argues about severity."""

    severity_band: Share = 0.0


class Personas(Struct, forbid_unknown_fields=True, frozen=True):
    """Who asks a model about a cycle's gravest signals."""

    research: Persona = Persona()
    execution: Persona = Persona()
    risk: RiskPersona = RiskPersona()
    local_only: bool = True
    most: Positive = 20
    timeout_s: Annotated[float, Meta(gt=0)] = 60.0
