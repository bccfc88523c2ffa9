"""Rules as people write them."""

import pytest

from ttrace.correlate.why_not.asked import read_asked
from ttrace.errors import UsageError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DOCKER-USER 1", {"chain": "DOCKER-USER", "number": 1}),
        ("filter FORWARD 3", {"table": "filter", "chain": "FORWARD", "number": 3}),
        ("ip filter DOCKER-USER 1", {"family": "ip", "table": "filter", "chain": "DOCKER-USER", "number": 1}),
        ("ip filter DOCKER-USER rule 1", {"family": "ip", "table": "filter", "chain": "DOCKER-USER", "number": 1}),
        ("iptables -t nat DOCKER 2", {"family": "ip", "table": "nat", "chain": "DOCKER", "number": 2}),
        ("-t nat -A DOCKER 2", {"table": "nat", "chain": "DOCKER", "number": 2}),
        ("ip6tables FORWARD #4", {"family": "ip6", "chain": "FORWARD", "number": 4}),
        ("inet fw forw handle 7", {"family": "inet", "table": "fw", "chain": "forw", "handle": 7}),
        ("inet fw forw rule with handle 7", {"family": "inet", "table": "fw", "chain": "forw", "handle": 7}),
        ("inet fw forw 2", {"family": "inet", "table": "fw", "chain": "forw", "number": 2}),
        ("handle 7", {"handle": 7}),
        ("slave: DOCKER-USER 1", {"where": "slave", "chain": "DOCKER-USER", "number": 1}),
        ("web1 on slave: INPUT 1", {"where": "web1 on slave", "chain": "INPUT", "number": 1}),
    ],
)
def test_what_people_write_is_read(text, said):
    asked = read_asked(text)
    nothing = {"where": "", "family": "", "table": "", "chain": "", "number": None, "handle": None}
    assert {name: getattr(asked, name) for name in nothing} == nothing | said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("DOCKER-USER", "no number"), ("", "no number"), ("DOCKER-USER one", "no number"), ("1", "no chain"),
        ("DOCKER-USER 0", "from 1"), ("filter x FORWARD 3", "no family"), ("a b c d e 3", "more words"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why_and_how_to_write_it(text, why):
    with pytest.raises(UsageError, match=why) as error:
        read_asked(text)
    assert "DOCKER-USER 1" in error.value.hint
