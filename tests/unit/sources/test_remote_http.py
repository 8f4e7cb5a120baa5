from __future__ import annotations

import errno
import io
import ipaddress
import os
import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import HostNotReady, SourceChanged, SourceError, SourceUnavailable
from jobd.sources import ReadOptions
from jobd.sources.open import open_stored
from jobd.sources.places import addresses
from jobd.sources.places.access import RemoteAccess
from jobd.sources.places.blocks import BLOCK_BYTES
from jobd.sources.places.copies import CopiedFile
from jobd.sources.places.http_link import Link
from jobd.sources.places.patience import Deadline, TryAgain
from jobd.sources.places.remote import RemoteFile, list_remote, open_remote
from jobd.sources.places.uri import parse_uri
from tests.support.certificates import Authority
from tests.support.http_server import LAST_MODIFIED, Fault, FileServer, running
from tests.support.remote import HASTY, IMPATIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobd.sources.places.patience import Patience
    from jobd.sources.stream import StoredFile

BIG = os.urandom(BLOCK_BYTES * 2 + 12_345)
CSV = b"id,name\n1,Ada\n2,Grace\n"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with running() as server:
        server.files |= {"/big.bin": BIG, "/a.csv": CSV, "/in/a.csv": CSV, "/empty.csv": b""}
        yield server


@pytest.fixture
def opened(server: FileServer) -> Iterator[Callable[..., StoredFile]]:
    files: list[StoredFile] = []

    def open_it(path: str, *, patience: Patience = IMPATIENT, **access: Any) -> StoredFile:
        given = {"allowed": (server.url,), "private_allowed": ("127.0.0.1",), **access}
        files.append(open_remote(f"{server.url}{path}", RemoteAccess(**given), None, patience=patience))
        return files[-1]

    yield open_it
    for file in files:
        file.close()


def refusal(opened: Callable[..., StoredFile], path: str, **access: Any) -> SourceError:
    with pytest.raises(SourceError) as refused:
        opened(path, **access)
    return refused.value


