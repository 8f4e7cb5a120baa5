from __future__ import annotations

import os
import random
import sys
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import obstore
import pytest
from obstore.store import S3Store

from jobd.errors import SourceChanged, SourceError, SourceUnavailable
from jobd.sources import ReadOptions
from jobd.sources.open import open_stored
from jobd.sources.places import remote, stores
from jobd.sources.places.access import RemoteAccess
from jobd.sources.places.blocks import BLOCK_BYTES
from jobd.sources.places.remote import list_remote, open_remote
from tests.support.http_server import LAST_MODIFIED, Fault, FileServer, running
from tests.support.remote import HASTY, IMPATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS = RemoteAccess(allowed=("s3://bucket", "s3://other", "gs://bucket", "az://container"))
BIG = os.urandom(BLOCK_BYTES * 2 + 12_345)
CSV = b"id,name\n1,Ada\n2,Grace\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's credentials, and no machine's either."""
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "AZURITE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", "/nonexistent")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """A server of S3 as others have written it."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  takes a second to import

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket, which the environment leads to."""
    for method, path in (("POST", "moto-api/reset"), ("PUT", "bucket")):
        urlopen(Request(f"{s3_url}/{path}", method=method), timeout=10).close()  # noqa: S310  on loopback
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    return S3Store("bucket", client_options={"allow_http": True})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server that misbehaves, as the endpoint of S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        server.files |= {"/bucket/big.bin": BIG, "/bucket/empty.csv": b""}
        yield server


def put(s3_url: str, name: str, content: bytes) -> None:
    """Write an object with a name that the client would not write."""
    request = Request(f"{s3_url}/bucket/{name}", data=content, method="PUT")  # noqa: S310  on loopback
    urlopen(request, timeout=10).close()  # noqa: S310


def code_of(source: str) -> str:
    with pytest.raises(SourceError) as refused:
        open_remote(source, ACCESS, None, patience=IMPATIENT)
    assert "hunter2" not in str(refused.value)
    return refused.value.error_code


def test_an_object_is_read_at_any_position(bucket: S3Store) -> None:
    obstore.put(bucket, "in/big.bin", BIG)
    file = open_remote("s3://bucket/in/big.bin", ACCESS, None)
    assert (file.name, file.size_bytes) == ("s3://bucket/in/big.bin", len(BIG))
    assert file.modified_ns > 0
    rng = random.Random(1)  # noqa: S311  no secret
    for position in [rng.randrange(len(BIG)) for _ in range(30)]:
        size = rng.choice([1, 1000, 70_000, 5_000_000])
        assert file.read(position, size) == BIG[position : position + size]
    stream = file.stream()
    assert b"".join(iter(lambda: stream.read(1 << 19), b"")) == BIG
    file.close()


def test_an_object_is_read_like_a_local_file(bucket: S3Store) -> None:
    obstore.put(bucket, "in/a.csv", CSV)
    with open_stored(open_remote("s3://bucket/in/a.csv", ACCESS, None), ReadOptions()) as source:
        assert source.header == ["id", "name"]
        assert sum(b.record_count for b in source.batches(None, max_rows=10, max_bytes=1 << 20)) == 2


def test_names_of_objects_are_taken_as_they_stand(bucket: S3Store) -> None:
    names = ["in/a b+c.csv", "in/a%20b.csv", "in/Zoë?#&;.csv", "in/[1].csv", "in/a\\b.csv"]
    for name in names:
        obstore.put(bucket, name, name.encode())
    for name in names:
        file = open_remote(f"s3://bucket/{name}", ACCESS, None)
        assert file.read(0, 100) == name.encode()
    assert [entry.name for entry in list_remote("s3://bucket/in/", ACCESS, None, 10)] == sorted(
        f"s3://bucket/{name}" for name in names
    )


def test_an_object_that_is_replaced_while_it_is_read_is_not_read_on(bucket: S3Store) -> None:
    obstore.put(bucket, "big.bin", BIG)
    file = open_remote("s3://bucket/big.bin", ACCESS, None)
    assert file.read(0, 10) == BIG[:10]
    obstore.put(bucket, "big.bin", BIG[::-1])
    with pytest.raises(SourceChanged, match=r"s3://bucket/big\.bin was changed"):
        file.read(2 * BLOCK_BYTES, 10)


def test_missing_objects_and_buckets_and_directories_are_told_apart_from_trouble(bucket: S3Store) -> None:
    obstore.put(bucket, "empty.csv", b"")
    assert code_of("s3://bucket/none.csv") == "source_missing"
    assert code_of("s3://other/none.csv") == "source_missing"
    assert code_of("s3://bucket/in/") == "source_is_directory"
    assert code_of("s3://bucket/empty.csv") == "source_empty"
    assert code_of("s3://bucket/a//b.csv") == "source_unsupported"
    assert code_of("s3://elsewhere/a.csv") == "source_forbidden"


