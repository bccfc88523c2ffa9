"""Can this machine be traced?"""

from ttrace.capture.doctor import State, examine


def test_doctor_finds_a_capable_machine_and_changes_nothing(network, router):
    before = network.run(network.router, "nft", "list", "ruleset")
    with router.entered():
        findings = {finding.name: finding for finding in examine()}
    assert network.run(network.router, "nft", "list", "ruleset") == before
    for name in ("rights", "libpcap", "libnftables", "tracing table", "netfilter events", "packet rings"):
        assert findings[name].state is State.OK, findings[name]
    assert findings["interfaces"].text.endswith("br0, veth0, eth0")
