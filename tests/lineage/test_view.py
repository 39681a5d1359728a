from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from omr_kedro.lineage import Call, Lineage, SampleWay, Step, show

CALL = Call(
    table="solve_cot_completions", row_id="b" * 20, part="", sample_index=1, turn=0, kind="model", seed=1,
    prompt="solve_cot", prompt_hash="h", call_key="k", model="m", finish_reason="stop", prompt_tokens=5,
    completion_tokens=9, latency_s=1.0, tries=1, error_kind=None, error=None, reasoning=None, reply="short",
    messages=[{"role": "user", "content": "Find $x$."}], code="", note="",
)  # fmt: skip


def shown(*calls: Call, samples: tuple[SampleWay, ...] = (), full: bool = False) -> str:
    out = StringIO()
    step = Step("solve_cot", [], list(calls), [], [])
    lineage = Lineage("b" * 20, "problem", ["shard"], None, None, [], list(samples), [step])
    show(lineage, Console(file=out, width=100), full=full)
    return out.getvalue()


def test_forum_text_is_neither_markup_nor_escape_codes_and_is_wrapped_not_cut() -> None:
    post = "[bold]not bold[/bold] \x1b[31mred " + "word " * 100 + "end"
    thread = {
        "thread_id": "a" * 20,
        "source": "f.jsonl:1",
        "problem_source": None,
        "forum_discussions": "",
        "forum_post": post,
    }
    out = StringIO()
    show(Lineage("a" * 20, "thread", ["shard"], "a" * 20, thread, [], [], []), Console(file=out, width=60))
    printed = out.getvalue()
    assert "[bold]not bold[/bold] \\x1b[31mred" in printed
    assert " ".join(printed.split()).endswith("word end")
    assert max(map(len, printed.splitlines())) <= 60


def test_of_a_long_reply_the_beginning_and_the_end_are_shown_unless_all_is_asked_for() -> None:
    long = replace(CALL, reply=f"first {'word ' * 5000}last")
    bounded, whole = shown(long), shown(long, full=True)
    assert "first" in bounded
    assert "last" in bounded
    assert "… 23,010 characters: --full …" in bounded
    assert (bounded.count("word"), whole.count("word")) == (398, 5000)


def test_samples_that_were_asked_alike_show_the_question_once() -> None:
    assert shown(CALL, replace(CALL, sample_index=2)).count("Find $x$.") == 1
    assert shown(CALL, replace(CALL, sample_index=2), full=True).count("Find $x$.") == 2


def test_code_and_its_output_stand_among_the_calls_of_their_sample() -> None:
    code = replace(CALL, kind="code", turn=1, messages=None, code="print(6 * 7)", reply="42")
    said = shown(CALL, code).split("code run for")[1]
    assert f"{'b' * 20}, sample 1, turn 1" in said
    assert said.index("print(6 * 7)") < said.index("output:") < said.index("42")


def test_the_ways_of_samples_are_text_whatever_their_answers_hold() -> None:
    kept = SampleWay(
        "c" * 20, "b" * 20, "cot", 0, "[red]7[/red]", None, 0, "correct", "symbolic", "kept", None, "So 7."
    )
    lost = SampleWay(
        "d" * 20, "b" * 20, "tir", 1, None, "truncated", None, "undecided", None, "dropped", "truncated", None
    )
    said = shown(samples=(kept, lost))
    assert "[red]7[/red]" in said
    assert "correct, by symbolic" in said
    assert "kept, summed up" in said
    assert "no vote: truncated" in said
    assert "dropped: truncated" in said
