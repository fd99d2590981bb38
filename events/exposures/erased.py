"""Which exposures are of users who were erased after them."""

from collections.abc import Collection, Mapping, Sequence

from shortlist_client.api.exposure import Exposure


def not_erased(
    exposures: Sequence[Exposure], digests: Sequence[Collection[str]], erased: Mapping[str, int]
) -> list[int]:
    """Places of the exposures whose users were not erased at their time or later.

    Args:
        exposures: The exposures.
        digests: Digests of the user of each.
        erased: Unix seconds of the last erasure, by digest.
    """
    if not erased:
        return list(range(len(exposures)))
    return [
        place
        for place, (exposure, of_user) in enumerate(zip(exposures, digests, strict=True))
        if not any(erased.get(digest, -1) >= exposure.time for digest in of_user)
    ]
