from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.llm.serving.vllm import check_options, vllm_version

OPTIONS = json.loads(files("omr_kedro.llm.serving").joinpath("vllm_options.json").read_text("utf-8"))["options"]
VALID = {
    "text": ["some-text"],
    "integer": ["3"],
    "size": ["8192", "16k", "2.5m", "1G"],
    "length": ["auto", "-1", "16K"],
    "number": ["0.5", "4"],
    "json": ['{"a": [1]}', "[1]"],
    "object": ["{}"],
    "json or text": ['{"a": 1}', "plain"],
    "flag": [],
    "switch": [],
}
NAMES = st.sampled_from(sorted(OPTIONS)).map("--{}".format)
SHORT = [
    "-tp",
    "-tp=4",
    "-O3",
    "-O",
    "-n2",
    "-q",
    "--",
    "-",
    "-1",
    "-0.5",
    "--compilation-config.mode",
    "=",
    "--=",
    "-=",
]
WORDS = st.one_of(
    NAMES,
    st.builds(
        "{}{}{}".format, NAMES, st.sampled_from(["=", ".", ".a=", ".a+", "_", "=[", '={"a":']), st.text(max_size=5)
    ),
    st.sampled_from(SHORT),
    st.text(st.characters(), max_size=12),
    st.text("-=._+[{\"1k'O ", max_size=8),
)


def only(complaints: list[str]) -> str:
    assert len(complaints) == 1, complaints
    return complaints[0]


def test_a_usual_command_line_is_fine() -> None:
    command = (
        "Qwen/Qwen2.5-32B-Instruct --host 127.0.0.1 --port 8000 -tp 8 --max-model-len=32k --max_num_seqs 512 "
        "--gpu-memory-utilization 0.92 --enable-prefix-caching --no-enable-chunked-prefill -q=fp8 -O3 --dtype bfloat16 "
        "--compilation-config.mode 3 --compilation_config.cudagraph_capture_sizes+ 8 --served-model-name a b "
        '--speculative-config {"method":"ngram"} --kv-transfer-config None --seed -1 --hf-token'
    )
    assert check_options(command.split()) == []


def test_without_options_nothing_is_wrong() -> None:
    assert check_options([]) == check_options(["Qwen/QwQ-32B"]) == []


def test_an_unknown_option_is_named_with_the_one_that_was_probably_meant() -> None:
    complaint = only(check_options(["model", "--max-model-length", "4096"]))
    assert "'--max-model-length' is no option of vLLM" in complaint
    assert "did you mean --max-model-len?" in complaint


def test_a_name_cut_short_is_unknown_although_vllm_would_guess_it() -> None:
    assert "did you mean --tensor-parallel-size?" in only(check_options(["--tensor-par", "4"]))


def test_the_value_of_an_unknown_option_is_kept_quiet_for_it_may_be_a_key() -> None:
    for words in (["--api-kye", "sesame"], ["--api-kye=sesame"]):
        assert "sesame" not in only(check_options(words))


@pytest.mark.parametrize("words", [["--dtype"], ["-tp", "--dtype", "auto"], ["--compilation-config.mode"]])
def test_a_missing_value_is_reported(words: list[str]) -> None:
    assert only(check_options(words)).endswith("lacks its value.")


def test_a_key_takes_a_word_that_looks_like_an_option_but_no_option() -> None:
    assert check_options(["--hf-overrides.scale", "-0.5", "--hf-overrides.name", "-x"]) == []
    assert only(check_options(["--hf-overrides.scale", "--dtype=auto"])).endswith("lacks its value.")


@pytest.mark.parametrize("words", [["--enforce-eager", "true"], ["--enforce-eager=true"], ["--headless", "1"]])
def test_a_flag_takes_no_value(words: list[str]) -> None:
    assert "takes no value" in only(check_options(words))


def test_a_value_outside_the_choices_is_reported_with_the_choices() -> None:
    complaint = only(check_options(["--dtype", "bfloat15"]))
    assert "float16" in complaint
    assert "perhaps bfloat16" in complaint


def test_some_choices_may_be_written_loosely_as_vllm_has_it() -> None:
    assert check_options(["--moe-backend", "FlashInfer-TRTLLM"]) == []
    assert check_options(["--runner", "Generate"]) != []


@pytest.mark.parametrize(
    "words",
    [
        ["-tp", "four"],
        ["--max-model-len", "long"],
        ["--max-num-batched-tokens", "1.5K"],
        ["--gpu-memory-utilization", "90%"],
        ["--port="],
    ],
)
def test_numbers_are_numbers(words: list[str]) -> None:
    assert "number" in only(check_options(words))


@pytest.mark.parametrize("value", ["{", "{'a': 1}", "[" * 100_000])
def test_json_is_json(value: str) -> None:
    assert "wants JSON" in only(check_options(["--override-generation-config", value]))


def test_an_object_is_an_object_and_may_hold_sizes() -> None:
    assert "JSON object" in only(check_options(["--kv-transfer-config", "[1]"]))
    assert check_options(["--kv-transfer-config", '{"kv_connector_extra_config": {"cpu_bytes_to_use": 80m}}']) == []


