"""Kills a process that changes items; the next one must find every acknowledged change."""

import shutil

import pytest

KILLS = """
import json, os, random, signal, sys, threading, time
from pathlib import Path
import torch
from shortlist_client.api.item import Item
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.api.limits import Limits
from shortlist_client.api.request import Shopper, Wishes
from tqdm import tqdm

print(json.dumps("grpc" in sys.modules))
root, kills = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
base = Engine.load(root, EngineConfig(ranked=6, limits=Limits(shortlist=12)))
NAMES = [f"i{row}" for row in range(40)] + [f"n{n}" for n in range(40)]
WORDS = ["red", "blue", "pink", "shirt", "mug", "lamp", "vase"]

def after(state, step):
    changed, gone = step
    return {name: title for name, title in {**state, **changed}.items() if name not in gone}

def steps(state, seed):
    chosen = random.Random(seed)
    while True:
        changed, gone = {}, []
        if chosen.random() < 0.3 and len(state) > 5:
            gone = chosen.sample(sorted(state), chosen.randint(1, 4))
        else:
            names = chosen.sample(NAMES, chosen.choice([1, 3, 40]))
            changed = {name: " ".join(chosen.choices(WORDS, k=3)) for name in names}
        yield changed, gone
        state = after(state, (changed, gone))

def change_until_killed(state, seed, out):
    engine = LiveEngine(base, root)
    for step in steps(state, seed):
        os.write(out, (json.dumps(["begins", step]) + "\\n").encode())
        changed, gone = step
        if changed:
            engine.upsert([Item(item_id=name, title=title) for name, title in changed.items()])
        else:
            engine.delete(gone)
        os.write(out, (json.dumps(["done", step]) + "\\n").encode())

def seen():
    engine = LiveEngine(base, root)
    catalogue = engine.current.cascade.catalogue
    rows = {name: catalogue.row(name) for name in NAMES}
    found = engine.current.recommend(Shopper(search="red shirt"), Wishes(limit=12)).items
    assert len(found) == 12
    assert all(catalogue.row(item.item_id) is not None for item in found)
    return {name: catalogue.title(row) for name, row in rows.items() if row is not None}

state = seen()
span = 0.2
for kill in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            tqdm.set_lock(threading.RLock())  # the default lock is shared with killed children
            change_until_killed(state, kill, write)
        except BaseException as error:
            os.write(2, repr(error).encode())
        os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        # on a busy machine, too, two children acknowledge a change
        said = [pipe.readline() for _ in ("begins", "done") if kill < 2]
        time.sleep(random.Random(kill).uniform(0, span))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        said += pipe.read().splitlines(keepends=True)
    lines = [json.loads(line) for line in said if line[-1] == "\\n"]
    done = [step for what, step in lines if what == "done"]
    span = min(1.0, span * (1.5 if len(done) < 3 else 0.9))
    for step in done:
        state = after(state, step)
    begun = after(state, lines[-1][1]) if lines else state
    now = seen()
    result = "lost" if now not in (state, begun) else "as promised"
    if now != state and now == begun:
        result = "one more"
    print(json.dumps([result, len(done), os.WTERMSIG(status)]), flush=True)
    state = now
"""


@pytest.fixture(scope="module")
def three_kills(release, tmp_path_factory, run_script):
    """Whether the process loaded gRPC, and the result of each kill."""
    root = shutil.copytree(release, tmp_path_factory.mktemp("killed") / "shop")
    return run_script(KILLS, root, 3)


def test_the_engine_loads_no_grpc(three_kills):
    assert three_kills[0] is False


def test_killing_the_process_loses_no_acknowledged_change(three_kills):
    results = three_kills[1:]

    assert {what for what, _, _ in results} <= {"as promised", "one more"}
    assert {signal for _, _, signal in results} == {9}
    assert len(results) == 3
    assert sum(done for _, done, _ in results) > 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills_of_the_process_lose_no_acknowledged_change(root, run_script):
    results = run_script(KILLS, root, 200)[1:]

    assert {what for what, _, _ in results} == {"as promised", "one more"}
    assert {signal for _, _, signal in results} == {9}
    assert sum(done for _, done, _ in results) > 200
