import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dataset.arrays import save_dataset
from lineage.manifest import MissingArtifactError
from serving.__main__ import main
from serving.api.limits import Limits
from serving.releases.publish import PublishConfig, publish
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.filters import Filters, Range
from shortlist_client.api.request import Diversity, Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 20
SLOW_SERVER = """
import sys, time
from serving.__main__ import main
from shortlist_client.api.answer import Answer, Basis, Coverage

class Slow:
    versions, version_token, cache_lookups = {"data": "d1"}, 0, {}
    age_seconds, actions = None, ()
    follow = close = lambda self: None

    def recount(self, store, actions, *, stopped):
        return None

    @property
    def current(self):
        return self

    def cost(self, request):
        return 1

    def answers(self, requests):
        print("request received", file=sys.stderr, flush=True)
        time.sleep(0.5)
        yield 0, Answer(
            items=[],
            basis=Basis.POPULARITY,
            coverage=Coverage(corpus=0, searched=0, recalled=0, ranked=0),
            milliseconds={},
        )

main(sys.argv[1:], load=lambda folder, config: Slow())
"""


@pytest.fixture
def ask(server, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")

    def ask(*options):
        main(["ask", "--target", server.address, *options])
        return capsys.readouterr().out

    return ask


@pytest.fixture
def serve(tmp_path):
    def serve(load, *options):
        main(["serve", "--artifacts", str(tmp_path), "--server.port", "0", *options], load=load)

    return serve


def error_of(capsys, call, *arguments):
    """Exit status and message of a failing command."""
    with pytest.raises(SystemExit) as caught:
        call(*arguments)
    return caught.value.code, capsys.readouterr().err


def test_ask_prints_titles_and_scores(ask, fake):
    printed = ask("--user_id", "196", "--limit", "3")

    for expected in ("user 196", "Star Wars [1977]", "2.500", "0.750", "basis: history", "ms: "):
        assert expected in printed
    assert fake.calls == [("recommend", Shopper(user_id="196"), Wishes(limit=3))]


def test_ask_sends_ids_as_strings(ask, fake):
    ask("--user_id", "0050")
    ask("--history", "007,1e3,null")
    ask("--similar", "0050")

    assert fake.calls == [
        ("recommend", Shopper(user_id="0050"), Wishes(limit=10)),
        ("recommend", Shopper(history=("007", "1e3", "null")), Wishes(limit=10)),
        ("similar", "0050", Wishes(limit=10)),
    ]


def test_ask_sends_filters_and_excluded_items(ask, fake, capsys):
    text = '{"must": [{"attribute": "price", "range": {"lte": {"number": 20}}}]}'
    filters = Filters(must=(Range("price", lte=20),))

    ask("--filters", text, "--exclude", "7,011")
    ask("--similar", "50", "--filters", text)

    assert fake.calls == [
        ("recommend", Shopper(), Wishes(filters=filters, exclude=("7", "011"), limit=10)),
        ("similar", "50", Wishes(filters=filters, limit=10)),
    ]
    status, error = error_of(capsys, ask, "--filters", "price < 20")
    assert status == 2
    assert "error: filters must be JSON of the contract's `Filters`" in error


def test_ask_sends_diversity_and_explanations(ask, fake):
    ask("--strength", "0.5", "--at_most", '{"brand": 2}', "--explain", "--explain_texts")

    diversity = Diversity(strength=0.5, at_most={"brand": 2})
    wishes = Wishes(limit=10, diversity=diversity, explain=True, explain_texts=True)
    assert fake.calls == [("recommend", Shopper(), wishes)]


def test_ask_sends_calibration(ask, fake):
    ask("--calibrated", "0.5", "--calibrated_by", "brand")

    diversity = Diversity(calibrated=0.5, calibrated_by="brand")
    assert fake.calls == [("recommend", Shopper(), Wishes(limit=10, diversity=diversity))]


@pytest.mark.parametrize(
    "options",
    [
        ("--user_id", "1"),
        ("--history", "7"),
        ("--search", "lamp"),
        ("--strength", "0.5"),
        ("--at_most", '{"brand": 2}'),
        ("--explain",),
        ("--explain_texts",),
    ],
)
def test_ask_refuses_options_that_similar_cannot_honour(ask, fake, capsys, options):
    status, error = error_of(capsys, ask, "--similar", "50", *options)

    assert status != 0
    assert f"{options[0]} must be absent with --similar" in error
    assert fake.calls == []


def test_ask_shows_the_history_by_id_or_with_a_release_by_title(ask, shop, tmp_path):
    (tmp_path / "data").mkdir()
    save_dataset(tmp_path / "data", shop)
    title_of = dict(zip(shop.item_ids, shop.titles, strict=True))
    last = shop.titles[int(shop.items[6])]

    assert "i17" in ask("--history", "i3,i17")
    assert title_of["i17"] in ask("--history", "i3,i17", "--artifacts", str(tmp_path))
    assert last in ask("--user_id", "u0", "--artifacts", str(tmp_path))
    assert "newest first" not in ask("--user_id", "nobody", "--artifacts", str(tmp_path))
    assert "newest first" not in ask("--similar", "i3", "--artifacts", str(tmp_path))


def test_ask_without_a_server_ends_with_status_1_and_one_line(capsys):
    status, error = error_of(capsys, main, ["ask", "--target", "127.0.0.1:1"])

    assert status == 1
    assert error.count("\n") == 1
    assert "start one with `python -m serving serve" in error


def test_waiting_without_a_server_ends_with_status_1_and_one_line(capsys):
    status, error = error_of(capsys, main, ["ask", "--target", "127.0.0.1:1", "--wait", "0.2"])

    assert (status, error) == (1, "error: 127.0.0.1:1 must be ready within 0.2 s, but is not\n")


def test_an_error_of_the_server_ends_with_status_1_and_its_message(ask, fake, capsys):
    fake.error = InvalidRequestError("limit must be within 1 and 100, got 0")

    status, error = error_of(capsys, ask, "--limit", "0")

    assert status == 1
    assert error.count("\n") == 1
    assert "INVALID_ARGUMENT: limit must be within 1 and 100, got 0" in error


def test_a_release_that_does_not_load_ends_with_status_2_and_its_message(serve, capsys):
    def load(folder, config):
        raise MissingArtifactError("no 'towers'; make it with `make towers DATASET=shop`")

    status, error = error_of(capsys, serve, load)

    assert status == 2
    assert "error: no 'towers'; make it with `make towers DATASET=shop`" in error
    assert "Traceback" not in error


def test_flags_override_the_file_and_the_file_overrides_the_defaults(serve, tmp_path):
    loaded = []
    path = tmp_path / "serving.yaml"
    path.write_text("server: {grace_seconds: 3}\nlimits: {shortlist: 50, history: 9}\nranked: 7\n")

    def load(folder, config):
        loaded.append((folder, config))
        raise MissingArtifactError("stop here")

    with pytest.raises(SystemExit):
        serve(load, "--config", str(path), "--limits.history", "8")

    ((folder, config),) = loaded
    assert folder == tmp_path
    assert config.limits == Limits(shortlist=50, history=8)
    assert (config.server.grace_seconds, config.server.port, config.ranked) == (3, 0, 7)


def test_serve_loads_the_folder_of_the_live_release(build_stages, tmp_path):
    root, releases = build_stages(tmp_path / "artifacts" / "shop", "one"), tmp_path / "releases"
    live, loaded = publish(root, releases, PublishConfig()), []

    def load(folder, config):
        loaded.append(folder)
        raise MissingArtifactError("stop here")

    with pytest.raises(SystemExit):
        main(["serve", "--releases", str(releases), "--server.port", "0"], load=load)
    assert loaded == [releases / live]


def test_serving_without_a_live_release_names_the_command_that_publishes_one(tmp_path, capsys):
    arguments = ["serve", "--releases", str(tmp_path / "shop")]

    status, error = error_of(capsys, main, arguments)

    assert status == 2
    assert "holds no live release; publish one with `make publish DATASET=shop`" in error


@pytest.mark.parametrize("folders", [[], ["--releases", "a", "--artifacts", "b"]])
def test_serve_requires_exactly_one_folder(folders, capsys):
    status, error = error_of(capsys, main, ["serve", *folders])

    assert status == 2
    assert "serve must be given either --releases or --artifacts, got" in error


def test_the_shipped_configuration_is_valid(serve, pytestconfig, capsys):
    def load(folder, config):
        raise MissingArtifactError("valid")

    path = pytestconfig.rootpath / "configs" / "serving.yaml"
    options = ["--config", str(path), "--server.port", "0"]

    assert "error: valid" in error_of(capsys, serve, load, *options)[1]


def test_an_invalid_configuration_ends_with_status_2(serve, capsys):
    status, error = error_of(capsys, serve, None, "--server.grace_seconds", "-1")

    assert status == 2
    assert "grace_seconds must be at least 0, got -1" in error


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_lets_the_request_in_flight_finish(pytestconfig, tmp_path, number):
    command = [sys.executable, "-W", "error", "-c", SLOW_SERVER, "serve"]
    command += ["--artifacts", str(tmp_path), "--server.port", "0"]
    process = subprocess.Popen(
        command, cwd=pytestconfig.rootpath, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        seen = wait_for(process, "serving on")
        target = re.search(r"serving on (\S+): data d1", seen)[1]
        with RecommenderClient(target, timeout=SECONDS) as client, ThreadPoolExecutor() as pool:
            answer = pool.submit(client.recommend, Shopper())
            wait_for(process, "request received")
            process.send_signal(number)
            assert answer.result(SECONDS).basis.value == "popularity"
            assert process.wait(SECONDS) == 0
            with pytest.raises(grpc.RpcError):
                client.recommend(Shopper())
        told = process.stderr.read()
        assert "Traceback" not in told, told
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(process, words):
    """The first line of a process's log that contains the words."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return line
    raise AssertionError("".join(seen))


def test_ask_loads_neither_torch_nor_polars_nor_faiss(pytestconfig):
    code = """
import sys
from serving.__main__ import main
try:
    main(["ask", "--target", "127.0.0.1:1"])
except SystemExit:
    raise SystemExit(len({"torch", "polars", "faiss"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, check=False
    )

    assert done.returncode == 0


def test_a_new_token_is_printed_and_admits_its_client(start, fake, ask_with, tmp_path, capsys):
    main(["token", "--client", "shop", "--roles", "[READ,FEEDBACK]"])
    shown = capsys.readouterr()
    token = shown.err.strip()
    (tmp_path / "clients.yaml").write_text(shown.out)
    running = start(lambda: fake, tokens=tmp_path / "clients.yaml")
    running.loaded.result(SECONDS)

    status, message = error_of(capsys, ask_with, running, "wrong")
    assert (status, "UNAUTHENTICATED" in message) == (1, True)
    assert fake.answer.items[0].title in ask_with(running, token)


@pytest.fixture
def ask_with(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")

    def ask(running, token):
        monkeypatch.setenv("SHORTLIST_TOKEN", token)
        main(["ask", "--target", running.address])
        return capsys.readouterr().out

    return ask


def test_the_exit_status_of_probe_is_0_only_if_the_server_is_ready(server, capsys):
    main(["probe", "--target", server.address])

    no_server = ["probe", "--target", "127.0.0.1:1", "--timeout", "0.3"]
    status, message = error_of(capsys, main, no_server)
    assert (status, "not ready" in message) == (1, True)
