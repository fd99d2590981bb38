import os
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from serving.server.access.errors import (
    PermissionDeniedError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from serving.server.access.roles import Role
from serving.server.access_control import AccessControl, digest_of, new_token, read_clients

RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clients.yaml"


def entry(token="secret", **fields):
    return {"client": "shop", "sha256": digest_of(token).hex(), "roles": ["read"], **fields}


def access(path, *entries):
    path.write_text(yaml.safe_dump(list(entries)))
    return AccessControl(path)


def test_a_new_token_is_admitted_and_its_entry_does_not_contain_it(path):
    token, text = new_token("shop", [Role.READ, Role.FEEDBACK])
    path.write_text(text)

    client = AccessControl(path).admit(RECOMMEND, f"Bearer {token}")

    assert (client.name, client.roles) == ("shop", {Role.READ, Role.FEEDBACK})
    assert token not in text


@pytest.mark.parametrize("sent", [None, "", "secret", "Basic secret", "Bearer", "Bearer wrong"])
def test_a_call_without_a_known_token_is_refused(path, sent):
    with pytest.raises(UnauthenticatedError):
        access(path, entry()).admit(RECOMMEND, sent)


@pytest.mark.parametrize("days", [-1, 1])
def test_an_expired_token_is_refused(path, days):
    known = access(path, entry(expires=datetime.now(UTC) + timedelta(days=days)))

    if days > 0:
        assert known.admit(RECOMMEND, "bearer secret").name == "shop"
    else:
        with pytest.raises(UnauthenticatedError):
            known.admit(RECOMMEND, "bearer secret")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.READ])
def test_a_token_without_the_role_is_refused(path, role):
    with pytest.raises(PermissionDeniedError, match="'read'"):
        access(path, entry(roles=[role.value])).admit(RECOMMEND, "Bearer secret")


def test_probes_need_no_token_and_reflection_needs_any_token(path):
    known = access(path, entry(roles=["admin"]))

    assert known.admit(HEALTH, None) is None
    assert known.admit(REFLECTION, "Bearer secret").name == "shop"
    with pytest.raises(UnauthenticatedError):
        known.admit(REFLECTION, None)


def test_each_client_has_its_own_rate_limit(path):
    known = access(
        path,
        entry(per_second=3),
        entry("other", client="app", per_second=3),
        entry("free", client="x"),
    )
    for _ in range(3):
        known.admit(RECOMMEND, "Bearer secret")

    with pytest.raises(TooManyRequestsError) as caught:
        known.admit(RECOMMEND, "Bearer secret")

    assert 0 < caught.value.retry_seconds <= 1
    assert known.admit(RECOMMEND, "Bearer other").name == "app"
    assert all(known.admit(RECOMMEND, "Bearer free") for _ in range(50))


def test_a_removed_client_is_refused_without_a_restart(path):
    known = access(path, entry())
    known.admit(RECOMMEND, "Bearer secret")

    path.write_text(yaml.safe_dump([entry("new")]))
    os.utime(path, ns=(1, 1))

    assert known.admit(RECOMMEND, "Bearer new").name == "shop"
    with pytest.raises(UnauthenticatedError):
        known.admit(RECOMMEND, "Bearer secret")


def test_clients_stay_valid_when_the_file_becomes_unreadable(path):
    known = access(path, entry())

    path.write_text("- client: [")
    os.utime(path, ns=(1, 1))

    assert known.admit(RECOMMEND, "Bearer secret").name == "shop"


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ("{", "must be YAML"),
        ({"client": "shop"}, "list of clients"),
        ([{"sha256": "00"}], "must have a name"),
        ([entry(sha256="00")], "64 hexadecimal"),
        ([entry(sha256="zz")], "in hexadecimal"),
        ([entry(roles=["king"])], "read, explain, catalogue"),
        ([entry(rate=3)], "unknown fields: rate"),
        ([entry(per_second=0)], "at least 1"),
        ([entry(expires="soon")], "date or a time"),
        ([entry(), entry("other")], "once"),
        ([entry(), entry(client="app")], "once"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(path, entries, rule):
    path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries))

    with pytest.raises(ValueError, match=rule):
        read_clients(path)
