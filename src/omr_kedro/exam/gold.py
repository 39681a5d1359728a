"""Gold rows: questions whose outcome is known, by stage, as data/01_raw/exam/<stage>.jsonl holds them.

The outcome was decided by people before any model was asked. Each row says why it is gold, and names the trap that it
sets. `classify_problems` has the rows of four stages, one for each label.
"""

from __future__ import annotations

from collections.abc import Hashable

from pydantic import BaseModel, ConfigDict, Field


class GoldRow(BaseModel):
    """The fields of every gold row."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[a-z_]+-\d+$")
    """The stage and a number: `extract_problems-001`."""
    trap: str = Field(min_length=1)
    """Kind of row, to group by."""
    why: str = Field(min_length=1)
    """Why the outcome is gold."""

    @property
    def outcome(self) -> Hashable:
        """The kind of its outcome, over which a sample is spread; all are of one where outcomes have no kinds."""
        return None


class PostGold(GoldRow):
    """A first post, and the problems that it poses."""

    forum_post: str
    statements: tuple[str, ...]

    @property
    def outcome(self) -> Hashable:
        """Whether there is none, one or several statements."""
        return min(len(self.statements), 2)


class Labels(BaseModel):
    """The four labels of a problem."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    proof: bool
    mcq: bool
    binary: bool
    invalid: bool


class LabelGold(GoldRow):
    """A problem and its labels."""

    problem: str
    labels: Labels

    @property
    def outcome(self) -> Hashable:
        """All four labels."""
        return self.labels


class AnswerGold(GoldRow):
    """A thread, one of its problems, and the answer that the thread settles."""

    problem: str
    forum_post: str
    forum_discussions: str
    answer: str | None
    accept: tuple[str, ...] = ()
    """Other texts that are equally right."""

    @property
    def outcome(self) -> Hashable:
        """Whether the thread settles an answer."""
        return self.answer is not None


class ProofGold(GoldRow):
    """A proof, and whether a question with an answer to check can be made of it."""

    problem: str
    convertible: bool
    answer: str | None = None
    """The value that there is to ask for: a question that states it is wrong."""

    @property
    def outcome(self) -> Hashable:
        """Whether there can be a question."""
        return self.convertible


class PairGold(GoldRow):
    """A problem and a benchmark's, and whether they are one."""

    problem: str
    benchmark_problem: str
    same: bool

    @property
    def outcome(self) -> Hashable:
        """Whether both are one problem."""
        return self.same


class JudgedGold(GoldRow):
    """Two answers to a problem, and whether they are one."""

    problem: str
    reference_answer: str
    answer: str
    same: bool

    @property
    def outcome(self) -> Hashable:
        """Whether both are one answer."""
        return self.same


class SolutionGold(GoldRow):
    """A long solution with its own final answer, which a summary has to state."""

    problem: str
    reasoning: str = Field(min_length=1)
    solution: str
    predicted_answer: str


class ChoiceGold(GoldRow):
    """Worked candidates, and the places of the right ones."""

    problem: str
    candidates: tuple[str, ...] = Field(min_length=2)
    right: tuple[int, ...] = Field(min_length=1)
    """From 0."""
    expected_answer: str


GOLD: dict[str, type[GoldRow]] = {
    "extract_problems": PostGold,
    "classify_problems": LabelGold,
    "extract_answers": AnswerGold,
    "convert_proofs": ProofGold,
    "decontaminate": PairGold,
    "judge_answers": JudgedGold,
    "summarise_solutions": SolutionGold,
    "select_solutions": ChoiceGold,
}
"""Kinds of rows, by the file that holds them."""

FILE_OF = {
    **{name: name for name in GOLD if name != "classify_problems"},
    **dict.fromkeys(("classify_proof", "classify_mcq", "classify_binary", "classify_invalid"), "classify_problems"),
}
"""The file of gold rows, by the stage that is examined on them."""
