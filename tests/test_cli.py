"""The command line as its users meet it: help, wrong usage, bad input, output files."""

import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.pcapng.blocks import LinkType

pytestmark = pytest.mark.slow

PCAPS = Path(__file__).parent.parent / "pcaps"
FILES = [str(PCAPS / "docker-http" / f"{node}.pcapng") for node in ("master", "slave")]


def ttrace(*arguments, **more):
    command = [sys.executable, "-c", "from ttrace.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """No test here waits for a compiler."""
    warm_up = [sys.executable, "-c", "from ttrace.cli import main; main()", "warm-up"]
    subprocess.run(warm_up, capture_output=True, check=True, timeout=600)


def test_help_names_every_command():
    done = ttrace("--help")
    assert done.returncode == 0
    for command in ("capture", "correlate", "show", "doctor", "warm-up", "demo", "lab"):
        assert command in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_without_leaving_temporary_files(tmp_path, number):
    program = """if True:
        import signal, sys
        from ttrace.correlate.in_parts import rounds
        def wait(*_):
            print(flush=True)
            signal.pause()
        rounds.survey = wait
        sys.argv[1:] = ["correlate", *sys.argv[1:]]
        from ttrace.correlate import api
        api.memory_budget = lambda: 0
        from ttrace.cli import main
        main()"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program, *FILES], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_is_exit_code_2():
    assert ttrace("correlate", "--format", "xml", *FILES).returncode == 2
    assert ttrace("correlate").returncode == 2
    assert ttrace("capture", "--snaplen", "1").returncode == 2
    assert ttrace("correlate", *FILES, "--paths", "some").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["correlate", "/nonexistent"], 1, ["error: cannot read `/nonexistent`", "hint: "]),
        (["correlate", "/etc/passwd"], 1, ["is not a capture file"]),
        (["correlate", *FILES, "--filter", "port http"], 2, ["`http` is not a port number", "hint: terms are"]),
        (["correlate", *FILES, "--path", "9999"], 2, ["there is no path 9999", "numbered 1 to"]),
        (["correlate", *FILES, "-o", "/nonexistent/out"], 1, ["cannot write `/nonexistent/out`"]),
        (["correlate", *FILES, "--explain", "12"], 2, ["`12` says no file", "hint: write FILE:12"]),
        (["correlate", *FILES, "--explain", "master.pcapng:0"], 2, ["there is no frame 0", "numbered 1 to 299"]),
        (["correlate", *FILES, "--explain", "nobody:1"], 2, ["`nobody` in `nobody:1` is none of the files"]),
        (["correlate", *FILES, "--explain", "master:60"], 2, ["no packet but a trace message", "hint: `--path "]),
        (["correlate", *FILES, "--explain", "master:100", "--path", "1"], 2, ["`--explain` is about single frames"]),
        (["show", "/nonexistent"], 1, ["cannot read"]),
        (["capture", "--iface", "nonexistent0", "--duration", "1"], 1, ["nonexistent0"]),
    ],
)
def test_bad_input_is_one_clear_line_and_an_exit_code(arguments, code, words):
    done = ttrace(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1


def test_filter_finds_a_connection_by_an_address_it_wore_anywhere():
    for expression in (
        "port 8080",
        "host 172.18.0.2 and tcp",
        "192.168.77.1 and port 80",
        "net 172.17.0.0/16 and not (arp or udp)",
    ):
        document = json.loads(ttrace("correlate", *FILES, "--format", "json", "--filter", expression).stdout)
        assert [c["protocol"] for c in document["connections"]] == ["tcp"], expression
        hops = [h for p in document["paths"] for h in p["hops"]]
        assert {h["destination"] for h in hops} >= {"192.168.77.2:8080", "172.18.0.2:80"}
    assert json.loads(ttrace("correlate", *FILES, "--format", "json", "--filter", "port 81").stdout)["paths"] == []


def test_explain_says_why_a_frame_is_matched_with_others(tmp_path):
    text = ttrace("correlate", *FILES, "--explain", "master.pcapng:100", "--explain", "slave/docker0:65").stdout
    first, second = text.split("\n\nslave.pcapng:65 ")
    assert first.startswith("master.pcapng:100   tcp ACK   172.17.0.2:53408 -> 192.168.77.2:8080\n")
    assert "A  192.168.77.1:53408 -> 172.18.0.2:80 " in second
    for words in (
        "master.pcapng:100  master eth0 (web1) out        this frame",
        "slave.pcapng:65    slave docker0 out             +45 us ",
        "IP ID 53543",
        "a conntrack entry (id 4110758737) translates one into the other",
    ):
        assert words in first
    done = ttrace("correlate", *FILES, "--explain", "master:100", "--format", "json", "-o", str(tmp_path / "out.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    document = json.loads((tmp_path / "out.json").read_text())
    assert [e["frame"] for e in document["explanations"]] == [{"file": FILES[0], "number": 100}]


def test_explain_tells_what_was_not_matched_in_plain_pcaps(tmp_path):
    """The frame of one file is in the other with another IP ID: a retransmission."""
    files = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for number, file in enumerate(files):
        packet = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=50 + number) / TCP(sport=1, dport=2, seq=5) / b"words")
        record = struct.pack("<IIII", 1000, 100 * number, len(packet), len(packet)) + packet
        file.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 2000, LinkType.RAW) + record)
    done = ttrace("correlate", *map(str, files), "--explain", "a.pcap:1")
    assert done.returncode == 0
    assert "\nSeen nowhere else\n" in done.stdout
    words = "begins 100 us later, but packets with the same addresses that nothing ties to it, the nearest in time"
    assert f"  b b: what was captured there {words}\n" in done.stdout
    assert "b.pcap:1  #2  +100 us (clocks not comparable)  all of its 5 bytes, IP ID 51 instead of 50\n" in done.stdout


