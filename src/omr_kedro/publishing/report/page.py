"""The page itself: funnels, reasons, spending, votes, pass rates, and random rows with their lineage.

It holds no script, no link that strangers wrote, and a policy that lets nothing be loaded or run: allowed is the page's
own style alone, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from omr_kedro.publishing.facts import Funnel, Record
from omr_kedro.publishing.report.charts import COLOURS, Bar, bars, counts, histogram
from omr_kedro.publishing.report.formulas import typeset, typeset_answer
from omr_kedro.shards import printable
from omr_kedro.shards.printable import printable_line

_MOST_CHARS = 6000
"""Of a text that is shown: the longest statements have some thousand, reasoning has more."""
_MOST_NAME = 80
_MOST_REASONS = 60

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2433; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .9rem; } .wide { overflow-x: auto; }
th, td { border-bottom: 1px solid #d8dde6; padding: .25rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1d2433; }
article { border: 1px solid #d8dde6; border-radius: .5rem; padding: .5rem 1rem; margin: 1rem 0; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; overflow: auto hidden; padding: .25rem 0; }
.text, code { unicode-bidi: isolate; }
code { font-size: .85em; overflow-wrap: anywhere; }
.kept { color: #1f776c; } .dropped { color: #8a6d10; } .failed { color: #b04a31; } .note { color: #5a6475; }
"""


@dataclass(frozen=True)
class ModeCounts:
    """Samples of one way to solve: how they voted, why no more were drawn, how hard the problems are."""

    mode: str
    drawn: Mapping[int, int]
    """Problems by how many samples were drawn of them."""
    stop_reasons: Mapping[str, int]
    """Problems by why no more were."""
    agreement: Mapping[int, int]
    """Problems by the share of votes that the majority has, in tenths; those with votes."""
    pass_rates: Mapping[int, int]
    """Problems by their pass rate, in tenths; those with an answer that counts."""


@dataclass(frozen=True)
class Example:
    """A solution, with the ids by which its way is found."""

    solution: Record
    """Row of `tables.SOLUTIONS`."""
    summary: Record | None = None
    """Row of `tables.SUMMARIES`, where it has one."""


@dataclass(frozen=True)
class Report:
    """Contents of the page."""

    title: str
    version: str
    """Of omr_kedro."""
    funnels: Sequence[Funnel]
    calls: Sequence[Record]
    """See `DatasetFacts.calls`; `money` is None where no price is known."""
    modes: Sequence[ModeCounts]
    examples: Sequence[Example]


