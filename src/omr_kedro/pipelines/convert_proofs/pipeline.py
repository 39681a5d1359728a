"""Proofs -> questions."""

from kedro.pipeline import Pipeline

from omr_kedro.pipelines.convert_proofs.nodes import ask_convert_proofs, read_convert_proofs
from omr_kedro.pipelines.stages import AskingStage


def create_pipeline() -> Pipeline:
    """Ask for a question in place of each proof, read the replies."""
    stage = AskingStage("convert_proofs")
    return Pipeline(
        [
            stage.ask(ask_convert_proofs, "proofs"),
            stage.read(read_convert_proofs, "proofs", kept=["converted_proofs"]),
        ],
        namespace="convert_proofs",
        prefix_datasets_with_namespace=False,
    )
