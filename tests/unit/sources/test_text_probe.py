# ruff: noqa: RUF001  the languages are written in their own letters
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.sources.formats.detect import SAMPLE_BYTES
from jobd.sources.formats.text_probe import likely_codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import Source

WESTERN = {
    "German": "Straße;Größe\nKöln, Düsseldorf;Übermut\n„schön“;5 €\nÄrger;ß\n",
    "French": "prénom;ville\nHélène;Besançon\nl’été;déjà vu « ici »\nŒuvre;naïve…\n",
    "Spanish": "año;país\n¿Qué?;España\nniño;¡Olé!\n1º;2ª\n",
    "Nordic": "by;gade\nÅrhus;Ærø\nMalmö;Smørrebrød\nÞór;Reykjavík\n",
    "Portuguese": "coração;não\nSão João;pão-de-ló\n",
    "figures": "t;x\n20 °C;±3 µm\n5 £;3½\n",
}
OTHERS = {
    "cp1251": "имя;город\nИван;Москва\n",
    "koi8-r": "имя;город\nИван;Москва\n",
    "cp866": "имя;город\nИван;Москва\n",
    "cp1253": "όνομα;πόλη\nΓιώργος;Αθήνα\n",
    "cp1255": "שם;עיר\nדוד;ירושלים\n",
    "cp1256": "اسم;مدينة\nمحمد;القاهرة\n",
    "cp874": "ชื่อ;เมือง\nสมชาย;กรุงเทพ\n",
    "shift_jis": "名前;都市\n太郎;東京\n",
    "gb18030": "姓名;城市\n张伟;北京\n",
    "euc-kr": "이름;도시\n철수;서울\n",
    "big5": "姓名;城市\n志明;臺北\n",
    "cp1250": "imię;miasto\nŁukasz;Łódź\nMałgorzata;Wałbrzych\nZbyszek;Żółć\n",
}


@pytest.mark.parametrize("language", WESTERN)
def test_western_text_that_is_not_utf_8_is_windows_1252(language: str) -> None:
    assert likely_codec(WESTERN[language].encode("cp1252")) == "cp1252"
    assert likely_codec(WESTERN[language].encode()) == "utf-8"


@pytest.mark.parametrize("codec", OTHERS)
def test_other_code_pages_are_not_taken_for_western_text(codec: str) -> None:
    assert likely_codec(OTHERS[codec].encode(codec)) == "utf-8"  # whose records are refused, with a hint
    assert likely_codec(OTHERS[codec].encode()) == "utf-8"


@pytest.mark.parametrize("text", [*WESTERN.values(), *OTHERS.values(), "id;name\n1;a\n"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_are_known_by_their_nuls(text: str, codec: str) -> None:
    assert likely_codec(text.encode(codec)) == codec


def test_a_few_broken_bytes_do_not_make_utf_8_another_encoding(opened: Callable[..., Source]) -> None:
    lines = [b"%d;caf\xc3\xa9" % number for number in range(100)]
    lines[50] = b"50;caf\xe9"
    source = opened(b"a;b\n" + b"\n".join(lines) + b"\n")
    batch = source.reader().read(1000, 1 << 20)
    assert batch is not None
    assert source.detected["encoding"] == "utf-8"
    assert [(each.row_number, each.code) for each in batch.refused] == [(51, "undecodable")]
    assert likely_codec(b"a\n\xc3\xa9 \xe9\n") == "utf-8"  # as many are well-formed as broken
    assert likely_codec(b"a\n\xc3\xa9" + b" d\xe9j\xe0 vu\n" * 20) == "cp1252"  # well-formed by chance, once
    assert likely_codec(b"a;b\n1;\xff\n") == "utf-8"  # no letter of any western word
    assert likely_codec(b"a;b\n1;\x81x\n") == "utf-8"


def test_a_sample_may_end_inside_a_character(opened: Callable[..., Source]) -> None:
    for filling in range(3):
        content = b"a;b\n" + b"x" * filling + "日;日\n".encode() * (SAMPLE_BYTES // 8 + 10)
        assert opened(content).detected["encoding"] == "utf-8"


@pytest.mark.parametrize("name", ["windows-1250", "Windows1251", "WINDOWS_874", "windows 1252", "ansi_x3.4-1968"])
def test_windows_code_pages_are_known_by_their_usual_names(opened: Callable[..., Source], name: str) -> None:
    assert opened(b"a;b\n1;2\n", encoding=name).header == ["a", "b"]


def test_what_was_guessed_is_shown_and_frozen(opened: Callable[..., Source]) -> None:
    content = "name;ort\nJürgen;Köln\n".encode("cp1252")
    source = opened(content)
    assert (source.detected["encoding"], source.dialect.encoding) == ("cp1252", "WIN1252")
    batch = opened(content, detected=source.detected).reader().read(10, 1 << 20)
    assert batch is not None
    assert [value.text for value in batch.fields(0)] == ["Jürgen", "Köln"]
