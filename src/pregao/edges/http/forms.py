"""Forms with files in them (RFC 7578), as browsers and curl send them."""

import re
from email.message import Message

NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data;.*?\bname="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE
)
PARTS_MAX = 20


class FormError(Exception):
    """The body is no such form; the text says why."""


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """
    Give the fields of a form by their names; of two with one name the last.

    :raises FormError: when it is none.
    """
    told = Message()
    told["Content-Type"] = content_type
    boundary = told.get_boundary()
    if told.get_content_type() != "multipart/form-data" or not boundary:
        raise FormError("it is no multipart/form-data")
    # The first boundary has no line before it.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"), PARTS_MAX + 2)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise FormError(f"it does not end, or has more than {PARTS_MAX} parts")
    return dict(map(_field, parts[1:-1]))


def _field(part: bytes) -> tuple[str, bytes]:
    heading, found, content = part.partition(b"\r\n\r\n")
    name = NAME.search(heading)
    if not found or name is None:
        raise FormError("a part has no name")
    return name[1].decode("utf-8", "replace"), content
