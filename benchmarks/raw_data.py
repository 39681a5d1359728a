"""Raw preparation beside a loop that calls the tokenizer once a post, as the original does; memory against rows.

    python -m benchmarks.raw_data [--rows 20000 100000 200000] [--reference-rows 3000] [--reps 3]

Dumps are made up, of the shape of AoPS-Instruct (2.5 % of threads are over 24,000 bytes); the tokenizer is Qwen2.5's
where tests/vllm/install_real_model.sh has installed it, else one of its build with 30,000 tokens, trained on the dumps.
Each measurement is a process of its own; CPU time counts it and its workers, memory is the sum of their PSS, sampled.
Ratios within one run are what counts: to the loop with the tokenizer of transformers, as in the original, in an
environment of its own; to one with `tokenizers` without network.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.environments import NotMeasuredError, python_with
from benchmarks.results import emit, figure

LIMIT = 24_000
PARTS = 64
_TRANSFORMERS = ("transformers==5.24.0", "pyarrow")
LEAST_GAIN, MOST_GROWTH, MOST_MB = 10.0, 1.10, 600


@dataclass(frozen=True)
class Measured:
    """One process and its workers."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def make_dumps(folder: Path, sizes: list[int]) -> dict[int, Path]:
    """Dumps of these sizes; beyond 20,000 rows the replies repeat, under first posts of their own."""
    import pyarrow as pa  # noqa: PLC0415 (only this and the reference need them, in a process of their own)
    import pyarrow.parquet as pq  # noqa: PLC0415
    from tests.support.dumps import SCHEMA, thread  # noqa: PLC0415

    pool = [thread(number) for number in range(min(20_000, max(sizes)))]
    dumps = {}
    for size in sizes:
        dumps[size] = folder / f"dump-{size}.parquet"
        with pq.ParquetWriter(dumps[size], SCHEMA, compression="zstd") as file:
            for start in range(0, size, 1000):
                rows = [_renewed(pool[number % len(pool)], number) for number in range(start, min(size, start + 1000))]
                file.write_table(pa.Table.from_pylist(rows, SCHEMA))
    return dumps


def _renewed(row: dict[str, object], number: int) -> dict[str, object]:
    words = str(row["original_question"]).split()
    random.Random(number).shuffle(words)
    return {**row, "original_question": " ".join(words)}


def reference(dump: Path, tokenizer: Path, library: str, out: Path) -> None:
    """One process, one call of the tokenizer a post, all answers cleaned by search and cut.

    Its CPU seconds go to a file, without those of loading a library that only it has.
    """
    import json  # noqa: PLC0415

    import pyarrow.parquet as pq  # noqa: PLC0415

    encode = _encoder(library, tokenizer)
    began = time.process_time()
    with out.open("w") as file:
        for row in pq.read_table(dump, columns=["original_question", "original_answers"]).to_pylist():
            discussion, used = "", 0
            for number, reply in enumerate(row["original_answers"], start=1):
                text = reply
                while (start := text.rfind("[quote")) >= 0 and (end := text.find("[/quote]", start)) >= 0:
                    text = text[:start] + text[end + 8 :]
                block = f"Post {number}:\n{text.strip()}\n\n"
                used += len(encode(block))
                if used > LIMIT:
                    break
                discussion += block
            thread = {"forum_post": row["original_question"], "forum_discussions": discussion.strip()}
            file.write(json.dumps(thread) + "\n")
    out.with_suffix(".cpu").write_text(str(time.process_time() - began))


def _encoder(library: str, tokenizer: Path) -> Callable[[str], list[int]]:
    if library == "transformers":  # what the original calls
        from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

        encode: Callable[[str], list[int]] = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer)).encode
        return encode
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokens = Tokenizer.from_file(str(tokenizer))
    return lambda text: tokens.encode(text).ids


