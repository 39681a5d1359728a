"""Forum text and what models write about it."""

from omr_kedro.text.conversion import parse_conversion
from omr_kedro.text.decisive import decisive_tokens
from omr_kedro.text.embedding import EmbeddingRetriever, Encoder, check_installed
from omr_kedro.text.forum_dump import ForumThread
from omr_kedro.text.labels import parse_label
from omr_kedro.text.near_duplicates import Document, Match, NearDuplicateOptions, exact_duplicates, near_duplicates
from omr_kedro.text.normal import math_tokens, normal_form
from omr_kedro.text.preparation import PreparationOptions
from omr_kedro.text.problems import parse_problems
from omr_kedro.text.replies import (
    ReasonedReply,
    Unreadable,
    final_text,
    split_reasoning,
    why_unreadable,
    without_fences,
)
from omr_kedro.text.retrieval import Hit, LexicalRetriever, Retriever
from omr_kedro.text.statements import after_marker
from omr_kedro.text.tokens import TokenCounter
from omr_kedro.text.twins import Twin, TwinFinder

__all__ = [
    "Document",
    "EmbeddingRetriever",
    "Encoder",
    "ForumThread",
    "Hit",
    "LexicalRetriever",
    "Match",
    "NearDuplicateOptions",
    "PreparationOptions",
    "ReasonedReply",
    "Retriever",
    "TokenCounter",
    "Twin",
    "TwinFinder",
    "Unreadable",
    "after_marker",
    "check_installed",
    "decisive_tokens",
    "exact_duplicates",
    "final_text",
    "math_tokens",
    "near_duplicates",
    "normal_form",
    "parse_conversion",
    "parse_label",
    "parse_problems",
    "split_reasoning",
    "why_unreadable",
    "without_fences",
]
