from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.publishing.report.formulas import ELEMENTS, MOST_CHARS, typeset, typeset_answer
from tests.support.hostile_texts import UNITS


class Seen(HTMLParser):
    """Elements and attributes that a browser finds, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes = dict[str, str | None]()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_formulas_are_drawn_and_the_rest_is_text() -> None:
    html = typeset(r"If $x^2 < 2$ & \(n\) is even, then $$\frac{a}{b}$$ and \[\sqrt{3}\]; it costs \$5 or $ 6.")
    seen = Seen(html)
    assert {"msup", "mfrac", "msqrt"} <= seen.tags
    assert html.count("<math") == 4
    assert html.count('display="block"') == 2
    assert seen.text == r"If x2<2 & n is even, then ab and 3; it costs \$5 or $ 6."


@pytest.mark.parametrize(
    ("answer", "tag"), [(r"\frac{1}{2}", "mfrac"), ("2^{10}", "msup"), ("$a_1$", "msub"), ("12", None), ("none", None)]
)
def test_an_answer_is_drawn_where_it_is_a_formula(answer: str, tag: str | None) -> None:
    html = typeset_answer(answer)
    assert (tag in Seen(html).tags) if tag else html == answer


@pytest.mark.parametrize("formula", [r"\frac", "}{", r"\left(", r"\begin{matrix}", "{" * 1500, "x" * (MOST_CHARS + 1)])
def test_a_formula_that_cannot_be_read_is_shown_as_it_was_written(formula: str) -> None:
    assert Seen(typeset(f"${formula}$")).text == f"${formula}$"


@pytest.mark.parametrize(
    "bomb",
    [r"\def\a{xx}\def\b{\a\a}\def\c{\b\b}\c", r"\newcommand{\a}{x}\a", r"\let\a=b", r"\DeclareMathOperator{\a}{b}"],
)
def test_a_formula_that_defines_commands_is_not_drawn(bomb: str) -> None:
    assert Seen(typeset(f"${bomb}$")).tags == {"code"}


def test_what_links_acts_or_speaks_another_language_is_no_element_that_draws() -> None:
    others = {
        "a",
        "annotation",
        "annotation-xml",
        "img",
        "maction",
        "malignmark",
        "mglyph",
        "script",
        "semantics",
        "svg",
    }
    assert not ELEMENTS & others


HOSTILE = [
    "<script>alert(1)</script>",
    r"$\text{<script>alert(1)</script>}$",
    r"$\text{&lt;img src=x onerror=alert(1)&gt;}$",
    r"$\text{&#60;img src=x onerror=alert(1)&#62;}$",
    r"$\href{javascript:alert(1)}{x}$",
    r"$\style{background:url(javascript:alert(1))}{x}$",
    r"$\class{x\" onmouseover=\"alert(1)}{x}$",
    r'$\color{red" onclick="alert(1)}{x}$',
    r"$\hspace{9999em}x\rule{9999em}{9999em}$",
    r"$\begin{array}{c\" onload=\"alert(1)}1\end{array}$",
    r"$\mathchoice{<svg onload=alert(1)>}{}{}{}$",
    "$</math><img src=x onerror=alert(1)>$",
    "$\u202e\\text{\u202eabc}$\u2066",
]


def harmless(html: str) -> None:
    seen = Seen(html)
    assert seen.tags <= ELEMENTS | {"code"}
    assert not [name for name in seen.attributes if name.startswith("on") or name in ("href", "src", "style", "class")]
    assert not [value for value in seen.attributes.values() if not re.fullmatch(r"[\w.+ -]*", value or "")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", seen.text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup(text: str) -> None:
    harmless(typeset(text))
    harmless(typeset_answer(text))


pieces = st.sampled_from([*HOSTILE, *UNITS.values(), "$", "$$", r"\(", r"\)", r"\[", r"\]", "\\", "<", "&", '"', "'"])


@given(st.lists(pieces, max_size=8).map("".join))
def test_no_text_becomes_markup_however_it_is_put_together(text: str) -> None:
    harmless(typeset(text))
    harmless(typeset_answer(text))
