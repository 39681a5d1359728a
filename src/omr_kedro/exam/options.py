"""The section `exam` of the parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omr_kedro.exam.gold import FILE_OF

Share = Annotated[float, Field(ge=0, le=1)]
BeforeRuns = Literal["warn", "stop", "off"]


class ExamOptions(BaseModel):
    """Thresholds of verdicts, and what a run does about them."""

    model_config = ConfigDict(extra="forbid")

    required: Share = 0.85
    """Balanced accuracy that a stage's model has to have."""
    required_of: dict[str, Share] = {}
    """The same of single stages."""
    same_statement: Share = 0.6
    """Likeness from which on an extracted statement is the gold one (`marks.likeness`)."""
    sample: int | None = Field(default=None, ge=1)
    """Gold rows of each file that are asked about, for a first look (`reading.sampled`); None: all."""
    before_runs: BeforeRuns = "warn"
    """Whether a run is told, or stopped, whose stages ask models that were never examined or are unfit."""

    @field_validator("required_of")
    @classmethod
    def _of_stages(cls, given: dict[str, float]) -> dict[str, float]:
        if unknown := given.keys() - FILE_OF:
            raise ValueError(f"no stage is named {', '.join(sorted(unknown))}; known are {', '.join(FILE_OF)}")
        return given

    @field_validator("before_runs", mode="before")
    @classmethod
    def _as_written(cls, given: object) -> object:
        """`off` is a word of YAML for no."""
        return "off" if given is False else given

    def required_for(self, stage: str) -> float:
        """The balanced accuracy that is required of one stage."""
        return self.required_of.get(stage, self.required)
