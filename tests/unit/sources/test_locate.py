from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobd.errors import SourceChanged, SourceError
from jobd.sources import RootUnavailable
from jobd.sources.places import local
from jobd.sources.places.local import local_path, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a.csv").write_bytes(b"id\n1\n")
    (tmp_path / "secret.csv").write_bytes(b"id\n2\n")
    return inside


@pytest.fixture
def descriptors() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "an open file was left behind"


def code_of(source: str, *roots: Path) -> str:
    with pytest.raises(SourceError) as refusal:
        open_file(source, roots)
    return refusal.value.error_code


def test_a_file_inside_a_root_opens_by_path_and_by_uri(root: Path) -> None:
    for name in (
        str(root / "a.csv"),
        f"file://{root}/a.csv",
        f"file://localhost{root}/%61.csv",
        f"{root}/./x/../a.csv",
    ):
        file = open_file(name, [root])
        assert file.read(0, 100) == b"id\n1\n"
        file.close()


@pytest.mark.usefixtures("descriptors")
def test_whatever_leads_out_of_the_roots_is_refused_and_the_setting_named(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    (root / "link.csv").symlink_to(secret)
    (root / "outside").symlink_to(tmp_path)
    for source in (
        str(secret),
        f"{root}/../secret.csv",
        f"file://{root}/%2e%2e/secret.csv",
        f"{root}/link.csv",
        f"{root}/outside/secret.csv",
        "/etc/passwd",
        f"{root}x/a.csv",
        "in/a.csv",
    ):
        assert code_of(source, root) == "source_forbidden", source
    with pytest.raises(SourceError, match="JOBD_IMPORT_ROOTS"):
        open_file(str(secret), [root])
    with pytest.raises(SourceError, match="none are set"):
        open_file(str(secret), [])


def test_a_link_that_stays_inside_and_a_root_that_is_a_link_are_fine(root: Path, tmp_path: Path) -> None:
    (root / "alias.csv").symlink_to(root / "a.csv")
    (tmp_path / "alias").symlink_to(root)
    for source, allowed in (
        (root / "alias.csv", root),
        (tmp_path / "alias" / "a.csv", tmp_path / "alias"),
        (root / "a.csv", tmp_path / "alias"),
    ):
        open_file(str(source), [allowed]).close()


@pytest.mark.usefixtures("descriptors")
def test_a_path_exchanged_between_check_and_open_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_open", lambda *_: os.open(tmp_path / "secret.csv", os.O_RDONLY))
    assert code_of(str(root / "a.csv"), root) == "source_forbidden"
    monkeypatch.setattr(local, "_opened_path", lambda _: None)  # as on systems without /proc
    assert code_of(str(root / "a.csv"), root) == "source_forbidden"


@pytest.mark.usefixtures("descriptors")
def test_only_regular_files_with_content_are_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "empty.csv").touch()
    (root / "tty").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        assert code_of(str(root / "socket"), root) == "source_unreadable"
    assert code_of(str(root / "fifo"), root) == "source_unreadable"
    assert code_of("/dev/null", Path("/dev")) == "source_unreadable"
    assert code_of(str(root / "tty"), root) == "source_forbidden"
    assert code_of(str(root), root) == "source_is_directory"
    assert code_of(str(root / "empty.csv"), root) == "source_empty"
    assert code_of(str(root / "nothing.csv"), root) == "source_missing"
    assert code_of(str(root / "a.csv" / "b.csv"), root) == "source_missing"


def test_a_file_that_may_not_be_read_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, expected in (
        (PermissionError(13, "denied"), "source_unreadable"),
        (OSError(5, "I/O"), "source_unreadable"),
    ):

        def refuse(*_: object, error: OSError = error) -> int:
            raise error

        monkeypatch.setattr(os, "open", refuse)
        assert code_of(str(root / "a.csv"), root) == expected


def test_an_absent_root_is_a_reason_to_wait_not_to_fail(tmp_path: Path, root: Path) -> None:
    with pytest.raises(RootUnavailable, match="not available on this host"):
        open_file(str(tmp_path / "away" / "a.csv"), [tmp_path / "away", root])
    with pytest.raises(RootUnavailable, match="no directory"):
        open_file(str(root / "a.csv" / "b.csv"), [root / "a.csv"])


def test_a_root_whose_mount_is_missing_is_a_reason_to_wait(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fstab = f"# comment\n/dev/sda1 / ext4\nserver:/export {root} nfs defaults 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda _: fstab)
    with pytest.raises(RootUnavailable, match="is not mounted"):
        open_file(str(root / "a.csv"), [root])
    monkeypatch.setattr(Path, "read_text", lambda _: "/dev/sda1 / ext4\n")
    open_file(str(root / "a.csv"), [root]).close()


def test_a_file_that_shrinks_while_it_is_read_is_not_the_same_file(root: Path) -> None:
    file = open_file(str(root / "a.csv"), [root])
    os.truncate(root / "a.csv", 2)
    with pytest.raises(SourceChanged, match="became shorter"):
        file.read(0, 100)
    file.close()


@pytest.mark.parametrize("source", ["s3://bucket/a.csv", "https://host/a.csv", "file://host/a.csv", "blob:x\0"])
def test_places_that_are_no_local_path_are_named(source: str) -> None:
    with pytest.raises(SourceError) as refusal:
        local_path(source)
    assert refusal.value.error_code in {"source_unsupported", "source_missing"}
