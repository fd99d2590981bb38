from datetime import UTC, datetime, timedelta

import pytest
import yaml

from serving.api.errors import UnavailableError
from serving.server.access.control import AccessControl
from serving.server.access.credentials import Credentials, digest_of, sent_credentials
from serving.server.access.errors import (
    PermissionDeniedError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from serving.server.access.roles import Role

RECOMMEND = "/recommender.v1.RecommenderService/Recommend"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def sent(authorization, *names):
    metadata = [] if authorization is None else [("authorization", authorization)]
    shown = {"peer_uri": [name.encode() for name in names]}
    return sent_credentials(metadata).with_certificate(shown)


def entry(token="secret", **fields):
    return {"client": "shop", "sha256": digest_of(token).hex(), "roles": ["read"], **fields}


@pytest.fixture
def write(tmp_path):
    """Function that writes entries, and returns the control over them."""
    path, made = tmp_path / "clients.yaml", []

    def write(*entries):
        path.write_text(yaml.safe_dump(list(entries)))
        if not made:
            made.append(AccessControl(path))
        return made[0]

    return write


@pytest.mark.parametrize("given", [None, "", "secret", "Basic secret", "Bearer", "Bearer wrong"])
def test_a_call_without_a_known_token_is_refused(write, given):
    with pytest.raises(UnauthenticatedError):
        write(entry()).admit(RECOMMEND, sent(given))


@pytest.mark.parametrize("given", ["Bearer secret", "bearer secret", "BEARER   secret  "])
def test_a_known_token_is_admitted(write, given):
    assert write(entry()).admit(RECOMMEND, sent(given)).name == "shop"


def test_credentials_do_not_show_the_token():
    credentials = sent("Bearer secret")

    assert "secret" not in repr(credentials)
    assert digest_of("secret").hex() not in repr(credentials)


@pytest.mark.parametrize("days", [-1, 1])
def test_an_expired_token_is_refused(write, days):
    known = write(entry(expires=datetime.now(UTC) + timedelta(days=days)))

    if days > 0:
        assert known.admit(RECOMMEND, sent("Bearer secret")).name == "shop"
    else:
        with pytest.raises(UnauthenticatedError):
            known.admit(RECOMMEND, sent("Bearer secret"))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.READ])
def test_a_token_without_the_role_is_refused(write, role):
    with pytest.raises(PermissionDeniedError, match="'read'"):
        write(entry(roles=[role.value])).admit(RECOMMEND, sent("Bearer secret"))


def test_probes_need_no_token_and_reflection_needs_any_token(write):
    known = write(entry(roles=["admin"]))

    assert known.admit(WATCH, sent(None)) is None
    assert known.admit(WATCH, sent("Bearer wrong")) is None
    assert known.admit(WATCH, sent("Bearer secret")).name == "shop"
    assert known.admit(REFLECTION, sent("Bearer secret")).name == "shop"
    with pytest.raises(UnauthenticatedError):
        known.admit(REFLECTION, sent(None))


def test_a_method_that_does_not_exist_needs_a_token_but_no_role(write):
    known = write(entry(roles=[]))

    assert known.admit("/other.Service/Any", sent("Bearer secret"), exists=False).name == "shop"
    with pytest.raises(UnauthenticatedError):
        known.admit("/other.Service/Any", sent(None), exists=False)


def test_each_call_is_charged_but_those_of_probes(write):
    known = write(entry(per_second=2))
    for _ in range(2):
        known.admit(RECOMMEND, sent("Bearer secret"))

    assert known.admit(WATCH, sent("Bearer secret")).name == "shop"
    with pytest.raises(TooManyRequestsError) as caught:
        known.admit(RECOMMEND, sent("Bearer secret"))
    assert 0 < caught.value.retry_seconds <= 0.5


BOUND = entry(certificate="spiffe://shop/backend")
ALONE = {"client": "batch", "certificate": "spiffe://shop/batch", "roles": ["read"]}


