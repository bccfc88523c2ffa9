#!/bin/sh
# Installs what ttrace needs to run from a checkout: Debian packages (as root) and a venv in the tree. Quick when all is
# there. `setup.sh tests`: also what only some tests need.
set -eu
cd "$(dirname "$0")/.."

# What links code for the other machine that the agent runs on.
case "$(uname -m)" in
    aarch64) other="binutils binutils-x86-64-linux-gnu" ;;
    *) other="binutils binutils-aarch64-linux-gnu" ;;
esac
# What compiles kernels ahead, libraries of the capture, then what the lab and the tests use.
packages="python3-venv python3-dev gcc g++ libpcap0.8 libnftables1 iproute2 iptables nftables docker.io nginx-light busybox-static iputils-ping
perl-base procps curl wget tcpdump tshark conntrack ethtool util-linux zstd lz4 $other"
[ "${1:-}" != tests ] || packages="$packages qemu-user debootstrap"

missing=""
for package in $packages; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ]; then
    echo "Installing Debian packages:$missing"
    # Only the programs are wanted: no dockerd or nginx of the system shall start because of us (invoke-rc.d asks this script).
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing > /dev/null
elif [ -n "$missing" ]; then
    echo "Not root, so these Debian packages are not installed:$missing" >&2
fi

if [ ! -e .venv/ready ] || [ pyproject.toml -nt .venv/ready ]; then
    echo "Making .venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ttrace needs Python 3.11 or newer" >&2; exit 1; }
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --editable '.[ahead,dev]'
    # mypy does not follow setuptools' editable finder: give it a folder in which the package has its name.
    mkdir -p .venv/src
    ln -sfn ../.. .venv/src/ttrace
    touch .venv/ready
fi
