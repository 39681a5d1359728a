"""Peak memory of chain-of-thought solutions against the number of problems: it should not grow. And CPU a sample.

    python -m benchmarks.solutions [--problems 2000 8000] [--reply-chars 40000]

The nodes of `solution_generation`, as their pipelines call them, each in a process of its own: problems are sampled by
the default rule (4 to 32 samples, until the vote is settled) against a mock server in another process; samples are read
and vote; classes are graded, samples settled; each solution is summarised. A shard holds a hundred problems. Memory is
the peak RSS of each process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml

from benchmarks import ROOT
from benchmarks.project import Cost, cost_of
from benchmarks.results import emit, figure
from benchmarks.stage_server import running, solution
from omr_kedro import tables
from omr_kedro.answers import Workers
from omr_kedro.llm.calls import Completion, Prompt
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.controls import JudgeOptions
from omr_kedro.pipelines.judge_answers.nodes import grade_answers, judge_answers, read_judge_answers
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.settle_solutions.nodes import SettlingOptions, decide_reference_answers, settle_cot
from omr_kedro.pipelines.solve_cot.nodes import (
    ask_solve_cot,
    count_cot_votes,
    read_solution,
    read_solve_cot,
)
from omr_kedro.pipelines.summarise_cot.nodes import (
    SummaryOptions,
    ask_summarise_cot,
    list_summaries,
    read_summarise_cot,
)
from omr_kedro.shards import MappedShards, Recipe, Row, Shards, TableStore, content_id, shard_names
from omr_kedro.shards.formats import Format
from omr_kedro.solutions import Sample, StopRule, decide, is_looping

MOST_MB = 700
MOST_GROWTH = 1.10
_OF_A_SHARD = 100
_SOLVING = SamplingOptions(max_failed_share=1)
_SUMMARISING = SummaryOptions(max_failed_share=1)
_KINDS: dict[str, tuple[str, Format]] = {
    "problems": ("PROBLEMS", "jsonl"),
    "solve_completions": ("COMPLETIONS", "jsonl"),
    "samples": ("SAMPLES", "jsonl"),
    "unsolved": ("DROPPED", "jsonl"),
    "votes": ("VOTES", "jsonl"),
    "graded": ("ANSWERS", "jsonl"),
    "judge_completions": ("COMPLETIONS", "jsonl"),
    "answers": ("ANSWERS", "jsonl"),
    "unjudged": ("DROPPED", "jsonl"),
    "references": ("REFERENCE_ANSWERS", "parquet"),
    "solutions": ("SOLUTIONS", "parquet"),
    "rejected": ("REJECTED_SOLUTIONS", "parquet"),
    "summary_completions": ("COMPLETIONS", "jsonl"),
    "candidates": ("SUMMARIES", "jsonl"),
    "summaries": ("SUMMARIES", "parquet"),
    "unsummarised": ("DROPPED", "jsonl"),
}
"""Schema and format of each table, as in conf/base/catalog.yml."""


class Tables:
    """The tables of one measurement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, name: str) -> TableStore:
        """The place of a table."""
        schema, kind = _KINDS[name]
        return TableStore(self._folder / name, kind, getattr(tables, schema))

    def __getitem__(self, name: str) -> Shards:
        """A table that was made."""
        return self.store(name).shards()

    def save(self, **recipes: Recipe) -> None:
        """Make tables, in the order in which they are given."""
        for name, recipe in recipes.items():
            self.store(name).save(recipe)


def problems(name: str) -> Iterator[Row]:
    """The problems of a shard, half of them with a known answer."""
    for number in range(_OF_A_SHARD):
        found = content_id(name, str(number))
        known = {"expected_answer": "5" if number % 2 else None, "problem_type": "has_answer_extracted"}
        yield dict.fromkeys(tables.PROBLEMS.names) | {
            "problem_id": found,
            "thread_id": found,
            "problem": f"Problem {number} of {name}.",
            "model": "m",
            **known,
        }


def prompt(name: str) -> Prompt:
    """A prompt of the project."""
    return Prompt.from_mapping(name, yaml.safe_load((ROOT / f"conf/base/prompts/{name}.yml").read_text("utf-8")))


def ask(made: Tables, model: ChatModel) -> None:
    """From problems to samples that lie in completions."""
    made.save(solve_completions=ask_solve_cot(made["problems"], prompt("solve_cot"), model, _SOLVING))


def read(made: Tables, model: ChatModel) -> None:
    """From completions to votes."""
    del model
    samples, unsolved = read_solve_cot(made["problems"], made["solve_completions"], _SOLVING)
    made.save(samples=samples, unsolved=unsolved)
    made.save(votes=count_cot_votes(made["problems"], made["samples"], _SOLVING))


