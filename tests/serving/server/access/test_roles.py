import pkgutil

import pytest

from serving.server.access.client import Client
from serving.server.access.control import AccessControl
from serving.server.access.credentials import Credentials, digest_of
from serving.server.access.entries import entry_of
from serving.server.access.errors import PermissionDeniedError
from serving.server.access.roles import CONTRACT, ROLE_OF, ROLES, Role, contract_services
from shortlist_client.proto.recommender import v1

REQUIRED = {
    "RecommenderService": Role.READ,
    "ClassifierService": Role.READ,
    "CatalogService": Role.CATALOGUE,
    "FeedbackService": Role.FEEDBACK,
    "AdminService": Role.ADMIN,
    "PrivacyService": Role.ADMIN,
}


def test_every_service_has_the_role_that_guards_it():
    assert ROLES == REQUIRED


def test_every_file_of_the_contract_is_looked_at_for_services():
    generated = {
        module.name for module in pkgutil.iter_modules(v1.__path__) if module.name.endswith("_pb2")
    }

    assert {file.__name__.rpartition(".")[2] for file in CONTRACT} == generated


def test_every_method_of_the_contract_is_refused_without_its_role_and_admitted_with_it(tmp_path):
    path = tmp_path / "clients.yaml"
    methods = [
        (f"/{service.full_name}/{method.name}", REQUIRED[service.name])
        for service in contract_services()
        for method in service.methods
    ]
    assert len(methods) >= 15
    for method, needed in methods:
        for roles, admitted in (({needed}, True), (set(Role) - {needed}, False)):
            client = Client(name="c", roles=frozenset(roles), digest=digest_of("t"))
            path.write_text(entry_of(client))
            access = AccessControl(path)
            if admitted:
                assert access.admit(method, Credentials(digest=digest_of("t"))) == client
            else:
                with pytest.raises(PermissionDeniedError, match=needed.value):
                    access.admit(method, Credentials(digest=digest_of("t")))


def test_a_service_without_a_role_is_refused_to_every_client(tmp_path, monkeypatch):
    path = tmp_path / "clients.yaml"
    path.write_text(entry_of(Client(name="c", roles=frozenset(Role), digest=digest_of("t"))))
    access = AccessControl(path)
    service, *_ = ROLE_OF
    monkeypatch.delitem(ROLE_OF, service)

    for method in (f"/{service}/Any", "/other.Service/Any"):
        with pytest.raises(PermissionDeniedError, match="must have a role"):
            access.admit(method, Credentials(digest=digest_of("t")))
