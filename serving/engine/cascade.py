"""The parts of one release, in one consistent state, that answer requests together."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from answers.artifact import Answers
from classifier.predict import Classifier
from dataset.append_only import extended
from dataset.arrays import load_dataset
from dataset.clock import Clock
from dataset.demand import Demand
from dataset.item_fields import ItemFields
from dataset.later_events import end_of
from events.privacy.erased_users import erased_beside
from index.filters.attributes import Attributes
from index.item_knn import NeighbourLists
from lineage.arrays import read_array
from lineage.manifest import Manifest
from lineage.open_release import Release, open_release, with_beside
from lineage.signing import TrustedKeys
from lineage.stages import ANSWERS, CLASSIFIER, DATA, EMBEDDINGS, RANKER, SHORTLISTS, TOWERS
from profiles.blend import load_learnt
from profiles.tables import ProfileTables
from ranker.attention.inputs import AttentionInputs
from ranker.attention.new_item_states import NewItemStates
from ranker.calibrated import Calibration
from ranker.config import PAYS
from ranker.ranker import Ranker
from ranker.search import Search, Searches
from retrieval.cache_config import NO_CACHE, CacheConfig
from retrieval.embedding_cache import EmbeddingCache
from retrieval.features import Features
from retrieval.retriever import Retriever
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.change_log import changes_path
from serving.catalogue.live_items import LiveItems
from serving.engine.explain_text import TextReasons
from towers.user_encoder import ItemHistoryEncoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Immutable. An item change makes a new cascade, which shares all unchanged parts."""

    catalogue: Catalogue
    """Item and user ids, and histories"""
    retriever: Retriever
    """First half: embeds shoppers and recalls shortlists"""
    ranker: Ranker
    """Second half: orders shortlists"""
    features: Features
    """Features of the ranker"""
    attributes: Attributes
    """Attributes that filters use"""
    text_reasons: TextReasons
    """Explains scores by the fields of items' texts"""
    profiles: ProfileTables
    """What profiles of shoppers rest on"""
    versions: Mapping[str, str]
    """Fingerprint of every stage, and the `release` id if it was published"""
    validated_head: int
    """Items at the head of a shortlist that the ranker scored in validation, 0 if it did not pay"""
    calibrated_head: int
    """First items of a shortlist that the probabilities were learnt from; others have none"""
    calibration: Calibration = field(default_factory=Calibration)
    """Probabilities of scores, and how many items are worth ranking"""
    classifier: Classifier | None = None
    """Predicts labels and numbers of texts; None if the release has no classifier"""
    answers: Answers | None = None
    """Answers questions from a FAQ; None if the release has none"""
    wall: Callable[[], float] = time.time
    """Returns the asking time, Unix seconds"""
    version_token: object = field(default_factory=object)
    """Changes when the catalogue or the release changes"""
    search_states: NewItemStates | None = None
    """Reads searches for the ranker; None if it reads none"""
    counted: tuple[str, ...] = ()
    """Ids of the items that the release lacks, but the counts have, in their order"""

    @classmethod
    def load(
        cls,
        folder: Path,
        cache: CacheConfig = NO_CACHE,
        *,
        verify_keys: Sequence[Path] = (),
        user_key: Path | None = None,
    ) -> "Cascade":
        """Check that a release is whole, and load it.

        Args:
            folder: Folder of a dataset's stages, or of a published release.
            cache: How many shoppers' embeddings to cache.
            verify_keys: Files of public keys, of which one must have signed the release; none
                demand no signature. They are read now.
            user_key: Key file of the users' names, if they are keyed.

        Raises:
            ArtifactError: the release is incomplete, corrupt, mixed, or not signed by these keys;
                the message names the part.
        """
        trusted = TrustedKeys.read(verify_keys) if verify_keys else None
        release = open_release(folder, with_beside(folder), trusted=trusted)
        erased = erased_beside(changes_path(folder).parent, user_key)
        data = load_dataset(folder / DATA)
        data = data.for_last_fit() if release.last_fit else data.for_refit()
        learnt = "everything" if release.last_fit else "everything but the test split"
        logger.info("%s has learnt %s", folder, learnt)
        retriever = Retriever.load(folder)
        features = Features.load(folder, retriever.sources, data.popularity)
        if features.demand is not None:  # views, too, tell what happens now
            newest = max(features.demand.newest, end_of(data))
            features = replace(features, demand=replace(features.demand, newest=newest))
        if cache.shoppers:
            retriever = replace(retriever, cache=EmbeddingCache(cache.shoppers, cache.seconds))
        ranker = Ranker.load(folder / RANKER)
        features.require(ranker.feature_names, folder / RANKER)
        return cls(
            catalogue=Catalogue.of(data, ItemFields.load(folder / DATA), erased, features.demand),
            retriever=retriever,
            ranker=ranker,
            features=features,
            attributes=Attributes.load(folder / DATA, len(data.item_ids)),
            profiles=ProfileTables.load(
                folder / DATA, data, features.demand, load_learnt(folder / RANKER)
            ),
            text_reasons=TextReasons.load(folder, retriever.texts),
            versions=release.versions,
            validated_head=_validated_head(release.manifests[RANKER]),
            search_states=_search_states(folder, ranker, data.texts[0]),
            calibrated_head=int(release.manifests[SHORTLISTS].config["size"]),
            calibration=Calibration.load(folder / RANKER),
            classifier=_classifier(folder, release),
            answers=_answers(folder, release),
        )

    @property
    def ranks_searches(self) -> bool:
        """Whether the ranker has learnt to rank what a search finds."""
        return self.retriever.sources.searched

    def searches(self, words: Sequence[str]) -> Searches:
        """Searches as the ranker reads them, None for an empty one; None if it reads none."""
        searched = [search for search in words if search]
        if self.search_states is None or not searched:
            return None
        inputs, states = self.ranker.inputs, self.search_states
        assert isinstance(inputs, AttentionInputs)
        read = states(searched, self.retriever.texts(searched))
        found = iter(inputs.quantised(read, searched))
        return [Search(next(found)) if search else None for search in words]

    @property
    def now(self) -> int | None:
        """Full hour as of which it answers, Unix seconds; None where interactions have no times."""
        demand = self.features.demand
        return None if demand is None else Clock(newest=demand.newest, wall=self.wall).now()

    def with_demand(self, demand: Demand, counted: tuple[str, ...] = ()) -> "Cascade":
        """The cascade with other counts of purchases.

        Args:
            demand: Purchases of the release and later ones, as `Demand.with_events` returns.
            counted: Ids of the further items that the demand counts, in the order of their rows,
                which follow those of the release. `with_updates` finds the items.
        """
        new = len(counted)
        sources = self.retriever.sources.with_demand(demand, new)
        return replace(
            self,
            counted=counted,
            catalogue=replace(self.catalogue, sales=self.catalogue.sales.with_demand(demand, new)),
            retriever=replace(self.retriever, sources=sources),
            features=replace(self.features, sources=sources, demand=demand),
            profiles=self.profiles.with_demand(demand),
            version_token=object(),
        )

    def with_neighbours(self, neighbours: NeighbourLists, next_items: NeighbourLists) -> "Cascade":
        """The cascade with other neighbour lists.

        Args:
            neighbours: For every item, the items that share users with it.
            next_items: For every item, the items bought after it.
        """
        sources = replace(self.retriever.sources, neighbours=neighbours, next_items=next_items)
        return replace(
            self,
            retriever=replace(self.retriever, sources=sources),
            features=replace(self.features, sources=sources),
            version_token=object(),
        )

    def with_updates(self, items: LiveItems) -> "Cascade":
        """The cascade after item changes.

        Args:
            items: All item changes since the release was built.
        """
        added = tuple(tuple(items.rows.get(item_id, ())) for item_id in self.counted)
        sources = replace(
            self.retriever.sources, index=items.index, added=added, lexical=items.lexical
        )
        user_tower, ranker = self.retriever.user_tower, self.ranker
        if isinstance(reader := user_tower.reader, ItemHistoryEncoder):
            embeddings = extended(reader.embeddings, items.index.added)
            user_tower = replace(user_tower, reader=replace(reader, embeddings=embeddings))
        if isinstance(inputs := ranker.inputs, AttentionInputs):
            states = extended(inputs.states, items.states)
            ranker = replace(ranker, inputs=replace(inputs, states=states))
        return replace(
            self,
            catalogue=replace(self.catalogue, live=items, count_rows=sources.count_rows),
            retriever=replace(self.retriever, user_tower=user_tower, sources=sources),
            ranker=ranker,
            features=replace(self.features, sources=sources),
            attributes=replace(self.attributes, live=items.index, added=items.values),
            version_token=object(),
        )


def _search_states(folder: Path, ranker: Ranker, text: str) -> NewItemStates | None:
    """Reads searches for a ranker that was trained on some."""
    if not ranker.reads_searches:
        return None
    assert isinstance(ranker.inputs, AttentionInputs)
    embeddings = read_array(folder / TOWERS / EMBEDDINGS)
    return NewItemStates.load(folder / RANKER, ranker.inputs, embeddings, text)


def _classifier(folder: Path, release: Release) -> Classifier | None:
    return Classifier.load(folder / CLASSIFIER) if CLASSIFIER in release.manifests else None


def _answers(folder: Path, release: Release) -> Answers | None:
    return Answers.load(folder / ANSWERS) if ANSWERS in release.manifests else None


def _validated_head(ranker: Manifest) -> int:
    """Items to rank: as many as in validation, none if the shortlist's own order was as good."""
    return int(ranker.config["ranked"]) if ranker.facts[PAYS] else 0
