"""The image of the lab's containers, made from programs of this machine: nginx, busybox, ping and perl."""

import io
import re
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import TtraceError
from .process import run

IMAGE = "ttrace-lab"
START_COMMAND = ["/bin/sh", "/start"]
LARGE_BYTES = 1 << 20
"""Length of the file /large, which makes the kernel send super-packets."""

NGINX_CONFIGURATION = """\
user root;
worker_processes 1;
daemon off;
error_log stderr;
pid /run/nginx.pid;
events { worker_connections 2048; }
http {
    access_log off;
    default_type text/plain;
    add_header X-Client $remote_addr:$remote_port;
    server {
        listen 80 backlog=1024;
        location = /large { root /srv; }
        location / { return 200 "hello from $hostname\\n"; }
    }
}
"""

# perl-base is on every Debian and needs no module for this; `nc` can neither fork for UDP nor echo without a file.
UDP_ECHO = """\
socket(my $echo, 2, 2, 17) or die $!;
bind($echo, pack("S n x12", 2, 9000)) or die $!;
while (1) {
    my $peer = recv($echo, my $data, 65535, 0);
    send($echo, $data, 0, $peer) if defined $peer;
}
"""

UDP_EXCHANGE = """\
#!/usr/bin/perl
# udp-exchange ADDRESS PORT COUNT [SECONDS]: COUNT sockets send a datagram each, at once; prints how many got it back.
my ($address, $port, $count, $seconds) = @ARGV;
my $server = pack("S n C4 x8", 2, $port, split(/\\./, $address));
my (%waiting, $answered);
for my $number (1 .. $count) {
    socket(my $client, 2, 2, 17) or die $!;
    connect($client, $server) or die $!;
    $waiting{fileno $client} = [$client, "exchange $number"];
}
syswrite($$_[0], $$_[1]) for values %waiting;
my $end = time + ($seconds || 5);
while (%waiting && time < $end) {
    my $ready = "";
    vec($ready, $_, 1) = 1 for keys %waiting;
    select($ready, undef, undef, 0.2) > 0 or next;
    for my $number (grep { vec($ready, $_, 1) } keys %waiting) {
        my ($client, $sent) = @{delete $waiting{$number}};
        sysread($client, my $data, 65535);
        $answered++ if $data eq $sent;
    }
}
print $answered + 0, "\\n";
"""

START = "perl /udp-echo.pl &\nexec nginx -e stderr -c /etc/nginx.conf\n"

TEXTS = {
    "start": (START, 0o755),
    "udp-echo.pl": (UDP_ECHO, 0o644),
    "bin/udp-exchange": (UDP_EXCHANGE, 0o755),
    "etc/nginx.conf": (NGINX_CONFIGURATION, 0o644),
    "etc/passwd": ("root:x:0:0:root:/root:/bin/sh\n", 0o644),
    "etc/group": ("root:x:0:\n", 0o644),
    "srv/large": ("0123456789abcde\n" * (LARGE_BYTES // 16), 0o644),
}
DIRECTORIES = ["dev", "proc", "root", "run", "sys", "tmp", "var/log/nginx", "var/lib/nginx"]

PACKAGES = {"nginx": "nginx-light", "busybox": "busybox-static", "ping": "iputils-ping", "perl": "perl-base"}
"""Program of the image -> Debian package that has it."""


def build_image() -> bytes:
    """The root tree as an uncompressed tar archive, about 20 MB, for `docker import`."""
    programs = {name: find_program(name, package) for name, package in PACKAGES.items()}
    archive = _Archive()
    for name in DIRECTORIES:
        archive.add_directory(name)
    for name, (text, mode) in TEXTS.items():
        archive.add_file(name, text.encode(), mode)
    for name, path in programs.items():
        archive.add_file(f"bin/{name}", path.read_bytes(), 0o755)
    archive.add_link("usr/bin/perl", "/bin/perl")
    for library in sorted(set().union(*(_libraries(path) for path in programs.values()))):
        archive.add_file(library.lstrip("/"), Path(library).read_bytes(), 0o755)
    applets = run([str(programs["busybox"]), "--list"]).stdout.split()
    for applet in sorted(set(applets) - set(programs)):
        archive.add_link(f"bin/{applet}", "/bin/busybox")
    return archive.finish()


def find_program(name: str, package: str) -> Path:
    """Where the program is on this machine; a TtraceError says which Debian package is missing."""
    # A user's PATH often lacks the sbin folders, where Debian puts daemons.
    found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise TtraceError(f"`{name}`, which the lab needs, is not installed", f"`apt install {package}`")
    return Path(found)


def _libraries(program: Path) -> set[str]:
    """The shared libraries and the loader a program needs, by ldd; none for a static one."""
    output = run(["ldd", str(program)], check=False).stdout
    return set(re.findall(r"(/\S+) \(0x", output))


@dataclass
class _Archive:
    """A tar archive in memory that makes parent directories as needed."""

    buffer: io.BytesIO = field(default_factory=io.BytesIO)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tar = tarfile.open(fileobj=self.buffer, mode="w")  # noqa: SIM115 - finish() closes it

    def add_directory(self, name: str) -> None:
        for directory in [*reversed(Path(name).parents), Path(name)]:
            if str(directory) not in self.names and str(directory) != ".":
                self.names.add(str(directory))
                entry = tarfile.TarInfo(str(directory))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                self.tar.addfile(entry)

    def add_file(self, name: str, content: bytes, mode: int) -> None:
        self.add_directory(str(Path(name).parent))
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        self.tar.addfile(entry, io.BytesIO(content))

    def add_link(self, name: str, target: str) -> None:
        self.add_directory(str(Path(name).parent))
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self.tar.addfile(entry)

    def finish(self) -> bytes:
        self.tar.close()
        return self.buffer.getvalue()
