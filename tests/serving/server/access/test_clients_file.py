import logging
import os
import threading
import time

import pytest

from serving.server.access import clients_file
from serving.server.access.clients_file import ClientsFile
from serving.server.access.credentials import digest_of

AB = "".join(
    f"- {{client: {name}, sha256: {digest_of(name).hex()}, roles: [read]}}\n" for name in "ab"
)
A, B = (line + "\n" for line in AB.splitlines())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "clients.yaml"
    path.write_text(AB)
    return path


@pytest.fixture
def file(path):
    return ClientsFile(path)


def names(file):
    return "".join(client.name for client in file.clients())


def make_old(path):
    """Give a file a time long ago, so that it is not read again because it is fresh."""
    os.utime(path, ns=(10**18, 10**18))


def logged(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_changed_file_is_read_again(file, path):
    path.write_text(B)

    assert names(file) == "b"


def test_a_file_of_the_same_time_and_size_that_was_put_in_its_place_is_read(path):
    path.write_text(A)
    make_old(path)
    file = ClientsFile(path)
    assert names(file) == "a"

    other = path.with_name("other.yaml")
    other.write_text(B)
    make_old(other)
    assert (other.stat().st_size, other.stat().st_mtime) == (len(A), path.stat().st_mtime)
    other.rename(path)

    assert names(file) == "b"


def test_a_change_within_one_tick_of_the_clock_is_read(path, file, monkeypatch):
    frozen = path.stat()
    monkeypatch.setattr(type(path), "stat", lambda self, **_: frozen)
    path.write_text(B)

    assert names(file) == "b"


def test_an_unchanged_file_is_not_read_again(path, monkeypatch):
    make_old(path)
    file = ClientsFile(path)
    monkeypatch.setattr(clients_file, "read_small", lambda path: pytest.fail("read again"))

    assert names(file) == "ab"


def test_a_deleted_file_revokes_every_client_and_says_so_once(file, path, caplog):
    path.unlink()

    assert [names(file) for _ in range(3)] == ["", "", ""]
    assert len(logged(caplog)) == 1
    assert "is gone" in logged(caplog)[0]


def test_a_file_that_comes_back_unchanged_admits_its_clients_again(file, path):
    path.unlink()
    names(file)
    path.write_text(AB)

    assert names(file) == "ab"


def test_a_failed_read_keeps_the_clients_is_logged_once_and_retried(
    file, path, monkeypatch, caplog
):
    def fail(path):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        path.write_text(B)
        make_old(path)
        patch.setattr(clients_file, "read_small", fail)
        assert [names(file) for _ in range(3)] == ["ab"] * 3

    assert names(file) == "b"  # though the file has not changed since the read that failed
    assert len(logged(caplog)) == 1
    assert "Too many open files" in logged(caplog)[0]


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_keeps_the_clients_and_holds_no_call(file, path, caplog):
    path.unlink()
    os.mkfifo(path)

    assert [names(file) for _ in range(3)] == ["ab"] * 3
    assert "must be a regular file" in logged(caplog)[0]
    path.unlink()
    path.write_text(B)
    assert names(file) == "b"


def test_a_half_written_file_keeps_the_clients_and_each_reason_is_logged_once(file, path, caplog):
    for half in (B[:30], B[:30], ""):
        path.write_text(half)
        make_old(path)
        assert [names(file) for _ in range(2)] == ["ab"] * 2
    path.write_text(B)

    assert names(file) == "b"
    assert len(logged(caplog)) == 2
    assert all(str(path) in message for message in logged(caplog))


def test_a_file_that_is_broken_at_the_start_is_refused(path):
    path.write_text("{")

    with pytest.raises(ValueError, match=f"{path}.*YAML"):
        ClientsFile(path)


def test_a_missing_file_at_the_start_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        ClientsFile(tmp_path / "none.yaml")


def test_the_last_of_two_writes_under_constant_reading_is_taken(path):
    for _ in range(50):
        path.write_text(AB)
        file, stop = ClientsFile(path), threading.Event()

        def read(file=file, stop=stop):
            while not stop.is_set():
                file.clients()

        reader = threading.Thread(target=read)
        reader.start()
        with path.open("w") as half:
            half.write(B[:30])
            half.flush()
            time.sleep(0.0005)
            half.write(B[30:])
        stop.set()
        reader.join()

        assert names(file) == "b"


def many(count):
    digests = (digest_of(str(number)).hex() for number in range(count))
    return "".join(
        f"- {{client: c{number}, sha256: {digest}, roles: [read]}}\n"
        for number, digest in enumerate(digests)
    )


def eventually(file, count):
    deadline = time.monotonic() + 10
    while len(file.clients()) != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_large_file_is_parsed_while_the_clients_read_before_stay(file, path, monkeypatch):
    allowed, read = threading.Event(), clients_file.read_entries

    def slowly(content):
        assert allowed.wait(10)
        return read(content)

    monkeypatch.setattr(clients_file, "read_entries", slowly)
    path.write_text(many(100))

    assert names(file) == "ab"
    allowed.set()
    eventually(file, 100)


def test_a_large_file_that_was_deleted_meanwhile_has_no_clients(file, path):
    path.write_text(many(100))
    file.clients()
    path.unlink()
    assert not file.clients()
    time.sleep(0.2)
    assert not file.clients()

    path.write_text(many(100))
    eventually(file, 100)


def test_a_file_that_breaks_a_rule_is_parsed_once(file, path, monkeypatch):
    read, parsed = clients_file.read_entries, []

    def counted(content):
        parsed.append(content)
        return read(content)

    monkeypatch.setattr(clients_file, "read_entries", counted)
    path.write_text("- {}")

    assert [names(file) for _ in range(5)] == ["ab"] * 5
    assert len(parsed) == 1


def test_a_file_nested_too_deeply_is_refused(file, path, caplog):
    path.write_text("[" * 5_000)

    assert names(file) == "ab"
    assert "it must be YAML" in logged(caplog)[0]
