"""A server process under attack: starts it, watches its memory, log and event loop, asks it."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

import grpc
import psutil
import trustme
import yaml

from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from tests.serving.server.fuzz.polite import TOKENS

START_SECONDS, PROBE_SECONDS = 60, 10
ROLES = dict(zip(TOKENS, ("read", "catalogue", "feedback", "admin"), strict=True))
ONE = re.compile(r"^( *)Traceback \(most recent call last\):\n(?:\1 .*\n)+\1(\S.*)\n", re.MULTILINE)
CHAINED = re.compile(r"\s*During handling of the above exception, another exception occurred:\s*")
LEFT = "grpc._cython.cygrpc.ExecuteBatchError"
"""What gRPC prints, not logs, when the caller of a refused call has left."""
SERVING = re.compile(r"serving on \S+:(\d+):")


class Attacked:
    """The running process."""

    def __init__(self, process, log, authority):
        self._process, self._log, self._read = process, log, 0
        self._memory = psutil.Process(process.pid)
        self._authority = authority
        self.port = self._started()
        self.tls = None
        if authority is not None:
            self.tls = ssl.create_default_context()
            authority.configure_trust(self.tls)
            self.tls.set_alpn_protocols(["h2"])

    @property
    def memory_mb(self):
        return self._memory.memory_info().rss / 2**20

    @property
    def open_files(self):
        return self._memory.num_fds()

    @property
    def alive(self):
        return self._process.poll() is None

    def stops(self):
        """Longest stops of the event loop since the last call, ms of wall clock and of CPU."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def log(self):
        """All that the process has written."""
        return self._log.read_text(errors="replace")

    def complaints(self):
        """The log's tracebacks and errors since the last call."""
        text = self.log()
        new, self._read = text[self._read :], len(text)
        found = list(ONE.finditer(new))
        for one, following in zip_longest(found, found[1:]):
            chained = following and CHAINED.fullmatch(new[one.end() : following.start()])
            if not chained and not one[2].startswith(LEFT):
                return new[max(one.start() - 300, 0) : one.end()]
        return ""

    def probe(self):
        """What is wrong with the server: empty if it answers a proper call as it should."""
        if not self.alive:
            return f"the process ended with status {self._process.returncode}"
        credentials = None
        if self._authority is not None:
            credentials = grpc.ssl_channel_credentials(self._authority.cert_pem.bytes())
        target = f"localhost:{self.port}" if credentials else f"127.0.0.1:{self.port}"
        try:
            with RecommenderClient(
                target, timeout=PROBE_SECONDS, token="reader", credentials=credentials
            ) as client:
                answer = client.recommend(Shopper(history=["i0"]), Wishes(limit=1))
        except grpc.RpcError as error:
            return f"a proper call failed: {error.code().name}: {error.details()}"
        return "" if [item.item_id for item in answer.items] == ["i0"] else f"answered {answer}"

    def _started(self):
        end = time.monotonic() + START_SECONDS
        while (found := SERVING.search(self._log.read_text(errors="replace"))) is None:
            if not self.alive or time.monotonic() > end:
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2_000:]}")
            time.sleep(0.05)
        return int(found[1])


@contextmanager
def new_server(*, tls=False):
    """A server on a free port, with tokens, an event store and, if asked for, a certificate."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as made:
        folder, authority = Path(made), trustme.CA() if tls else None
        with _process(folder, _options(folder, authority)) as process:
            yield Attacked(process, folder / "server.log", authority)


@contextmanager
def _process(folder, options):
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serving.server.fuzz.victim", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _options(folder, authority):
    (folder / "shop").mkdir()
    clients = [
        {"client": token, "sha256": _digest(token), "roles": [role]}
        for token, role in ROLES.items()
    ]
    gone = {"client": "gone", "sha256": _digest("gone"), "roles": list(ROLES.values())}
    clients.append({**gone, "expires": datetime(2020, 1, 1, tzinfo=UTC)})
    (folder / "clients.yaml").write_text(yaml.safe_dump(clients))
    options = ["--artifacts", str(folder / "shop"), "--server.port", "0"]
    options += ["--server.tokens", str(folder / "clients.yaml"), "--server.grace_seconds", "1"]
    return options + ([] if authority is None else _certificate(folder, authority))


def _digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def _certificate(folder, authority):
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    return ["--server.tls.certificate", str(certificate), "--server.tls.key", str(key)]