def test_a_small_file_costs_one_request_and_says_what_it_is(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    file = opened("/a.csv?token=hunter2")
    assert file.read(0, 1000) == CSV
    assert file.read(3, 4) == CSV[3:7]
    assert file.read(len(CSV), 10) == b""
    assert (file.name, file.size_bytes) == (f"{server.url}/a.csv", len(CSV))
    assert file.modified_ns == LAST_MODIFIED * 1_000_000_000
    assert [seen.target for seen in server.seen] == ["/a.csv?token=hunter2"]


def test_a_remote_file_is_read_like_a_local_one(opened: Callable[..., StoredFile]) -> None:
    with open_stored(opened("/a.csv"), ReadOptions()) as source:
        assert source.header == ["id", "name"]
        batches = source.batches(None, max_rows=10, max_bytes=1 << 20)
        assert sum(batch.record_count for batch in batches) == 2


def test_reading_in_order_fetches_each_byte_once_and_the_next_block_ahead(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    stream = opened("/big.bin").stream()
    assert b"".join(iter(lambda: stream.read(1 << 19), b"")) == BIG
    ranges = [seen.headers["Range"] for seen in server.seen]
    assert ranges == [
        f"bytes=0-{BLOCK_BYTES - 1}",
        f"bytes={BLOCK_BYTES}-{2 * BLOCK_BYTES - 1}",
        f"bytes={2 * BLOCK_BYTES}-{len(BIG) - 1}",
    ]
    assert [seen.headers.get("If-Match") for seen in server.seen] == [None, '"one"', '"one"']


def test_a_jump_fetches_what_it_needs_and_no_more(server: FileServer, opened: Callable[..., StoredFile]) -> None:
    file = opened("/big.bin")
    position = 2 * BLOCK_BYTES - 5
    assert file.read(position, 10) == BIG[position : position + 10]
    assert file.read(len(BIG) - 7, 100) == BIG[-7:]
    assert [seen.headers["Range"] for seen in server.seen[1:]] == [
        f"bytes={position}-{min(position + 65536, len(BIG)) - 1}",
        f"bytes={len(BIG) - 7}-{len(BIG) - 1}",
    ]


def test_many_threads_read_one_file_at_once(opened: Callable[..., StoredFile]) -> None:
    file = opened("/big.bin")
    wrong: list[int] = []

    def read_all(first: int) -> None:
        positions = range(first, len(BIG), 777_777)
        wrong.extend(at for at in positions if file.read(at, 300_000) != BIG[at : at + 300_000])

    threads = [threading.Thread(target=read_all, args=(first,)) for first in range(0, 700_000, 100_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_connection_cut_within_a_body_is_continued_where_it_broke_off(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    size = 2 * BLOCK_BYTES
    server.files["/two.bin"] = BIG[:size]
    file = opened("/two.bin")
    server.faults.extend([Fault(drop_after=1_500_000), Fault(drop_after=1)])
    assert file.read(0, size) == BIG[:size]
    positions = [BLOCK_BYTES, BLOCK_BYTES + 1_500_000, BLOCK_BYTES + 1_500_001]
    assert [seen.headers["Range"] for seen in server.seen[1:]] == [f"bytes={at}-{size - 1}" for at in positions]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "0"}),
        Fault(status=429),
        Fault(drop_after=0),
        Fault(stall_after=100),
        Fault(stall_after=0),
        Fault(says_length=2 * BLOCK_BYTES),
    ],
    ids=str,
)
def test_what_goes_wrong_once_is_tried_again(
    server: FileServer, opened: Callable[..., StoredFile], fault: Fault
) -> None:
    file = opened("/big.bin")
    server.faults.append(fault)
    assert file.read(BLOCK_BYTES, 100) == BIG[BLOCK_BYTES : BLOCK_BYTES + 100]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "3600"}),
        Fault(drop_after=0),
        Fault(stall_after=0),
        Fault(trickles_header=True),
    ],
    ids=str,
)
def test_what_stays_wrong_ends_in_time_and_is_tried_again_by_the_job(
    server: FileServer, opened: Callable[..., StoredFile], fault: Fault
) -> None:
    file = opened("/big.bin", patience=HASTY)
    server.always = fault
    with pytest.raises(SourceUnavailable, match="cannot be reached") as refused:
        file.read(BLOCK_BYTES, 100)
    assert not isinstance(refused.value, SourceError)
    with pytest.raises(SourceUnavailable):
        opened("/a.csv", patience=HASTY)
    server.always = None
    assert file.read(BLOCK_BYTES, 100) == BIG[BLOCK_BYTES : BLOCK_BYTES + 100]


