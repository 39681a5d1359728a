"""Problems -> proofs, and problems with a checkable answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.classify_problems.nodes import (
    ask_label,
    read_binary_label,
    read_invalid_label,
    read_mcq_label,
    read_proof_label,
)
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Four labels, each asked about what the former left."""
    return Pipeline(
        [
            *_label("proof", read_proof_label, "extracted_problems", ["proofs", "non_proofs"]),
            *_label("mcq", read_mcq_label, "non_proofs", ["open_problems"]),
            *_label("binary", read_binary_label, "open_problems", ["non_binary_problems"]),
            *_label("invalid", read_invalid_label, "non_binary_problems", ["valid_problems"]),
        ],
        namespace="classify_problems",
        prefix_datasets_with_namespace=False,
    )


def _label(label: str, read: Callable[..., Any], problems: str, kept: list[str]) -> list[Node]:
    stage = AskingStage(f"classify_{label}", options="classify_problems")
    return [stage.ask(ask_label, problems), stage.read(read, problems, kept=kept)]
