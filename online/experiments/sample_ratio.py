"""Whether the arms have the users that their weights promise."""

from collections.abc import Mapping

from scipy.stats import chisquare

THRESHOLD = 0.001
"""p-value below which the counts cannot be chance: one false alarm in 1,000 checks"""


class SampleRatioError(ValueError):
    """The arms do not have the users that their weights promise."""


def check_sample_ratio(users: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """The p-value of the users' counts; refuses an experiment whose figures would be biased.

    Pearson's chi-square test (Fabijan et al., KDD 2019): who is missing from an arm is rarely like
    the others, so a mismatch makes every figure of the experiment suspect.

    Args:
        users: Users of each arm who were exposed.
        weights: Weight of each arm.

    Raises:
        SampleRatioError: the counts cannot be chance; names arm, share and what to look for.
        ValueError: the arms differ, or nobody was exposed.
    """
    if set(users) != set(weights):
        raise ValueError(f"users must have the arms {sorted(weights)}, got {sorted(users)}")
    everyone, total = sum(users.values()), sum(weights.values())
    if not everyone:
        raise ValueError("users must not be 0 in every arm")
    arms = sorted(weights)
    expected = [everyone * weights[arm] / total for arm in arms]
    p_value = float(chisquare([users[arm] for arm in arms], expected).pvalue)
    if p_value < THRESHOLD:
        arm = min(arms, key=lambda name: users[name] / weights[name])
        raise SampleRatioError(
            f"users of {arm} must be {weights[arm] / total:.2%} of all, got "
            f"{users[arm] / everyone:.2%} ({users[arm]:,} of {everyone:,}; chance p = "
            f"{p_value:.1g}); its figures are biased: look for answers, events or bots that only "
            "one arm loses, and for weights that were changed"
        )
    return p_value
