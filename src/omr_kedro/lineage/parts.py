"""Samples of a problem and their answers, put together from the tables that each of them has passed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from omr_kedro.shards import Row

_LONG = ("problem", "reasoning", "solution")
"""Columns whose texts are among the problems and the calls."""
_Class = tuple[str, str, int | None]
"""A class of answers: problem, mode and number."""


@dataclass(frozen=True)
class SampleWay:
    """The way of one sample: its answer, what was found out about it, and what became of it."""

    solution_id: str
    problem_id: str
    mode: str
    """How it was made (`solutions.Mode`)."""
    sample_index: int
    answer: str | None
    no_vote: str | None
    """Why it has no vote; None where it votes."""
    answer_class: int | None
    verdict: str | None
    decided_by: str | None
    outcome: str
    """`kept`, `dropped`, `failed`; `open` where nothing is decided yet."""
    reason: str | None
    """Why it was rejected."""
    summary: str | None


@dataclass(frozen=True)
class Parts:
    """Samples and answers of some problems."""

    answer_ids: list[str]
    samples: list[SampleWay]
    left_out: frozenset[str] = frozenset()
    """Keys of the calls that drew samples which are not among them."""
    _answers: Mapping[str, Row] = field(default_factory=dict, repr=False)
    _calls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys of the calls that drew the samples, by solution."""

    @property
    def ids(self) -> list[str]:
        """Ids of both."""
        return [*self.answer_ids, *(sample.solution_id for sample in self.samples)]

    def only(self, part_id: str) -> Parts:
        """One sample with the answer of its class, or one answer with the samples of its class."""
        wanted = self._classes_of_answers.get(part_id)
        classes = self._classes
        chosen = {one for one, its in classes.items() if its == wanted} if wanted else {part_id}
        return self.of_solutions(chosen, [wanted or classes[part_id]])

    def of_solutions(self, chosen: Collection[str], classes: Collection[_Class] = ()) -> Parts:
        """Some samples with the answers of their classes, and of these."""
        wanted = {*classes, *(its for one, its in self._classes.items() if one in chosen)}
        return Parts(
            [row_id for row_id, its in self._classes_of_answers.items() if its in wanted],
            [sample for sample in self.samples if sample.solution_id in chosen],
            frozenset(key for one, key in self._calls.items() if one not in chosen),
        )

    @property
    def _classes_of_answers(self) -> dict[str, _Class]:
        return {row_id: _class_of(**row) for row_id, row in self._answers.items()}

    @property
    def _classes(self) -> dict[str, _Class]:
        return {
            sample.solution_id: _class_of(sample.problem_id, sample.mode, sample.answer_class)
            for sample in self.samples
        }


def parts_of(rows: Iterable[Row]) -> Parts:
    """Samples and answers from rows of the tables that have one row for each.

    Args:
        rows: with `solution_id` or `answer_id`, in the order of the pipeline. Where two tables fill a column, the first
            counts: a summary has a number and a call of its own.
    """
    answers: dict[str, Row] = {}
    samples: dict[str, Row] = {}
    for row in rows:
        found, row_id = (samples, row["solution_id"]) if "solution_id" in row else (answers, row["answer_id"])
        facts = found.setdefault(row_id, {})
        for name, value in row.items():
            if name not in _LONG and facts.get(name) is None:
                facts[name] = value
    ordered = sorted(samples.values(), key=lambda facts: (facts["problem_id"], facts["mode"], facts["sample_index"]))
    calls = {row_id: facts["call_key"] for row_id, facts in samples.items()}
    return Parts(list(answers), [_way(facts) for facts in ordered], _answers=answers, _calls=calls)


def _class_of(problem_id: str, mode: str, answer_class: int | None, **_: object) -> _Class:
    """Key of a class of answers: no other has the same."""
    return problem_id, mode, answer_class


def _way(facts: Row) -> SampleWay:
    return SampleWay(
        solution_id=facts["solution_id"],
        problem_id=facts["problem_id"],
        mode=facts["mode"],
        sample_index=facts["sample_index"],
        answer=facts.get("predicted_answer"),
        no_vote=facts.get("no_vote"),
        answer_class=facts.get("answer_class"),
        verdict=facts.get("verdict"),
        decided_by=facts.get("decided_by"),
        outcome=facts.get("outcome") or ("kept" if "verdict" in facts else "open"),
        reason=facts.get("reason"),
        summary=facts.get("summary"),
    )
