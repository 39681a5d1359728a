"""The columns of every sharded table. Catalogs name them (`schema: omr_kedro.tables.PROBLEMS`)."""

from omr_kedro.tables.assess_answers import ANSWER_QUALITY
from omr_kedro.tables.benchmarks import BENCHMARKS
from omr_kedro.tables.decontaminate import CONTAMINATION, CONTAMINATION_REVIEW, SIMILAR
from omr_kedro.tables.deduplicate import DUPLICATES
from omr_kedro.tables.exam import EXAM_MARKS, EXAM_ROWS
from omr_kedro.tables.genselect import CANDIDATE_GROUPS, SELECTION_SUMMARIES, SELECTIONS
from omr_kedro.tables.prepare_threads import THREADS
from omr_kedro.tables.problems import PROBLEMS
from omr_kedro.tables.publishing import (
    PUBLISHED_PROBLEMS,
    PUBLISHED_REJECTED,
    PUBLISHED_SELECTIONS,
    PUBLISHED_SOLUTIONS,
    SFT_SELECTION,
)
from omr_kedro.tables.raw_data import FORUM_THREADS, REJECTED_RECORDS, REPOST_REPLIES, REPOSTS
from omr_kedro.tables.solutions import (
    ANSWERS,
    REFERENCE_ANSWERS,
    REJECTED_SOLUTIONS,
    SAMPLES,
    SOLUTIONS,
    SUMMARIES,
    TIR_FRAGMENT_VOTES,
    TIR_FRAGMENTS,
    TIR_REJECTED_SOLUTIONS,
    TIR_SAMPLES,
    TIR_SOLUTIONS,
    TIR_TURNS,
    TIR_USEFULNESS,
    VOTES,
)
from omr_kedro.tables.stages import COMPLETIONS, DROPPED

__all__ = [
    "ANSWERS",
    "ANSWER_QUALITY",
    "BENCHMARKS",
    "CANDIDATE_GROUPS",
    "COMPLETIONS",
    "CONTAMINATION",
    "CONTAMINATION_REVIEW",
    "DROPPED",
    "DUPLICATES",
    "EXAM_MARKS",
    "EXAM_ROWS",
    "FORUM_THREADS",
    "PROBLEMS",
    "PUBLISHED_PROBLEMS",
    "PUBLISHED_REJECTED",
    "PUBLISHED_SELECTIONS",
    "PUBLISHED_SOLUTIONS",
    "REFERENCE_ANSWERS",
    "REJECTED_RECORDS",
    "REJECTED_SOLUTIONS",
    "REPOSTS",
    "REPOST_REPLIES",
    "SAMPLES",
    "SELECTIONS",
    "SELECTION_SUMMARIES",
    "SFT_SELECTION",
    "SIMILAR",
    "SOLUTIONS",
    "SUMMARIES",
    "THREADS",
    "TIR_FRAGMENTS",
    "TIR_FRAGMENT_VOTES",
    "TIR_REJECTED_SOLUTIONS",
    "TIR_SAMPLES",
    "TIR_SOLUTIONS",
    "TIR_TURNS",
    "TIR_USEFULNESS",
    "VOTES",
]
