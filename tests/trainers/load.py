"""Loads a published dataset as trainers do, where `install.sh` has installed them: `python load.py FOLDER CONFIG…`.

Prints one line of JSON: rows and columns of each config. After `--train sft` or `--train dpo` it trains instead:
one step on a config with a model of random weights: the loss, texts of the first row, and the part that is learnt.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

from datasets import load_dataset

_NOT_LEARNT = -100

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.arguments.code }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> Any:
    """A tokenizer of bytes, with this template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 (seconds that loading does without)
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|im_start|>", "<|im_end|>", "<|pad|>"]
    words = {token: number for number, token in enumerate([*alphabet, *special])}
    made = Tokenizer(models.BPE(vocab=words, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>")
    fast.chat_template = TEMPLATE
    return fast


def model(size: int) -> Any:
    """A Qwen2 of random weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM  # noqa: PLC0415

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=size, num_key_value_heads=1, max_position_embeddings=8192, **small))


def trained(kind: str, rows: Any) -> dict[str, Any]:
    """One step of TRL's trainer."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer  # noqa: PLC0415

    tokens = tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        common = {
            "output_dir": folder, "max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none",
            "use_cpu": True, "bf16": False, "max_length": 8192, "save_strategy": "no", "logging_steps": 1,
        }  # fmt: skip
        made, config = (SFTTrainer, SFTConfig) if kind == "sft" else (DPOTrainer, DPOConfig)
        start = f"{folder}/start"
        model(len(tokens)).save_pretrained(start)
        trainer = made(model=start, args=config(**common), train_dataset=rows, processing_class=tokens)
        loss = trainer.train().training_loss
        first = trainer.train_dataset[0]
        labels = [token for token in first.get("labels") or [] if token != _NOT_LEARNT]
        texts = {name: tokens.decode(ids) for name, ids in first.items() if name.endswith("ids")}
        return {"loss": loss, "texts": texts, "learnt": tokens.decode(labels)}


def main() -> None:
    if sys.argv[1] == "--train":
        kind, folder, config = sys.argv[2:]
        print(json.dumps(trained(kind, load_dataset(folder, config, split="train"))))
        return
    folder, *configs = sys.argv[1:]
    told = {}
    for config in configs:
        rows = load_dataset(folder, config, split="train")
        told[config] = {"rows": len(rows), "columns": list(rows.features)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
