"""Full draws replayed through stop rules: samples and tokens saved, and whether the outcome is that of the full draw.

    python -m benchmarks.stop_rule [--problems 12000] [--seed 5] [--completions replies.jsonl]

A rule sees of a full draw the samples that it would have drawn itself, so one set of draws judges all rules, without a
model. Two kinds of draws:

- simulated, by the assumptions of `World`, each of which is also varied, one at a time;
- real ones of `--completions`: a line for each sample, as in a table of completions (`row_id`, `sample_index`, `text`,
  `finish_reason`, `completion_tokens`), with `expected_answer` where the answer is known. Only problems with all
  samples 0 to N-1 count, where N is the commonest number. Which of their majorities are right, nobody knows.

Columns: samples of a problem, their share and that of tokens; `same`: problems with the majority of the full draw (to
have none, as of two answers level, is one outcome), of all, with a known answer, without, and of those whose full draw
settles its majority; then by the rule and of the full draw: problems whose majority is right, problems with a reference
answer that solutions are kept for, and wrong ones among these. A full draw takes any majority for a reference answer,
however small, as the original did; a rule takes settled ones only.

Not in it: the tokens of prompts, and of calls of a judge.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import orjson
import yaml

from benchmarks import ROOT
from benchmarks.results import emit, figure
from omr_kedro.llm.calls import Completion
from omr_kedro.solutions import Decision, Sample, StopReason, StopRule, decide, equal_answers, read_sample
from omr_kedro.solutions.answer_classes import Equal
from omr_kedro.solutions.stop_rule import is_settled

FULL = 32
WANTED_SAME = 0.99
WANTED_TOKENS = 0.6
BANDS = ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0))


@dataclass(frozen=True)
class World:
    """Assumptions about problems, a model and its verifier."""

    name: str = "as assumed"
    skill: tuple[tuple[float, float, float], ...] = ((1.0, 0.8, 0.5),)
    """A mixture of Beta distributions of the chance that a sample is right: weight, alpha, beta. Beta(0.8, 0.5) has the
    mean 0.62 that OpenMathReasoning kept of its samples, and most problems near 0 and 1."""
    known: float = 0.42
    """Share of problems whose answer the thread states."""
    wrong_key: float = 0.05
    """Share of those whose stated answer is wrong; in a fifth of them it is the mistake that samples make, too."""
    shared: tuple[float, float] = (2.0, 3.0)
    """Beta distribution, over problems, of the share of wrong samples that make the same mistake; its mean is 0.4."""
    others: int = 20
    """Other wrong answers of a problem."""
    tail: float = 1
    """Zipf's exponent of them: the n-th is as likely as n to the power of -tail. By the default of both the second
    commonest mistake of a problem has 17 % of the wrong samples on average, and the third 8 %."""
    unread: float = 0.05
    """Share of answers, right or wrong, and of stated ones, in another form that the comparator does not see through
    (`equal_answers` does not on 7 % of the pairs of the hand-checked key, which is chosen to be hard)."""
    merged: float = 0.005
    """Share of problems where the comparator takes the shared mistake for the right answer."""
    boxless: float = 0.01
    """Share of whole replies that hold no box."""
    median_tokens: float = 3_000
    """Of a right sample of a problem that is always solved; of one that never is, four times as many."""
    wrong_longer: float = 1.5
    spread: float = 0.6
    """Of the logarithm of tokens."""
    max_tokens: int = 16_384
    """Longer replies are cut."""


WORLDS = (
    World(),
    World("easier: Beta(1.5, 0.5)", skill=((1, 1.5, 0.5),)),
    World("harder: Beta(0.5, 0.8)", skill=((1, 0.5, 0.8),)),
    World("mostly in between: Beta(2, 2)", skill=((1, 2, 2),)),
    World("two kinds: 0.6 Beta(6, 1), 0.4 Beta(1, 4)", skill=((0.6, 6, 1), (0.4, 1, 4))),
    World("no answer is known", known=0),
    World("every answer is known", known=1),
    World("1 in 5 known answers is wrong", wrong_key=0.2),
    World("mistakes are shared more: Beta(3, 2)", shared=(3, 2)),
    World("mistakes are shared less: Beta(1, 6)", shared=(1, 6)),
    World("few other mistakes: Zipf 2 of 5", others=5, tail=2),
    World("other mistakes are all different", others=10**4, tail=0),
    World("14 % in a form not seen through", unread=0.14),
    World("22 % in a form not seen through", unread=0.22),
    World("mistake taken for right in 2 %", merged=0.02),
    World("the comparator never errs", unread=0, merged=0),
    World("few replies are cut: 65,536 tokens", max_tokens=65_536),
    World("many are cut: 8,192 tokens", max_tokens=8_192),
    World("lengths do not hang on anything", wrong_longer=1, median_tokens=5_000, spread=0.01),
)
FINE = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)
DEFAULT_NAME = "plain: k = 4, beta 0.95, gives up after 16"
OURS_NAME = "as conf/base sets it"
OURS = StopRule(**yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text("utf-8"))["solve_cot"]["stop_rule"])
RULES = {
    OURS_NAME: OURS,
    DEFAULT_NAME: StopRule(),
    "k = 1": StopRule(correct=1),
    "k = 8": StopRule(correct=8),
    "beta 0.8": StopRule(confidence=0.8),
    "beta 0.9": StopRule(confidence=0.9),
    "beta 0.99": StopRule(confidence=0.99),
    "anytime 0.95": StopRule(settled_by="anytime"),
    "gives up after 12": StopRule(give_up_after=12),
    "gives up after 24": StopRule(give_up_after=24),
    "never gives up": StopRule(give_up_after=FULL),
    "rounds 8, 16, 24, 32": StopRule(rounds=(8, 16, 24, 32)),
    "rounds 4, 8, 16": StopRule(rounds=(4, 8, 16)),
    "settles known": StopRule(settle_known=True),
    "settles known, never gives up": StopRule(settle_known=True, give_up_after=FULL),
    "settles known, never gives up, beta 0.9": StopRule(settle_known=True, give_up_after=FULL, confidence=0.9),
    "the same in 11 rounds": StopRule(settle_known=True, give_up_after=FULL, confidence=0.9, rounds=FINE),
    "settles known, never gives up, beta 0.8": StopRule(settle_known=True, give_up_after=FULL, confidence=0.8),
    "fixed 16": StopRule(fixed=16),
}
"""All but the first differ from the plain one in what they say."""


@dataclass(frozen=True)
class Draw:
    """A full draw of a problem."""

    samples: tuple[Sample, ...]
    tokens: tuple[int, ...]
    reference: str | None
    equal: Equal = equal_answers
    is_right: Callable[[str], bool] | None = None
    """Whether an answer is the true one; None where nobody knows."""
    chance: float | None = None
    """That a sample is right and whole; None where it is not simulated."""

    @cached_property
    def full(self) -> Decision:
        """The outcome of all samples."""
        return self.ended(StopRule(fixed=len(self.samples)))

    @property
    def ease(self) -> float:
        """The chance that a sample is right, or the share that was."""
        return len(self.full.correct or ()) / len(self.samples) if self.chance is None else self.chance

    def ended(self, rule: StopRule) -> Decision:
        """The outcome by a rule, whose last round is at most all samples."""
        rule, drawn = _within(rule, len(self.samples)), 0
        while True:
            drawn = rule.next_round(drawn).stop
            decision = decide(rule, self.samples[:drawn], self.reference, self.equal)
            if decision is not None:
                return decision


def _within(rule: StopRule, most: int) -> StopRule:
    """The rule with its last round at so many samples, where it would draw more."""
    if rule.schedule[-1] <= most:
        return rule
    rounds = (*(drawn for drawn in rule.rounds if drawn < most), most)
    return rule.model_copy(update={"rounds": rounds, "fixed": rule.fixed and most})


def simulate(world: World, problems: int, seed: int) -> list[Draw]:
    return [_problem(world, random.Random(f"{seed} {number}")) for number in range(problems)]


def _problem(world: World, rng: random.Random) -> Draw:
    weights = [weight for weight, _, _ in world.skill]
    _, alpha, beta = rng.choices(world.skill, weights)[0]
    chance, shared = rng.betavariate(alpha, beta), rng.betavariate(*world.shared)
    samples, tokens = [], []
    for index in range(FULL):
        right = rng.random() < chance
        answer = "right" if right else _mistake(world, shared, rng)
        median = world.median_tokens * (1 + 3 * (1 - chance)) * (1 if right else world.wrong_longer)
        length = int(rng.lognormvariate(math.log(median), world.spread))
        cut, boxless = length > world.max_tokens, rng.random() < world.boxless
        answer = _written(world, answer, rng)
        samples.append(Sample(index, None, "length" if cut else "no_box") if cut or boxless else Sample(index, answer))
        tokens.append(min(length, world.max_tokens))
    reference = None
    if rng.random() < world.known:
        stated = "right"
        if rng.random() < world.wrong_key:
            stated = "mistake" if rng.random() < 0.2 else "misread"
        reference = _written(world, stated, rng)
    equal: Equal = _merging if rng.random() < world.merged else str.__eq__
    return Draw(tuple(samples), tuple(tokens), reference, equal, lambda answer: answer.startswith("right"), chance)


def _mistake(world: World, shared: float, rng: random.Random) -> str:
    if rng.random() < shared:
        return "mistake"
    return f"slip {rng.choices(range(world.others), [place**-world.tail for place in range(1, world.others + 1)])[0]}"


def _written(world: World, answer: str, rng: random.Random) -> str:
    """The answer in its usual form, or in one of two others."""
    return answer + rng.choice(("'", '"')) if rng.random() < world.unread else answer


def _merging(left: str, right: str) -> bool:
    return left == right or {left, right} == {"right", "mistake"}


class _Try(NamedTuple):
    sample: Sample
    tokens: int
    reference: str | None


def read_draws(file: Path) -> list[Draw]:
    """The problems of a file that were drawn in full."""
    tries: dict[str, dict[int, _Try]] = defaultdict(dict)
    with file.open("rb") as lines:
        for row in map(orjson.loads, lines):
            reply = Completion.from_row({"call_key": "", "model": "", **row})
            why_not_whole = reply.error_kind or (reply.finish_reason if reply.cut else None)
            sample = read_sample(row["sample_index"], reply.text, why_not_whole)
            tries[row["row_id"]][sample.index] = _Try(sample, reply.completion_tokens, row.get("expected_answer"))
    full = Counter(map(len, tries.values())).most_common(1)[0][0]
    drawn = [[by_index[index] for index in sorted(by_index)] for by_index in tries.values()]
    return [
        Draw(tuple(each.sample for each in some), tuple(each.tokens for each in some), some[0].reference)
        for some in drawn
        if [each.sample.index for each in some] == list(range(full))
    ]


@dataclass(frozen=True)
class Outcome:
    """A draw, and its end by a rule."""

    draw: Draw
    end: Decision

    @property
    def samples(self) -> int:
        return self.end.votes.samples_drawn

    @property
    def tokens(self) -> int:
        return sum(self.draw.tokens[: self.samples])

    @property
    def same(self) -> bool:
        """Whether the majority is that of the full draw; having none is one outcome."""
        return self.majority == _majority(self.draw.full)

    @property
    def majority(self) -> str | None:
        return _majority(self.end)

    @property
    def rows(self) -> int:
        """Samples that are kept as right ones: with the known answer, or with the one that was settled."""
        return len(self.end.correct or ())

    @property
    def gold(self) -> str | None:
        """The answer that solutions are kept for."""
        return (self.draw.reference or self.majority) if self.rows else None

    def is_right(self, answer: str | None) -> bool:
        """Whether it is the true answer of a simulated problem."""
        return answer is not None and self.draw.is_right is not None and self.draw.is_right(answer)


def _majority(end: Decision) -> str | None:
    return end.votes.majority.answer if end.votes.majority else None


def play(draws: Sequence[Draw], rule: StopRule) -> list[Outcome]:
    return [Outcome(draw, draw.ended(rule)) for draw in draws]


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


@dataclass(frozen=True)
class Score:
    """A rule beside the full draw."""

    samples: float
    """Drawn of a problem."""
    samples_share: float
    tokens_share: float
    same: float
    """Share of problems with the majority of the full draw."""
    same_known: float
    same_unknown: float
    same_settled: float
    """Of those whose full draw settles its majority, by the default's test."""
    right: tuple[float, float]
    """Share of problems whose majority is right; here and below by the rule, and of the full draw."""
    gold: tuple[float, float]
    """Share of problems with an answer that solutions are kept for."""
    false_gold: tuple[float, float]
    """Share of those answers that are wrong."""


