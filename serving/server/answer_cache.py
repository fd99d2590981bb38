"""Cache of answers. The key holds everything an answer depends on, so none is out of date."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b

from cachetools import TTLCache
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from retrieval.cache_config import CacheConfig, CacheLookups
from serving.api.request import Method
from shortlist_client.api.event import Event
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

DIGEST_BYTES = 16
Message = pb.RecommendRequest | pb.RetrieveRequest | pb.RankRequest | pb.SimilarItemsRequest
ENTRY_BYTES = 400
"""Memory of an entry besides the answer: key, links and lifetime"""


class AnswerCache:
    """Cache of one server's serialised answers, for one event loop."""

    def __init__(self, config: CacheConfig) -> None:
        size = config.answers_mb * 1_000_000
        self._entries: TTLCache[bytes, bytes] = TTLCache(size, config.seconds, getsizeof=_size)
        self._version_token: object | None = None
        self.lookups = CacheLookups()
        """Lookups since the cache was created"""

    def get(self, key: bytes, version_token: object) -> pb.Answer | None:
        """The cached answer to a request; None on a miss.

        Args:
            key: Key of the request, from `key_of`.
            version_token: Token of the engine that would answer and of the erased users; another
                token than before clears the cache.
        """
        if version_token != self._version_token:
            self._entries.clear()
            self._version_token = version_token
        found = self._entries.get(key)
        if found is None:
            self.lookups.misses += 1
            return None
        self.lookups.hits += 1
        return pb.Answer.FromString(found)

    def put(self, key: bytes, version_token: object, answer: pb.Answer) -> None:
        """Cache a complete answer, unless the cache has a newer version token by now."""
        complete = answer.degraded == pb.DEGRADED_UNSPECIFIED
        value = answer.SerializeToString()
        fits = _size(value) <= self._entries.maxsize
        if complete and version_token == self._version_token and fits:
            self._entries[key] = value


class CacheLookupsCollector(Collector):
    """Reports the lookups of all caches to Prometheus."""

    def __init__(self, lookups: Callable[[], Mapping[str, CacheLookups]]) -> None:
        """Take the function that returns the lookups by name of the cache."""
        self._lookups = lookups

    @override
    def collect(self) -> Iterator[CounterMetricFamily]:
        counted = CounterMetricFamily(
            "shortlist_cache_lookups",
            "Lookups in the caches `answers` and `shoppers`, by hit or miss",
            labels=["cache", "found"],
        )
        for name, of_cache in self._lookups().items():
            counted.add_metric([name, "hit"], of_cache.hits)
            counted.add_metric([name, "miss"], of_cache.misses)
        yield counted


def key_of(method: Method, request: Message, recent: Sequence[Event]) -> bytes:
    """Key of a request: a digest of all its fields except its id, and of the recent events."""
    nameless = type(request)()
    nameless.MergeFrom(request)  # type: ignore[arg-type]  # both have the same type
    if nameless.HasField("wishes"):
        nameless.wishes.ClearField("request_id")
    serialised = nameless.SerializeToString(deterministic=True)
    digest = blake2b(method.value.encode(), digest_size=DIGEST_BYTES)
    digest.update(len(serialised).to_bytes(8))
    digest.update(serialised)
    events = [(event.item_id, event.action, event.time) for event in recent]
    digest.update(repr(events).encode(errors="surrogatepass"))
    return digest.digest()


def _size(value: bytes) -> int:
    return len(value) + ENTRY_BYTES
