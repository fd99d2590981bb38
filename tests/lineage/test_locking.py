import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from lineage.locking import changing
from lineage.releases import ReleaseError

HOLD = """
import pathlib, sys, time
from lineage.locking import changing
with changing(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "releases" / "shop"


@pytest.fixture
def other(folder, pytestconfig):
    """Another process that is changing the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=pytestconfig.rootpath,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def change(folder):
    with changing(folder):
        return (folder / "LOCK").read_text()


def test_a_locked_folder_is_refused_with_the_process_that_changes_it(folder, other):
    owner = rf"changed by process {other.pid} on {socket.gethostname()} since 20\d\d-.* UTC; wait"

    with pytest.raises(ReleaseError, match=owner):
        change(folder)


def test_the_lock_of_a_killed_process_is_free(folder, other):
    other.send_signal(signal.SIGKILL)
    other.wait()

    assert change(folder).startswith(f"process {os.getpid()} ")


def test_a_folder_can_be_changed_again_after_a_change(folder):
    change(folder)
    change(folder)


def test_a_folder_that_holds_something_else_is_refused_and_unchanged(folder):
    (folder / "data").mkdir(parents=True)

    with pytest.raises(ReleaseError, match="folder of releases, but holds 'data'"):
        change(folder)
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_a_file_instead_of_a_folder_is_refused(folder):
    folder.parent.mkdir()
    folder.write_text("")

    with pytest.raises(ReleaseError, match="must be a folder of releases"):
        change(folder)


def test_a_disk_error_is_reported_with_the_live_release(folder):
    def change_on_a_full_disk():
        with changing(folder):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ReleaseError, match="No space left on device; live is nothing"):
        change_on_a_full_disk()


def test_the_lock_works_on_a_full_disk(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    change(folder)
    monkeypatch.setattr(os, "pwrite", full)

    assert change(folder) == ""
