"""Findings of decontamination by benchmark, and the check that it agrees with the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pandas as pd

from omr_kedro.pipelines.decontaminate.nodes import known_problems
from omr_kedro.shards import OmrError, Shard, Shards, Source

ALL = "(all)"
"""Name of the row that counts problems once, however many benchmarks they stand in."""


class ContaminationReportError(OmrError):
    """The report and the tables disagree."""


def report_contamination(contamination: Shards, benchmarks: Source) -> pd.DataFrame:
    """Counts for each benchmark, and for all of them together.

    Returns:
        `benchmark`; `benchmark_problems`, and those `hit`: with a twin among ours; our problems: `removed` for a twin,
        of which `exact` are equal to one and the others `judged` to be one, and `unclear`: set aside because a verdict
        was not clear, without a twin anywhere; `pairs` that were compared, `pairs_contaminated`, `pairs_unclear`,
        `pairs_clean`. The last row, `(all)`, counts each problem once; what stands above it may add up to more.
    """
    sizes = Counter(row["benchmark"] for row in known_problems(benchmarks))
    # Pairs that belong to no benchmark, since their problem's twins could not be looked for, get a row of their own.
    counts = defaultdict(Counter, {name: Counter() for name in sizes})
    hit: set[tuple[str, str]] = set()
    # A problem's pairs share its shard, so one shard's problems at a time are enough.
    for shard in contamination.values():
        _count_shard(shard, counts, hit)
    for name, _ in hit:
        counts[name]["hit"] += 1
    rows = [_row(name, sizes[name], counted) for name, counted in counts.items() if name != ALL]
    everything = _row(ALL, sizes.total(), counts[ALL])
    return pd.DataFrame([*rows, {**everything, "hit": len(hit)}])


def check_contamination_report(
    report: pd.DataFrame, problems: Shards, clean: Shards, dropped: Shards, contamination: Shards
) -> None:
    """Fail the run when the report does not agree with the tables.

    Raises:
        ContaminationReportError: lists what disagrees.
    """
    *benchmarks, total = report.to_dict("records")
    outcomes = Counter(row["outcome"] for row in dropped.rows())
    sums = {name: sum(row[name] for row in benchmarks) for name in ("pairs", "benchmark_problems")}
    claims = {
        "removed problems / rows dropped by decontaminate": (total["removed"], outcomes["dropped"]),
        "unclear problems / rows failed by decontaminate": (total["unclear"], outcomes["failed"]),
        "problems in / clean + removed + unclear": (
            problems.count,
            clean.count + total["removed"] + total["unclear"],
        ),
        "pairs of all benchmarks / rows of contamination": (sums["pairs"], contamination.count),
        "pairs in all / rows of contamination": (total["pairs"], contamination.count),
        "benchmark problems in all / of each": (total["benchmark_problems"], sums["benchmark_problems"]),
    }
    wrong = [f"  {what}: {one:,} / {other:,}" for what, (one, other) in claims.items() if one != other]
    if wrong:
        raise ContaminationReportError(
            "contamination_report does not agree with the tables:\n" + "\n".join(wrong) + "\nThis is a defect of "
            "omr_kedro, or a table was edited by hand, or the benchmarks were changed since; run decontaminate again."
        )


def _count_shard(shard: Shard, counts: dict[str, Counter[str]], hit: set[tuple[str, str]]) -> None:
    # problem -> benchmark -> the verdicts, and whether it is equal to one of its problems
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for pair in shard.rows():
        name, verdict = pair["benchmark"], pair["verdict"]
        for place in (name, ALL):
            counts[place].update(("pairs", f"pairs_{verdict}"))
            found[pair["problem_id"]][place] |= {verdict, "exact"} if pair["exact"] else {verdict}
        if verdict == "contaminated":
            hit.add((name, pair["benchmark_id"]))
    for places in found.values():
        removed = "contaminated" in places[ALL]
        for place, seen in places.items():
            if "contaminated" in seen:
                counts[place].update(("removed", "exact" if "exact" in seen else "judged"))
            if "unclear" in seen and not removed:
                counts[place]["unclear"] += 1


def _row(name: str, size: int, counted: Counter[str]) -> dict[str, Any]:
    ours = ("hit", "removed", "exact", "judged", "unclear")
    pairs = ("pairs", "pairs_contaminated", "pairs_unclear", "pairs_clean")
    return {"benchmark": name, "benchmark_problems": size, **{key: counted[key] for key in (*ours, *pairs)}}