def test_a_directory_and_a_pattern_stand_for_objects_in_order_of_their_names(bucket: S3Store) -> None:
    for name in ("in/b.csv", "in/a.csv", "in/a.txt", "in/deep/c.csv", "inner/d.csv", "e.csv"):
        obstore.put(bucket, name, CSV)

    def names(source: str) -> list[str]:
        return [entry.name.removeprefix("s3://bucket/") for entry in list_remote(source, ACCESS, None, 10)]

    assert names("s3://bucket/in/") == ["in/a.csv", "in/a.txt", "in/b.csv", "in/deep/c.csv"]
    assert names("s3://bucket/in/*.csv") == ["in/a.csv", "in/b.csv"]
    assert names("s3://bucket/in/**/*.csv") == ["in/a.csv", "in/b.csv", "in/deep/c.csv"]
    assert names("s3://bucket/*/[!ab].csv") == ["inner/d.csv"]
    assert names("s3://bucket/in/?.t*") == ["in/a.txt"]
    (entry,) = list_remote("s3://bucket/e*", ACCESS, None, 10)
    assert entry.size_bytes == len(CSV)
    assert entry.modified_ns == open_remote(entry.name, ACCESS, None).modified_ns > 0


def test_a_list_is_bounded_and_never_empty(bucket: S3Store) -> None:
    for number in range(5):
        obstore.put(bucket, f"in/{number}.csv", CSV)
    assert len(list_remote("s3://bucket/in/", ACCESS, None, 5)) == 5
    for source, files_max, code in (
        ("s3://bucket/in/", 4, "source_too_large"),
        ("s3://bucket/out/", 4, "source_missing"),
        ("s3://bucket/in/x*", 4, "source_missing"),
        ("s3://other/in/", 4, "source_missing"),
    ):
        with pytest.raises(SourceError) as refused:
            list_remote(source, ACCESS, None, files_max)
        assert refused.value.error_code == code


def test_a_bucket_without_end_is_not_looked_through(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_LOOKED_AT_MAX", 2)
    for number in range(3):
        obstore.put(bucket, f"in/{number}.csv", CSV)
    with pytest.raises(SourceError, match="more than 2 objects") as refused:
        list_remote("s3://bucket/in/x*", ACCESS, None, 9)
    assert refused.value.error_code == "source_too_large"


def test_a_list_of_more_than_one_page_is_whole(bucket: S3Store) -> None:
    from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: PLC0415  as above
    from moto.s3.models import s3_backends  # noqa: PLC0415

    for number in range(1100):  # one request each would take seconds
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("bucket", f"in/{number:04}.csv", b"x")
    entries = list_remote("s3://bucket/in/", ACCESS, None, 2000)
    assert [entry.name[-8:-4] for entry in entries] == [f"{number:04}" for number in range(1100)]


def test_empty_objects_that_stand_for_directories_are_no_files(bucket: S3Store, s3_url: str) -> None:
    put(s3_url, "in/", b"")
    put(s3_url, "in/deep/", b"")
    obstore.put(bucket, "in/deep/a.csv", CSV)
    assert [e.name for e in list_remote("s3://bucket/in/", ACCESS, None, 9)] == ["s3://bucket/in/deep/a.csv"]


def test_an_object_whose_name_the_client_cannot_read_is_named(bucket: S3Store, s3_url: str) -> None:
    put(s3_url, "in//a.csv", CSV)
    with pytest.raises(SourceError, match=r"in//a\.csv"):
        list_remote("s3://bucket/in/", ACCESS, None, 9)


def test_a_list_stays_inside_of_what_is_allowed(bucket: S3Store) -> None:
    obstore.put(bucket, "in/a.csv", CSV)
    access = RemoteAccess(allowed=("s3://bucket/in/",))
    assert len(list_remote("s3://bucket/in/*", access, None, 9)) == 1
    for source in ("s3://bucket/", "s3://bucket/*", "s3://bucket/i*/a.csv"):
        with pytest.raises(SourceError) as refused:
            list_remote(source, access, None, 9)
        assert refused.value.error_code == "source_forbidden"
    with pytest.raises(SourceError, match="limited to"):
        list_remote("s3://bucket/in/*", access, ("s3://bucket/team/",), 9)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503),
        Fault(status=429),
        Fault(drop_after=0),
        Fault(drop_after=1_500_000),
        Fault(stall_after=1_500_000),
        Fault(says_length=2 * BLOCK_BYTES),
        Fault(says_length=1000),
    ],
    ids=str,
)
def test_what_goes_wrong_once_is_tried_again_from_where_it_broke_off(server: FileServer, fault: Fault) -> None:
    file = open_remote("s3://bucket/big.bin", ACCESS, None, patience=IMPATIENT)
    server.faults.append(fault)
    half = BLOCK_BYTES // 2  # the whole block is fetched, and none ahead
    assert file.read(0, half) == BIG[:half]
    begun = [int(seen.headers["range"].removeprefix("bytes=").partition("-")[0]) for seen in server.seen[1:3]]
    assert begun[0] == 0
    if fault.drop_after or fault.stall_after:
        assert begun[1] > 1_000_000


