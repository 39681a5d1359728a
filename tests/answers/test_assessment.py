from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import Assessment, Case, Finding, Limits, Workers, assess, poses_several
from omr_kedro.answers.forms import Form, answer_form, asked_form, clash, dangling_choice
from omr_kedro.answers.stated import posts_of, stated_answers
from omr_kedro.answers.undefined import undefined_symbols


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=1.5)) as pool:
        yield pool


def assessed(workers: Workers, answer: str, statement: str = "Find $x$.", *posts: str, sole: bool = True) -> Assessment:
    discussion = "\n\n".join(f"Post {number}:\n{post}" for number, post in enumerate(posts, start=1))
    return assess([Case(statement, answer, discussion, sole)], workers)[0]


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("5", Form.NUMBER),
        ("x = \\frac12", Form.NUMBER),
        ("2^{10}", Form.NUMBER),
        ("x^2+1", Form.EXPRESSION),
        ("\\int_0^x t\\,dt", Form.EXPRESSION),
        ("f(x)=2x", Form.FUNCTION),
        ("y=2x", Form.EQUATION),
        ("x^2+y^2=1", Form.EQUATION),
        ("1, 2", Form.SET),
        ("\\{1,2\\}", Form.SET),
        ("no solution", Form.SET),
        ("(1,2)", Form.TUPLE),
        ("[1,2)", Form.INTERVAL),
        ("x>3", Form.INTERVAL),
        ("\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}", Form.MATRIX),
        ("yes", Form.YES_NO),
        ("Proof by induction", Form.PROOF),
        ("Q.E.D.", Form.PROOF),
        ("The statement is proved.", Form.PROOF),
        ("see post 3", Form.REFERENCE),
        ("The solution is above", Form.REFERENCE),
        ("trivial", Form.REFERENCE),
        ("Shown above.", Form.REFERENCE),
        ("https://example.org/x", Form.REFERENCE),
        ("f(2)=5", Form.NUMBER),
        ("f(x)=0", Form.NUMBER),
        ("the result is 5", Form.TEXT),
        ("the trivial solution", Form.TEXT),
        ("the answer is in the interval $(0,1)$", Form.TEXT),
        ("below 5", Form.TEXT),
        ("(a) 3, (b) 5", Form.PARTS),
        ("infinitely many", Form.TEXT),
        ("all primes below 10", Form.TEXT),
        ("prime numbers of the form $4k+1$", Form.TEXT),
    ],
)
def test_the_form_of_an_answer(answer: str, form: Form) -> None:
    assert answer_form(answer) == form


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        ("How many integers divide 12?", Form.COUNT),
        ("Find the sum of all $n$ with $n^2<10$.", Form.NUMBER),
        ("Show that $x>0$ and find the minimum value of $x$.", Form.NUMBER),
        ("Let $S$ be the number of sets. What is the remainder when $S$ is divided by 7?", Form.COUNT),
        ("Find all real $x$ with $x^2=1$.", Form.SET),
        ("For which $n$ is $n+1$ prime?", Form.SET),
        ("Solve $x^2=4$.", Form.SET),
        ("Determine all functions $f$ with $f(x+y)=f(x)+f(y)$.", Form.FUNCTION),
        ("Find the coordinates of $P$.", Form.TUPLE),
        ("Find the equation of the line through both.", Form.EQUATION),
        ("Express $y$ in terms of $x$.", Form.EXPRESSION),
        ("Does there exist such an $n$?", Form.YES_NO),
        ("What is $2+2$? (A) 3 (B) 4 (C) 5", Form.CHOICE),
        ("Prove that $n^2+n$ is even.", Form.PROOF),
        ("Find $x$.", Form.UNKNOWN),
        ("", Form.UNKNOWN),
    ],
)
def test_the_form_that_a_statement_asks_for(statement: str, form: Form) -> None:
    assert asked_form(statement) == form


NUMBER = "How many triangles are there?"


def test_proofs_clash_with_every_question_and_values_with_a_proof() -> None:
    for statement in (NUMBER, "Find all $x$.", "Find $x$.", "Is it true?", "", "Prove that $n>0$."):
        assert clash(statement, Form.PROOF)
        assert clash(statement, Form.REFERENCE)
    assert clash("Prove that the sum is $0$.", Form.NUMBER)