@pytest.mark.parametrize("words", [["--compilation-config", '{"mod": 3}'], ["-cc.mod", "3"], ["-cc.mod=3"]])
def test_an_unknown_key_is_named_with_the_one_that_was_probably_meant(words: list[str]) -> None:
    assert only(check_options(words)) == "--compilation-config has no key 'mod'; did you mean mode?"


def test_only_json_has_keys() -> None:
    assert "has no keys" in only(check_options(["--dtype.mode", "auto"]))


@pytest.mark.parametrize(
    "words",
    [
        ["-tp", "4", "--tensor_parallel_size=8"],
        ["--enable-prefix-caching", "--no-enable-prefix-caching"],
        ["--enable-prefix-caching", "--disable-prefix-caching"],
        ["a/model", "--model", "a/model"],
        ["-cc.mode", "3", "--compilation-config.mode=2"],
        ["-cc", "{}", "-cc.mode", "3"],
        ["-cc.mode", "3", "-cc", "{}"],
    ],
)
def test_nothing_is_given_twice_however_it_is_written(words: list[str]) -> None:
    assert "given twice" in only(check_options(words))


def test_what_adds_up_may_be_given_again() -> None:
    assert (
        check_options(["--middleware", "a", "--middleware", "b", "-cc.splitting_ops+", "a", "-cc.splitting_ops+", "b"])
        == []
    )


@pytest.mark.parametrize("reserved", ["node-rank", "--node-rank", "node_rank", "r", "-r"])
@pytest.mark.parametrize("words", [["--node-rank", "1"], ["--node_rank=1"], ["-r", "1"], ["-r1"]])
def test_reserved_options_are_the_runners_however_they_are_written(reserved: str, words: list[str]) -> None:
    assert "set by the runner" in only(check_options(words, {reserved}))


def test_a_word_that_belongs_to_no_option_is_reported() -> None:
    assert "'stray' belongs to no option" in only(check_options(["model", "-tp", "4", "stray"]))


def test_all_complaints_come_at_once_and_in_order() -> None:
    complaints = check_options(
        ["model", "--prot", "1", "-tp", "x", "--enforce-eager=1", "--host", "::", "-tp", "2"], ["host"]
    )
    assert [complaint.split()[0].strip("'") for complaint in complaints] == [
        "--prot",
        "-tp",
        "--enforce-eager",
        "--host",
        "-tp",
    ]


def test_long_values_are_cut_in_complaints() -> None:
    assert len(only(check_options(["-tp", "x" * 10_000]))) < 200


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_option_passes_in_its_valid_forms(name: str) -> None:
    facts = OPTIONS[name]
    values = facts.get("choices") or VALID[facts["kind"]]
    for spelling in (f"--{name}", f"--{name.replace('-', '_')}", *facts.get("aliases", ())):
        for value in values:
            assert check_options([spelling, value]) == check_options([f"{spelling}={value}"]) == []
        if not values or facts.get("optional"):
            assert check_options([spelling]) == []
        if facts.get("none"):
            assert check_options([spelling, "None"]) == []
        if facts.get("several"):
            assert check_options([spelling, values[0], values[0]]) == []
        for key in facts.get("keys", ()):
            assert check_options([f"{spelling}.{key}", "1"]) == []
    if facts["kind"] == "switch":
        assert check_options([f"--no-{name}"]) == []


def valid_use(name: str) -> st.SearchStrategy[list[str]]:
    values = OPTIONS[name].get("choices") or VALID[OPTIONS[name]["kind"]]
    if not values:
        return st.sampled_from([[f"--{name}"], [f"--{name.replace('-', '_')}"]])
    return st.one_of(*(st.sampled_from([[f"--{name}", value], [f"--{name}={value}"]]) for value in values))


LINES = st.lists(st.sampled_from(sorted(OPTIONS)), unique=True, max_size=12).flatmap(
    lambda names: st.tuples(st.just(names), st.tuples(*map(valid_use, names)))
)


@settings(max_examples=200)
@given(LINES, st.data())
def test_valid_options_pass_together_and_of_them_only_the_reserved_ones_are_reported(
    line: tuple[list[str], tuple[list[str], ...]], data: st.DataObject
) -> None:
    names, uses = line
    words = [word for use in uses for word in use]
    assert check_options(words) == []
    reserved = data.draw(st.sets(st.sampled_from(names))) if names else set()
    assert len(check_options(words, reserved)) == len(reserved)


@settings(max_examples=400)
@given(st.lists(WORDS, max_size=8), st.sets(WORDS, max_size=3))
def test_whatever_the_words_are_complaints_are_sentences_and_nothing_is_raised(
    words: list[str], reserved: set[str]
) -> None:
    assert all(complaint.endswith((".", "?")) for complaint in check_options(words, reserved))


@settings(max_examples=100)
@given(st.lists(st.one_of(WORDS, st.none(), st.integers(), st.floats()), max_size=6))
def test_words_from_a_settings_file_need_not_be_text(words: list[str]) -> None:
    check_options(words)


def test_the_version_is_told() -> None:
    assert vllm_version().count(".") == 2
