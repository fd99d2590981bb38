"""A server that is killed loses at most the exposures of its queue."""

import subprocess
import sys

import pytest

from events.open_store import open_store
from serving.server.users.exposure_log import WRITE_SECONDS

SECONDS = 60
WRITER = """
import sys, time
from prometheus_client import CollectorRegistry
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from serving.api.request import Method, Request
from serving.server.users.clock import Clock
from serving.server.users.exposure_log import ExposureLog
from serving.server.users.exposures_config import ExposuresConfig
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

log = ExposureLog(
    open_store(sys.argv[1]).exposures,
    ExposuresConfig(rate=1.0),
    erased=ErasedUsers(),
    clock=Clock(),
    registry=CollectorRegistry(),
)
log.start()
request, items = Request(method=Method.SIMILAR), [pb.RankedItem(item_id="i", score=0.5)]
number = 0
while True:
    log.log(request, pb.Answer(request_id=str(number), items=items))
    print(time.monotonic(), flush=True)
    number += 1
    time.sleep(0.002)
"""


@pytest.mark.slow
def test_a_killed_server_loses_only_the_exposures_that_waited(tmp_path, pytestconfig):
    address = str(tmp_path / "events.sqlite")
    command = [sys.executable, "-c", WRITER, address]
    logged = []
    with subprocess.Popen(
        command, cwd=pytestconfig.rootpath, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            logged.append(float(line))
            if logged[-1] - logged[0] > 4 * WRITE_SECONDS:
                break
        process.kill()
        last = logged[-1]

    store = open_store(address)
    stored = [int(one.request_id) for one in store.exposures.scan()]
    assert stored == list(range(len(stored)))
    assert len(stored) >= sum(at < last - 3 * WRITE_SECONDS for at in logged)
    assert store.exposures.append([]) == 0
    store.close()
