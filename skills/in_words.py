"""What a table or a log says, as people read it: the facts that a skill found, in lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FEW = 4  # groups that are all named
_WIDE = 160  # characters of an example


def of_table(facts: Mapping[str, Any]) -> str:
    """The facts of `csv_analyst`: one line for each column, then what goes together."""
    columns: Mapping[str, Any] = facts["columns"]
    torn = f", {facts['ragged']:,} of another length" if facts["ragged"] else ""
    lines = [f"{facts['file']}: {facts['records']:,} records{torn}; {len(columns):,} columns"]
    rows = [(name, told["type"], _column(told)) for name, told in columns.items()]
    lines += [f"  {line}" for line in _aligned(rows)]
    for pair in facts["correlations"][:5]:
        a, b = pair["columns"]
        lines.append(f"{a} and {b} go together: rank correlation {pair['rho']:+.2f}")
    for apart in facts["groups"][:3]:
        medians = [f"{name} {told['median']:.12g}" for name, told in apart["groups"].items()]
        most = ", ".join(medians if len(medians) <= _FEW else [*medians[:2], "…", *medians[-2:]])
        lines.append(f"{apart['of']} differs by {apart['by']}; medians: {most}")
    if facts["answer"]:
        lines.append(f"Answer: {_answer(facts['answer'])}")
    elif facts["question"] and not facts["model"]["used"]:
        lines.append(f"No answer by arithmetic, and none of a model: {facts['model']['why']}")
    return "\n".join([*lines, *_opinion(facts)])


def of_log(facts: Mapping[str, Any]) -> str:
    """The facts of `log_triage`: the gravest templates, then what may have caused them."""
    levels = ", ".join(f"{count:,} {level}" for level, count in facts["severities"].items())
    lines = [f"{facts['file']}: {facts['lines']:,} lines; {levels or 'nothing to read'}"]
    if facts["from"]:
        lines.append(f"from {facts['from']} to {facts['to']}")
    if facts["damaged"]:
        lines.append(f"damaged {facts['damaged']}")
    for group in facts["groups"]:
        lines.append(f"{group['severity']:8} {group['count']:>7,} x  {group['template'][:_WIDE]}")
        if group["count"] == 1 or group["template"] != group["example"]:
            lines.append(f"{'':20}line {group['first_line']:,}: {group['example'][:_WIDE]}")
        lines += [
            f"{'':20}burst of {burst['lines']:,} from {burst['from']} to {burst['to']}"
            for burst in group["bursts"]
        ]
    if facts["templates"] > len(facts["groups"]):
        lines.append(f"… and {facts['templates'] - len(facts['groups']):,} more templates")
    for cause in facts["causes"]:
        example, why = cause["example"][:_WIDE], cause["why"]
        lines.append(f"may have caused {cause['of'][:_WIDE]!r}:")
        lines.append(f"{'':20}line {cause['line']:,}: {example} ({why})")
    return "\n".join([*lines, *_opinion(facts)])


def _column(told: Mapping[str, Any]) -> str:
    parts = [f"{told['missing']:,} missing"] if told["missing"] else []
    if "mean" in told:
        low, median, high = told["quartiles"]
        parts.append(f"{told['least']:.12g} to {told['most']:.12g}, mean {told['mean']:.12g}")
        parts.append(f"quartiles {low:.12g}, {median:.12g}, {high:.12g}")
        if count := told["outliers"]["count"]:
            worst = told["outliers"]["worst"][0]
            parts.append(
                f"{count:,} outliers, such as {worst['value']:.12g} in line {worst['line']:,}"
            )
    elif told["frequent"]:
        value, count = next(iter(told["frequent"].items()))
        parts.append(f"{told['distinct']} different")
        parts += [f"most often {value[:40]!r}, {count:,} times"] if count > 1 else []
    return "; ".join(parts)


def _answer(answer: Mapping[str, Any]) -> str:
    by = f" by {answer['by']}" if "by" in answer else ""
    told = f"{answer['verb']} of {answer['of']}{by}: " if "verb" in answer else ""
    (found,) = (answer[name] for name in answer if name not in {"verb", "of", "by"})
    if isinstance(found, Mapping):
        return told + ", ".join(f"{name or '(empty)'} {value:,}" for name, value in found.items())
    return f"{told}{found:,}"


def _opinion(facts: Mapping[str, Any]) -> list[str]:
    advice = facts["model"]
    return [f"A model says: {advice['says']}"] if advice["used"] else []


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        left = (f"{cell:{most}}" for cell, most in zip(cells, wide, strict=True))
        yield "  ".join([*left, last]).rstrip()
