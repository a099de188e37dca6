"""Jobs together never pass the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import PaymentError
from cocoon.gateway.allowance import Allowance
from contracts.units import NanoTon

LIMIT = 1000
steps = st.tuples(st.integers(0, 4), st.integers(0, 600), st.integers(0, 100))


@given(st.lists(steps, max_size=40))
def test_spent_and_reserved_never_pass_the_limit(events):
    allowance, running = Allowance(NanoTon(LIMIT)), {}
    for job, worst, percent in events:
        if job in running:
            paid = running.pop(job) * percent // 100
            spent = allowance.spent
            allowance.settle(job, NanoTon(paid))
            assert allowance.spent == spent + paid
        else:
            left = allowance.left
            try:
                allowance.reserve(job, NanoTon(worst))
            except PaymentError:
                assert worst > left == allowance.left
            else:
                running[job] = worst
        assert allowance.left == LIMIT - allowance.spent - sum(running.values()) >= 0


def test_a_second_provider_of_the_same_job_replaces_what_the_first_reserved():
    allowance = Allowance(NanoTon(100))
    allowance.reserve(1, NanoTon(80))
    allowance.reserve(1, NanoTon(95))
    assert allowance.left == 5
    with pytest.raises(PaymentError):
        allowance.reserve(1, NanoTon(101))
    assert allowance.left == 5
