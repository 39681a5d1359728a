"""Figures of a run of the trials, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.results import machine

from trials.hostile import Endured
from trials.point import Outcome
from trials.soak import Soaked


def text(
    outcomes: Sequence[Outcome],
    planted: Mapping[str, int | None],
    soaked: Soaked | None,
    endured: Endured | None,
    seed: int,
    seconds: float,
) -> str:
    """The whole report."""
    lines = [
        "# Trials",
        "",
        f"`make trials` with seed {seed}; {seconds / 60:.1f} minutes. {machine()}",
        "",
    ]
    if outcomes:
        lines += _crashes(outcomes)
    if planted:
        lines += [
            "## Planted faults",
            "",
            "What was taken out of the code, and how many trials it took to find that.",
            "",
        ]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {count or '**not found**'} |" for name, count in planted.items()]
        lines += [""]
    if soaked:
        lines += ["## Soak", "", *soaked.lines(), ""]
    if endured:
        lines += ["## Hostile rows", "", *endured.lines(), ""]
    return "\n".join(lines)


def _crashes(outcomes: Sequence[Outcome]) -> list[str]:
    struck = [outcome for outcome in outcomes if outcome.hits]
    hits = Counter(hit for outcome in outcomes for hit in outcome.hits)
    states = {state for outcome in outcomes for state in outcome.states}
    sums = {
        name: sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("rows", "rows_lost", "rows_wrong", "paid", "paid_twice", "lost_in_flight")
    }
    findings = [
        f"- trial {outcome.number} ({outcome.scene}, {outcome.how}): {finding}"
        for outcome in outcomes
        for finding in outcome.findings
    ]
    return [
        "## Crash points",
        "",
        "| | |",
        "|---|---|",
        f"| trials in which something struck | {len(struck):,} of {len(outcomes):,} |",
        f"| disturbances in them | {hits.total():,} |",
        f"| different states of the disk that they left | {len(states):,} |",
        f"| trials with a wall clock that jumps | {sum(outcome.clock for outcome in struck):,} |",
        f"| rows compared with an undisturbed run | {sums['rows']:,} |",
        f"| rows lost | {sums['rows_lost']:,} |",
        f"| rows that differ | {sums['rows_wrong']:,} |",
        f"| calls paid, by the provider's count | {sums['paid']:,} |",
        f"| calls paid twice | {sums['paid_twice']:,} |",
        f"| replies in flight when killed, at most a window each time | {sums['lost_in_flight']:,} |",
        f"| findings | {len(findings):,} |",
        "",
        *_table("scene", Counter(outcome.scene for outcome in struck)),
        *_table("provider", Counter(outcome.mix for outcome in struck)),
        *_table("inputs", Counter(outcome.flow for outcome in struck)),
        *_table("what struck, and at what kind of operation", hits),
        *(["### Findings", "", *findings, ""] if findings else []),
    ]


def _table(title: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    return [f"| {title} | |", "|---|---|", *rows, ""]
