"""Files of kinds that are not read, and the commands that make JSON Lines of them."""

from __future__ import annotations

_PANDAS = (
    'python -c "import pandas; pandas.{read}'
    ".to_json('threads.jsonl', orient='records', lines=True, force_ascii=False)\""
)
# Names are examples: those of files are not ours to print into a command. Texts stay texts, whatever they look like.
_COMMANDS = {
    ".json": _PANDAS.format(read="read_json('threads.json', dtype=False, convert_dates=False)"),
    ".csv": _PANDAS.format(read="read_csv('threads.csv', dtype=str, keep_default_na=False)"),
    ".tsv": _PANDAS.format(read="read_csv('threads.tsv', sep=chr(9), dtype=str, keep_default_na=False)"),
    ".gz": "gunzip --keep threads.jsonl.gz",
    ".bz2": "bunzip2 --keep threads.jsonl.bz2",
    ".xz": "unxz --keep threads.jsonl.xz",
    ".zst": "unzstd threads.jsonl.zst",
    ".zip": "unzip threads.zip",
}


def remedy(suffix: str) -> str:
    """How a file with this suffix becomes JSON Lines, as the end of a message; nothing where that is not known."""
    return f" Convert it, with your names in this command: {_COMMANDS[suffix]}" if suffix in _COMMANDS else ""
