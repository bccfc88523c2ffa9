#!/bin/bash
# record.sh FOLDER NAME...: records node, legacy and changed there, or what is named of them, as root. See README.md.
set -eu
TTRACE=${TTRACE:-ttrace}; INTO=$(realpath "$1"); shift; P=wnrec$$
in_() { local name=$1; shift; ip netns exec "$P-$name" "$@"; }
clean() { for name in node out web dns; do ip netns pids "$P-$name" 2>/dev/null | xargs -r kill; ip netns del "$P-$name" 2>/dev/null || true; done; }
trap clean EXIT

network() { # a node with a bridge, two containers on it, and a host outside
  for name in node out web dns; do ip netns add "$P-$name"; ip -n "$P-$name" link set lo up; done
  for name in node out web dns; do in_ "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; done
  in_ node sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables="$1"
  ip -n "$P-node" link add docker0 type bridge; ip -n "$P-node" link set docker0 up
  ip -n "$P-node" addr add 172.17.0.1/16 dev docker0
  for one in web:2 dns:3; do
    name=${one%:*}
    ip link add "veth$name" netns "$P-node" type veth peer name eth0 netns "$P-$name"
    ip -n "$P-node" link set "veth$name" master docker0 up; ip -n "$P-$name" link set eth0 up
    ip -n "$P-$name" addr add "172.17.0.${one#*:}/16" dev eth0; ip -n "$P-$name" route add default via 172.17.0.1
  done
  ip link add eth0 netns "$P-node" type veth peer name eth0 netns "$P-out"
  ip -n "$P-node" link set eth0 up; ip -n "$P-out" link set eth0 up
  ip -n "$P-node" addr add 192.168.77.1/24 dev eth0; ip -n "$P-out" addr add 192.168.77.2/24 dev eth0
  ip -n "$P-out" route add 172.17.0.0/16 via 192.168.77.1
}

serve() { # serve NAME tcp|udp PORT: answers once and again
  in_ "$1" python3 -c '
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", int(sys.argv[2])))
if sys.argv[1] == "tcp":
    s.listen()
    while True:
        c, _ = s.accept(); c.recv(100); c.sendall(b"answer"); c.close()
while True:
    data, who = s.recvfrom(100); s.sendto(b"answer", who)' "$2" "$3" &
  for _ in $(seq 100); do in_ "$1" ss -Hln"${2:0:1}" "sport = :$3" | grep -q . && return; sleep 0.05; done; return 1
}

ask() { # ask NAME tcp|udp ADDRESS PORT SOURCE_PORT: whatever comes of it
  in_ "$1" python3 -c '
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind); s.settimeout(0.4); s.bind(("", int(sys.argv[4])))
try:
    s.connect((sys.argv[2], int(sys.argv[3]))); s.send(b"question"); print(s.recv(100))
except OSError as error:
    print(error)' "$2" "$3" "$4" "$5"
}

