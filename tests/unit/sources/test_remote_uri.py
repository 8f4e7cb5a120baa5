from __future__ import annotations

import pytest

from jobd.errors import SourceError
from jobd.sources.places.access import RemoteAccess, require_allowed
from jobd.sources.places.remote import is_listing, open_remote
from jobd.sources.places.uri import is_remote, masked, parse_prefix, parse_uri

WEB = RemoteAccess(allowed=("https://files.example.com/exports/",))


def refusal(source: str, access: RemoteAccess = WEB, prefixes: tuple[str, ...] | None = None) -> SourceError:
    with pytest.raises(SourceError) as refused:
        require_allowed(parse_uri(source), access, prefixes)
    return refused.value


def is_allowed(source: str, *allowed: str) -> bool:
    try:
        require_allowed(parse_uri(source), RemoteAccess(allowed=allowed), None)
    except SourceError as error:
        return error.error_code != "source_forbidden"
    return True


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("HTTPS://Files.Example.COM:443/a.csv", "https://files.example.com/a.csv"),
        ("https://files.example.com./a.csv", "https://files.example.com/a.csv"),
        ("https://files.example.com", "https://files.example.com/"),
        ("https://files.example.com:/%7Eme/%61.csv", "https://files.example.com/~me/a.csv"),
        ("https://files.example.com/a/./b/../c%2fd.csv", "https://files.example.com/a/c%2Fd.csv"),
        ("https://files.example.com/Zoë's 100%.csv", "https://files.example.com/Zo%C3%AB's%20100%25.csv"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://files。example.com/a", "https://files.example.com/a"),
        ("https://\uff11\uff12\uff17.0.0.1/a", "https://127.0.0.1/a"),
        ("http://[0:0::1]:80/a", "http://[::1]/a"),
        ("http://[::ffff:127.0.0.1]:8080/a", "http://[::ffff:7f00:1]:8080/a"),
        ("https://files.example.com/a.csv?signature=secret", "https://files.example.com/a.csv"),
        ("s3://bucket/a b/%2F+é#?.csv", "s3://bucket/a b/%2F+é#?.csv"),
        ("S3://bucket/in/", "s3://bucket/in/"),
        ("az://$web/a.csv", "az://$web/a.csv"),
    ],
)
def test_each_place_has_one_spelling(source: str, name: str) -> None:
    assert parse_uri(source).name == name
    assert parse_uri(name) == parse_uri(parse_uri(name).name)


@pytest.mark.parametrize(
    "source",
    [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.5/",
        "http://999.0.0.1/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1]x/",
        "http:///a.csv",
        "http://a..example.com/",
        "http://example.com../",
        "http://exa mple.com/",
        "http://straße.example/",
        "http://example%2ecom/",
        "http://example.com:99999/",
        "http://example.com:8o/",
        "http://example.com:80:80/",
        "s3:///key",
        "s3://b/key",
        "s3://bucket?x/key",
        "s3://bucket/" + "x" * 9000,
    ],
)
def test_hosts_that_one_library_reads_so_and_another_otherwise_are_none(source: str) -> None:
    with pytest.raises(SourceError) as refused:
        parse_uri(source)
    assert refused.value.error_code == "source_missing"


@pytest.mark.parametrize(
    "path",
    [
        "..%2fsecret.csv",
        "%2e%2e%2fsecret.csv",
        "%252e%252e/secret.csv",
        "%25252e%25252e%25252fsecret.csv",
        "..;/secret.csv",
        "..%5csecret.csv",
        "a/%2e%2e;x=1/secret.csv",
        "a%00.csv",
        "a%0d%0aX: y",
    ],
)
def test_steps_upwards_that_only_a_server_would_see_are_refused(path: str) -> None:
    for place in ("https://files.example.com/exports/", "s3://bucket/in/"):
        with pytest.raises(SourceError) as refused:
            parse_uri(place + path)
        assert refused.value.error_code == "source_forbidden"


def test_steps_upwards_in_clear_lead_where_they_lead_and_are_judged_there() -> None:
    assert "outside the remote places" in str(refusal("https://files.example.com/exports/../secret.csv"))
    assert "outside the remote places" in str(refusal("https://files.example.com/exports/%2e%2E/secret.csv"))
    require_allowed(parse_uri("https://files.example.com/x/../exports/./a.csv"), WEB, None)


def test_a_backslash_is_no_slash() -> None:
    assert refusal("https://files.example.com\\@evil.example/exports/a").error_code == "source_forbidden"
    assert refusal("https://files.example.com/exports\\..\\a").error_code == "source_forbidden"


