from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.datasets import ChatTemplateDataset
from omr_kedro.publishing.chat_template import ChatTemplate
from omr_kedro.shards import BadInputError

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


def folder_with(folder: Path, config: Any, template: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


SIMPLE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_template_is_found_in_the_config_by_name_and_in_a_file_of_its_own(tmp_path: Path) -> None:
    tokens = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": SIMPLE}]
    places: list[tuple[dict[str, Any], str]] = [
        ({"chat_template": SIMPLE}, ""),
        ({"chat_template": named}, ""),
        ({"chat_template": "old"}, SIMPLE),
    ]
    wanted = "<s>[user]Hi</s>\n[assistant]Ho</s>\n"
    for number, (config, own) in enumerate(places):
        folder = folder_with(tmp_path / str(number), {**tokens, **config}, own)
        template = ChatTemplateDataset(model=str(folder)).load()
        assert template is not None
        assert template.render(CHAT) == wanted
        assert template.render(CHAT[:1], prompt=True) == "<s>[user]Hi</s>\n[assistant]"
        assert template.end_of_turn == "</s>"


def test_without_a_tokenizer_there_is_no_template() -> None:
    assert ChatTemplateDataset(model=None).load() is None


@pytest.mark.parametrize(
    ("config", "words"),
    [({}, "has a chat template"), ([], "cannot be read"), ({"chat_template": "{% if %}"}, "cannot be read")],
)
def test_a_folder_without_a_template_that_works_is_told(tmp_path: Path, config: Any, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        ChatTemplate.of_folder(folder_with(tmp_path, config), "model").render(CHAT)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('no system message') }}",
    ],
)
def test_a_template_can_reach_nothing_and_change_nothing(attack: str) -> None:
    with pytest.raises(BadInputError):
        ChatTemplate(attack, "hostile").render(CHAT)


def test_what_templates_of_models_use_is_there() -> None:
    source = (
        "{%- for m in messages %}\n  {%- if m.role == 'system' %}{% continue %}{% endif %}\n"
        "{% generation %}{{ m | tojson }}{% endgeneration %}{% if loop.last %}{% break %}{% endif %}\n{% endfor %}"
        "{{ strftime_now('%Y') }}"
    )
    assert (
        ChatTemplate(source, "model")
        .render([{"role": "user", "content": "π"}])
        .endswith('{"role": "user", "content": "π"}2026')
    )