recorded() { # recorded NAME COMMANDS...: what they do is in NAME.pcapng
  ip netns exec "$P-node" $TTRACE capture -w "$INTO/$1.pcapng" --force --node-name node ${INSIDE:-} 2>"$INTO/$1.err" & local capture=$!; shift
  for _ in $(seq 600); do grep -q ^capturing "$INTO"/*.err && break; sleep 0.1; done
  "$@"; sleep 0.4; kill -TERM $capture; wait $capture; rm "$INTO"/*.err
}

node() {
  ask out tcp 192.168.77.1 8080 40001; ask out udp 192.168.77.1 5300 40002     # the published ports
  in_ out ping -qc1 -W1 172.17.0.2 || true                                     # the policy of FORWARD drops it
  ask out tcp 192.168.77.1 8088 40004                                          # the node itself, refused
  ask out tcp 192.168.77.1 8090 40005                                          # dropped in raw PREROUTING
  ask dns tcp 172.17.0.2 80 40003                                              # bridged, dropped in DOCKER-USER
}

record_node() {
network 1
in_ node iptables-restore <<R
*raw
-A PREROUTING -p tcp --dport 8090 -j DROP
COMMIT
*mangle
-A PREROUTING -p tcp --dport 8080 -j MARK --set-xmark 0x5/0xff
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p udp --dport 5300 -j DNAT --to-destination 172.17.0.3:53
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.17.0.3/32 ! -i docker0 -o docker0 -p udp --dport 53 -j ACCEPT
-A DOCKER-USER -p tcp -m tcp --dport 8080 -j DROP
-A DOCKER-USER ! -i eth0 -p tcp -m multiport --dports 22,80:90 -m conntrack --ctstate NEW -j DROP
-A DOCKER-USER -p tcp -m conntrack --ctorigdstport 8081 --ctdir ORIGINAL -j DROP
-A DOCKER-USER -p tcp -m mark --mark 0x7/0xff -j DROP
-A DOCKER-USER -d 192.168.77.1/32 -p tcp -m addrtype --dst-type LOCAL -j DROP
-A DOCKER-USER -p tcp -m tcp --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 1/hour --limit-burst 1 -m comment --comment "only one" -j RETURN
-A DOCKER-USER -s 10.0.0.0/8 -i eth+ -j DROP
-A DOCKER-USER -p icmp -m icmp --icmp-type 8 -j RETURN
-A DOCKER-USER -s 192.168.77.0/24 -p udp -j RETURN
-A DOCKER-USER -p tcp -m physdev --physdev-in vethother -j DROP
-A DOCKER-USER -d 172.17.0.3/32 -p udp -m udp --dport 53 -j DROP
COMMIT
R
in_ node nft -f - <<R
table inet fw {
 set blocked { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 203.0.113.7 } }
 set seen { type ipv4_addr; flags dynamic; }
 map ports { type inet_service : verdict; elements = { 443 : accept, 8443 : drop } }
 chain forw {
  type filter hook forward priority 10; policy accept;
  ip saddr @blocked drop
  ip daddr 172.17.0.2 tcp dport { 8080, 8443 } drop
  tcp dport vmap @ports
  iifname != "eth*" meta l4proto { tcp, udp } ct state new drop
  meta mark & 0xff == 0x7 drop
  meta l4proto tcp ct original proto-dst 8081 drop
  ct status snat drop
  ip saddr . tcp dport { 192.168.77.2 . 443, 192.168.77.9 . 80 } drop
  tcp flags & (fin|syn|rst|ack) == syn tcp dport 80 limit rate over 100/second drop
  ip saddr @seen drop
  icmp type echo-request return
  ip6 daddr ::1 drop
  jump late
 }
 chain late { meta l4proto tcp accept; fib daddr type local drop; }
}
R
serve web tcp 80; serve dns udp 53
recorded node node
}

legacy() {
  ask out tcp 192.168.77.1 8080 40001                                          # the published port
  ask web tcp 192.168.77.2 99 40006                                            # FORWARD 5, without conditions, drops it
  ask out tcp 192.168.77.1 97 40007                                            # INPUT drops it
}

record_legacy() {
network 0
in_ node iptables-legacy-restore <<R
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*mangle
-A PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x5/0xff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p tcp -m mark --mark 0x7 -j DROP
-A FORWARD -p tcp -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j DROP
-A DOCKER-USER -p tcp -m tcp --dport 8080 -j DROP
-A DOCKER-USER -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -p tcp -m mark --mark 0x5 -j DROP
-A DOCKER-USER -j RETURN
-A INPUT -p tcp -m tcp --dport 97 -j DROP
COMMIT
R
serve web tcp 80
recorded legacy legacy
}

changed() {
  ask out tcp 192.168.77.1 8080 40001                                          # what it was first does not match
  in_ node iptables -R FORWARD 1 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP; sleep 0.3
  ask out tcp 192.168.77.1 8080 40002                                          # now it does
  in_ node iptables -D FORWARD 1; sleep 0.3
  ask out tcp 192.168.77.1 8080 40003                                          # and then there is none
}

record_changed() {
network 0
in_ node iptables-restore <<R
*nat
-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
-A FORWARD -p tcp --dport 8080 -j DROP
COMMIT
R
in_ web iptables -A INPUT -p tcp --dport 8080 -j DROP
serve web tcp 80
INSIDE="--netns $P-web" recorded changed changed
}

[ $# -gt 0 ] || set -- node legacy changed
for recording in "$@"; do "record_$recording"; clean; gzip -9nf "$INTO/$recording.pcapng"; done
