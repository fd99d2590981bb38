"""The services of the contract: their names, and what adds them to a server."""

from collections.abc import Sequence
from dataclasses import dataclass

from grpc import aio

from serving.server.servicers.admin import AdminServicer
from serving.server.servicers.catalog import CatalogServicer
from serving.server.servicers.classifier import ClassifierServicer
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.servicers.privacy import PrivacyServicer
from serving.server.servicers.recommender import RecommenderServicer
from shortlist_client.proto.recommender.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    classifier_pb2,
    classifier_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    privacy_pb2,
    privacy_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
)

SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].full_name
CLASSIFIER = classifier_pb2.DESCRIPTOR.services_by_name["ClassifierService"].full_name
CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
FEEDBACK = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name
PRIVACY = privacy_pb2.DESCRIPTOR.services_by_name["PrivacyService"].full_name
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
CONTRACT = (SERVICE, CLASSIFIER, CATALOG, FEEDBACK, PRIVACY, ADMIN)


@dataclass(frozen=True, kw_only=True)
class Servicers:
    """What answers the calls of each service; a server without events lacks two."""

    recommender: RecommenderServicer
    classifier: ClassifierServicer
    catalog: CatalogServicer
    admin: AdminServicer
    feedback: FeedbackServicer | None = None
    privacy: PrivacyServicer | None = None

    def add_to(self, server: aio.Server) -> Sequence[str]:
        """Add the services and return their names."""
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(self.recommender, server)
        classifier_pb2_grpc.add_ClassifierServiceServicer_to_server(self.classifier, server)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(self.catalog, server)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(self.admin, server)
        names = [SERVICE, CLASSIFIER, CATALOG, ADMIN]
        if self.feedback is not None:
            feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(self.feedback, server)
            names.append(FEEDBACK)
        if self.privacy is not None:
            privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(self.privacy, server)
            names.append(PRIVACY)
        return names
