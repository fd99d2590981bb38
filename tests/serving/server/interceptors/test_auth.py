import urllib.request

import grpc
import pytest
import trustme
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.server.access.credentials import digest_of
from serving.server.access.roles import Role
from serving.server.transport.tls import TlsConfig
from shortlist_client import Event, Item, OverloadedError, client_credentials
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.channel import open_channel
from shortlist_client.client import RecommenderClient

SECONDS = 10


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "clients.yaml"
    clients = [
        {"client": "shop", "sha256": digest_of("reads").hex(), "roles": ["read", "explain"]},
        {"client": "ops", "sha256": digest_of("rules").hex(), "roles": ["admin"]},
        {
            "client": "slow",
            "sha256": digest_of("seldom").hex(),
            "roles": ["read"],
            "per_second": 1,
        },
    ]
    path.write_text(yaml.safe_dump(clients))
    return path


@pytest.fixture
def guarded(start, fake, tokens):
    running = start(lambda: fake, tokens=tokens)
    running.loaded.result(SECONDS)
    return running


def code(caught):
    return caught.value.code().name


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, "UNAUTHENTICATED"), ("wrong", "UNAUTHENTICATED"), ("rules", "PERMISSION_DENIED")],
)
def test_an_unauthorised_call_does_not_reach_the_engine(guarded, fake, token, status):
    with (
        RecommenderClient(guarded.address, timeout=SECONDS, token=token) as client,
        pytest.raises(grpc.RpcError) as caught,
    ):
        client.recommend(Shopper(user_id="u"), Wishes(limit=0))

    assert code(caught) == status
    assert "wrong" not in caught.value.details()
    assert not fake.calls


def test_an_authorised_call_is_answered(guarded, fake):
    with RecommenderClient(guarded.address, timeout=SECONDS, token="reads") as client:
        assert client.recommend(Shopper(user_id="u")).items == fake.answer.items
        assert client.is_ready(timeout=SECONDS)


def test_a_stream_without_a_token_is_refused(guarded):
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with open_channel(guarded.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answers = stub.ServerReflectionInfo(iter([request]), timeout=SECONDS)
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)

    assert code(caught) == "UNAUTHENTICATED"


def test_probes_need_no_token(guarded):
    with open_channel(guarded.address) as channel:
        status = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=SECONDS
        )

    assert status.status == health_pb2.HealthCheckResponse.SERVING


def test_a_client_over_its_rate_limit_is_told_when_to_retry(guarded):
    with RecommenderClient(guarded.address, timeout=SECONDS, token="seldom") as client:
        client.recommend(Shopper(user_id="u"))
        with pytest.raises(grpc.RpcError) as caught:
            client.recommend(Shopper(user_id="u"))

    assert code(caught) == "RESOURCE_EXHAUSTED"
    assert 0 < caught.value.retry_seconds <= 1


