"""The columns of every sharded table. Catalogs name them (`schema: omr_kedro.tables.PROBLEMS`)."""

from omr_kedro.tables.assess_answers import ANSWER_QUALITY
from omr_kedro.tables.benchmarks import BENCHMARKS
from omr_kedro.tables.decontaminate import CONTAMINATION, CONTAMINATION_REVIEW, SIMILAR
from omr_kedro.tables.deduplicate import DUPLICATES
from omr_kedro.tables.prepare_threads import THREADS
from omr_kedro.tables.problems import PROBLEMS
from omr_kedro.tables.raw_data import FORUM_THREADS, REJECTED_RECORDS, REPOST_REPLIES, REPOSTS
from omr_kedro.tables.stages import COMPLETIONS, DROPPED

__all__ = [
    "ANSWER_QUALITY",
    "BENCHMARKS",
    "COMPLETIONS",
    "CONTAMINATION",
    "CONTAMINATION_REVIEW",
    "DROPPED",
    "DUPLICATES",
    "FORUM_THREADS",
    "PROBLEMS",
    "REJECTED_RECORDS",
    "REPOSTS",
    "REPOST_REPLIES",
    "SIMILAR",
    "THREADS",
]
