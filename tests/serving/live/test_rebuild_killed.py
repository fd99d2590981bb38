"""Kills a process that changes items, rebuilds the index and publishes.

The next process must find every acknowledged change, and either release whole.
"""

import shutil
from collections import Counter

import pytest

KILLS = """
import json, os, random, signal, sys, threading, time
from pathlib import Path
import torch
from index.config import IndexConfig, NeighboursConfig
from lineage.cli import run
from lineage.manifest import MissingArtifactError
from lineage.releases import live_release, release_ids, verify_release
from shortlist_client.api.item import Item
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish
from serving.api.limits import Limits
from shortlist_client.api.request import Shopper, Wishes
from lineage.open_release import open_release
from index.stage import build
from tqdm import tqdm

kills, releases, *roots = int(sys.argv[1]), *map(Path, sys.argv[2:])
torch.set_num_threads(1)
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))
TWO = PublishConfig(keep=2, last_fit=False)
NAMES = [f"i{row}" for row in range(30)] + [f"n{n}" for n in range(20)]
WORDS = ["red", "blue", "pink", "shirt", "mug", "lamp", "vase"]

def rebuild(root, kept):
    config = IndexConfig(neighbours=NeighboursConfig(kept=kept))
    run("index", config, roots[root], build)

def item(name, title):
    # the release's own attributes, so that a later release contains the change
    row = int(name[1:])
    had = {"colour": title.split()[0], "thing": title.split()[-1], "price": row, "new": False}
    since = f"2024-01-{1 + row:02}T00:00Z"
    return Item(item_id=name, title=title, attributes={**had, "since": since})

def chosen_step(chosen, state):
    what = chosen.choices(["upsert", "delete", "rebuild", "publish"], [5, 3, 3, 4])[0]
    if what == "upsert":
        names = chosen.sample(NAMES, chosen.choice([1, 3, 20]))
        titles = {n: " ".join(chosen.choices(WORDS, k=3)) for n in names}
        again = {n: FIRST[n] for n in names if n in FIRST and chosen.random() < 0.5}
        return what, {**titles, **again}
    if what == "delete" and len(state) > 15:
        return what, chosen.sample(sorted(state), chosen.randint(1, 4))
    if what == "rebuild":
        return what, [chosen.randrange(2), chosen.randint(10, 99)]
    return "publish", chosen.randrange(2)

def after(state, step):
    what, argument = step
    if what == "upsert":
        return {**state, **argument}
    gone = argument if what == "delete" else ()
    return {name: title for name, title in state.items() if name not in gone}

def change_until_killed(base, state, seed, out):
    chosen, engine = random.Random(seed), LiveEngine(base, live_release(releases))
    while True:
        what, argument = step = chosen_step(chosen, state)
        os.write(out, (json.dumps(["begins", step]) + "\\n").encode())
        if what == "upsert":
            engine.upsert([item(name, title) for name, title in argument.items()])
        elif what == "delete":
            engine.delete(argument)
        elif what == "rebuild":
            rebuild(*argument)
        else:
            if chosen.random() < 0.7:
                engine.close()
            publish(roots[argument], releases, TWO)
            engine.close()
            engine = LiveEngine.load(live_release(releases), CONFIG)
        live = live_release(releases).name
        os.write(out, (json.dumps(["done", step, live]) + "\\n").encode())
        state = after(state, step)

def seen(base):
    catalogue = LiveEngine(base, live_release(releases)).current.cascade.catalogue
    rows = {name: catalogue.row(name) for name in NAMES}
    return {name: catalogue.title(row) for name, row in rows.items() if row is not None}

def stages_whole():
    whole = True
    for place, root in enumerate(roots):
        try:
            open_release(root)
        except MissingArtifactError:
            whole = False
            rebuild(place, 20)
    return whole

publish(roots[0], releases, TWO)
bases = {}
live = live_release(releases).name
bases[live] = Engine.load(live_release(releases), CONFIG)
state = FIRST = seen(bases[live])
for kill in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            tqdm.set_lock(threading.RLock())  # the default lock is shared with killed children
            change_until_killed(bases[live], state, kill, write)
        except BaseException as error:
            os.write(2, repr(error).encode())
        os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        started, said = time.monotonic(), []
        while sum("done" in line for line in said) <= kill % 3 and (line := pipe.readline()):
            said.append(line)
        step_seconds = (time.monotonic() - started) / (1 + kill % 3)
        time.sleep(random.Random(kill).uniform(0, 2 * step_seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        said += pipe.read().splitlines(keepends=True)
    lines = [json.loads(line) for line in said if line[-1] == "\\n"]
    done = [line for line in lines if line[0] == "done"]
    for _, step, live in done:
        state = after(state, step)
    cut = lines[-1][1] if lines and lines[-1][0] == "begins" else ["nothing", None]
    for release_id in release_ids(releases):
        verify_release(releases / release_id)
    now_live = open_release(live_release(releases))
    mixed = now_live.release_id != live and (
        cut[0] != "publish" or now_live.fingerprints != open_release(roots[cut[1]]).fingerprints
    )
    whole = stages_whole()
    live = now_live.release_id
    if live not in bases:
        bases = {live: Engine.load(live_release(releases), CONFIG)}
    now = seen(bases[live])
    lost = now not in (state, after(state, cut))
    print(json.dumps([cut[0], len(done), lost, mixed, whole, os.WTERMSIG(status)]), flush=True)
    state = now
"""
STAGES = ("data", "trial", "towers", "ranker")


def stages(release, root):
    """Stages of a release, with a copy of the index that can be rebuilt."""
    root.mkdir(parents=True)
    for stage in STAGES:
        (root / stage).symlink_to(release / stage)
    shutil.copytree(release / "index", root / "index")
    return root


def outcome(rounds):
    """How often each step was interrupted, and the number of finished steps."""
    assert not [cut for cut, _, lost, mixed, _, signal in rounds if lost or mixed or signal != 9]
    return Counter(cut for cut, *_ in rounds), sum(done for _, done, *_ in rounds)


@pytest.mark.slow  # killing a server and a publication are quick tests
def test_killing_a_rebuild_loses_no_acknowledged_change(release, tmp_path, run_script):
    roots = [stages(release, tmp_path / name / "shop") for name in ("one", "two")]

    rounds = run_script(KILLS, 2, tmp_path / "releases" / "shop", *roots)

    assert len(rounds) == 2
    _, done = outcome(rounds)
    assert done > 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_kills_lose_no_acknowledged_change(
    release, build_release, shop, tmp_path, run_script
):
    other = build_release(tmp_path / "other" / "shop", shop)
    roots = [stages(release, tmp_path / "one" / "shop"), stages(other, tmp_path / "two" / "shop")]

    rounds = run_script(KILLS, 200, tmp_path / "releases" / "shop", *roots)

    assert len(rounds) == 200
    cut, done = outcome(rounds)
    assert set(cut) >= {"upsert", "delete", "rebuild", "publish"}
    assert done > 400
