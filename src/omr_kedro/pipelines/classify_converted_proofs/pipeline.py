"""Questions made of proofs -> those that are open, not answered by yes or no, and valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from omr_kedro.pipelines.classify_converted_proofs.nodes import (
    ask_converted_label,
    read_converted_binary_label,
    read_converted_invalid_label,
    read_converted_mcq_label,
)
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Three labels, with the prompts and settings of `classify_problems`, each about what the former left."""
    return Pipeline(
        [
            *_label("mcq", read_converted_mcq_label, "converted_proofs", "open_converted_proofs"),
            *_label("binary", read_converted_binary_label, "open_converted_proofs", "non_binary_converted_proofs"),
            *_label("invalid", read_converted_invalid_label, "non_binary_converted_proofs", "valid_converted_proofs"),
        ],
        namespace="classify_converted_proofs",
        prefix_datasets_with_namespace=False,
    )


def _label(label: str, read: Callable[..., Any], problems: str, kept: str) -> list[Node]:
    stage = AskingStage(f"classify_converted_{label}", prompt=f"classify_{label}_prompt", options="classify_problems")
    return [stage.ask(ask_converted_label, problems), stage.read(read, problems, kept=[kept])]