@pytest.mark.parametrize(
    ("token", "names", "client"),
    [
        ("Bearer secret", ["spiffe://shop/backend"], "shop"),
        ("Bearer secret", ["spiffe://shop/backend", "urn:x"], "shop"),
        ("Bearer secret", ["spiffe://shop/other"], None),
        ("Bearer secret", ["spiffe://shop/batch"], None),
        ("Bearer secret", [], None),
        (None, ["spiffe://shop/backend"], None),
        (None, ["spiffe://shop/batch"], "batch"),
        ("Bearer wrong", ["spiffe://shop/batch"], None),
        ("Bearer free", ["spiffe://shop/other"], "free"),
        ("Bearer free", [], "free"),
    ],
)
def test_a_token_and_a_certificate_belong_together_as_the_file_says(write, token, names, client):
    known = write(BOUND, ALONE, entry("free", client="free"))

    if client is None:
        with pytest.raises(UnauthenticatedError):
            known.admit(RECOMMEND, sent(token, *names))
    else:
        assert known.admit(RECOMMEND, sent(token, *names)).name == client


def test_a_certificate_that_two_clients_fit_names_neither(write):
    known = write(ALONE, {**ALONE, "client": "other", "certificate": "urn:x"})

    with pytest.raises(UnauthenticatedError):
        known.admit(RECOMMEND, sent(None, "spiffe://shop/batch", "urn:x"))


@pytest.mark.parametrize(
    ("context", "names"),
    [
        ({"peer_dns": [b"Shop.Example"]}, {"shop.example"}),
        ({"peer_dns": [b"spiffe://shop/backend", b"CN=admin"]}, set()),
        ({"peer_uri": [b"spiffe://a/b", b"CN=admin", b"shop.example"]}, {"spiffe://a/b"}),
        ({"x509_common_name": [b"spiffe://a/b"]}, {"CN=spiffe://a/b"}),
        ({"x509_common_name": [b""], "x509_subject": [b"O=x"]}, set()),
        ({}, set()),
    ],
)
def test_a_name_of_one_kind_never_poses_as_one_of_another(context, names):
    assert Credentials().with_certificate(context).names == names


def test_the_certificate_is_only_asked_for_where_it_decides(write):
    known = write(BOUND, entry("free", client="free"))
    assert known.needs_certificate(RECOMMEND, sent("Bearer secret"))
    assert not known.needs_certificate(RECOMMEND, sent("Bearer free"))
    assert not known.needs_certificate(RECOMMEND, sent("Bearer wrong"))
    assert not known.needs_certificate(RECOMMEND, sent(None))
    assert not known.needs_certificate(WATCH, sent("Bearer secret"))

    known = write(ALONE)
    assert known.needs_certificate(RECOMMEND, sent(None))
    assert not known.needs_certificate(RECOMMEND, sent("Bearer wrong"))


@pytest.mark.parametrize(
    ("after", "error"),
    [
        ([entry()], None),
        ([entry(), entry("other", client="app")], None),
        ([], UnauthenticatedError),
        ([entry("renewed")], UnauthenticatedError),
        ([entry(expires=datetime(2020, 1, 1, tzinfo=UTC))], UnauthenticatedError),
        ([entry(certificate="CN=a")], UnauthenticatedError),
        ([entry(roles=["feedback"])], PermissionDeniedError),
        ([entry(users="eu-")], UnavailableError),
        ([entry(roles=["read", "explain"])], UnavailableError),
    ],
)
def test_a_call_in_progress_is_refused_once_the_entry_changes(write, after, error):
    known, shown = write(entry()), sent("Bearer secret")
    client = known.admit(RECOMMEND, shown)

    write(*after)

    if error is None:
        known.check_still(RECOMMEND, shown, client)
    else:
        with pytest.raises(error):
            known.check_still(RECOMMEND, shown, client)


def test_a_watch_ends_with_its_token_but_needs_no_role(write):
    known, shown = write(entry(roles=[])), sent("Bearer secret")
    client = known.admit(WATCH, shown)
    known.check_still(WATCH, shown, client)

    write()

    with pytest.raises(UnauthenticatedError):
        known.check_still(WATCH, shown, client)


def test_clients_that_no_certificate_can_reach_are_named_at_the_start(write, tmp_path, caplog):
    write(BOUND, ALONE)
    assert "shop, batch" in caplog.text

    caplog.clear()
    AccessControl(tmp_path / "clients.yaml", mutual_tls=True)
    assert not caplog.text
