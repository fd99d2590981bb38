import asyncio
import os
import signal
import subprocess
import sys
import time
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server.config import ServerConfig
from serving.server.run import ENDED, serve
from serving.server.server import Server
from serving.server.transport.supervision import ServerEndedError
from tests.running_server import FakeRecommender

SECONDS = 10
SERVED = """
import asyncio, logging, sys
from pathlib import Path
import serving.cli.serve
from serving.__main__ import main
from serving.server.server import Server
from tests.running_server import FakeRecommender


class Mortal(Server):
    async def ready(self):
        await super().ready()
        Path(sys.argv[1], "port").write_text(str(self.port))
        asyncio.get_running_loop().create_task(self.die())

    async def die(self):
        while not Path(sys.argv[1], "die").exists():
            await asyncio.sleep(0.02)
        Path(sys.argv[1], "die").unlink()
        await self._server.stop(None)  # gRPC's core ends, and nobody here asked for it

serving.cli.serve.Server = Mortal
Path(sys.argv[1], "stages").mkdir(exist_ok=True)
main(["serve", "--artifacts", sys.argv[1] + "/stages", "--server.port", "0"],
     load=lambda folder, config: FakeRecommender())
"""


def is_serving(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status == 1


def wait_for(condition):
    end = time.monotonic() + 6 * SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_serving_ends_with_an_error_when_grpc_ends_by_itself(monkeypatch, event_loop_thread):
    monkeypatch.setattr("serving.server.run._end_soon", lambda: None)
    made = []
    make = partial(_remembering(made), FakeRecommender, ServerConfig(port=0, grace_seconds=60))

    future = asyncio.run_coroutine_threadsafe(serve(make), event_loop_thread)
    wait_for(lambda: made and made[0].port)
    with grpc.insecure_channel(made[0].address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)  # an open stream does not hide the end
        started = time.monotonic()
        asyncio.run_coroutine_threadsafe(made[0]._server.stop(60), event_loop_thread)

        with pytest.raises(ServerEndedError):
            future.result(SECONDS)

    assert time.monotonic() - started < 3 * SECONDS  # half of the grace period


def _remembering(made):
    class Remembered(Server):
        async def __aenter__(self):
            await super().__aenter__()
            made.append(self)
            return self

    return Remembered


@pytest.mark.slow
def test_a_supervisor_starts_an_ended_server_again(tmp_path):
    ends, ports = [], []
    for _ in range(2):
        command = [sys.executable, "-c", SERVED, str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            wait_for(lambda: (tmp_path / "port").exists() or process.poll() is not None)
            ports.append(int((tmp_path / "port").read_text()))
            (tmp_path / "port").unlink()
            assert is_serving(ports[-1])
            (tmp_path / "die").touch()
            started = time.monotonic()
            _, log = process.communicate(timeout=3 * SECONDS)
            ends.append((process.returncode, time.monotonic() - started, log))

    for status, seconds, log in ends:
        assert status == ENDED
        assert seconds < SECONDS
        assert log.count("the server ended by itself, and so does the process") == 1
        assert "Traceback" not in log


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_ends_with_status_0(tmp_path):
    command = [sys.executable, "-c", SERVED, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (tmp_path / "port").exists() or process.poll() is not None)
        os.kill(process.pid, signal.SIGTERM)
        _, log = process.communicate(timeout=3 * SECONDS)

    assert process.returncode == 0
    assert "ended by itself" not in log