def prepare(dump: Path, tokenizer: Path, rule: str, processes: int, out: Path) -> None:
    """The node `prepare_dump` and the table that it makes, without the search for reposts."""
    from omr_kedro.pipelines.raw_data.nodes import RawDataOptions, find_reposts, prepare_dump  # noqa: PLC0415
    from omr_kedro.shards import Source, TableStore  # noqa: PLC0415
    from omr_kedro.tables import FORUM_THREADS, REPOST_REPLIES, REPOSTS  # noqa: PLC0415
    from omr_kedro.text import TokenCounter  # noqa: PLC0415

    options = RawDataOptions.model_validate(
        {"preparation": {"rule": rule}, "reposts": {"find": False}, "shards": PARTS, "processes": processes}
    )
    source = Source(dump)
    stores = [TableStore(out / "reposts", "jsonl", REPOSTS), TableStore(out / "replies", "jsonl", REPOST_REPLIES)]
    for store, recipe in zip(stores, find_reposts(source, options), strict=True):
        store.save(recipe)
    reposts, replies = (store.shards() for store in stores)
    made = prepare_dump(source, reposts, replies, TokenCounter(tokenizer, "benchmark"), options)
    TableStore(out / "threads", "jsonl", FORUM_THREADS).save(made)


def kedro_run(dump: Path, tokenizer: Path, project: Path) -> None:
    """The whole pipeline as a person runs it."""
    from kedro.framework.project import settings  # noqa: PLC0415
    from kedro.framework.startup import bootstrap_project  # noqa: PLC0415
    from tests.support.project import Project  # noqa: PLC0415

    Project.create(project)
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/globals.yml").write_text(f"tokenizer: {{name: '{tokenizer}', revision: null}}\n")
    bootstrap_project(project)
    with settings.SESSION_CLASS.create(
        project_path=project, runtime_params={"forum_dump": str(dump)}, save_on_close=False
    ) as session:
        session.run(pipeline_names=["raw_data"])


def measured(*words: object, python: str = sys.executable) -> Measured:
    """Run this script for one measurement, and watch it."""
    folder = Path(tempfile.mkdtemp())
    command = [python, "-m", "benchmarks.raw_data", "--one", *map(str, words), str(folder / "out")]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    peak = [0.0]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    done.set()
    watcher.join()
    told = folder / "out.cpu"
    cpu = float(told.read_text()) if told.exists() else usage.ru_utime + usage.ru_stime
    shutil.rmtree(folder)
    if status:
        raise SystemExit(f"{command} failed")
    return Measured(wall, cpu, peak[0])


