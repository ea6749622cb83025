"""Texts become fixed-length UTF-8, whatever bytes a file name holds."""

import os

from hpcjobs.data.schema import text, texts


def test_bytes_that_are_no_text_are_kept_as_escapes() -> None:
    name = os.fsdecode(b"caf\xc3\xa9\xff.h5")
    assert text(name).item().decode() == "café\\udcff.h5"
    assert [value.decode() for value in texts([name, ""])] == ["café\\udcff.h5", " "]