@pytest.fixture
def certificates(tmp_path):
    """Certificate files of an authority, a server on localhost and a client."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, issued in (
        ("server", authority.issue_cert("localhost", "127.0.0.1")),
        ("client", authority.issue_cert("shop.example")),
    ):
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    return tmp_path


def test_over_tls_only_encrypted_calls_are_answered(start, fake, certificates):
    tls = TlsConfig(certificate=certificates / "server.pem", key=certificates / "server.key")
    running = start(lambda: fake, tls=tls)
    running.loaded.result(SECONDS)
    trusting = client_credentials(ca=certificates / "ca.pem", certificate=None, key=None)

    with RecommenderClient(running.address, timeout=SECONDS, credentials=trusting) as client:
        assert client.recommend(Shopper(user_id="u")).items == fake.answer.items
    with (
        RecommenderClient(running.address, timeout=2) as plain,
        pytest.raises(grpc.RpcError),
    ):
        plain.recommend(Shopper(user_id="u"))


def test_with_mutual_tls_only_certified_clients_are_answered(start, fake, certificates):
    tls = TlsConfig(
        certificate=certificates / "server.pem",
        key=certificates / "server.key",
        client_ca=certificates / "ca.pem",
    )
    running = start(lambda: fake, tls=tls)
    running.loaded.result(SECONDS)
    ca = certificates / "ca.pem"
    known = client_credentials(
        ca=ca, certificate=certificates / "client.pem", key=certificates / "client.key"
    )
    unknown = client_credentials(ca=ca, certificate=None, key=None)

    with RecommenderClient(running.address, timeout=SECONDS, credentials=known) as client:
        assert client.recommend(Shopper(user_id="u")).items == fake.answer.items
    with (
        RecommenderClient(running.address, timeout=2, credentials=unknown) as client,
        pytest.raises(grpc.RpcError),
    ):
        client.recommend(Shopper(user_id="u"))


@pytest.mark.parametrize("given", [{"certificate": "a"}, {"key": "a"}, {"client_ca": "a"}])
def test_an_incomplete_tls_configuration_is_refused(given):
    with pytest.raises(ValueError, match="must"):
        TlsConfig(**given)


@pytest.fixture
def measured(start, fake, tokens):
    running = start(lambda: fake, metrics_port=0, tokens=tokens)
    running.loaded.result(SECONDS)
    return running


def metrics_of(running):
    running.settle()
    url = f"http://127.0.0.1:{running.server.metrics_port.port}/metrics"
    with urllib.request.urlopen(url, timeout=SECONDS) as response:
        return response.read().decode()


def test_calls_are_counted_by_status_and_client_and_stages_are_timed(measured, fake):
    with RecommenderClient(measured.address, timeout=SECONDS, token="reads") as client:
        client.recommend(Shopper(user_id="somebody"))
        fake.error = RuntimeError("broken")
        with pytest.raises(grpc.RpcError):
            client.retrieve(Shopper(user_id="somebody"))
    with (
        RecommenderClient(measured.address, timeout=SECONDS) as client,
        pytest.raises(grpc.RpcError),
    ):
        client.recommend(Shopper(user_id="somebody"))

    text = metrics_of(measured)

    method = "recommender.v1.RecommenderService"
    for labels in (
        f'client="shop",method="{method}/Recommend",status="OK"',
        f'client="shop",method="{method}/Retrieve",status="INTERNAL"',
        f'client="",method="{method}/Recommend",status="UNAUTHENTICATED"',
    ):
        assert f"shortlist_calls_total{{{labels}}} 1.0" in text
    assert 'shortlist_stage_seconds_sum{stage="ranker"} 0.02' in text
    assert "shortlist_calls_in_flight 0.0" in text
    assert "somebody" not in text


def test_stages_of_embed_calls_are_counted(measured):
    with RecommenderClient(measured.address, token="reads", timeout=SECONDS) as client:
        client.embed.items(["50"])

    assert 'shortlist_stage_seconds_count{stage="ranker"} 1.0' in metrics_of(measured)


def test_a_call_is_traced_with_its_stages_below_the_callers_span(measured, monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(measured.server.telemetry, "_tracer", provider.get_tracer("test"))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    with open_channel(measured.address, token="reads") as channel:
        call = channel.unary_unary(
            "/recommender.v1.RecommenderService/Recommend",
            request_serializer=lambda text: text,
        )
        call(b"", timeout=SECONDS, metadata=[("traceparent", parent)])

    measured.settle()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    whole = spans["recommender.v1.RecommenderService/Recommend"]
    assert whole.parent.span_id == int(parent.split("-")[2], 16)
    for stage, milliseconds in (("user_tower", 1.5), ("index", 0.25), ("ranker", 20)):
        span = spans[stage]
        assert span.parent.span_id == whole.context.span_id
        assert span.end_time - span.start_time == pytest.approx(1e6 * milliseconds)
    assert spans["index"].end_time == spans["ranker"].start_time
    assert trace.get_tracer_provider() is not provider


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.recommend(Shopper()),
        lambda client: list(client.recommend_many([(Shopper(), Wishes())])),
        lambda client: client.embed.texts(["a"]),
        lambda client: client.catalog.get(["50"]),
        lambda client: client.catalog.delete(["50"]),
        lambda client: client.catalog.upsert([Item(item_id="50", title="t")]),
        lambda client: client.feedback.record([Event(user_id="u", item_id="i", action="view")]),
        lambda client: client.admin.releases(),
        lambda client: client.admin.statistics(),
    ],
)
def test_every_call_says_when_to_retry(start, fake, tmp_path, call):
    path, digest = tmp_path / "clients.yaml", digest_of("seldom").hex()
    roles = [role.value for role in Role]
    client = {"client": "slow", "sha256": digest, "roles": roles, "per_second": 1}
    path.write_text(yaml.safe_dump([client]))
    running = start(lambda: fake, tokens=path)
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, token="seldom", timeout=SECONDS) as client:
        client.recommend(Shopper())
        with pytest.raises(OverloadedError) as refused:
            list(map(call, [client] * 3))  # on a busy machine, the first may be in the next second

    assert 0 < refused.value.retry_seconds <= 1
