"""
The blended posture of named states, from noisy signals.

The value is a weighted mean of what the signals say and of the baseline, which counts as one signal
(a conjugate prior: few signals move it little, many outweigh it):

    w_i   = confidence_i · weight_i · (1 - decay)^age_i              age counted in signals
    value = (baseline + Σ w_i · intensity_i) / (1 + Σ w_i)           held between floor and ceiling

Its state is a fold over `states.jsonl`.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engines import checks
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Event, Journal
from engines.state.model import StateDefinition, StateNotFoundError, StateSignal, StateSnapshot

_STEADY = 0.005  # moves smaller than what the summary shows are none


class DynamicStateEngine(Engine):
    """
    Named states and the signals about them.

    Args:
        history: How many signals each state remembers, at least 1.
        decay: How much less each older signal counts, 0 up to below 1.
        definitions: Registered at once.
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        history: int = 60,
        decay: float = 0.15,
        definitions: Iterable[StateDefinition | Mapping[str, Any]] | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if history < 1:
            raise InvalidInput(f"history must be at least 1, found {history}")
        if not 0 <= checks.finite(decay, "decay") < 1:
            raise InvalidInput(f"decay must be at least 0 and below 1, found {decay}")
        self._history = history
        self._keep = 1 - decay
        super().__init__(journal, clock=clock)
        for definition in definitions or ():
            self.register(definition)

    def reset(self) -> None:
        self._definitions: dict[str, StateDefinition] = {}
        self._signals: dict[str, deque[StateSignal]] = {}
        self._counts: Counter[str] = Counter()

    # --- commands ----------------------------------------------------------------------------

    def register(self, definition: StateDefinition | Mapping[str, Any]) -> StateDefinition:
        """Define a state, or change its definition; its signals stay."""
        new = checks.built(StateDefinition, definition, "state")
        with self.deciding():
            if self._definitions.get(new.key) != new:
                self.record("state_registered", **new.as_dict())
        return new

    def capture(self, signal: StateSignal | Mapping[str, Any]) -> StateSignal:
        """
        Take in a signal; a state that nobody defined gets a definition with baseline 0.

        Raises:
            InvalidInput: The signal is not one.
        """
        new = self._built(signal)
        payload: dict[str, Any] = {
            "intensity": new.intensity,
            "confidence": new.confidence,
            "momentum": new.momentum,
            "weight": new.weight,
            "at": new.timestamp.timestamp(),
            "tags": list(new.tags),
        }
        if new.metadata:
            payload["metadata"] = new.metadata
        with self.deciding():
            key = new.state.lower()
            if key not in self._definitions:
                self.register(StateDefinition(name=new.state))
            self.record("signal_captured", state=key, **payload)
            return self._signals[key][-1]

    def extend(self, signals: Iterable[StateSignal | Mapping[str, Any]]) -> tuple[StateSignal, ...]:
        """Take in several signals, all or none."""
        new = [self._built(signal) for signal in signals]
        with self.deciding():
            return tuple(self.capture(signal) for signal in new)

    # --- queries -----------------------------------------------------------------------------

    def snapshot(self, state: str) -> StateSnapshot:
        """
        A state as it is now.

        Raises:
            StateNotFoundError: No state has that name.
        """
        key = checks.name(state, "a state's name").lower()
        definition = self._definitions.get(key)
        if definition is None:
            raise StateNotFoundError(
                f"no state named {state!r}{checks.did_you_mean(key, self._definitions)}",
                hint="`dino state list` shows them; `dino state register` makes one",
            )
        return self._snapshot(definition, tuple(self._signals[key]))

    def overview(self) -> dict[str, StateSnapshot]:
        """All states by key, in the order of their names."""
        return {key: self.snapshot(key) for key in sorted(self._definitions)}

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._history,)

    def apply_state_registered(self, event: Event) -> None:
        definition = StateDefinition(
            event["name"],
            event["description"],
            event["baseline"],
            event["floor"],
            event["ceiling"],
            event["warmup"],
        )
        self._definitions[definition.key] = definition
        self._signals.setdefault(definition.key, deque(maxlen=self._history))

    def apply_signal_captured(self, event: Event) -> None:
        key = event["state"]
        self._counts[key] += 1
        self._signals[key].append(
            StateSignal(
                state=self._definitions[key].name,
                intensity=event["intensity"],
                confidence=event["confidence"],
                momentum=event["momentum"],
                weight=event["weight"],
                timestamp=checks.from_epoch(event["at"]),
                tags=tuple(event["tags"]),
                metadata=event.get("metadata"),
            )
        )

    # --- below the face ----------------------------------------------------------------------

    def _built(self, signal: StateSignal | Mapping[str, Any]) -> StateSignal:
        if isinstance(signal, Mapping):
            signal = {"timestamp": checks.from_epoch(self.clock()), **signal}
        return checks.built(StateSignal, signal, "state signal")

    def _snapshot(
        self, definition: StateDefinition, signals: tuple[StateSignal, ...]
    ) -> StateSnapshot:
        value = self._blend(definition, signals)
        change = value - self._blend(definition, signals[:-1])
        trend = (change + self._momentum(signals)) / 2
        count = self._counts[definition.key]
        ready = count >= definition.warmup
        tags = Counter(tag for signal in signals for tag in signal.tags)
        return StateSnapshot(
            state=definition.name,
            value=value,
            change=change,
            trend=trend,
            baseline=definition.baseline,
            ready=ready,
            signals=signals,
            tags=tuple(sorted(tags, key=lambda tag: (-tags[tag], tag))),
            summary=_summary(definition, value, change, trend, ready=ready),
            metadata={"signal_count": count},
            definition=definition,
        )

    def _weights(self, signals: Sequence[StateSignal]) -> list[float]:
        newest = len(signals) - 1
        return [
            signal.confidence * signal.weight * self._keep ** (newest - index)
            for index, signal in enumerate(signals)
        ]

    def _blend(self, definition: StateDefinition, signals: Sequence[StateSignal]) -> float:
        weights = self._weights(signals)
        pull = sum(w * signal.intensity for w, signal in zip(weights, signals, strict=True))
        value = (definition.baseline + pull) / (1 + sum(weights))
        return min(max(value, definition.floor), definition.ceiling)

    def _momentum(self, signals: Sequence[StateSignal]) -> float:
        weights = self._weights(signals)
        total = sum(weights)
        if not total:
            return 0.0
        return sum(w * signal.momentum for w, signal in zip(weights, signals, strict=True)) / total


def _summary(
    definition: StateDefinition, value: float, change: float, trend: float, *, ready: bool
) -> str:
    heading = "stable" if abs(trend) < _STEADY else ("rising" if trend > 0 else "falling")
    moved = "holding at" if abs(change) < _STEADY else ("up to" if change > 0 else "down to")
    label = definition.name[0].upper() + definition.name[1:]
    return (
        f"{label} state is {heading} and {moved} {value:z.2f} "
        f"(baseline {definition.baseline:z.2f}, {'ready' if ready else 'warming'})."
    )
