"""Roles of clients, and the role that each service of the contract requires."""

from collections.abc import Iterator, Mapping
from enum import Enum

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from shortlist_client.proto.recommender.v1 import (
    admin_pb2,
    catalog_pb2,
    classifier_pb2,
    feedback_pb2,
    privacy_pb2,
    recommender_pb2,
)


class Role(Enum):
    """Permissions of a client."""

    READ = "read"
    """Recommend, retrieve, rank, find similar items, embed, classify, profile, answer questions."""
    EXPLAIN = "explain"
    """With `read`: learn of a user id whether it is known and what recommended items rest on."""
    CATALOGUE = "catalogue"
    """Change items."""
    FEEDBACK = "feedback"
    """Record events."""
    ADMIN = "admin"
    """List, load and activate releases; get statistics; export and erase users."""


ROLES: Mapping[str, Role] = {
    "RecommenderService": Role.READ,
    "ClassifierService": Role.READ,
    "CatalogService": Role.CATALOGUE,
    "FeedbackService": Role.FEEDBACK,
    "AdminService": Role.ADMIN,
    "PrivacyService": Role.ADMIN,
}
"""Role that each service of the contract requires."""
CONTRACT = (
    admin_pb2,
    catalog_pb2,
    classifier_pb2,
    feedback_pb2,
    privacy_pb2,
    recommender_pb2,
)
"""The files of the contract."""
PUBLIC_SERVICE = health.SERVICE_NAME
"""Service that needs no token, because probes have none."""
ANY_ROLE = frozenset({reflection.SERVICE_NAME})
"""Services that need a token, but no role."""


def contract_services() -> Iterator[ServiceDescriptor]:
    """Every service of the contract."""
    for file in CONTRACT:
        yield from file.DESCRIPTOR.services_by_name.values()


ROLE_OF: Mapping[str, Role] = {
    service.full_name: ROLES[service.name] for service in contract_services()
}
"""Role by full name of the service. A service without a role stops the import: nobody serves it."""


def service_of(method: str) -> str:
    """Name of the service in `/package.Service/Method`."""
    return method.strip("/").partition("/")[0]
