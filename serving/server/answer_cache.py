"""Answers that are kept: each is found by all that it hangs on, so that none is out of date."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b

from cachetools import TTLCache
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from retrieval.embedding_cache import CacheConfig, CacheLookups
from serving.api.request import Method
from shortlist_client.api.event import Event
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

DIGEST_BYTES = 16
Message = pb.RecommendRequest | pb.RetrieveRequest | pb.RankRequest | pb.SimilarItemsRequest
ENTRY_BYTES = 400
"""What an entry occupies beside the answer: key, links and lifetime"""


class AnswerCache:
    """Answers of one server, as they travel. Of one event loop."""

    def __init__(self, config: CacheConfig) -> None:
        size = config.answers_mb * 1_000_000
        self._kept: TTLCache[bytes, bytes] = TTLCache(size, config.seconds, getsizeof=_size)
        self._version_token: object | None = None
        self.lookups = CacheLookups()
        """Since it was made"""

    def get(self, key: bytes, version_token: object) -> pb.Answer | None:
        """The answer to a question, None where it is not kept.

        Args:
            key: Of the question, by `key_of`.
            version_token: Of the engine that would answer; answers under another one are dropped.
        """
        if version_token is not self._version_token:
            self._kept.clear()
            self._version_token = version_token
        found = self._kept.get(key)
        if found is None:
            self.lookups.misses += 1
            return None
        self.lookups.hits += 1
        return pb.Answer.FromString(found)

    def put(self, key: bytes, version_token: object, answer: pb.Answer) -> None:
        """Keep an answer that lacks nothing, unless another version was asked about meanwhile."""
        whole = answer.degraded == pb.DEGRADED_UNSPECIFIED
        value = answer.SerializeToString()
        if whole and version_token is self._version_token and _size(value) <= self._kept.maxsize:
            self._kept[key] = value


class CacheLookupsCollector(Collector):
    """Lookups for Prometheus."""

    def __init__(self, lookups: Callable[[], Mapping[str, CacheLookups]]) -> None:
        """Take what tells of them, by name of what is kept."""
        self._lookups = lookups

    @override
    def collect(self) -> Iterator[CounterMetricFamily]:
        counted = CounterMetricFamily(
            "shortlist_cache_lookups",
            "Of `answers` and of `shoppers`, by whether it was kept",
            labels=["cache", "found"],
        )
        for name, of_cache in self._lookups().items():
            counted.add_metric([name, "hit"], of_cache.hits)
            counted.add_metric([name, "miss"], of_cache.misses)
        yield counted


def key_of(method: Method, request: Message, recent: Sequence[Event]) -> bytes:
    """Stands for a question: all of the request but its name, and what the user did since."""
    nameless = type(request)()
    nameless.MergeFrom(request)  # type: ignore[arg-type]  # it is of its own type
    if nameless.HasField("wishes"):
        nameless.wishes.ClearField("request_id")
    asked = nameless.SerializeToString(deterministic=True)
    digest = blake2b(method.value.encode(), digest_size=DIGEST_BYTES)
    digest.update(len(asked).to_bytes(8))
    digest.update(asked)
    did = [(event.item_id, event.action, event.time) for event in recent]
    digest.update(repr(did).encode(errors="surrogatepass"))
    return digest.digest()


def _size(value: bytes) -> int:
    return len(value) + ENTRY_BYTES