@pytest.mark.parametrize(
    ("statement", "given_form"),
    [
        (NUMBER, Form.EXPRESSION),
        (NUMBER, Form.TEXT),
        (NUMBER, Form.SET),
        (NUMBER, Form.TUPLE),
        ("Find the value of $x$ if $x^2<1$.", Form.INTERVAL),
        ("Find the value of $P(n)$.", Form.FUNCTION),
        ("Find all $x$.", Form.NUMBER),
        ("Find all $x$.", Form.INTERVAL),
        ("Find all functions $f$.", Form.EXPRESSION),
        ("Find all sequences $a_n$.", Form.TUPLE),
        ("Does there exist such an $n$? If so, find the number of them.", Form.YES_NO),
        ("Is there such an $n$?", Form.NUMBER),
        ("Show that the sequence converges and compute its limit.", Form.NUMBER),
        ("Prove it. When does equality hold?", Form.EQUATION),
        *[("Find $x$.", form) for form in Form if form not in {Form.PROOF, Form.REFERENCE}],
    ],
)
def test_what_may_go_together_is_no_clash(statement: str, given_form: Form) -> None:
    assert not clash(statement, given_form)


@pytest.mark.parametrize("given_form", [Form.INTERVAL, Form.MATRIX, Form.YES_NO])
def test_what_cannot_be_a_count_clashes_with_one(given_form: Form) -> None:
    assert clash(NUMBER, given_form)


def test_the_letter_of_an_option_needs_options_or_a_point_of_that_name() -> None:
    assert dangling_choice("(B)", "What is the units digit of $7^{2023}$?")
    assert dangling_choice("\\textbf{C}", "Find the area.")
    assert not dangling_choice("(B)", "What is $2+2$? (A) 3 (B) 4")
    assert not dangling_choice("B", "In triangle $ABC$, which vertex is nearest?")
    assert not dangling_choice("B", "The sets $A$ and $B$ are equal. Find their union.")
    assert not dangling_choice("x", "Find it.")


@pytest.mark.parametrize(
    ("answer", "statement", "undefined"),
    [
        ("2n+1", "How many for $n$ points?", ()),
        ("2n+1", "How many such points are there?", ("n",)),
        ("x=5", "Find the greater of the two numbers.", ()),
        ("(m,n)=(1,2)", "Find all pairs of integers.", ()),
        ("\\frac{a\\pi}{b}", "Find the area.", ("a", "b")),
        ("k\\pi, k\\in\\mathbb{Z}", "Solve $\\sin x=0$.", ()),
        ("k\\pi where $k$ is any integer", "Solve $\\sin x=0$.", ()),
        ("f(x)=cx", "Find all functions $f$.", ("c",)),
        ("f(x)=cx, c\\in\\mathbb{R}", "Find all functions $f$.", ()),
        ("f(x)=cx for some real $c$", "Find all functions $f$.", ()),
        ("\\ln|x|+C", "Compute $\\int\\frac{dx}{x}$.", ()),
        ("x^2+y^2=25", "Find the equation of the circle.", ()),
        ("\\sum_{k=1}^n k^2", "Let $n$ be a positive integer.", ()),
        ("\\int_0^1 g(t)\\,dt", "Let $g$ be continuous.", ()),
        ("\\{x : x>3\\}", "When does it hold?", ()),
        ("e^{i\\pi}+\\sqrt2\\sin 1", "Compute it.", ()),
        ("5\\text{ cm}", "Find the length.", ()),
        ("5 m", "Find the length.", ()),
        ("R\\sqrt3", "A triangle lies in a circle of radius R.", ()),
        ("AB=CD", "In the quadrilateral ABCD", ()),
        ("\\varphi(n)", "Let $n>1$.", ()),
        ("\\binom{n}{2}", "Take n points.", ()),
        ("C(n,2)", "Take n points.", ()),
        ("\\alpha+\\lambda", "The roots are α and β.", ("lambda",)),
        ("p=3,5", "Find all primes p such that p + 2 is prime.", ()),
        ("(a) 3, (b) 5", "Answer both.", ()),
        ("(a) yes, (b) $2m$", "Answer both for $n$.", ("m",)),
        ("2r\\pi, r\\in\\mathbb Z", "Solve $\\cos x=1$.", ()),
        ("gt, g\\in\\mathbb{Z}", "Solve it.", ("t",)),
        ("infinitely many", "How many?", ()),
        ("all primes $p$ with $p\\equiv r \\pmod m$", "Which numbers $p$?", ("r", "m")),
        ("a", "Find a number.", ("a",)),
        ("a", "Find a+b, where a is odd.", ()),
        ("a_n+b_1", "The sequence $a_n$ is given.", ("b",)),
    ],
)
def test_symbols_that_nobody_defines(answer: str, statement: str, undefined: tuple[str, ...]) -> None:
    assert undefined_symbols(answer, statement) == undefined


@given(st.text(max_size=40))
def test_whatever_stands_in_a_statement_is_defined(text: str) -> None:
    letters = "xyzuvw"
    statement = text.replace("$", "").replace("\\", "") + " Let $" + "+".join(letters) + "$."
    assert set(undefined_symbols("+".join(letters), statement)) == set()


