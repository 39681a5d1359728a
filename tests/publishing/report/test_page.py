from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from omr_kedro.publishing.facts import Funnel
from omr_kedro.publishing.report import Example, ModeCounts, Report, report_page
from omr_kedro.publishing.report.formulas import ELEMENTS
from tests.publishing.report.test_formulas import HOSTILE, Seen
from tests.support.browser import browser, new_page

TAKEN = (
    "</code></title></style></svg></text><script>document.title='taken'</script>"
    "<img src=x onerror=\"document.title='taken'\"><svg onload=\"document.title='taken'\">"
    "<a href=\"javascript:document.title='taken'\">look</a>\u202ekcatta\u2066"
)


def solution(**fields: Any) -> dict[str, Any]:
    """A row of the table of solutions, as far as the page shows it."""
    row = {
        "problem": "Find $x$ if $x^2 = 4$.",
        "predicted_answer": r"\pm 2",
        "expected_answer": "2",
        "answer_source": "extracted",
        "verdict": "correct",
        "decided_by": "judge",
        "votes_for": 3,
        "samples_drawn": 4,
        "solution": r"So $x = \pm 2$.",
        "reasoning": "I think.",
        "thread_id": "t1",
        "problem_id": "p1",
        "solution_id": "s1",
        "call_key": "c1",
        "prompt_hash": "h1",
        "generation_model": "m",
        "sample_index": 0,
        "seed": 7,
    }
    return {**row, **fields}


def report(told: str = "said") -> Report:
    """A report in which every text that a stranger can write is the given one."""
    stage = {"stage": told, "unit": told, "rows_in": 9, "kept": 6, "dropped": 2, "failed": 1, "branches": told}
    reason = {"stage": told, "outcome": told, "reason": told, "rows": 3}
    call = {
        "stage": told,
        "model": told,
        "prompt_hash": told,
        "calls": 1234,
        "failed": 1,
        "prompt_tokens": 5000,
        "completion_tokens": 6000,
        "money": 1.5,
    }
    mode = ModeCounts(told, {4: 1, 8: 2}, {told: 3}, {9: 2}, {3: 1})
    texts = {name: told for name, value in solution().items() if isinstance(value, str)}
    example = Example(solution(**texts), {"summary": told, "call_key": told})
    return Report(told, "0.1.0", [Funnel("problems", [stage], [reason])], [call], [mode], [example])


def test_the_page_tells_funnel_reasons_spending_votes_pass_rates_and_rows_with_their_way() -> None:
    page = report_page(report())
    text = Seen(page).text
    for told in (
        "6 of 9 saids",
        "After said: said.",
        "3 said",
        "1,234 calls, 11,000 tokens",
        "1.50",
        "0.9 to 1.0",
        "0.3 to 0.4",
        "kedro lineage said",
        "call_key of the summary",
    ):
        assert told in text, told
    drawn = report_page(Report("t", "0", [], [], [], [Example(solution())]))
    assert {"msup", "math"} <= Seen(drawn).tags
    assert "No model was asked." in drawn


def test_a_page_of_nothing_is_a_page() -> None:
    assert "There is no solution." in report_page(Report("t", "0", [], [], [], []))


def test_the_page_lets_nothing_run_and_loads_nothing() -> None:
    page = report_page(report())
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    seen = Seen(page)
    assert not seen.tags & {"script", "link", "img", "iframe", "object", "a", "form", "base"}
    assert not {"src", "href", "style"} & set(seen.attributes)
    assert "url(" not in style


def test_no_text_of_a_stranger_is_alive() -> None:
    plain = Seen(report_page(report()))
    for told in (TAKEN, *HOSTILE):
        seen = Seen(report_page(report(told)))
        assert seen.tags <= plain.tags | ELEMENTS
        assert not [name for name in seen.attributes if name.startswith("on") or name in ("href", "src", "style")]
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", seen.text)


def test_long_texts_are_cut() -> None:
    long = report_page(Report("t", "0", [], [], [], [Example(solution(reasoning="so it is " * 100_000))]))
    assert len(long) < 20_000


async def test_a_browser_runs_nothing_of_the_texts_and_draws_the_formulas(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_page(report(TAKEN)) + report_page(Report("t", "0", [], [], [], [Example(solution())])))
    with browser(tmp_path) as port:
        async with new_page(port) as page:
            await page.open(file.as_uri())
            await page.until_text("1,234 calls")
            assert (await page.evaluate("document.title")).startswith("</code>")
            assert await page.evaluate("document.querySelectorAll('script, img, a, [onload], [onerror]').length") == 0
            assert await page.evaluate("document.querySelector('msup').getBoundingClientRect().height") > 0
            colour = await page.evaluate("getComputedStyle(document.querySelector('.kept')).color")
            assert colour == "rgb(31, 119, 108)", "the page's own style holds"
            assert page.errors == []
