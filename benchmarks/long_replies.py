"""Peak memory of stages with long replies, many shards under way at once: it should not grow with their number.

    python -m benchmarks.long_replies [--lanes 64] [--shards 64 128] [--rows 100] [--samples 16] [--repeat 2]

A shard has 32 MB of replies by default, of random words, and every lane makes one shard at a time, as a job of a
cluster does: threads that share one model. Asking and settling are a process each, against a fast mock server in
another; asking writes completions (Parquet), settling reads them and writes what a stage keeps and what it drops.
Memory is the peak RSS of the process, the highest of several runs: which lanes are at the same work at once is chance.
`--without-asking` lets a plain loop write the completions.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa

from benchmarks.project import run_and_weigh
from benchmarks.results import emit, figure
from benchmarks.stage_server import running, salad
from omr_kedro.llm.calls import CallPlan, Completion, Request, Sampling
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, settle
from omr_kedro.shards import MappedShards, Recipe, Row, Shards, TableStore, content_id, shard_names
from omr_kedro.tables import COMPLETIONS, DROPPED

MOST_MB = {"asking": 700, "settling": 500}
MOST_GROWTH = 1.10
PROBLEMS = pa.schema([("problem_id", pa.string()), ("thread_id", pa.string()), ("problem", pa.string())])
SOLUTIONS = pa.schema([("problem_id", pa.string()), ("sample_index", pa.int64()), ("generated_solution", pa.string())])
WINDOW = 512


class Tables:
    """The tables of one measurement."""

    def __init__(self, folder: Path) -> None:
        self.problems = TableStore(folder / "problems", "jsonl", PROBLEMS)
        self.completions = TableStore(folder / "completions", "parquet", COMPLETIONS)
        self.solutions = TableStore(folder / "solutions", "parquet", SOLUTIONS)
        self.dropped = TableStore(folder / "dropped", "jsonl", DROPPED)


def problems(shard: str, rows: int) -> Iterator[Row]:
    for number in range(rows):
        found = content_id(shard, str(number))
        yield {"problem_id": found, "thread_id": found, "problem": f"Problem {number} of {shard}."}


def requests(problems: Shards, samples: int, shard: str) -> Iterator[Request]:
    for row in problems[shard].rows():
        messages = [{"role": "user", "content": row["problem"]}]
        for number in range(samples):
            yield Request(row["problem_id"], messages, Sampling(0.7, seed=1), "prompt", sample_index=number)


def ask(tables: Tables, model: ChatModel, options: argparse.Namespace, name: str, number: int) -> None:
    """Make the completions of one shard."""
    problems = tables.problems.part([name])
    plan = CallPlan(
        name="solve",
        model=model,
        asks=partial(requests, problems, options.samples),
        expected={name: options.rows * options.samples},
        fingerprints={name: problems[name].digest},
        priority=(0, number),
    )
    tables.completions.save_part(plan)


def write(tables: Tables, options: argparse.Namespace, names: list[str]) -> None:
    """Write completions without asking for them."""
    problems, text = tables.problems.shards(), salad(options.reply_chars)

    def rows(name: str) -> Iterator[Row]:
        for request in requests(problems, options.samples, name):
            yield Completion(request.key("m"), "m", text(), finish_reason="stop").row(request.identity())

    tables.completions.save(MappedShards(dict.fromkeys(names, "as given"), rows))


def read(row: Row, completions: list[Completion]) -> Outcome:
    """Three problems of four are kept, with all their samples."""
    if int(row["problem_id"], 16) % 4 == 0:
        return Dropped("every fourth")
    same = {"problem_id": row["problem_id"]}
    return Kept([{**same, "sample_index": n, "generated_solution": found.text} for n, found in enumerate(completions)])


def settle_shard(tables: Tables, name: str) -> None:
    """Make what the stage keeps and drops of one shard."""
    given, completions = tables.problems.part([name]), tables.completions.part([name])
    recipes: tuple[Recipe, ...] = settle("solve", read, given, completions, max_failed_share=1)
    for store, recipe in zip((tables.solutions, tables.dropped), recipes, strict=True):
        store.save_part(recipe)


def work(options: argparse.Namespace) -> None:
    """One step, in a process of its own."""
    tables, names = Tables(options.folder), shard_names(options.shards[0])
    if options.step == "prepare":
        tables.problems.save(MappedShards(dict.fromkeys(names, "as given"), partial(problems, rows=options.rows)))
        if options.without_asking:
            write(tables, options, names)
        return
    make: Callable[[str, int], None]
    if options.step == "asking":
        model = ChatModel(ModelEntry("m", options.endpoint, limits=Limits(max_in_flight=WINDOW)))
        make = partial(ask, tables, model, options)
    else:
        make = lambda name, _: settle_shard(tables, name)  # noqa: E731
    with ThreadPoolExecutor(options.lanes) as lanes:
        list(lanes.map(make, names, range(len(names))))


def measure(options: argparse.Namespace, shards: int) -> dict[str, float]:
    """Peak RSS in MB of each step, with so many shards."""
    given = {name: getattr(options, name) for name in ("lanes", "rows", "samples", "reply_chars")}
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words += ["--without-asking"] if options.without_asking else []
    with (
        tempfile.TemporaryDirectory() as name,
        running("--reply-chars", str(options.reply_chars), "--salad") as endpoint,
    ):
        words += ["--shards", str(shards), "--folder", name, "--endpoint", endpoint]
        command = [sys.executable, "-m", "benchmarks.long_replies"]
        peaks = {}
        for step in ("prepare", "settling") if options.without_asking else ("prepare", "asking", "settling"):
            peak, seconds = run_and_weigh([*command, "--step", step, *words], Path(name))
            if step != "prepare":
                text = shards * options.rows * options.samples * options.reply_chars / 1e9
                print(f"{step:<9} {shards:>4} shards, {text:.1f} GB: {peak:6.0f} MB, {seconds:5.0f} s", flush=True)
                peaks[step] = peak
        assert Tables(Path(name)).solutions.written() == shard_names(shards)
    return peaks


def highest(runs: list[dict[str, float]]) -> dict[str, float]:
    """The highest peak of each step."""
    return {step: max(run[step] for run in runs) for step in runs[0]}


def main() -> None:
    """Measure, print, and fail when memory is large or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--shards", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--rows", type=int, default=100, help="of a shard")
    parser.add_argument("--samples", type=int, default=16, help="of a row")
    parser.add_argument("--reply-chars", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--without-asking", action="store_true")
    parser.add_argument("--step", choices=["prepare", "asking", "settling"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        work(options)
        return
    peaks = [highest([measure(options, shards) for _ in range(options.repeat)]) for shards in options.shards]
    few, many = peaks[0], peaks[-1]
    figures = []
    for step, most in ((step, most) for step, most in MOST_MB.items() if step in many):
        growth, shards = many[step] / few[step], options.shards[-1]
        what = f"long replies, {step}, {options.lanes} lanes"
        figures.append(
            figure(f"{what}: peak memory of {shards} shards", many[step], "MB", f"< {most}", met=many[step] < most)
        )
        by = f"{what}: by that of {options.shards[0]} shards"
        figures.append(figure(by, growth, "", f"<= {MOST_GROWTH:g}", met=growth <= MOST_GROWTH))
    emit(figures)
    sys.exit(not all(each["met"] for each in figures))


if __name__ == "__main__":
    main()