@pytest.mark.parametrize(
    ("post", "answers"),
    [
        ("so the answer is $45$.", ["45"]),
        ("Stars and bars, hence $\\boxed{21}$.", ["21"]),
        ("$\\boxed{1}$ and $\\boxed{2}$", ["1", "2"]),
        ("The answer is 5, and a check gives \\boxed{6}", ["6"]),
        ("[quote=x]the answer is 4[/quote] I disagree, the answer is 5.", ["5"]),
        ("[quote]a [quote]the answer is 1[/quote] the answer is 2[/quote]the answer: 3", ["3"]),
        ("[hide]The answer is 54.[/hide]", ["54"]),
        ("Answer: 3/4 because of symmetry", ["3/4"]),
        ("Answer is $3$ or $5$.", ["$3$ or $5$"]),
        ("The answer to part 2 is 12 cm", ["12 cm"]),
        ("the answer is infinitely many", ["infinitely many"]),
        ("Is the answer 5?", []),
        ("I think the answer is 1/6, but I am not sure.", []),
        ("The answer is not 7.", []),
        ("My answer is the same", []),
        ("Why is it $45$?", []),
        ("", []),
    ],
)
def test_what_a_post_states_for_good(post: str, answers: list[str]) -> None:
    assert [answer for part in posts_of(f"Post 1:\n{post}") for answer in stated_answers(part)] == answers


def test_a_first_post_that_numbers_its_problems_poses_several() -> None:
    assert poses_several("Two on probability.\n\n[b]Problem 1:[/b] A coin\n\n[b]Problem 2:[/b] A die")
    assert poses_several("1. Find x\n2) Find y")
    assert not poses_several("Find x\n1.5 metres\n2.5 metres")
    assert not poses_several("1. Find x")


def test_posts_that_agree_are_counted_by_value_and_those_that_differ_apart(workers: Workers) -> None:
    found = assessed(workers, "\\frac12", "Find it.", "the answer is 0.5", "\\boxed{2/4}", "the answer is 3.", "nice")
    assert (found.agreeing_posts, found.disagreeing_posts) == (2, 1)
    assert found.findings == (Finding.DISPUTED,)


def test_more_posts_against_an_answer_than_for_it_outvote_it(workers: Workers) -> None:
    found = assessed(workers, "45", "How many ways?", "the answer is $21$.", "\\boxed{21}", "the answer is 45.")
    assert found.findings == (Finding.DISPUTED, Finding.OUTVOTED)


def test_where_a_thread_poses_several_problems_another_value_says_nothing(workers: Workers) -> None:
    found = assessed(workers, "45", "How many ways?", "the answer is $21$.", "the answer is 45", sole=False)
    assert (found.agreeing_posts, found.disagreeing_posts, found.findings) == (1, 0, ())


@pytest.mark.parametrize(
    ("answer", "parses"),
    [
        ("\\frac12", "yes"),
        ("\\{1,2\\}", "yes"),
        ("[0,\\infty)", "yes"),
        ("infinitely many", "yes"),
        ("\\int_0^1 x\\,dx", "yes"),
        ("x\\equiv 2\\pmod 5", "yes"),
        ("\\mathbb{Z}", "yes"),
        ("k\\pi, k\\in\\mathbb Z", "yes"),
        ("(a) 21, (b) $\\{1,2\\}$", "yes"),
        ("(a) 21, (b) by symmetry", "no"),
        ("the circle with diameter AB", "no"),
        ("\\frac{1}{", "no"),
        ("9^{9^{9^{9}}}", "timeout"),
        ("", "no"),
    ],
)
def test_whether_an_answer_parses(answer: str, parses: str, workers: Workers) -> None:
    assert assessed(workers, answer).parses == parses


def test_an_endless_answer_in_a_post_leaves_the_post_undecided(workers: Workers) -> None:
    found = assessed(workers, "5", "Find it.", "\\boxed{9^{9^{9^{9}}}}", "\\boxed{5}")
    assert (found.agreeing_posts, found.disagreeing_posts, found.undecided_posts) == (1, 0, 1)


def test_findings_of_clear_faults(workers: Workers) -> None:
    assert assessed(workers, "Proof by induction.", "Find $n$.").findings[:2] == (
        Finding.NON_ANSWER,
        Finding.FORM_CLASH,
    )
    assert Finding.NON_ANSWER in assessed(workers, "(B)", "What is the units digit?").findings
    assert Finding.FORM_CLASH in assessed(workers, "5", "Prove that $n>4$.").findings
    assert assessed(workers, "5", "Find the least $n$.").findings == ()


@given(st.text(max_size=60), st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_looked_at(answer: str, statement: str, post: str) -> None:
    assert answer_form(answer) in Form
    assert asked_form(statement) in Form
    assert isinstance(undefined_symbols(answer, statement), tuple)
    assert isinstance(stated_answers(post), list)
    assert dangling_choice(answer, statement) in {True, False}