def test_prefixes_are_compared_in_whole_parts() -> None:
    assert is_allowed("s3://bucket/in/a.csv", "s3://bucket/in")
    assert is_allowed("s3://bucket/in", "s3://bucket/in")
    assert is_allowed("s3://bucket/in/", "s3://bucket/in/")
    assert is_allowed("s3://bucket/anything", "s3://bucket")
    assert not is_allowed("s3://bucket/inner/a.csv", "s3://bucket/in")
    assert not is_allowed("s3://bucket/in", "s3://bucket/in/")
    assert not is_allowed("s3://bucket2/in/a.csv", "s3://bucket")
    assert not is_allowed("gs://bucket/in/a.csv", "s3://bucket")
    assert not is_allowed("https://files.example.com.evil.example/exports/a", *WEB.allowed)
    assert not is_allowed("https://files.example.com:8443/exports/a", *WEB.allowed)
    assert not is_allowed("http://files.example.com/exports/a", *WEB.allowed)
    assert is_allowed("https://FILES.example.com.:443/exports/a", *WEB.allowed)
    assert not is_allowed("https://files.example.com/exports/a")


def test_the_submitter_s_limits_count_besides_the_daemon_s() -> None:
    access = RemoteAccess(allowed=("s3://bucket",))
    require_allowed(parse_uri("s3://bucket/team/a.csv"), access, ("/srv/in", "s3://bucket/team"))
    refused = refusal("s3://bucket/other/a.csv", access, ("/srv/in", "s3://bucket/team"))
    assert "limited to: /srv/in, s3://bucket/team" in str(refused)
    assert refusal("s3://bucket/a.csv", access, ()).error_code == "source_forbidden"
    assert "JOBD_REMOTE_ALLOW" in str(refusal("s3://elsewhere/team/a.csv", access, ("s3://elsewhere",)))


def test_nothing_is_allowed_by_default_and_the_setting_is_named() -> None:
    with pytest.raises(SourceError, match=r"none are set\. Set JOBD_REMOTE_ALLOW"):
        open_remote("s3://bucket/a.csv", RemoteAccess(allowed=()), None)


@pytest.mark.parametrize(
    "source",
    [
        "https://user:hunter2@files.example.com/exports/a.csv",
        "https://hunter2@files.example.com/exports/a.csv",
        "https://user:hunter2@files.example.com/exports/a.csv?hunter2#hunter2",
        "s3://AKIA:hunter2@bucket/a.csv",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(source: str) -> None:
    refused = refusal(source)
    assert refused.error_code in {"source_forbidden", "source_unsupported"}
    assert "hunter2" not in str(refused)
    assert "hunter2" not in masked(source)


def test_no_message_repeats_a_query() -> None:
    for source in (
        "https://files.example.com/secret.csv?X-Amz-Signature=hunter2",
        "https://files.example.com:0/a?hunter2",
        "https://127.1/a?hunter2",
        "ftp://files.example.com/a?hunter2",
    ):
        with pytest.raises(SourceError) as refused:
            open_remote(source, WEB, None)
        assert "hunter2" not in str(refused.value)


def test_schemes_that_are_not_read_say_what_to_write_instead() -> None:
    for source, hint in (
        ("abfss://c@account.dfs.core.windows.net/a", "az://container/name"),
        ("s3a://bucket/a", "s3://bucket/name"),
        ("ftp://host/a", "can be read"),
        ("gopher://host/a", "s3, gs, az, https and http"),
    ):
        with pytest.raises(SourceError, match=hint) as refused:
            parse_uri(source)
        assert refused.value.error_code == "source_unsupported"


def test_a_prefix_is_judged_when_it_is_set() -> None:
    assert parse_prefix("https://Files.example.com").name == "https://files.example.com/"
    for text in (
        "bucket/in",
        "https://",
        "https://u:p@host/",
        "s3://bucket/../x",
        "https://host/?a=b",
        "ftp://host",
    ):
        with pytest.raises(ValueError, match=r"prefix|valid|user|upwards|query|cannot be read"):
            parse_prefix(text)


def test_local_names_are_not_remote_and_only_stores_have_lists() -> None:
    assert [is_remote(name) for name in ("/a/b", "file:///a", "FILE:///a", "/odd/a://b", "s3://b/a")] == [
        False,
        False,
        False,
        False,
        True,
    ]
    assert is_listing("s3://bucket/in/")
    assert is_listing("gs://bucket/in/*.csv")
    assert not is_listing("s3://bucket/in/a.csv")
    assert not is_listing("https://files.example.com/export/?x=*")
