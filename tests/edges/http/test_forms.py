"""Forms with files, as clients send them."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregao.edges.http.forms import FormError, read_form
from tests.properties import quick


def sent(**fields) -> tuple[str, bytes]:
    """Give what a client sends: bytes are a file, text is a field."""
    files = {name: (f"{name}.csv", value) for name, value in fields.items() if isinstance(value, bytes)}
    data = {name: value for name, value in fields.items() if isinstance(value, str)}
    request = httpx.Request("POST", "http://desk.test/", files=files, data=data)
    return request.headers["content-type"], request.read()


class TestReadForm:
    def test_gives_fields_and_files_as_they_were(self):
        content = b'a,b\r\n"1\r\n2",\xff\x00\r\n\r\n'

        assert read_form(*sent(token="t", file=content)) == {"token": b"t", "file": content}

    @given(st.binary(max_size=200))
    @quick
    def test_gives_every_file_as_it_was(self, content):
        assert read_form(*sent(file=content))["file"] == content

    @given(st.binary(max_size=60))
    @quick
    def test_reads_anything_or_says_that_it_is_no_form(self, body):
        with contextlib.suppress(FormError):
            fields = read_form('multipart/form-data; boundary="x"', b"--x" + body + b"\r\n--x--")
            assert all(value in body for value in fields.values())

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("text/csv", b"a,b"),
            ("multipart/form-data", b"--x--"),
            ("multipart/form-data; boundary=x", b""),
            ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb'),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\nb\r\n--x--\r\n"),
        ],
    )
    def test_refuses_what_is_none(self, content_type, body):
        with pytest.raises(FormError):
            read_form(content_type, body)