def score(draws: Sequence[Draw], outcomes: Sequence[Outcome]) -> Score:
    full = [Outcome(draw, draw.full) for draw in draws]
    both = (outcomes, full)
    return Score(
        statistics.mean(each.samples for each in outcomes),
        sum(each.samples for each in outcomes) / sum(each.samples for each in full),
        sum(each.tokens for each in outcomes) / sum(each.tokens for each in full),
        _share([each.same for each in outcomes]),
        _share([each.same for each in outcomes if each.draw.reference is not None]),
        _share([each.same for each in outcomes if each.draw.reference is None]),
        _share([each.same for each in outcomes if is_settled(StopRule(), *each.draw.full.votes.lead)]),
        _each(both, lambda some: _share([each.is_right(each.majority) for each in _judged(some)])),
        _each(both, lambda some: _share([each.gold is not None for each in some])),
        _each(both, lambda some: _share([not each.is_right(each.gold) for each in _judged(some) if each.gold])),
    )


def _each(
    both: tuple[Sequence[Outcome], Sequence[Outcome]], measure: Callable[[Sequence[Outcome]], float]
) -> tuple[float, float]:
    return measure(both[0]), measure(both[1])


def _judged(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those of which somebody knows the true answer."""
    return [each for each in outcomes if each.draw.is_right is not None]


HEAD = (
    f"{'':<48}{'samples':>8}{'of all':>7}{'tokens':>8}{'same':>8}{'known':>8}{'unknown':>9}{'settled':>9}"
    f"{'right':>14}{'gold':>14}{'false gold':>14}"
)


def line(name: str, found: Score) -> str:
    pairs = (f"{ours:.1%}/{full:.1%}" for ours, full in (found.right, found.gold, found.false_gold))
    return (
        f"{name:<48}{found.samples:>8.1f}{found.samples_share:>7.0%}{found.tokens_share:>8.1%}{found.same:>8.2%}"
        f"{found.same_known:>8.2%}{found.same_unknown:>9.2%}{found.same_settled:>9.2%}"
        + "".join(f"{pair:>14}" for pair in pairs)
    )


def print_rules(draws: Sequence[Draw]) -> dict[str, Score]:
    print(HEAD)
    found = {}
    for name, rule in RULES.items():
        found[name] = score(draws, play(draws, rule))
        print(line(name, found[name]), flush=True)
    return found


def print_worlds(problems: int, seed: int) -> None:
    for name, rule in ((OURS_NAME, OURS), ("plain", StopRule())):
        print(f"\n{name}, one assumption at a time\n{HEAD}")
        for world in WORLDS:
            draws = simulate(world, problems, seed)
            print(line(world.name, score(draws, play(draws, rule))), flush=True)


def print_bands(name: str, rule: StopRule, draws: Sequence[Draw]) -> None:
    """Rows kept of a problem, by its chance that a sample is right (of real draws: the share that was)."""
    print(f"\n{name}, by difficulty; a pair is the rule's and the full draw's")
    print(
        f"{'chance':<12}{'problems':>9}{'samples':>9}{'tokens':>8}{'same':>8}{'rows':>12}{'of k':>12}{'with a row':>14}"
    )
    outcomes = play(draws, rule)
    for low, high in BANDS:
        inside = [each for each in outcomes if low <= each.draw.ease < high or each.draw.ease == high == 1]
        if not inside:
            continue
        full = [Outcome(each.draw, each.draw.full) for each in inside]
        tokens = sum(each.tokens for each in inside) / sum(each.tokens for each in full)
        rows = [statistics.mean(each.rows for each in some) for some in (inside, full)]
        capped = [statistics.mean(min(each.rows, rule.correct) for each in some) for some in (inside, full)]
        kept = [_share([each.rows > 0 for each in some]) for some in (inside, full)]
        print(
            f"{f'{low:.1f} to {high:.1f}':<12}{len(inside):>9,}{statistics.mean(each.samples for each in inside):>9.1f}"
            f"{tokens:>8.1%}{_share([each.same for each in inside]):>8.1%}{f'{rows[0]:.1f}/{rows[1]:.1f}':>12}"
            f"{f'{capped[0]:.2f}/{capped[1]:.2f}':>12}{f'{kept[0]:.1%}/{kept[1]:.1%}':>14}",
            flush=True,
        )


def print_known(name: str, rule: StopRule, draws: Sequence[Draw]) -> None:
    """How many known answers are told as suspect, of the right ones and of the wrong ones."""
    outcomes = [each for each in play(draws, rule) if each.draw.reference is not None]
    for what, right in (("right", True), ("wrong", False)):
        some = [each for each in outcomes if each.is_right(each.draw.reference) is right]
        ends = Counter(each.end.stop_reason for each in some)
        told = ", ".join(f"{reason} {ends[reason] / len(some):.1%}" for reason in StopReason if ends[reason])
        print(f"{name}, known answers that are {what} ({len(some):,}): {told}")


def main() -> None:
    """Replay, print, and fail when the rule of conf/base misses its targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--completions", type=Path, help="JSON Lines of full draws, in place of the simulated ones")
    options = parser.parse_args()
    if options.completions:
        draws = read_draws(options.completions)
        print(f"{len(draws):,} problems, drawn in full\n")
        found = print_rules(draws)
        print_bands(OURS_NAME, OURS, draws)
    else:
        draws = simulate(WORLDS[0], options.problems, options.seed)
        cut = _share([sample.no_vote == "length" for draw in draws for sample in draw.samples])
        print(f"{len(draws):,} problems by {FULL} samples, {cut:.1%} of them cut; {WORLDS[0]}\n")
        found = print_rules(draws)
        for name, rule in ((OURS_NAME, OURS), ("plain", StopRule())):
            print_bands(name, rule, draws)
            print_known(name, rule, draws)
        print_worlds(max(1, options.problems // 2), options.seed)
    ours, plain = found[OURS_NAME], found[DEFAULT_NAME]
    held = ours.same >= WANTED_SAME and ours.tokens_share <= WANTED_TOKENS
    source = "real draws" if options.completions else "simulated"
    truths = [] if options.completions else [
        figure("wrong among the reference answers of the stop rule of conf/base", 100 * ours.false_gold[0], "%"),
        figure("wrong among those of the full draw", 100 * ours.false_gold[1], "%"),
    ]  # fmt: skip
    emit([
        figure(f"same majority as all samples, stop rule of conf/base ({source})", 100 * ours.same, "%",
               f">= {100 * WANTED_SAME:g}", met=ours.same >= WANTED_SAME),
        figure("tokens of that rule by those of all samples", 100 * ours.tokens_share, "%",
               f"<= {100 * WANTED_TOKENS:g}", met=ours.tokens_share <= WANTED_TOKENS),
        figure(f"same majority as all samples, plain rule ({source})", 100 * plain.same, "%"),
        figure("same, where all samples settle a majority", 100 * plain.same_settled, "%"),
        figure("tokens of the plain rule by those of all samples", 100 * plain.tokens_share, "%"),
        *truths,
    ])  # fmt: skip
    sys.exit(not held)


if __name__ == "__main__":
    main()