def test_what_breaks_off_again_and_again_is_read_to_its_end_as_long_as_it_moves(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    """33 pauses of at least 25 ms are longer than the patience of 0.6 seconds, which each piece renews."""
    size = 2 * BLOCK_BYTES
    server.files["/two.bin"] = BIG[:size]
    file = opened("/two.bin", patience=replace(IMPATIENT, first_wait_seconds=0.05, total_seconds=0.6))
    server.always = Fault(drop_after=1 << 17)
    position = BLOCK_BYTES - 1
    assert file.read(position, size - position) == BIG[position:size]
    assert len(server.seen) == 1 + BLOCK_BYTES // (1 << 17) + 1


def test_a_server_that_is_not_there_is_tried_again_by_the_job() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    access = RemoteAccess(allowed=(f"http://127.0.0.1:{port}",), private_allowed=("127.0.0.0/8",))
    with pytest.raises(SourceUnavailable, match="Connection refused"):
        open_remote(f"http://127.0.0.1:{port}/a.csv", access, None, patience=HASTY)


def test_a_host_without_an_address_is_tried_again_by_the_job() -> None:
    access = RemoteAccess(allowed=("https://nowhere.invalid",))
    with pytest.raises(SourceUnavailable, match=r"nowhere\.invalid has no address"):
        open_remote("https://nowhere.invalid/a.csv", access, None, patience=HASTY)


@pytest.mark.parametrize("etag", ['"two"', 'W/"two"', None])
def test_a_file_that_changes_while_it_is_read_is_not_read_on(
    server: FileServer, opened: Callable[..., StoredFile], etag: str | None
) -> None:
    file = opened("/big.bin")
    server.etag = etag
    with pytest.raises(SourceChanged, match="was changed while it was read"):
        file.read(BLOCK_BYTES, 100)


@pytest.mark.parametrize("etag", ['W/"one"', None])
def test_a_file_without_a_strong_tag_is_known_by_size_and_time(
    server: FileServer, opened: Callable[..., StoredFile], etag: str | None
) -> None:
    server.etag = etag
    file = opened("/big.bin")
    assert file.read(BLOCK_BYTES, 9) == BIG[BLOCK_BYTES : BLOCK_BYTES + 9]
    server.files["/big.bin"] = BIG + b"more"
    with pytest.raises(SourceChanged):
        file.read(2 * BLOCK_BYTES, 9)
    server.files["/big.bin"] = b"short"
    with pytest.raises(SourceChanged):
        file.read(2 * BLOCK_BYTES, 9)
    server.files["/big.bin"] = BIG
    server.faults.append(Fault(headers={"Last-Modified": "Fri, 01 Jan 2027 00:00:00 GMT"}))
    if etag is None:
        with pytest.raises(SourceChanged):
            file.read(2 * BLOCK_BYTES, 9)


def test_a_server_without_ranges_is_copied_once_and_read_at_any_position(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    server.has_ranges = False
    server.faults.extend([Fault(), Fault(drop_after=1_000_000)])
    file = opened("/big.bin")
    assert isinstance(file, CopiedFile)
    assert file.read(BLOCK_BYTES, 100) == BIG[BLOCK_BYTES : BLOCK_BYTES + 100]
    assert file.read(0, len(BIG) + 1) == BIG
    assert len(server.seen) == 3
    assert refusal(opened, "/big.bin", copy_bytes_max=1_000_000).error_code == "source_too_large"
    assert refusal(opened, "/empty.csv").error_code == "source_empty"
    server.always = Fault(drop_after=1_000_000)
    with pytest.raises(SourceUnavailable, match="gives no parts of files"):
        opened("/big.bin")


def test_a_copy_that_finds_no_room_waits_for_it(
    server: FileServer, opened: Callable[..., StoredFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.has_ranges = False
    monkeypatch.setattr("tempfile.TemporaryFile", FullDisk)
    with pytest.raises(HostNotReady, match="no room"):
        opened("/a.csv")


class FullDisk(io.BytesIO):
    def write(self, _content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_server_that_lies_about_its_parts_is_not_believed(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    file = opened("/big.bin")
    server.faults.append(Fault(headers={"Content-Range": f"bytes 7-99/{len(BIG)}"}))
    with pytest.raises(SourceError, match="other bytes than it is asked for"):
        file.read(BLOCK_BYTES, 93)
    server.faults.append(Fault(says_length=10))
    assert file.read(BLOCK_BYTES, 93) == BIG[BLOCK_BYTES : BLOCK_BYTES + 93]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "source_missing"),
        (410, "source_missing"),
        (401, "source_forbidden"),
        (403, "source_forbidden"),
        (400, "source_unreadable"),
        (304, "source_unreadable"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(
    server: FileServer, opened: Callable[..., StoredFile], status: int, code: str
) -> None:
    server.always = Fault(status=status)
    refused = refusal(opened, "/a.csv?hunter2")
    assert refused.error_code == code
    assert str(status) in str(refused)
    assert "hunter2" not in str(refused)
    assert ("netrc" in str(refused)) == (code == "source_forbidden")
    assert len(server.seen) == 1


def test_an_empty_file_and_a_list_are_refused_before_anything_is_read(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    assert refusal(opened, "/empty.csv").error_code == "source_empty"
    assert refusal(opened, "/none.csv").error_code == "source_missing"
    access = RemoteAccess(allowed=(server.url,), private_allowed=("127.0.0.1",))
    with pytest.raises(SourceError) as refused:
        list_remote(f"{server.url}/in/", access, None, 10)
    assert refused.value.error_code == "source_unsupported"


def test_closing_ends_a_read_that_waits_in_another_thread(server: FileServer) -> None:
    access = RemoteAccess(allowed=(server.url,), private_allowed=("127.0.0.1",))
    file = open_remote(f"{server.url}/big.bin", access, None)  # with all of its usual patience
    server.always = Fault(stall_after=10)
    ended = threading.Event()
    failures: list[Exception] = []

    def read() -> None:
        try:
            file.read(BLOCK_BYTES, 100)
        except SourceUnavailable as error:
            failures.append(error)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert server.stalled.wait(10)
    assert not ended.wait(0.2)  # the reader waits for bytes by now
    file.close()
    assert ended.wait(5)
    thread.join()
    assert len(failures) == 1


def test_a_connection_that_was_closed_is_not_opened_again_behind_the_check(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = Deadline(IMPATIENT, threading.Event())
    link = Link(parse_uri(server.url), ("127.0.0.1",), deadline)
    assert link.ask("/a.csv", {}).read() == CSV
    link.close()
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(TryAgain):
        link.ask("/a.csv", {})
    assert len(server.seen) == 1


def test_a_redirect_inside_of_what_is_allowed_is_followed_each_time(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    server.redirects |= {"/old.bin": "/older.bin", "/older.bin": f"{server.url}/big.bin?sig=1"}
    file = opened("/old.bin")
    assert file.name == f"{server.url}/old.bin"
    assert file.read(BLOCK_BYTES, 5) == BIG[BLOCK_BYTES : BLOCK_BYTES + 5]
    assert [seen.target for seen in server.seen] == ["/old.bin", "/older.bin", "/big.bin?sig=1"] * 2


def test_a_redirect_out_of_the_prefix_is_not_followed(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    server.redirects["/in/b.csv"] = "/a.csv?hunter2"
    refused = refusal(opened, "/in/b.csv", allowed=(f"{server.url}/in",))
    assert refused.error_code == "source_forbidden"
    assert f"leads to {server.url}/a.csv, which" in str(refused)
    assert [seen.target for seen in server.seen] == ["/in/b.csv"]


def test_a_redirect_out_of_the_submitter_s_limits_is_not_followed(server: FileServer) -> None:
    server.redirects["/in/b.csv"] = "/a.csv"
    access = RemoteAccess(allowed=(server.url,), private_allowed=("127.0.0.1",))
    with pytest.raises(SourceError, match="limited to"):
        open_remote(f"{server.url}/in/b.csv", access, (f"{server.url}/in",), patience=IMPATIENT)
    assert len(server.seen) == 1


def test_a_redirect_to_a_private_address_is_not_followed(
    server: FileServer, opened: Callable[..., StoredFile]
) -> None:
    """Neither one that the allow-list names, nor one that it does not."""
    with running() as inner:
        inner.files["/a.csv"] = CSV
        for target, allowed in (
            (f"http://127.0.0.2:{inner.port}/a.csv", f"http://127.0.0.2:{inner.port}"),
            (f"http://127.0.0.1:{inner.port}/a.csv", "http://files.example.com"),
            ("http://169.254.169.254/latest/meta-data/", "http://169.254.169.254"),
            ("http://[::1]/", "http://[::1]"),
        ):
            server.redirects["/b.csv"] = target
            refused = refusal(opened, "/b.csv", allowed=(server.url, allowed))
            assert refused.error_code == "source_forbidden"
        assert inner.seen == []
    for target in ("file:///etc/passwd", "http://0x7f.1/", "gopher://127.0.0.1/", "s3://bucket/a.csv"):
        server.redirects["/b.csv"] = target
        assert refusal(opened, "/b.csv").error_code != "source_unreadable"


def test_redirects_in_a_circle_end(server: FileServer, opened: Callable[..., StoredFile]) -> None:
    server.redirects["/b.csv"] = "/b.csv"
    assert "redirected more than 5 times" in str(refusal(opened, "/b.csv"))
    assert len(server.seen) == 6
    server.faults.append(Fault(status=302))
    assert "to nowhere" in str(refusal(opened, "/b.csv"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104  an address that must not be reached
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
    ],
)
def test_no_address_that_is_not_public_is_reached(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not addresses._is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    monkeypatch.setattr(socket, "create_connection", unreachable)
    access = RemoteAccess(allowed=(f"http://{host}",))
    with pytest.raises(SourceError, match="JOBD_REMOTE_PRIVATE") as refused:
        open_remote(f"http://{host}/a.csv", access, None, patience=IMPATIENT)
    assert refused.value.error_code == "source_forbidden"


def unreachable(*_: object) -> socket.socket:
    raise AssertionError("a connection was tried")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses_are_reached(address: str) -> None:
    assert addresses._is_public(ipaddress.ip_address(address))


def test_a_name_with_one_private_address_among_public_ones_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "10.1.2.3"))
    monkeypatch.setattr(socket, "create_connection", unreachable)
    access = RemoteAccess(allowed=("http://files.example.com",))
    with pytest.raises(SourceError, match=r"files\.example\.com has the address 10\.1\.2\.3"):
        open_remote("http://files.example.com/a.csv", access, None, patience=IMPATIENT)


def test_a_name_that_changes_its_address_between_check_and_use_gains_nothing(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was checked is the one that is connected to: the name is asked for once a connection."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *rest: Any, **named: Any) -> Any:
        if host != "files.example.com":
            return real(host, *rest, **named)
        asked.append(host)
        return answering("127.0.0.1" if len(asked) == 1 else "127.0.0.2")(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    origin = f"http://files.example.com:{server.port}"
    access = RemoteAccess(allowed=(origin,), private_allowed=("127.0.0.1",))
    file = open_remote(f"{origin}/big.bin", access, None, patience=IMPATIENT)
    assert len(asked) == 1
    assert server.seen[0].headers["Host"] == f"files.example.com:{server.port}"
    server.faults.append(Fault(drop_after=0))  # so that a new connection is needed
    with pytest.raises(SourceError, match=r"127\.0\.0\.2, which is not public"):
        file.read(BLOCK_BYTES, 10)
    file.close()


def answering(*found: str) -> Callable[..., Any]:
    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return getaddrinfo


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/8", "LOCALHOST", "localhost."])
def test_a_private_host_is_reached_when_the_operator_says_so(
    server: FileServer, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: real("127.0.0.1" if host == "localhost" else host, *rest, **named),
    )
    origin = f"http://localhost:{server.port}"
    access = RemoteAccess(allowed=(origin,), private_allowed=(entry,))
    file = open_remote(f"{origin}/a.csv", access, None, patience=IMPATIENT)
    assert file.read(0, 100) == CSV
    file.close()


def test_entries_for_private_hosts_are_judged_when_they_are_set() -> None:
    judged = [
        addresses.require_private_entry(text) for text in ("10.1.2.3/8", "10.0.0.1", "MinIO.internal", "fd00::/8")
    ]
    assert judged == ["10.0.0.0/8", "10.0.0.1/32", "minio.internal", "fd00::/8"]
    for text in ("10.0.0.0/33", "a b", "", "0x7f.1", "u@host"):
        with pytest.raises(ValueError, match=r"network|valid|user|host"):
            addresses.require_private_entry(text)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure_server(authority: Authority, tmp_path: Path) -> Iterator[FileServer]:
    issued = authority.issue()
    both = tmp_path / "both.pem"
    both.write_bytes(issued.key + issued.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with running(context) as server:
        server.files["/a.csv"] = CSV
        yield server


def test_https_needs_a_certificate_that_is_trusted(
    secure_server: FileServer, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    origin = f"https://127.0.0.1:{secure_server.port}"
    access = RemoteAccess(allowed=(origin,), private_allowed=("127.0.0.1",))
    with pytest.raises(SourceError, match=r"not trusted.*SSL_CERT_FILE"):
        open_remote(f"{origin}/a.csv", access, None, patience=IMPATIENT)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    file = open_remote(f"{origin}/a.csv", access, None, patience=IMPATIENT)
    assert isinstance(file, RemoteFile)
    assert file.read(0, 100) == CSV
    file.close()

    secure_server.redirects["/b.csv"] = f"http://127.0.0.1:{secure_server.port}/a.csv"
    access = RemoteAccess(allowed=(origin, origin.replace("https", "http")), private_allowed=("127.0.0.1",))
    with pytest.raises(SourceError, match="redirects keep https"):
        open_remote(f"{origin}/b.csv", access, None, patience=IMPATIENT)

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    open_remote(f"{origin}/a.csv", access, None, patience=IMPATIENT).close()
    assert secure_server.seen[-1].headers["Authorization"] == "Basic YWRhOmh1bnRlcjI="
    assert "Authorization" not in secure_server.seen[0].headers
    netrc.write_text("machine")
    with pytest.raises(SourceError, match="netrc file"):
        open_remote(f"{origin}/a.csv", access, None, patience=IMPATIENT)


def test_a_password_of_the_netrc_file_is_never_sent_in_the_clear(
    server: FileServer, opened: Callable[..., StoredFile], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    opened("/a.csv")
    assert "Authorization" not in server.seen[0].headers
