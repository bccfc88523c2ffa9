"""`ttrace demo`, with a lab of its own and on the recorded captures: what `make demo` prints."""

import re
import subprocess
import sys

COMMAND = [sys.executable, "-c", "from ttrace.cli import main; main()", "demo"]


def run_demo(*options, **more):
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=True, timeout=120, **more)


def check(text):
    paths = re.split(r"\n(?=#)", text)[1:]
    assert [re.match(r"#\d+ tcp (\S+)", p)[1] for p in paths] == ["SYN", "SYN,ACK"] * 2
    for path, (here, there, net, server) in zip(
        paths[::2], [("master", "slave", 17, "172.18.0.2"), ("slave", "master", 18, "172.17.0.2")], strict=True
    ):
        rewrites = re.findall(r"(source|destination) +(\S+) => (\S+)   (.+)", path)
        assert [(field, cause) for field, _, _, cause in rewrites] == [
            ("source", "MASQUERADE"),
            ("destination", "DNAT"),
        ]
        assert f"rule 1  -s 172.{net}.0.0/24 ! -o docker0 -j MASQUERADE" in path
        words = " ".join(path.split())
        assert f"! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination {server}:80" in words
        assert path.index(f"\n  {here}\n") < path.index(f"\n  {there}\n")
        assert "delivered to web" in path
    for path in paths[1::2]:
        assert "undoes DNAT" in path
        assert "undoes MASQUERADE" in path
        assert path.count("=>") == 2


def test_demo_shows_both_directions_of_a_lab_of_its_own(tmp_path):
    done = run_demo("--keep", str(tmp_path))
    check(done.stdout)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["master.pcapng", "slave.pcapng"]
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert "ttdemo" not in namespaces


def test_recorded_demo_shows_the_same_and_says_so():
    done = run_demo("--recorded")
    check(done.stdout)
    assert "recorded" in done.stderr


def test_demo_without_root_shows_the_recorded_captures():
    # In a user namespace without a mapping it is nobody, and still may read a checkout that belongs to root.
    done = subprocess.run(["unshare", "--user", *COMMAND], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    check(done.stdout)
    assert "not root" in done.stderr
