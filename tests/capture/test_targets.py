"""Which namespaces and interfaces are captured."""

from ttrace.capture import CaptureOptions
from ttrace.capture.targets import resolve_targets


def test_container_names_are_known_without_capturing_in_them(docker, router):
    with router.entered():
        targets = resolve_targets(CaptureOptions())
    assert [target.netns.label for target in targets.targets] == ["root"]
    assert [(container.name, label) for container, label in targets.containers] == [("web1", "web1")]
    assert next(link for link in targets.targets[0].links if link.name == "veth0").peer_netns == "web1"
    targets.close()
    assert docker


def test_named_namespace_beside_a_container_of_that_name_has_a_label_of_its_own(
    docker, network, router, monkeypatch, tmp_path
):
    monkeypatch.setattr("ttrace.capture.machine.netns.NAMED_DIRECTORY", tmp_path / "netns")
    (tmp_path / "netns").mkdir()
    (tmp_path / "netns" / "web1").symlink_to(f"/run/netns/{network.server}")
    with router.entered():
        targets = resolve_targets(CaptureOptions(netns=("web1",), containers=True))
    assert [target.netns.label for target in targets.targets] == ["root", "netns:web1", "web1"]
    peers = {link.name: link.peer_netns for link in targets.targets[0].links}
    assert (peers["eth0"], peers["veth0"]) == ("netns:web1", "web1")
    targets.close()
    assert docker


def test_a_process_id_of_a_container_gets_the_containers_name(docker, router):
    with router.entered():
        targets = resolve_targets(CaptureOptions(netns=(str(docker),)))
    assert {target.netns.label for target in targets.targets} == {"root", "web1"}
    targets.close()