def settle(made: Tables, model: ChatModel) -> None:
    """From votes to solutions; no answer needs a judge."""
    with Workers(1) as workers:
        made.save(graded=grade_answers(made["votes"], workers))
    options = JudgeOptions()
    made.save(judge_completions=judge_answers(made["graded"], prompt("judge_answer"), model, options, "judge_cot"))
    answers, unjudged = read_judge_answers(
        made["graded"], made["judge_completions"], Shards([]), options, stage="judge_cot"
    )
    made.save(answers=answers, unjudged=unjudged)
    made.save(references=decide_reference_answers(made["votes"], made["answers"], SettlingOptions(), _SOLVING))
    solutions, rejected = settle_cot(
        made["samples"],
        made["votes"],
        made["answers"],
        made["references"],
        made["problems"],
        made["solve_completions"],
        SettlingOptions(),
        _SOLVING,
    )
    made.save(solutions=solutions, rejected=rejected)


def summarise(made: Tables, model: ChatModel) -> None:
    """From solutions to summaries."""
    asked = ask_summarise_cot(made["solutions"], prompt("summarise_solution"), model, _SUMMARISING)
    made.save(summary_completions=asked)
    made.save(candidates=list_summaries(made["solutions"], made["summary_completions"], _SUMMARISING))
    summaries, rest = read_summarise_cot(made["solutions"], made["candidates"], _SUMMARISING)
    made.save(summaries=summaries, unsummarised=rest)


STEPS: dict[str, Callable[[Tables, ChatModel], None]] = {
    "asking": ask,
    "reading": read,
    "settling": settle,
    "summarising": summarise,
}


def measure(options: argparse.Namespace, count: int) -> tuple[dict[str, Cost], int]:
    """Cost of each step with so many problems, and the number of samples."""
    costs = {}
    with (
        tempfile.TemporaryDirectory() as name,
        running("--reply-chars", str(options.reply_chars), "--solutions") as endpoint,
    ):
        made = Tables(Path(name))
        shards = shard_names(count // _OF_A_SHARD)
        made.save(problems=MappedShards(dict.fromkeys(shards, "as given"), problems))
        for step in STEPS:
            command = [sys.executable, "-m", "benchmarks.solutions", "--step", step]
            costs[step] = cost_of([*command, "--folder", name, "--endpoint", endpoint], Path(name))
            samples = made["solve_completions"].count
            print(
                f"{step:<11} {count:>6,} problems, {samples:>7,} samples: {costs[step].peak_mb:5.0f} MB, "
                f"{costs[step].seconds:5.0f} s, {1000 * costs[step].cpu_seconds / samples:5.1f} CPU-ms a sample",
                flush=True,
            )
        found = {table: made[table].count for table in ("samples", "solutions", "rejected", "summaries")}
        assert found["solutions"] + found["rejected"] == found["samples"] == samples, found
        print(f"            {found['solutions']:,} solutions, {found['summaries']:,} summaries", flush=True)
    return costs, samples


def cpu_ms(work: Callable[[], object], times: int) -> float:
    """CPU of one piece of work, in milliseconds."""
    began = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - began) / times


def small_costs(chars: int) -> dict[str, float]:
    """CPU-ms of what is done most often."""
    text = solution(chars)()
    completion = Completion("key", "m", text, finish_reason="stop")
    same = [Sample(index, ("5", "7")[index % 5 == 0]) for index in range(32)]
    apart = [Sample(index, f"\\frac{{{index}}}{{{index + 1}}}+\\sqrt{{{index}}}") for index in range(32)]
    rule = StopRule(fixed=32)
    return {
        "look for a loop, a sample": cpu_ms(partial(is_looping, text), 20),
        "read a sample, that included": cpu_ms(partial(read_solution, 0, completion, _SOLVING.loop_share), 20),
        "decide on 32 samples with 2 answers": cpu_ms(partial(decide, rule, same, "5"), 20),
        "decide on 32 samples with 32 answers": cpu_ms(partial(decide, rule, apart, "5"), 5),
    }


def main() -> None:
    """Measure, print, and fail when memory is large or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, nargs="+", default=[2_000, 8_000], help="in hundreds")
    parser.add_argument("--reply-chars", type=int, default=40_000)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        model = ChatModel(ModelEntry("m", options.endpoint, limits=Limits(max_in_flight=64)))
        STEPS[options.step](Tables(options.folder), model)
        return
    costs = [measure(options, count)[0] for count in options.problems]
    few, many = costs[0], costs[-1]
    figures = []
    for step in STEPS:
        peak, growth = many[step].peak_mb, many[step].peak_mb / few[step].peak_mb
        what = f"solutions, {step}: peak memory of {options.problems[-1]:,} problems"
        figures.append(figure(what, peak, "MB", f"< {MOST_MB}", met=peak < MOST_MB))
        by = f"solutions, {step}: by that of {options.problems[0]:,} problems"
        figures.append(figure(by, growth, "", f"<= {MOST_GROWTH:g}", met=growth <= MOST_GROWTH))
    for what, value in small_costs(options.reply_chars).items():
        figures.append(figure(f"CPU to {what}", value, "ms"))
        print(f"{what}: {value:.2f} CPU-ms", flush=True)
    emit(figures)
    sys.exit(any(each["met"] is False for each in figures))


if __name__ == "__main__":
    main()
