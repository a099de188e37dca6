"""Reads ``multipart/form-data`` in memory: a voice note never lies in a file of ours."""

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cocoon.gateway.problems import ApiProblem

PARTS_MAX: Final = 16
HEADERS_MAX: Final = 8
HEADER_BYTES_MAX: Final = 1024
VALUE_BYTES_MAX: Final = 4096


@dataclass(slots=True)
class _Part:
    name: str = ""
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent: *fields* by name, and the contents of the one *file*."""

    fields: dict[str, str]
    file: bytes


class _Reader:
    """Collects the parser's calls into parts."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.whole = False
        self._name = bytearray()
        self._value = bytearray()

    def on_part_begin(self) -> None:
        if len(self.parts) == PARTS_MAX:
            raise ApiProblem(400, "invalid_form", f"more than {PARTS_MAX} parts")
        self.parts.append(_Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self.parts[-1].name = options.get(b"name", b"").decode("utf-8", "replace")
            self.parts[-1].is_file = b"filename" in options
        self._name.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.data += data[start:end]
        if not part.is_file and len(part.data) > VALUE_BYTES_MAX:
            raise ApiProblem(400, "invalid_form", f"the field {part.name[:64]!r} is too long")

    def on_end(self) -> None:
        self.whole = True


def read_form(body: bytes, content_type: str) -> Form:
    """Parse a form with one file.

    Args:
        body: the request's body; the caller has bounded it.
        content_type: the request's header.

    Raises:
        ApiProblem: it is no such form, or not whole.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise ApiProblem(400, "invalid_form", "send multipart/form-data, with the part 'file'")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_part_data": reader.on_part_data,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_end": reader.on_end,
            },
            max_header_count=HEADERS_MAX,
            max_header_size=HEADER_BYTES_MAX,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise ApiProblem(400, "invalid_form", f"broken multipart/form-data: {error}") from error
    if not reader.whole:
        raise ApiProblem(400, "invalid_form", "the form ends in the middle")
    return _form_of(reader.parts)


def _form_of(parts: list[_Part]) -> Form:
    files = [part for part in parts if part.is_file]
    if len(files) != 1 or files[0].name != "file":
        raise ApiProblem(400, "invalid_form", "one file is needed, as the part 'file'")
    fields = {p.name: p.data.decode("utf-8", "replace") for p in parts if not p.is_file}
    return Form(fields, bytes(files[0].data))
