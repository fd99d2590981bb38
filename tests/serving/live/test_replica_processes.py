"""Real servers over one log: stopped, killed, and with a database that restarts."""

import math
import random
import signal
import time
from itertools import chain

import grpc
import pytest

from serving.catalogue.change_log import changes_path, latest
from serving.replication.open_log import open_log
from shortlist_client.api.item import Item
from shortlist_client.client import RecommenderClient
from tests.serving.live.replica_processes import Client, replicas, require_last, titles

SHARED = [f"s{number}" for number in range(30)]
PATIENCE = 4.0
"""Seconds within which replicas must agree, on a machine that is busy with other things too."""


def agree(running, item_ids, seconds=PATIENCE):
    """Wait until the replicas have the same items, and return them."""
    end = time.monotonic() + seconds
    while True:
        seen = [titles(one.target, item_ids) for one in running]
        if all(one == seen[0] for one in seen) or time.monotonic() > end:
            assert all(one == seen[0] for one in seen)
            return seen[0]
        time.sleep(0.05)


def upserted(client, name, title="red shirt"):
    assert client.catalog.upsert([Item(item_id=name, title=title)]).upserted == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_change_is_in_the_other_replicas_answers_within_a_second(root, postgres, pytestconfig):
    with replicas(root, postgres.empty(), pytestconfig.rootpath) as (one, other):
        late = []
        with (
            RecommenderClient(one.target, timeout=20) as here,
            RecommenderClient(other.target, timeout=20) as there,
        ):
            upserted(here, "warm")
            upserted(there, "warm too")
            for number in range(20):
                upserted(here, f"n{number}")
                started = time.monotonic()
                while f"n{number}" not in there.catalog.get([f"n{number}"]):
                    time.sleep(0.005)
                late.append(time.monotonic() - started)
        assert sorted(late)[-2] < 1.0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_writing", [False, True])
def test_a_replica_that_was_stopped_for_ten_seconds_catches_up(
    root, postgres, pytestconfig, is_writing
):
    """The stopped one may be in the middle of a change: the other must not wait for it."""
    with replicas(root, postgres.empty(), pytestconfig.rootpath) as (stopped, other):
        writers = [Client(number, [stopped], SHARED) for number in range(3 if is_writing else 0)]
        for writer in writers:
            writer.start()
        time.sleep(2)
        stopped.send(signal.SIGSTOP)
        changes = 0
        with RecommenderClient(other.target, timeout=5) as client:
            end = time.monotonic() + 10
            while time.monotonic() < end:
                upserted(client, f"n{changes}")
                changes += 1
        stopped.send(signal.SIGCONT)
        for writer in writers:
            writer.stop()
        names = [f"n{number}" for number in range(changes)]

        assert changes > 20
        assert set(agree([stopped, other], names[-500:])) == set(names[-500:])
        final = agree([stopped, other], SHARED)
        require_last([one for writer in writers for one in writer.operations], final)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_replicas_agree_after_kills_and_a_restart_of_the_database(root, postgres, pytestconfig):
    address, chosen, kills = postgres.empty(), random.Random(5), 0
    with replicas(root, address, pytestconfig.rootpath) as running:
        own = [[f"c{client}-{number}" for number in range(10)] for client in range(4)]
        clients = [Client(number, running, SHARED + own[number]) for number in range(4)]
        for client in clients:
            client.start()
        end = time.monotonic() + 20
        while time.monotonic() < end or kills < 5:
            time.sleep(chosen.uniform(1, 3))
            if kills == 3:
                postgres.stop("immediate")
                time.sleep(1)
                postgres.start()
            victim = chosen.choice(running)
            victim.kill()
            kills += 1
            time.sleep(chosen.uniform(0, 1))
            victim.start()
        for client in clients:
            client.stop()
        operations = [one for client in clients for one in client.operations]
        names = [*SHARED, *chain(*own)]

        final = agree(running, names, seconds=10)

    acknowledged = sum(one.ended < math.inf for one in operations)
    assert acknowledged > 200
    require_last(operations, final)
    log = open_log(address, changes_path(root), events="")
    recorded = latest(log.read(None).records)
    log.close()
    known = {name: change.item.title for name, change in recorded.items() if change.item}
    assert known == final


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_on_one_folder_the_follower_takes_over_from_a_killed_writer(root, pytestconfig):
    acknowledged = []
    with replicas(root, "journal", pytestconfig.rootpath) as running:
        writer, follower = running
        for turn in range(4):
            with (
                RecommenderClient(writer.target, timeout=20) as one,
                RecommenderClient(follower.target, timeout=20) as other,
            ):
                for number in range(5):
                    upserted(one, f"n{turn}-{number}")
                    acknowledged.append(f"n{turn}-{number}")
                assert set(agree(running, acknowledged)) == set(acknowledged)
                with pytest.raises(grpc.RpcError, match="another one writes the journal"):
                    other.catalog.delete([acknowledged[0]])
            writer.kill()
            with RecommenderClient(follower.target, timeout=20) as other:
                upserted(other, f"n{turn}-after")
                acknowledged.append(f"n{turn}-after")
            writer.start()
            writer, follower = follower, writer
        assert set(agree(running, acknowledged)) == set(acknowledged)
