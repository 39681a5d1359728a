"""The dataset card: README.md with front matter for the hub, and a page for people, both written from the run.

Sources of the form: https://huggingface.co/docs/hub/datasets-cards (front matter) and
https://huggingface.co/docs/hub/datasets-manual-configuration (`configs`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from omr_kedro.publishing.facts import DatasetFacts, Funnel
from omr_kedro.publishing.front_matter import with_front_matter
from omr_kedro.publishing.licences import UNKNOWN
from omr_kedro.publishing.limits import BIASES, LIMITS, MEANINGS
from omr_kedro.publishing.manifest import Manifest
from omr_kedro.publishing.markdown import quoted, table
from omr_kedro.publishing.verifier import GRADING, JUDGING
from omr_kedro.shards import content_id

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGER = "10M<n<100M"
_CHANGES = "## Changelog"
_CHANGE = re.compile(r"- Dataset `[0-9a-f]{8}`, [ -~]{1,2000}")
_MOST_CHANGES = 100
_MOST_ORIGINS = 50


def dataset_card(facts: DatasetFacts, earlier: str = "") -> str:
    """The card of a dataset.

    Args:
        facts: about it and the run that made it; names in them are foreign and become text, whatever they hold.
        earlier: the card before, whose changelog goes on.
    """
    return with_front_matter(front_matter(facts), "\n".join(_page(facts, earlier)))


def front_matter(facts: DatasetFacts) -> dict[str, Any]:
    """Fields that the hub and `datasets` read: languages, licences, sizes, files and columns of each config."""
    options = facts.options
    rows = sum(manifest.rows for manifest in facts.published)
    return {
        "language": options.languages,
        "license": facts.licenses[0] if len(facts.licenses) == 1 else facts.licenses,
        "pretty_name": options.title,
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [next((name for most, name in _SIZES if rows < most), _LARGER)],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found", "machine-generated"],
        "source_datasets": [f"extended|{source}" for source in options.sources] or ["original"],
        "tags": ["math", "reasoning", "synthetic", *(m.config for m in facts.published if m.config in ("cot", "tir"))],
        "configs": list(_configs(facts.published)),
        "dataset_info": [_info(manifest) for manifest in facts.published],
    }


def _configs(manifests: Iterable[Manifest]) -> Iterator[dict[str, Any]]:
    for place, manifest in enumerate(manifests):
        files = {"split": manifest.split, "path": [file.path for file in manifest.files]}
        yield {"config_name": manifest.config, "data_files": [files], **({} if place else {"default": True})}


def _info(manifest: Manifest) -> dict[str, Any]:
    split = {"name": manifest.split, "num_bytes": manifest.bytes_in_memory, "num_examples": manifest.rows}
    return {
        "config_name": manifest.config,
        "features": [dict(feature) for feature in manifest.features],
        "splits": [split],
        "download_size": manifest.bytes,
        "dataset_size": manifest.bytes_in_memory,
    }


def _page(facts: DatasetFacts, earlier: str) -> Iterator[str]:
    yield f"# {_plain(facts.options.title)}\n"
    if facts.options.description:
        yield f"{facts.options.description}\n"
    yield (
        f"Mathematical problems of forum threads with checked answers, and solutions of them by models, made with "
        f"omr_kedro {facts.version}. Every number on this page was counted in the run that wrote the files.\n"
    )
    yield from _of_configs(facts)
    yield from _of_pipeline(facts)
    for funnel in facts.funnels:
        yield from _of_funnel(funnel)
    yield from _of_verifiers()
    yield from _of_contamination(facts)
    yield from _of_judges(facts)
    yield from _of_exam(facts)
    yield from _of_origins(facts)
    yield "## Known limits\n"
    yield "".join(f"- {limit}\n" for limit in (*LIMITS, *BIASES))
    yield f"{_CHANGES}\n"
    yield "".join(f"{change}\n" for change in _changes(facts, earlier))


def _of_configs(facts: DatasetFacts) -> Iterator[str]:
    yield "## Configs\n"
    yield table(
        ("config", "split", "rows", "files", "bytes", "holds"),
        (
            (
                f"`{m.config}`",
                f"`{m.split}`",
                m.rows,
                len(m.files),
                m.bytes,
                MEANINGS.get(m.config, "a view of the rows"),
            )
            for m in facts.published
        ),
    )
    if facts.published:
        first = facts.published[0]
        yield (
            f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("OWNER/NAME", "{first.config}", '
            f'split="{first.split}")\n```\n'
        )
    for manifest in facts.manifests:
        if not manifest.rows:
            yield f"There is no config `{manifest.config}`: {_plain(manifest.why_empty or 'it has no rows')}.\n"


def _of_pipeline(facts: DatasetFacts) -> Iterator[str]:
    yield "## How it was made\n"
    yield (
        f"omr_kedro {facts.version}. Stages that ask a model, with the hash of the prompt's fixed text; tokens as the "
        f"servers count them.\n"
    )
    yield table(
        ("stage", "model", "prompt", "calls", "failed", "prompt tokens", "reply tokens"),
        (
            (
                f"`{row['stage']}`",
                quoted(row["model"]),
                quoted(row["prompt_hash"]),
                *(int(row[name]) for name in ("calls", "failed", "prompt_tokens", "completion_tokens")),
            )
            for row in facts.calls
        ),
    )


def _of_funnel(funnel: Funnel) -> Iterator[str]:
    names = ("rows_in", "kept", "dropped", "failed", "rows_out")
    yield f"## Counts: {funnel.rows}\n"
    yield "Rows in = kept + dropped + failed, at every stage; one row may give several.\n"
    yield table(
        ("stage", "unit", "rows in", "kept", "dropped", "failed", "rows out"),
        ((f"`{row['stage']}`", str(row["unit"]), *(int(row[name]) for name in names)) for row in funnel.stages),
    )
    if funnel.reasons:
        yield table(
            ("stage", "outcome", "reason", "rows"),
            (
                (f"`{row['stage']}`", quoted(row["outcome"]), quoted(row["reason"]), int(row["rows"]))
                for row in funnel.reasons
            ),
        )


def _of_verifiers() -> Iterator[str]:
    yield "## Errors of the verifiers\n"
    yield "Measured on keys that people have checked, and measured again by the tests of omr_kedro.\n"
    yield table(
        (
            "verifier",
            "key",
            "pairs",
            "equal pairs",
            "found equal",
            "wrongly equal",
            "wrongly unequal",
            "left undecided",
        ),
        ((key.verifier, f"`{key.key}`", *key[2:]) for key in (GRADING, JUDGING)),
    )


def _of_contamination(facts: DatasetFacts) -> Iterator[str]:
    yield "## Decontamination\n"
    if not facts.contamination:
        yield "The problems were not compared with any benchmark.\n"
        return
    names = ("benchmark_problems", "hit", "removed", "unclear", "pairs")
    yield (
        "Benchmark problems with a twin among ours; our problems that were removed for a twin, or set aside since a "
        "verdict was not clear; pairs that were compared.\n"
    )
    yield table(
        ("benchmark", "its problems", "with a twin", "removed", "set aside", "pairs"),
        ((quoted(row["benchmark"]), *(int(row[name]) for name in names)) for row in facts.contamination),
    )


def _of_judges(facts: DatasetFacts) -> Iterator[str]:
    if not facts.judges:
        return
    yield "## Errors of the judge models\n"
    yield (
        "Pairs whose verdict is known stood among those that each judge was asked about. Balanced accuracy with its "
        "95 % interval.\n"
    )
    yield table(
        ("judge", "model", "pairs", "balanced accuracy", "interval", "required", "right by class", "unclear"),
        (
            (
                f"`{row['stage']}`",
                quoted(row["model"]),
                int(row["rows"]),
                f"{100 * row['balanced_accuracy']:.1f} %",
                f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
                f"{100 * row['required']:.0f} %",
                _plain(row["by_class"]),
                int(row["unparsed"]),
            )
            for row in facts.judges
        ),
    )


def _of_exam(facts: DatasetFacts) -> Iterator[str]:
    if not facts.exam:
        return
    names = list(facts.exam[0])
    yield "## Examinations of the models\n"
    yield "Each stage's model on hand-checked rows, before its verdicts were believed.\n"
    yield table([quoted(name) for name in names], ([_value(row[name]) for name in names] for row in facts.exam))


def _of_origins(facts: DatasetFacts) -> Iterator[str]:
    yield "## Sources and licences\n"
    yield "Posts belong to their authors; models' texts stand under the terms of the models that are named above.\n"
    if facts.options.sources:
        yield f"Threads come from {', '.join(map(quoted, facts.options.sources))}.\n"
    if unlicensed := sum(origin.problems for origin in facts.origins if origin.license == UNKNOWN):
        yield (
            f"Nobody has named a licence for {unlicensed:,} of the problems and the rows made of them (`{UNKNOWN}`): "
            "without one, it is not known whether others may use them.\n"
        )
    ordered = sorted(facts.origins, key=lambda origin: (-origin.problems, origin))
    yield table(
        ("source", "licence of its rows", "problems"),
        ((quoted(o.source) or "not known", quoted(o.license), o.problems) for o in ordered[:_MOST_ORIGINS]),
    )
    if more := ordered[_MOST_ORIGINS:]:
        yield f"{len(more):,} more sources have {sum(origin.problems for origin in more):,} problems.\n"


def _changes(facts: DatasetFacts, earlier: str) -> list[str]:
    """The line of this dataset, above those of the card before."""
    configs = ", ".join(f"`{manifest.config}` {manifest.rows:,} rows" for manifest in facts.published)
    key = content_id(*(file.sha256 for manifest in facts.published for file in manifest.files))[:8]
    dated = f", {facts.options.date}" if facts.options.date else ""
    now = f"- Dataset `{key}`, omr_kedro {facts.version}{dated}: {configs or 'no rows'}"
    lines = earlier.rpartition(f"\n{_CHANGES}\n")[2].splitlines() if _CHANGES in earlier else []
    before = [line for line in lines if _CHANGE.fullmatch(line)]
    if before and before[0].split(",")[0] == now.split(",", maxsplit=1)[0]:
        before = before[1:]  # the same rows, told once
    return [now, *islice(before, _MOST_CHANGES)]


_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~@:/<>&.-])")


def _plain(text: str) -> str:
    """A text of the configuration on one line, in which nothing is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _value(value: Any) -> str | int | float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else quoted(value)
