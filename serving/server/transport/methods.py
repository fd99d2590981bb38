"""Names of methods as metrics and logs have them: bounded, whatever clients call."""

from collections.abc import Sequence

from google.protobuf import descriptor_pool

UNKNOWN = "unknown"
"""The one name of all methods that the server does not have."""


class MethodNames:
    """Names of the methods of a server."""

    def __init__(self, services: Sequence[str], *, others: Sequence[str]) -> None:
        """Take the services.

        Args:
            services: Full names of the contract's services; each of their methods has a name.
            others: Full names of other services, such as health; each is one name.
        """
        pool = descriptor_pool.Default()
        self._names = {
            f"/{service}/{method.name}": f"{service}/{method.name}"
            for service in services
            for method in pool.FindServiceByName(service).methods
        }
        self._others = frozenset(others)

    def is_of_contract(self, path: str) -> bool:
        """Whether a path, `/service/method`, is a method of the contract."""
        return path in self._names

    def name_of(self, path: str) -> str:
        """The name of the method at a path."""
        known = self._names.get(path)
        if known is not None:
            return known
        service = path[1:].partition("/")[0]
        return service if service in self._others else UNKNOWN