def test_output_goes_to_a_file_and_stdout_stays_empty(tmp_path):
    done = ttrace("correlate", *FILES, "--format", "json", "-o", str(tmp_path / "out.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "out.json").read_text())["schema"] == 1


@pytest.mark.fault("output of correlate", "stdout is a full disk", "one line, exit code 1")
def test_a_full_disk_behind_stdout_is_one_line():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", "from ttrace.cli import main; main()", "show", FILES[0]]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write the result to stdout: No space left on device\n")
    assert "Traceback" not in done.stderr


@pytest.mark.fault("output of correlate", "`| head`: the reader goes", "it ends quietly")
def test_a_reader_that_has_seen_enough_is_no_traceback():
    command = (
        f"{sys.executable} -c 'from ttrace.cli import main; main()' correlate {' '.join(FILES)} --paths all | head -n 1"
    )
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "No fault of the network is seen: 11 connections with 25 paths (25 delivered)\n"
    assert "Traceback" not in done.stderr


@pytest.mark.fault("output of correlate", "`--format jsonl | head`: the reader goes in the middle", "it ends quietly")
def test_a_reader_that_has_seen_enough_lines_is_no_traceback():
    main = f"{sys.executable} -c 'from ttrace.cli import main; main()'"
    command = f"{main} correlate {' '.join(FILES)} --format jsonl | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == '{"schema": 1}\n'
    assert done.stderr == ""


@pytest.mark.fault("capture files", "a file cut at any byte", "read up to its last whole block")
def test_a_file_cut_anywhere_is_read_up_to_its_last_whole_block(tmp_path):
    whole = Path(FILES[0]).read_bytes()
    cut = tmp_path / "cut.pcapng"
    for size in (len(whole) - 1, len(whole) // 2, 60_001):
        cut.write_bytes(whole[:size])
        document = json.loads(ttrace("correlate", str(cut), "--format", "json").stdout)
        assert document["captures"][0]["truncated"] is True
        assert "cut short" in ttrace("show", str(cut)).stdout


def test_show_says_what_a_capture_holds():
    text = ttrace("show", FILES[0]).stdout
    for words in ("node master", "root docker0", "web1 eth0", "trace events", "nothing lost", "containers: web1"):
        assert words in text


def test_doctor_says_that_this_machine_can_be_traced():
    done = ttrace("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("This machine can be traced.\n")
