"""Resolves requests: checks their rules, turns ids into rows and fills in defaults."""

from dataclasses import dataclass, replace

import numpy as np
from pyroaring import BitMap

from dataset.histories import NO_HISTORY, NOTHING, History
from dataset.postings import bitmap_of
from index.arrays import Rows, Scores
from index.filters.attributes import Attributes
from index.filters.clauses import FilterError
from ranker.calibrated import Calibration
from retrieval.retriever import ResolvedShopper
from serving.api.errors import PreconditionError, UnknownItemError
from serving.api.limits import Limits
from serving.api.request import Method, Request
from serving.api.validation import (
    check_answerable,
    check_diversity,
    check_id,
    check_inputs,
    check_question,
    check_request,
)
from serving.catalogue.catalogue import Catalogue
from serving.engine.cascade import Cascade
from serving.engine.explain_history import rows_to_remove
from serving.engine.predictions import CLASSIFIES, target_of
from serving.engine.replies import check_answers
from shortlist_client.api.answer import Basis
from shortlist_client.api.errors import InvalidRequestError

RECALLING = (Method.RECOMMEND, Method.RETRIEVE)
"""Methods that choose among all items"""
READING = (Method.EMBED_ITEMS, Method.EMBED_TEXTS, *CLASSIFIES)
"""Methods that read the given items or texts"""


@dataclass(frozen=True, kw_only=True)
class ResolvedRequest:
    """A checked request with ids turned into rows."""

    request: Request
    shopper: ResolvedShopper
    basis: Basis
    unknown_item_ids: tuple[str, ...] = ()
    unknown_user: bool = False
    given: Rows | None = None
    """Rows of the items to rank, embed or classify, or of the item whose neighbours are wanted;
    None if the request recalls items"""

    @property
    def embeds(self) -> bool:
        """Whether the shopper's embedding is needed."""
        nothing = self.given is not None and not len(self.given)
        return self.basis in {Basis.HISTORY, Basis.SEARCH, Basis.VECTOR} and not nothing

    @property
    def has_probabilities(self) -> bool:
        """Whether the answer's items may have probabilities."""
        known = self.basis in {Basis.HISTORY, Basis.SEARCH}
        return known and self.request.method in RECALLING

    @property
    def explains(self) -> bool:
        """Whether the answer explains its items in any way."""
        return self.explains_history or self.explains_texts

    @property
    def explains_history(self) -> bool:
        """Whether the answer explains its items by the history that caused them."""
        wished = self.request.wishes.explain and self.basis in {Basis.HISTORY, Basis.SEARCH}
        return wished and len(rows_to_remove(self.shopper)) > 0

    @property
    def explains_texts(self) -> bool:
        """Whether the answer explains its items by the fields of their own texts."""
        return self.request.wishes.explain_texts and self.embeds


def resolve(request: Request, cascade: Cascade, limits: Limits) -> ResolvedRequest:
    """Check a request and look up its ids.

    Args:
        request: The request.
        cascade: Parts of the release that answers.
        limits: Limits on the request.

    Raises:
        OtherReleaseError: the request is pinned to another release.
        InvalidRequestError: the request breaks a rule.
        UnknownItemError: the item whose neighbours are wanted is not in the catalogue.
        PreconditionError: the release lacks the classifier, the FAQ or the probabilities that the
            request needs.
    """
    catalogue, attributes = cascade.catalogue, cascade.attributes
    check_answerable(request, cascade.versions.get("release"), limits)
    by_default = request.wishes.limit is None and request.method is not Method.RANK
    if by_default and request.limit > limits.shortlist:
        request = replace(request, wishes=replace(request.wishes, limit=limits.shortlist))
    if request.method is Method.SIMILAR:
        return _resolve_similar(request, catalogue, attributes, limits)
    if request.method is Method.ANSWER:
        return _resolve_question(request, cascade, limits)
    if request.method in READING:
        return _resolve_inputs(request, cascade, limits)
    check_request(request, limits)
    check_min_probability(request, cascade.calibration)
    described = [attribute.name for attribute in cascade.profiles.attributes]
    check_diversity(request.wishes.diversity, attributes.kinds, described)
    history, unknown, unknown_user = _history(request, catalogue)
    given, allowed, search, vector = None, None, "", None
    if request.method is Method.RANK:
        given, also_unknown = catalogue.rows(list(dict.fromkeys(request.candidates)))
    else:
        search = request.shopper.search
        vector = unit_vector(request, cascade.retriever.sources.index.dimension)
        allowed, also_unknown = _allowed(request, catalogue, attributes, history.taken)
    now = cascade.now if request.now is None else request.now
    excluded = history.excluded(catalogue.data.may_repeat, now)
    basis = Basis.VECTOR if vector is not None else _basis(search, history.items)
    if request.method in RECALLING and nothing_left(catalogue, allowed, excluded):
        excluded = NOTHING  # those taken away are not allowed
        basis = Basis.POPULARITY if basis is Basis.HISTORY else basis
    return ResolvedRequest(
        request=request,
        shopper=ResolvedShopper(
            history=history.items,
            interaction_codes=history.interaction_codes,
            times=history.times,
            now=now,
            search=search,
            vector=vector,
            allowed=allowed,
            excluded=excluded,
        ),
        basis=basis,
        unknown_item_ids=tuple(dict.fromkeys(unknown + also_unknown)),
        unknown_user=unknown_user,
        given=given,
    )