def report_page(report: Report) -> str:
    """The whole page."""
    body = "\n".join(_sections(report))
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_line(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _sections(report: Report) -> Iterator[str]:
    models = list(dict.fromkeys(str(row["model"]) for row in report.calls))
    yield f"<h1>{_line(report.title)}</h1>"
    names = ", ".join(map(_code, models)) or "none"
    yield f'<p class="note">Made with omr_kedro {escape(report.version)}. Models: {names}.</p>'
    for funnel in report.funnels:
        yield from _funnel(funnel)
    yield from _spending(report.calls)
    for mode in report.modes:
        yield from _mode(mode)
    yield from _examples(report.examples)


def _funnel(funnel: Funnel) -> Iterator[str]:
    yield f"<h2>Funnel of {_line(funnel.rows)}</h2>"
    legend = ", ".join(f'<span class="{name}">{name}</span>' for name in COLOURS)
    yield f'<p class="note">Rows in = {legend.replace(", ", " + ")}, at every stage.</p>'
    yield bars(
        f"Funnel of {funnel.rows}",
        [
            Bar(
                str(row["stage"]),
                [(int(row[name]), colour) for name, colour in COLOURS.items()],
                f"{int(row['kept']):,} of {int(row['rows_in']):,} {row['unit']}s",
            )
            for row in funnel.stages
        ],
    )
    branches = [(str(row["stage"]), row["branches"]) for row in funnel.stages if isinstance(row.get("branches"), str)]
    for stage, told in branches:
        if told:
            yield f"<p>After {_code(stage)}: {_line(told)}.</p>"
    if funnel.reasons:
        yield f"<h3>What was not kept, and why ({_line(funnel.rows)})</h3>"
        yield bars(
            f"Rows that were not kept, of {funnel.rows}, by reason",
            [
                Bar(
                    f"{row['stage']}: {row['reason']}",
                    [(int(row["rows"]), COLOURS.get(str(row["outcome"]), COLOURS["failed"]))],
                    f"{int(row['rows']):,} {row['outcome']}",
                )
                for row in funnel.reasons[:_MOST_REASONS]
            ],
        )


def _spending(calls: Sequence[Record]) -> Iterator[str]:
    yield "<h2>Spending</h2>"
    if not calls:
        yield "<p>No model was asked.</p>"
        return
    tokens: dict[str, float] = {}
    for row in calls:
        stage = str(row["stage"])
        tokens[stage] = tokens.get(stage, 0) + int(row["prompt_tokens"]) + int(row["completion_tokens"])
    yield f'<p class="note">{sum(int(row["calls"]) for row in calls):,} calls, {sum(tokens.values()):,.0f} tokens.</p>'
    yield counts("Tokens by stage", tokens, "tokens")
    names = ("calls", "failed", "prompt_tokens", "completion_tokens")
    yield _table(
        ("stage", "model", "prompt", *(name.replace("_", " ") for name in names), "money"),
        (
            (
                _code(row["stage"]),
                _code(row["model"]),
                _code(row["prompt_hash"]),
                *(int(row[name]) for name in names),
                _money(row.get("money")),
            )
            for row in calls
        ),
    )


def _mode(mode: ModeCounts) -> Iterator[str]:
    yield f"<h2>Samples and votes ({_line(mode.mode)})</h2>"
    yield "<h3>Samples drawn of a problem</h3>"
    yield counts("Problems by samples drawn", {str(n): mode.drawn[n] for n in sorted(mode.drawn)}, "problems")
    yield "<h3>Why no more were drawn</h3>"
    yield counts("Problems by stop reason", mode.stop_reasons, "problems")
    yield "<h3>Share of votes that the majority has</h3>"
    yield histogram("Problems by agreement of their samples", mode.agreement, "problems")
    yield "<h3>Pass rates</h3>"
    yield '<p class="note">Unbiased estimates of the share of right samples; of problems whose answer is known.</p>'
    yield histogram("Problems by pass rate", mode.pass_rates, "problems")


def _examples(examples: Sequence[Example]) -> Iterator[str]:
    yield f"<h2>{len(examples)} random solutions</h2>"
    if not examples:
        yield "<p>There is no solution.</p>"
    for example in examples:
        yield "<article>" + "".join(_example(example)) + "</article>"


def _example(example: Example) -> Iterator[str]:
    row = example.solution
    yield f'<h3>Problem</h3><div class="text">{typeset(_cut(row["problem"]))}</div>'
    yield (
        f'<p>Answer <span class="text">{typeset_answer(_cut(row["predicted_answer"], _MOST_NAME))}</span>, expected '
        f'<span class="text">{typeset_answer(_cut(row["expected_answer"], _MOST_NAME))}</span> '
        f"({_line(row['answer_source'])}): {_line(row['verdict'])}, decided by {_line(row['decided_by'])}; "
        f"{row['votes_for']} of {row['samples_drawn']} samples have it.</p>"
    )
    for name, text in (
        ("Summary", example.summary and example.summary["summary"]),
        ("Solution", row["solution"]),
        ("Reasoning", row["reasoning"]),
    ):
        if text:
            yield f'<details><summary>{name}</summary><div class="text">{typeset(_cut(text))}</div></details>'
    ids = (
        "thread_id",
        "problem_id",
        "solution_id",
        "call_key",
        "prompt_hash",
        "generation_model",
        "sample_index",
        "seed",
    )
    lineage = [(name, row[name]) for name in ids]
    if example.summary:
        lineage.append(("call_key of the summary", example.summary["call_key"]))
    items = "".join(f"<tr><th>{escape(name)}</th><td>{_code(value)}</td></tr>" for name, value in lineage)
    yield (
        f"<details><summary>Where it comes from</summary><table>{items}</table>"
        f"<p><code>kedro lineage {_line(row['solution_id'])}</code> shows every call and every decision.</p></details>"
    )


def _table(head: Iterable[str], rows: Iterable[Sequence[str | int]]) -> str:
    """A table; texts among its cells are HTML."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _cell(value: str | int) -> str:
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f"<td>{value}</td>"


def _money(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) and value == value else ""  # noqa: PLR0124 (no number is unequal to itself)


def _code(value: object) -> str:
    return f"<code>{_line(value)}</code>"


def _line(value: object) -> str:
    return escape(printable_line("" if value is None else str(value), _MOST_NAME))


def _cut(value: object, most: int = _MOST_CHARS) -> str:
    text = printable("" if value is None else str(value)[: most + 1])
    return text if len(text) <= most else f"{text[:most]} …"
