import os

import pytest

from lineage import small_files
from lineage.small_files import read_small


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path):
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("key")

    assert read_small(tmp_path / "link") == b"secret"


@pytest.mark.timeout(20)
def test_a_pipe_a_terminal_or_a_device_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    controller, terminal = os.openpty()
    (tmp_path / "terminal").symlink_to(os.ttyname(terminal))
    (tmp_path / "device").symlink_to("/dev/zero")

    for name in ("pipe", "terminal", "device"):
        with pytest.raises(OSError, match="must be a regular file"):
            read_small(tmp_path / name)
    os.close(controller)
    os.close(terminal)


def test_a_large_file_is_refused_by_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(small_files, "MOST_BYTES", 4)
    (tmp_path / "key").write_bytes(b"secret")

    with pytest.raises(OSError, match="at most 4 bytes"):
        read_small(tmp_path / "key")
