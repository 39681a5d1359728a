"""The problems of a first post."""

from __future__ import annotations

import re

from omr_kedro.offline_model.forum import plain, tidy, unspoiled
from omr_kedro.offline_model.numbering import Item, listing
from omr_kedro.offline_model.signs import has_formula, has_maths, has_task, pieces

NOTHING = "No problems identified."
_SHORTEST = 12

_LEADS = re.compile(
    r"(?:\[?(?:moderator )?edit\b[^:\n]{0,40}:"
    r"|(?:and |so |ok |okay |well )?(?:hi|hello|hey|hola|bonjour|salut|hallo|dear)\b[^,.!?:\n]{0,30}[,.!:¡]"
    r"|(?:here(?:'s| is)|this is)\b[^:\n]{0,60}:"
    r"|(?:the|my) (?:question|problem|task|exercise)(?: is| says| goes| asks)?(?: this| that)?(?::|(?=\n)|(?<=is))"
    r"|[\w ,'\"()-]{0,60}\b(?:problem|question|exercise) ?(?:no\.? ?)?\d{0,3}:"
    r"|(?:please|pls|plz)\b(?: help(?: me)?(?: to)?)?"
    r"|(?:can|could|would) (?:some(?:one|body)|any(?:one|body)|you)(?: please)?(?: help me(?: to)?)?"
    r"(?= (?:find|prove|show|solve|compute|evaluate|please))"
    r"|I (?:need|want|have|would like|am trying|was asked)(?: help)? to"
    r"|help me(?: to)?)\s*",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(
    r"(?i:and |but |so |also |well,? |yes,? |hmm,? )?"
    r"(?:I(?:'m|'ve|'d|'ll)?\b(?! (?:roll|toss|pick|choose|draw|flip|throw))"
    r"|(?i:my) (?:teacher|attempt|friend|solution|answer|try|idea|homework|book|class|son|daughter|guess|work)\b"
    r"|(?i:if) I(?:'ve| have)\b)",
)
_CHATTER = re.compile(
    r"\b(?:thanks|thank you|thx|gracias|merci|danke|sorry|good luck|have fun|enjoy|welcome|cheers|happy \w+ing"
    r"|any (?:hints?|ideas?|help|solutions?|suggestions?|comments?|thoughts?)|hints? (?:please|pls)|need help"
    r"|help (?:please|pls|me|is|would)|(?:this|it|that) (?:is|was) (?:from|a (?:nice|hard|very))|nice problem|source"
    r"|moderator|posted|my attempt|anyone|anybody|somebody|someone|what do you think|tell me|let me know"
    r"|stuck|no idea|see you|hope|alguna idea|un saludo|ayuda)\b|https?://|[:;]-?[)(DPp](?!\w)",
    re.IGNORECASE,
)
_PERSONAL = re.compile(r"\b(?:I|me|my|your?)\b")
_SOLUTION = re.compile(
    r"^[^\w\n]{0,5}(?:my |the |first |second )?(?:solution|attempt|try|proof|answer|work)\b"
    r"[ \t]?[\dIVX]{0,4}[ \t]{0,5}(?:[.:]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_MARKER = re.compile(
    r"^[^\w\n]{0,8}problem(?: statement)?[ \t]?\d{0,4}[ \t]?(?:[:.)-]+|$)[ \t]*", re.IGNORECASE | re.MULTILINE
)
_PARAGRAPHS = re.compile(r"\n\n+")


def extract(forum_post: str) -> str:
    """The reply of the stage: each problem under its number."""
    found = problems_in(forum_post)
    return "\n\n".join(f"Problem {number}:\n{text}" for number, text in enumerate(found, start=1)) or NOTHING


def problems_in(forum_post: str) -> list[str]:
    """The statements, in order. What has neither mathematics nor a task is none."""
    return [text for item in candidates(forum_post) if (text := statement(item.text))]


def candidates(forum_post: str) -> list[Item]:
    """The items of the post's list, or the whole post as number 1; not yet known to be problems."""
    text = plain(unspoiled(forum_post))
    preamble, items = listing(text)
    if not items:
        return [Item(1, text)]
    return [Item(item.number, _with_order(preamble, item.text)) for item in items]


def statement(section: str) -> str | None:
    """The question, without greetings, thanks, attempts and solutions; None where nothing is asked."""
    paragraphs = [_on_topic(paragraph) for paragraph in _PARAGRAPHS.split(_before_solution(section))]
    text = _closed(_tidy(_MARKER.sub("", "\n\n".join(_trimmed([text for text in paragraphs if text])))))
    return text[:1].upper() + text[1:] if len(text) >= _SHORTEST and _is_problem(text) else None


def _with_order(preamble: str, item: str) -> str:
    """An item of `Solve the following: 1) … 2) …` carries no order of its own."""
    order = preamble.rsplit("\n", 1)[-1]
    if has_task(item) or "?" in item or not (order.endswith(":") and has_task(order)):
        return item
    return f"{order}\n{item}"


def _before_solution(section: str) -> str:
    solution = _SOLUTION.search(section)
    return section[: solution.start()] if solution and solution.start() > _SHORTEST else section


def _on_topic(paragraph: str) -> str:
    return "".join(piece for raw in pieces(paragraph) if not _is_chatter(piece := _unled(raw)))


def _unled(piece: str) -> str:
    """The piece without greetings and `the question is:` in front, of which there may be several."""
    while lead := _LEADS.match(piece):
        piece = piece[lead.end() :]
    return piece


def _is_chatter(piece: str) -> bool:
    if not piece.strip():
        return True
    if _FIRST_PERSON.match(piece):
        return True
    if _CHATTER.search(piece):
        return not (has_task(piece) and has_formula(piece))
    return "?" in piece and not has_formula(piece) and _PERSONAL.search(piece) is not None


def _trimmed(paragraphs: list[str]) -> list[str]:
    relevant = [number for number, text in enumerate(paragraphs) if has_maths(text) or has_task(text)]
    return paragraphs[relevant[0] : relevant[-1] + 1] if relevant else []


def _is_problem(text: str) -> bool:
    return has_maths(text) and (has_task(text) or ("?" in text and has_formula(text)))


def _tidy(text: str) -> str:
    """Greetings that were cut off leave their commas."""
    return tidy(text).lstrip(" ,;:")


def _closed(text: str) -> str:
    """The text without a closing bracket whose opener went with the chatter."""
    return text[:-1].rstrip() if text.endswith("]") and text.count("]") > text.count("[") else text