def check_min_probability(request: Request, calibration: Calibration) -> None:
    """Refuse a least probability where no item of the answer could have one.

    Raises:
        InvalidRequestError: the request has a vector.
        PreconditionError: the release has learnt no probabilities of such answers.
    """
    least, searched = request.wishes.min_probability, bool(request.shopper.search)
    if not least:
        return
    if len(request.shopper.vector):
        raise InvalidRequestError(f"min_probability must not come with a vector, got {least}")
    if not calibration.curves(searched=searched):
        of = "searches" if searched else "recommendations"
        raise PreconditionError(
            f"min_probability needs a release that has learnt probabilities of {of}, and this one "
            "has not: `make ranker` learns them if validation has enough purchases to learn from"
        )


def _resolve_similar(
    request: Request, catalogue: Catalogue, attributes: Attributes, limits: Limits
) -> ResolvedRequest:
    check_request(request, limits)
    check_id("item_id", request.item_id, limits)
    row = catalogue.row(request.item_id)
    if row is None:
        raise UnknownItemError(f"item_id must be in the catalogue, got {request.item_id!r}")
    allowed, unknown = _allowed(request, catalogue, attributes)
    return ResolvedRequest(
        request=request,
        shopper=ResolvedShopper(history=np.empty(0, np.int32), allowed=allowed),
        basis=Basis.ITEM,
        unknown_item_ids=unknown,
        given=np.array([row], np.int32),
    )


def _resolve_inputs(request: Request, cascade: Cascade, limits: Limits) -> ResolvedRequest:
    check_inputs(request, limits)
    if request.method in CLASSIFIES:
        target_of(request.labelling, cascade)
    given, unknown = cascade.catalogue.rows(list(dict.fromkeys(request.candidates)))
    return ResolvedRequest(
        request=request,
        shopper=ResolvedShopper(history=np.empty(0, np.int32)),
        basis=Basis.ITEM,
        unknown_item_ids=unknown,
        given=given,
    )


def _resolve_question(request: Request, cascade: Cascade, limits: Limits) -> ResolvedRequest:
    """Check a question; the search for it is resolved as a request of its own."""
    check_question(request, limits)
    check_answers(cascade)
    return ResolvedRequest(
        request=request, shopper=ResolvedShopper(history=NOTHING), basis=Basis.SEARCH
    )


def _history(request: Request, catalogue: Catalogue) -> tuple[History, tuple[str, ...], bool]:
    """The history, unknown item ids, and whether the user is unknown.

    A history in the request replaces the user's recorded history.
    """
    shopper = request.shopper
    if shopper.history:
        return *catalogue.given_history(shopper), False
    known = None
    if shopper.user_id is not None:
        known = catalogue.history(shopper.user_id, request.recent)
    if known is None:
        return NO_HISTORY, (), shopper.user_id is not None
    return known, (), False


def _allowed(
    request: Request, catalogue: Catalogue, attributes: Attributes, taken: Rows = NOTHING
) -> tuple[BitMap | None, tuple[str, ...]]:
    """Rows of the items that a request allows, None for all; and its unknown excluded ids.

    Items that the shopper took away are left out like those that the request excludes.
    """
    wishes = request.wishes
    if not wishes.filters and not wishes.exclude and not len(taken):
        return None, ()
    try:
        allowed = attributes.matching(wishes.filters)
    except FilterError as error:
        raise InvalidRequestError(str(error)) from error
    excluded, unknown = catalogue.rows(wishes.exclude)
    left_out = np.union1d(excluded, catalogue.current(taken))
    return allowed - bitmap_of(left_out), unknown


def nothing_left(catalogue: Catalogue, allowed: BitMap | None, excluded: Rows) -> bool:
    """Whether a history excludes every item that a request allows, of which there is at least one.

    Then the shop is so small, or the filters so narrow, that excluding would leave an empty answer.

    Args:
        catalogue: The items.
        allowed: Item rows that the request allows; None for all.
        excluded: Item rows that the history excludes.
    """
    size = len(catalogue) if allowed is None else len(allowed)
    if not 0 < size <= len(excluded):
        return False
    rows = np.unique(catalogue.current(excluded))
    return size == (len(rows) if allowed is None else len(allowed & bitmap_of(rows)))


def _basis(search: str, history: Rows) -> Basis:
    if search:
        return Basis.SEARCH
    return Basis.HISTORY if len(history) else Basis.POPULARITY


def unit_vector(request: Request, dimension: int) -> Scores | None:
    """Normalised embedding from the request, (dimension,); None if the request has no vector.

    Raises:
        InvalidRequestError: the vector breaks a rule; names the field, the rule and the value.
    """
    if not len(request.shopper.vector):
        return None
    if request.shopper.search:
        raise InvalidRequestError("vector must not come with a search, got both")
    vector = np.asarray(request.shopper.vector, np.float64)
    if vector.shape != (dimension,):
        raise InvalidRequestError(
            f"vector must have as many numbers as the towers' {dimension}, got {len(vector)}"
        )
    if not np.isfinite(vector).all():
        raise InvalidRequestError("vector must be finite, got nan or inf")
    largest = np.abs(vector).max()
    if not largest:
        raise InvalidRequestError("vector must not be zero, got zeros alone")
    scaled = vector / largest  # so that no square overflows or underflows
    unit: Scores = (scaled / np.linalg.norm(scaled)).astype(np.float32)
    return unit
