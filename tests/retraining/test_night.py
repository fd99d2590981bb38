"""Nights of a small shop, each a command of its own, as an operator runs them."""

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml

from lineage.releases import live_id, verify_release

pytestmark = [pytest.mark.slow, pytest.mark.training, pytest.mark.timeout(3600)]
FIRST = date(2026, 9, 1)
COLOURS = ("red", "green", "blue", "black", "white", "pink")
THINGS = ("mug", "lamp", "bowl", "chair", "clock", "candle", "plate", "vase")
ITEMS = [(f"{colour}-{thing}", f"{colour} {thing}") for colour in COLOURS for thing in THINGS]
USERS, A_DAY, DAYS = 200, 40, 40
KILLS = int(os.environ.get("NIGHT_KILLS", "4"))


def rows_of(day, *, count=A_DAY):
    """What happened on a day: most users buy in their colour."""
    rng = np.random.default_rng(day)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=day)
    users, seconds = rng.integers(USERS, size=count), rng.integers(86_400, size=count)
    colours = np.where(rng.random(count) < 0.8, users % len(COLOURS), rng.integers(6, size=count))
    things = rng.integers(len(THINGS), size=count)
    return [
        (f"u{user}", ITEMS[colour * len(THINGS) + thing][0], start + timedelta(seconds=int(second)))
        for user, colour, thing, second in zip(users, colours, things, seconds, strict=True)
    ]


class Shop:
    """The files of a shop, and its nights."""

    def __init__(self, folder, backbone):
        self.folder, self.files = folder, folder / "shop"
        self.files.mkdir(parents=True)
        options = {
            "towers": {"item_tokens": 8, "dimension": 16, "widths": [], "user_layers": 1},
            "ranker": {"kind": "attention", "width": 32, "layers": 1, "item_tokens": 8},
            "shortlists": {"size": 40},
        }
        training = {
            "max_epochs": 1,
            "examples_per_epoch": 64,
            "batch_size": 64,
            "trained_layers": 1,
        }
        for stage, own in options.items():
            if stage != "shortlists":
                own |= {"backbone": str(backbone), "training": training}
            (folder / f"{stage}.yaml").write_text(yaml.safe_dump(own))
        (folder / "data.yaml").write_text(yaml.safe_dump({"token_budget": 8}))

    def write(self, days, **changed):
        """Write the tables with some days; `changed` are rows by `day_<number>`."""
        rows = [row for day in range(days) for row in changed.get(f"day_{day}", rows_of(day))]
        schema = ["user_id", "item_id", "timestamp"]
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(
            self.files / "interactions.parquet"
        )
        pl.DataFrame(ITEMS, schema=["item_id", "title"], orient="row").write_parquet(
            self.files / "items.parquet"
        )

    def started(self, *options):
        roots = [f"--{name}={self.folder / name}" for name in ("artifacts", "releases", "reports")]
        command = [sys.executable, "-m", "retraining", "--dataset", str(self.files), *roots]
        return subprocess.Popen(
            [*command, "--configs", str(self.folder), *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )

    def night(self, *options):
        """Run a night; what it did, from its report, and what it wrote to standard error."""
        process = self.started(*options)
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
        newest = max((self.folder / "reports" / "shop" / "nights").glob("*.json"))
        return json.loads(newest.read_text()), said

    @property
    def live(self):
        """Id of the live release; it is whole."""
        releases = self.folder / "releases" / "shop"
        live = live_id(releases)
        if live is not None:
            verify_release(releases / live)
        return live


@pytest.fixture(scope="module")
def shop(tmp_path_factory, tiny_bert):
    """A shop whose first night has published a release."""
    made = Shop(tmp_path_factory.mktemp("nights"), tiny_bert)
    made.write(DAYS)
    first, _ = made.night()
    assert first["outcome"] == "published"
    assert first["plan"]["full"] == "nothing is published yet"
    return made


def test_nights_go_on_hold_bad_days_back_and_survive_kills(shop):
    first = shop.live

    idle, _ = shop.night()
    assert (idle["outcome"], shop.live) == ("nothing new", first)

    shop.write(DAYS + 1)
    second, said = shop.night("--gate.least_users=1000")
    assert second["outcome"] == "published", said
    assert not second["plan"]["full"]
    assert second["compared"]["cosine"] > 0.8
    assert (
        second["compared"]["counts"]["interactions"][1]
        > (second["compared"]["counts"]["interactions"][0])
    )
    assert shop.live not in (None, first)

    bad = {
        "ten times as many": rows_of(DAYS + 1, count=10 * A_DAY),
        "empty": [],
        "sent twice": rows_of(DAYS + 1) * 2,
        "the day before again": [(u, i, at + timedelta(days=1)) for u, i, at in rows_of(DAYS)],
        "a pushed item": [("u1", ITEMS[3][0], at) for _, _, at in rows_of(DAYS + 1)],
    }
    live = shop.live
    for name, rows in bad.items():
        shop.write(DAYS + 2, **{f"day_{DAYS + 1}": rows})
        (shop.folder / "artifacts" / "shop" / "held_days.json").unlink(missing_ok=True)
        until = (FIRST + timedelta(days=DAYS + 2)).isoformat()
        night, _ = shop.night(f"--until={until}")
        assert night["outcome"] == "nothing new", name
        (day,) = night["held back"]
        assert day == (FIRST + timedelta(days=DAYS + 1)).isoformat(), name
        assert shop.live == live

    shop.write(DAYS + 2)
    (shop.folder / "artifacts" / "shop" / "held_days.json").unlink()
    rng = random.Random(5)
    for _ in range(KILLS):
        process = shop.started("--gate.least_users=1000")
        time.sleep(rng.uniform(0.5, 20))
        process.kill()
        process.communicate()
        assert shop.live is not None
    last, said = shop.night("--gate.least_users=1000")
    assert last["outcome"] in {"published", "nothing new"}, said
    assert shop.live != live


def test_a_second_night_leaves_or_waits(shop):
    shop.write(DAYS + 3)
    first = shop.started("--gate.least_users=1000")
    lock = shop.folder / "artifacts" / "shop" / "LOCK"
    deadline = time.monotonic() + 60
    while str(first.pid) not in (lock.read_text() if lock.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    second = shop.started("--wait=false")
    said = second.communicate(timeout=120)[1]

    assert second.returncode == 2
    assert "a night of shop runs" in said
    first.communicate(timeout=600)
    assert first.returncode == 0