def _watch(pid: int, peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.1):
        peak[0] = max(peak[0], sum(_pss_mb(each) for each in _family(pid)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # Workers are started by a thread, which is their parent then.
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split() if task.name != str(pid) else []
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=3, default=[20_000, 100_000, 200_000], help="small, measured, large")
    parser.add_argument("--reference-rows", type=int, default=3_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--full-rows", type=int, default=550_000)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        _one(*args.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), args)


def _one(what: str, dump: str, tokenizer: str, *rest: str) -> None:
    *options, out = rest
    if what == "reference":
        Path(out).parent.mkdir(exist_ok=True)
        reference(Path(dump), Path(tokenizer), options[0], Path(out))
    elif what == "prepare":
        prepare(Path(dump), Path(tokenizer), options[0], int(options[1]), Path(out))
    else:
        kedro_run(Path(dump), Path(tokenizer), Path(out))


def _compare(folder: Path, args: argparse.Namespace) -> None:
    from tests.support.dumps import thread, train_tokenizer  # noqa: PLC0415
    from tests.support.tokenizers import write_qwen_tokenizer  # noqa: PLC0415

    dumps = make_dumps(folder, [args.reference_rows, *args.rows])
    tokenizer = write_qwen_tokenizer(folder / "tokenizer.json")
    print(f"tokenizer: {'Qwen2.5' if tokenizer else 'trained on the dumps'}\n")
    if tokenizer is None:
        texts = (answer for number in range(1500) for answer in thread(number)["original_answers"])
        tokenizer = train_tokenizer(folder / "tokenizer.json", 30_000, texts)
    figures = [*_rates(dumps, tokenizer, args), *_memory(dumps, tokenizer, args), *_whole(dumps, tokenizer, args)]
    emit(figures)
    sys.exit(any(each["met"] is False for each in figures))


def _rates(dumps: dict[int, Path], tokenizer: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows a CPU-second and a second, all contenders in turn."""
    rows, cores = args.rows[1], os.cpu_count() or 1
    pythons = _tokenizing_pythons()
    promised = f"rule fit, {cores} processes"
    contenders: dict[str, tuple[str, int, tuple[object, ...]]] = {
        **{f"a call a post, {library}": ("reference", args.reference_rows, (library,)) for library in pythons},
        "rule original, 1 process": ("prepare", rows, ("original", 1)),
        "rule fit, 1 process": ("prepare", rows, ("fit", 1)),
        promised: ("prepare", rows, ("fit", cores)),
    }
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    for _ in range(args.reps):
        for name, (what, size, options) in contenders.items():
            python = pythons[str(options[0])] if what == "reference" else sys.executable
            runs[name].append(measured(what, dumps[size], tokenizer, *options, python=python))
    print(f"{'':28}{'rows / CPU-s':>16}{'(min..max)':>18}{'x':>7}{'rows / s':>10}{'x':>7}{'cores':>7}{'MB':>6}")
    base: tuple[float, float] | None = None
    figures = []
    for name, (_, size, _) in contenders.items():
        rates = sorted(size / run.cpu_s for run in runs[name])
        rate, speed = statistics.median(rates), statistics.median(size / run.wall_s for run in runs[name])
        busy = statistics.median(run.cpu_s / run.wall_s for run in runs[name])
        peak = max(run.peak_mb for run in runs[name])
        spread = f"({rates[0]:,.0f}..{rates[-1]:,.0f})"
        base = base or (rate, speed)
        gain, gain_in_time = rate / base[0], speed / base[1]
        print(f"{name:28}{rate:16,.0f}{spread:>18}{gain:7.1f}{speed:10,.0f}{gain_in_time:7.1f}{busy:7.2f}{peak:6.0f}")
        target, met = (f">= {LEAST_GAIN:g}", gain >= LEAST_GAIN) if name == promised else ("", None)
        figures.append(figure(f"raw threads, {name}: rows a CPU-second", gain, "x", target, met=met))
        figures.append(figure(f"raw threads, {name}: rows a second", gain_in_time, "x"))
    return figures


def _tokenizing_pythons() -> dict[str, str]:
    """Pythons that have the original's tokenizer library, and the leaner one that we have."""
    try:
        return {"transformers": python_with("transformers", _TRANSFORMERS), "tokenizers": sys.executable}
    except NotMeasuredError as error:
        print(f"transformers: {error}")
        return {"tokenizers": sys.executable}


def _memory(dumps: dict[int, Path], tokenizer: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """The peak of preparation, of few rows and of many. Samples may miss one, so the highest of several runs stands."""
    small, _, large = args.rows
    print(f"\n{'preparation, rows':28}{'peak MB':>16}")
    peaks = dict.fromkeys((small, large), 0.0)
    for size in peaks:
        runs = (measured("prepare", dumps[size], tokenizer, "fit", os.cpu_count() or 1) for _ in range(args.reps))
        peaks[size] = max(run.peak_mb for run in runs)
        print(f"{size:<28,}{peaks[size]:16,.0f}")
    growth = peaks[large] / peaks[small]
    print(f"growth x {growth:.3f}")
    grown = f"raw threads, peak memory of {large:,} rows"
    return [
        figure(f"{grown} by that of {small:,}", growth, "x", f"<= {MOST_GROWTH}", met=growth <= MOST_GROWTH),
        figure(grown, peaks[large], "MB", f"< {MOST_MB}", met=peaks[large] < MOST_MB),
    ]


def _whole(dumps: dict[int, Path], tokenizer: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """`kedro run` with all that it does, and what a dump of full size would take."""
    small, middle, _ = args.rows
    print(f"\n{'kedro run, rows':28}{'minutes':>16}{'CPU min':>10}{'peak MB':>10}")
    for size in (small, middle):
        run = measured("kedro", dumps[size], tokenizer)
        print(f"{size:<28,}{run.wall_s / 60:16.2f}{run.cpu_s / 60:10.2f}{run.peak_mb:10,.0f}")
    minutes, cpu_minutes = (seconds / 60 * args.full_rows / middle for seconds in (run.wall_s, run.cpu_s))
    print(f"{args.full_rows:<28,}{minutes:16.1f}{cpu_minutes:10.1f}  extrapolated from {middle:,}")
    return [figure(f"raw threads, `kedro run` of {args.full_rows:,} rows, from {middle:,}", minutes, "minutes")]


if __name__ == "__main__":
    main()
