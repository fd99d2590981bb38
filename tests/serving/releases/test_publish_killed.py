"""Kills a process that publishes and rolls back; the next reader must find a whole live release."""

import random
import subprocess
import sys
import time

import pytest

from lineage.manifest import read_manifest
from lineage.open_release import open_release
from lineage.releases import live_release, read_record, release_ids, verify_release
from lineage.stages import CASCADE, LAST, served_as
from serving.releases.publish import PublishConfig, publish

LOOP = """
import itertools, sys
from pathlib import Path
from serving.releases.publish import PublishConfig, publish, roll_back
releases, *roots = map(Path, sys.argv[1:])
for root in itertools.cycle([roots[0], roots[1], None]):
    print("begins", root or "to roll back", flush=True)
    live = publish(root, releases, PublishConfig(keep=3)) if root else roll_back(releases)
    print("live", live, flush=True)
"""
EVERY_STEP = """
import itertools, json, os, signal, sys
from pathlib import Path
from lineage.releases import live_release
from serving.releases.publish import PublishConfig, publish, roll_back
from lineage.open_release import open_release
what, releases, *roots = sys.argv[1], *map(Path, sys.argv[2:])
STEPS = {"os.link", "os.rename", "os.symlink", "os.chmod", "os.mkdir", "os.remove", "os.rmdir"}

def change(live):
    if what == "roll back":
        return roll_back(releases)
    return publish(roots[live["data"] == open_release(roots[0]).fingerprints["data"]], releases,
                   PublishConfig(keep=2))

def die_before(step, live):
    steps = itertools.count(1)
    def hook(event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in STEPS or writes) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = lambda descriptor: None  # only the process dies, so the kernel still has every write
    sys.addaudithook(hook)
    change(live)
    os._exit(0)

for step in itertools.count(1):
    before = open_release(live_release(releases)).versions
    child = os.fork()
    if child == 0:
        die_before(step, before)
    _, status = os.waitpid(child, 0)
    after = open_release(live_release(releases)).versions
    print(json.dumps([before, after]), flush=True)
    if not os.WIFSIGNALED(status):
        sys.exit(status)
    if what == "roll back" and before != after:
        publish(roots[0], releases, PublishConfig(keep=2))
"""


@pytest.fixture
def roots(build_stages, tmp_path):
    """Two sets of stages that can be published."""
    return [build_stages(tmp_path / content / "shop", content) for content in ("one", "two")]


@pytest.fixture
def releases(roots, tmp_path):
    """Folder with two releases."""
    releases = tmp_path / "releases" / "shop"
    for root in roots:
        publish(root, releases, PublishConfig())
    return releases


def killed_after(seconds, releases, roots, cwd):
    """Output lines of the loop until the kill."""
    with subprocess.Popen(
        [sys.executable, "-c", LOOP, str(releases), *map(str, roots)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        said = (first + process.stdout.read()).splitlines(keepends=True)
        return [line.strip() for line in said if line.endswith("\n")]  # the last may be incomplete


def kill_at_random(times, releases, roots, cwd):
    """Kill the loop repeatedly; return how often the old and how often the new release was live."""
    moments = random.Random(times)
    acknowledged, seen = live_release(releases).name, {"old": 0, "new": 0}
    of = {str(root): served_fingerprints(root) for root in roots}
    span = 0.2
    for _ in range(times):
        lines = killed_after(moments.uniform(0, span), releases, roots, cwd)
        done = [line.split()[1] for line in lines if line.startswith("live ")]
        span = 0.2 if done else 1.2 * span  # a busy machine gets longer to start
        attempted = lines[-1].removeprefix("begins ")
        acknowledged = done[-1] if done else acknowledged

        release = open_release(live_release(releases))
        for release_id in release_ids(releases):
            verify_release(releases / release_id)
        if release.release_id == acknowledged:
            seen["old"] += 1
        elif attempted in of:
            assert release.fingerprints == of[attempted]
            assert read_record(release.root).replaces == acknowledged
            seen["new"] += 1
        else:
            assert attempted == "to roll back"
            assert release.release_id == read_record(releases / acknowledged).replaces
            seen["new"] += 1
        acknowledged = release.release_id
    return seen


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_two_hundred_random_kills_the_old_or_the_new_release_is_live(
    releases, roots, pytestconfig
):
    seen = kill_at_random(200, releases, roots, pytestconfig.rootpath)

    assert min(seen.values()) > 0


@pytest.mark.parametrize("what", ["publish", "roll back"])
def test_after_a_kill_before_each_step_the_old_or_the_new_release_is_live(
    releases, roots, run_script, what
):
    states = run_script(EVERY_STEP, what, releases, *roots)

    of = [served_fingerprints(root) for root in roots]
    for before, after in states:
        old, new = without_id(before), without_id(after)
        assert before == after or (old, new) in [(of[0], of[1]), (of[1], of[0])]
    swapped = [before != after for before, after in states]
    assert (swapped[0], swapped[-1]) == (False, True)
    assert len(states) > (60 if what == "publish" else 3)


def served_fingerprints(root):
    """Fingerprints in a release of the last fit, which takes the places of the evaluated one."""
    stages = (*CASCADE, *LAST)
    return {served_as(stage): read_manifest(root / stage, stage).fingerprint for stage in stages}


def without_id(versions):
    return {stage: version for stage, version in versions.items() if stage != "release"}
