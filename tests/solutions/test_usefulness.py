from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omr_kedro.solutions.usefulness import (
    MODERATE,
    NOVEL,
    NOVELTY,
    QUESTIONS,
    SIGNIFICANCE,
    SIGNIFICANT,
    TRIVIAL,
    VERIFICATION,
    FragmentVerdict,
    Tally,
    UsefulnessRule,
    VotingRule,
    is_useful,
    next_votes,
    verdict,
)

RULE, USEFUL = VotingRule(), UsefulnessRule()
UNDECIDED = FragmentVerdict(None)


def tally(**votes: int) -> Tally:
    labels = NOVELTY if set(votes) <= {*NOVELTY, "unread"} else SIGNIFICANCE
    return Tally.of(labels, [label for label, count in votes.items() for _ in range(count)])


def found(*kinds: str) -> list[FragmentVerdict]:
    known = {"verified": FragmentVerdict(VERIFICATION), "undecided": UNDECIDED}
    return [known.get(kind) or FragmentVerdict(NOVEL, kind) for kind in kinds]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (tally(novel=8), NOVEL),
        (tally(novel=5, verification=3), NOVEL),
        (tally(novel=4, verification=4), VERIFICATION),
        (tally(verification=8), VERIFICATION),
        (tally(significant=5, trivial=3), SIGNIFICANT),
        (tally(significant=4, moderate=1, trivial=3), MODERATE),
        (tally(significant=4, moderate=4), MODERATE),
        (tally(significant=3, moderate=1, trivial=4), TRIVIAL),
    ],
)
def test_the_verdict_is_the_highest_label_that_more_than_half_of_the_votes_reach(votes: Tally, expected: str) -> None:
    assert verdict(votes, RULE) == expected


def test_one_vote_for_trivial_does_not_outweigh_seven_for_significant() -> None:
    assert verdict(tally(significant=7, trivial=1), RULE) == SIGNIFICANT


def test_one_reply_that_cannot_be_read_vetoes_nothing_and_is_counted() -> None:
    votes = tally(novel=7, unread=1)
    assert verdict(votes, RULE) == NOVEL
    assert (votes.replies, votes.readable, votes.unread) == (8, 7, ("unread",))
    assert verdict(tally(significant=7, unread=1), RULE) == SIGNIFICANT


def test_where_fewer_can_be_read_than_the_quorum_nothing_is_decided() -> None:
    assert verdict(tally(novel=3, unread=5), RULE) is None
    assert verdict(tally(verification=3, unread=5), RULE) is None
    assert verdict(tally(novel=4, unread=4), RULE) == NOVEL
    assert next_votes(tally(unread=5), RULE) == 0, "a quorum is out of reach"


def test_a_tie_goes_to_the_lower_label_and_is_told() -> None:
    assert tally(novel=4, verification=4).is_tied(RULE)
    assert tally(significant=3, moderate=3, unread=2).is_tied(RULE)
    assert not tally(novel=5, verification=3).is_tied(RULE)
    assert not tally(unread=8).is_tied(RULE)


def test_votes_that_others_to_come_may_overturn_decide_nothing_yet() -> None:
    assert verdict(tally(novel=4), RULE) is None
    assert verdict(tally(novel=5), RULE) == NOVEL
    assert verdict(tally(verification=4), RULE) == VERIFICATION, "no more than a tie is in reach"
    assert verdict(tally(trivial=4), RULE) == TRIVIAL
    assert verdict(Tally.of(NOVELTY), RULE) is None


def test_as_many_votes_are_asked_at_once_as_may_end_the_matter() -> None:
    assert next_votes(Tally.of(NOVELTY), RULE) == 4
    assert next_votes(tally(novel=4), RULE) == 1
    assert next_votes(tally(novel=3, verification=1), RULE) == 2
    assert next_votes(tally(verification=4), RULE) == 0
    assert next_votes(tally(novel=4, verification=4), RULE) == 0


_RULES = st.builds(
    lambda votes, quorum, majority: VotingRule(votes=votes, quorum=min(quorum, votes), majority=majority),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([0.5, 0.6, 0.75]),
)


@given(rule=_RULES, question=st.sampled_from(sorted(QUESTIONS)), data=st.data())
def test_stopping_early_changes_no_verdict_and_no_vote_is_asked_in_vain(
    rule: VotingRule, question: str, data: st.DataObject
) -> None:
    labels = QUESTIONS[question]
    said = data.draw(st.lists(st.sampled_from([*labels, "cut"]), min_size=rule.votes, max_size=rule.votes))
    counted = Tally.of(labels)
    while count := next_votes(counted, rule):
        for asked in range(count):
            so_far = counted.plus(said[counted.replies : counted.replies + asked])
            ends = {
                verdict(so_far.plus(rest), rule)
                for rest in product([*labels, "cut"], repeat=rule.votes - so_far.replies)
            }
            assert len(ends) > 1, "it was still open, so that one vote more had to be asked"
        counted = counted.plus(said[counted.replies : counted.replies + count])
    assert verdict(counted, rule) == verdict(Tally.of(labels, said), rule)


def test_a_solution_with_one_novel_and_significant_fragment_is_useful() -> None:
    assert is_useful(found(SIGNIFICANT, "verified", "verified", TRIVIAL), USEFUL) is True


def test_of_novel_and_moderate_fragments_it_takes_more_than_half() -> None:
    assert is_useful(found(MODERATE, MODERATE, "verified"), USEFUL) is True
    assert is_useful(found(MODERATE, "verified"), USEFUL) is False, "half is not more than half"
    assert is_useful(found(MODERATE, TRIVIAL, "verified"), USEFUL) is False


def test_an_undecided_fragment_counts_neither_for_nor_against() -> None:
    assert is_useful(found(SIGNIFICANT, "undecided"), USEFUL) is True
    assert is_useful(found("verified", "undecided"), USEFUL) is None
    assert is_useful(found("undecided"), USEFUL) is None
    assert is_useful(found("verified", "undecided", TRIVIAL), UsefulnessRule(significant=2)) is False
    assert is_useful([FragmentVerdict(NOVEL)], USEFUL) is None, "novel, and nobody knows how significant"


def test_the_thresholds_are_settings() -> None:
    assert is_useful(found(SIGNIFICANT, "verified", "verified"), UsefulnessRule(significant=2)) is False
    assert is_useful(found(MODERATE, "verified"), UsefulnessRule(moderate_share=0.4)) is True
    assert verdict(tally(novel=5, verification=3), VotingRule(majority=0.75)) == VERIFICATION
    with pytest.raises(ValidationError, match="out of reach"):
        VotingRule(votes=3)