def test_what_stays_wrong_ends_in_time_and_is_tried_again_by_the_job(server: FileServer) -> None:
    file = open_remote("s3://bucket/big.bin", ACCESS, None, patience=HASTY)
    for fault in (Fault(status=500), Fault(drop_after=0), Fault(stall_after=0)):
        server.always = fault
        with pytest.raises(SourceUnavailable, match=r"s3://bucket/big\.bin cannot be reached"):
            file.read(BLOCK_BYTES, 10)
    server.always = Fault(status=500)
    with pytest.raises(SourceUnavailable):
        open_remote("s3://bucket/big.bin", ACCESS, None, patience=HASTY)
    with pytest.raises(SourceUnavailable):
        list_remote("s3://bucket/in/", ACCESS, None, 10, patience=HASTY)


def test_an_object_without_a_strong_tag_is_known_by_what_there_is(server: FileServer) -> None:
    later = Fault(headers={"Last-Modified": "Fri, 01 Jan 2027 00:00:00 GMT"})
    for etag, other in (('W/"one"', 'W/"two"'), (None, None)):
        server.etag = etag
        file = open_remote("s3://bucket/big.bin", ACCESS, None, patience=IMPATIENT)
        assert file.read(5, 10) == BIG[5:15]
        server.etag = other
        server.faults.extend([later] if other is None else [])
        with pytest.raises(SourceChanged):
            file.read(2 * BLOCK_BYTES, 10)


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "source_forbidden"), (401, "source_forbidden"), (400, "source_unreadable"), (301, "source_unreadable")],
)
def test_a_refusal_is_final_and_says_what_was_looked_for(server: FileServer, status: int, code: str) -> None:
    server.always = Fault(status=status)
    with pytest.raises(SourceError) as refused:
        open_remote("s3://bucket/big.bin", ACCESS, None, patience=IMPATIENT)
    assert refused.value.error_code == code
    assert ("AWS_ACCESS_KEY_ID" in str(refused.value)) == (code == "source_forbidden")
    assert ("AWS_REGION" in str(refused.value)) == (status == 301)
    assert "hunter2" not in str(refused.value)


def test_without_any_credentials_the_message_says_which_were_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY") as refused:
        open_remote("s3://bucket/a.csv", ACCESS, None, patience=HASTY)
    assert refused.value.error_code == "source_forbidden"


def test_an_endpoint_that_is_no_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint in ("", "minio:9000", "http://"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(SourceError, match="AWS_ENDPOINT_URL"):
            open_remote("s3://bucket/a.csv", ACCESS, None, patience=HASTY)


def test_a_panic_of_the_client_fails_the_job_and_not_the_daemon(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_endpoint", lambda _: server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no url")
    with pytest.raises(SourceError, match="the client failed"):
        open_remote("s3://bucket/a.csv", ACCESS, None, patience=HASTY)


def test_google_s_objects_are_read_by_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        monkeypatch.setenv("GOOGLE_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
        server.files["/bucket/in/a.csv"] = CSV
        file = open_remote("gs://bucket/in/a.csv", ACCESS, None, patience=IMPATIENT)
        assert (file.name, file.read(3, 4)) == ("gs://bucket/in/a.csv", CSV[3:7])
        assert file.modified_ns == LAST_MODIFIED * 1_000_000_000
        server.etag = '"two"'
        with pytest.raises(SourceChanged):
            file.read(5, 1)
        assert code_of("gs://bucket/none.csv") == "source_missing"


def test_azure_s_objects_are_read_by_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", server.url)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
        server.files["/container/in/a.csv"] = CSV
        file = open_remote("az://container/in/a.csv", ACCESS, None, patience=IMPATIENT)
        assert (file.name, file.read(0, 99)) == ("az://container/in/a.csv", CSV)
        monkeypatch.delenv("AZURE_SKIP_SIGNATURE")
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2020&sig=hunter2")
        server.always = Fault(status=400)
        assert code_of("az://container/in/a.csv") == "source_unreadable"
        assert "hunter2" in server.seen[-1].target


def test_credentials_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")
    with pytest.raises(SourceError, match="GOOGLE_APPLICATION_CREDENTIALS") as refused:
        open_remote("gs://bucket/a.csv", ACCESS, None, patience=HASTY)
    assert refused.value.error_code == "source_forbidden"
    with pytest.raises(SourceError, match="AZURE_STORAGE_ACCOUNT") as refused:
        open_remote("az://container/a.csv", ACCESS, None, patience=HASTY)
    assert refused.value.error_code == "source_forbidden"


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    for ask in (
        lambda: open_remote("s3://bucket/a", ACCESS, None),
        lambda: list_remote("s3://bucket/", ACCESS, None, 1),
    ):
        with pytest.raises(SourceError, match=r"install jobd\[s3\]") as refused:
            ask()
        assert refused.value.error_code == "source_unsupported"
