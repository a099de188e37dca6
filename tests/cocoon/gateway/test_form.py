"""Forms are read in memory, whole, and within bounds."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.gateway.form import PARTS_MAX, VALUE_BYTES_MAX, read_form
from cocoon.gateway.problems import ApiProblem


def sent(fields: dict[str, str], files: dict[str, bytes]) -> tuple[bytes, str]:
    request = httpx.Request(
        "POST", "http://x/", data=fields, files={k: (k, v) for k, v in files.items()}
    )
    return request.read(), request.headers["content-type"]


@given(
    st.binary(max_size=300),
    st.dictionaries(st.sampled_from("abcdef"), st.text(max_size=20), max_size=5),
)
def test_what_a_client_puts_in_comes_out(data, fields):
    form = read_form(*sent(fields, {"file": data}))
    assert form.file == data
    assert form.fields == fields


@given(st.data())
def test_a_form_that_is_cut_or_damaged_is_refused_or_read(data):
    body, kind = sent({"model": "m"}, {"file": bytes(range(100))})
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ApiProblem):
        read_form(body[: min(cut, len(body) - 6)], kind)
    damaged = bytearray(body)
    damaged[cut] ^= data.draw(st.integers(1, 255))
    try:
        read_form(bytes(damaged), kind)
    except ApiProblem as problem:
        assert problem.status == 400


def test_bounds_hold():
    too_many = {str(number): "" for number in range(PARTS_MAX + 1)}
    for fields, files in (
        (too_many, {"file": b"x"}),
        ({"a": "x" * (VALUE_BYTES_MAX + 1)}, {"file": b"x"}),
        ({}, {"other": b"x"}),
        ({}, {"file": b"x", "another": b"y"}),
    ):
        with pytest.raises(ApiProblem):
            read_form(*sent(fields, files))
    for kind in ("", "application/json", "multipart/form-data", 'multipart/form-data; boundary=""'):
        with pytest.raises(ApiProblem):
            read_form(b"x", kind)
