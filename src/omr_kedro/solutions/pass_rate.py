"""Pass rates of problems whose sampling stopped by a rule.

After stopping at the k-th correct sample, correct by drawn is too high on average: sampling ended because it went well.
The unbiased estimate counts paths (Girshick, Mosteller, Savage 1946): of all orders of correct and wrong samples that
lead to where sampling ended without ending earlier, the share that begins with a correct one. After the k-th correct
sample at n tries that is (k-1)/(n-1), Haldane's inverse sampling; after N tries with fewer, c/N.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import comb


def pass_rate(hits: Sequence[bool], quota: int | None = None, give_up_at: int | None = None) -> float:
    """The unbiased estimate of the probability that a sample is correct, 0 to 1.

    Samples after the `quota`-th correct one are not looked at, though a round that was complete holds some: how many
    they are hangs on the rounds, and the estimate stays unbiased without them. With a quota of 1 it is 1 or 0, whatever
    came after the first sample; take 2 or more where the rate is to be used.

    Unbiased holds for an answer that was known before. Where the reference is the majority of the same samples, the
    rate tells how often the majority's answer came, and is too high where the majority is wrong or was lucky.

    Args:
        hits: whether each sample is correct, by ascending index; cut samples and those without an answer are not.
        quota: correct samples at which sampling stops, the k above; None where a fixed number was drawn.
        give_up_at: tries after which sampling stops without a correct one; None for a rule that does not give up.

    Raises:
        ValueError: there are no samples.
    """
    if not hits:
        raise ValueError("a pass rate needs samples")
    counts = list(accumulate(map(int, hits)))
    if not counts[-1]:
        return 0.0
    if give_up_at is not None and not any(hits[:give_up_at]):
        give_up_at = None  # whoever judged these hits came later, and sampling was not given up by them
    if quota is None or counts[-1] < quota:
        drawn, correct = len(hits), counts[-1]
        return _paths(drawn - 1, correct - 1) / _surviving(drawn, correct, give_up_at)
    drawn = counts.index(quota) + 1
    # The last step is the quota-th correct one; paths to the place before it, of which the first step is fixed or not.
    starting_right = 1 if drawn == 1 else _paths(drawn - 2, quota - 2)
    return starting_right / _surviving(drawn - 1, quota - 1, give_up_at)


def pass_rate_of_first(hits: Sequence[bool], count: int = 8) -> float | None:
    """The share of correct samples among the first `count`; None where sampling stopped before.

    One number of samples for all problems, so that rates compare across rules and data sets. A problem that stopped
    earlier has none: to draw the rest only for this number costs what the rule saves, and to divide by fewer brings
    back the bias of stopping. Those problems are the easy ones, so the mean of this column is no mean of all problems:
    use `pass_rate` for that, or rounds that begin with `count`.
    """
    return sum(hits[:count]) / count if len(hits) >= count else None


def _surviving(drawn: int, correct: int, give_up_at: int | None) -> int:
    """Orders of so many samples with so many correct ones that were not given up on the way."""
    given_up = _paths(drawn - give_up_at, correct) if give_up_at is not None and drawn > give_up_at else 0
    return _paths(drawn, correct) - given_up


def _paths(steps: int, correct: int) -> int:
    return comb(steps, correct) if 0 <= correct <= steps else 0
