"""A ruleset as a snapshot holds it: nft's listing with handles, nft's JSON, iptables-save (docs/file-format.md)."""

from .packets import ICMP, TCP, UDP
from .rules import DROP, Chain, Rule, Rules

_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}
_PRIORITIES = {-300: "raw", -150: "mangle", -100: "dstnat", 0: "filter", 100: "srcnat"}


def snapshot(rules: Rules | None) -> dict[str, object]:
    """The data of a `ruleset` snapshot."""
    none = {"ip": None, "ip6": None}
    data: dict[str, object] = {"generation": 1, "nft": "", "json": {"nftables": []}, "iptables": none, "legacy": none,
                               "consistent": True}  # fmt: skip
    if rules is None:
        return data
    if rules.style == "legacy":
        return data | {"legacy": {family: _saved(rules, family) for family in ("ip", "ip6")}}
    if rules.style == "iptables":
        data["iptables"] = {family: _saved(rules, family) for family in ("ip", "ip6")}
    chains = [
        {"chain": {"family": c.family, "table": c.table, "name": c.name, "type": c.kind, "hook": c.hook,
                   "prio": c.priority, "policy": _policy(c)}}
        for c in rules.chains if c.hook
    ]  # fmt: skip
    return data | {"nft": _listing(rules), "json": {"nftables": chains}}


def _policy(chain: Chain) -> str:
    return "drop" if chain.policy == DROP else "accept"


def _tables(rules: Rules) -> dict[tuple[str, str], list[Chain]]:
    tables: dict[tuple[str, str], list[Chain]] = {}
    for chain in rules.chains:
        tables.setdefault((chain.family, chain.table), []).append(chain)
    return tables


def _listing(rules: Rules) -> str:
    """`nft -a list ruleset`."""
    lines = []
    for (family, table), chains in _tables(rules).items():
        lines.append(f"table {family} {table} {{ # handle 1")
        for number, chain in enumerate(chains, 1):
            lines.append(f"\tchain {chain.name} {{ # handle {number}")
            if chain.hook:
                priority = _PRIORITIES.get(chain.priority, chain.priority)
                policy = _policy(chain)
                lines.append(f"\t\ttype {chain.kind} hook {chain.hook} priority {priority}; policy {policy};")
            lines += [f"\t\t{_nft(rule)} # handle {rule.handle}" for rule in chain.rules]
            lines.append("\t}")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _nft_device(word: str, device: str) -> str:
    sign = "!= " if device.startswith("!") else ""
    return f'{word} {sign}"{device.removeprefix("!")}"'


def _iptables_device(option: str, device: str) -> str:
    sign = "! " if device.startswith("!") else ""
    return f"{sign}{option} {device.removeprefix('!')}"


def _nft(rule: Rule) -> str:
    parts = [
        _nft_device("iifname", rule.iif) if rule.iif else "",
        _nft_device("oifname", rule.oif) if rule.oif else "",
        f"ip saddr {rule.source}" if rule.source else "",
        f"ip daddr {rule.destination}" if rule.destination else "",
        "fib daddr type local" if rule.local else "",
        "ct state established,related" if rule.established else "",
        f"{_NAMES[rule.protocol]} dport {rule.port}" if rule.port else "",
        f"meta l4proto {_NAMES[rule.protocol]}" if rule.protocol is not None and not rule.port else "",
        "counter packets 0 bytes 0",
        _nft_action(rule),
    ]
    return " ".join(part for part in parts if part)


def _nft_action(rule: Rule) -> str:
    to = {"jump": f" {rule.to}", "snat": f" to {rule.to}", "dnat": f" to {rule.to}", "redirect": f" to :{rule.to}"}
    return "" if rule.action == "count" else rule.action + to.get(rule.action, "")


def _saved(rules: Rules, family: str) -> str | None:
    """`iptables-save -c` of one IP version."""
    tables = {table: chains for (of, table), chains in _tables(rules).items() if of == family}
    if not tables:
        return None
    lines = []
    for table, chains in tables.items():
        lines.append(f"*{table}")
        lines += [f":{c.name} {_policy(c).upper() if c.hook else '-'} [0:0]" for c in chains]
        lines += [f"[0:0] -A {c.name} {_iptables(rule)}" for c in chains for rule in c.rules]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _iptables(rule: Rule) -> str:
    targets = {
        "jump": rule.to, "snat": f"SNAT --to-source {rule.to}", "dnat": f"DNAT --to-destination {rule.to}",
        "redirect": f"REDIRECT --to-ports {rule.to}", "reject": "REJECT --reject-with icmp-port-unreachable",
    }  # fmt: skip
    protocol = _NAMES.get(rule.protocol or 0)
    parts = [
        f"-s {rule.source}" if rule.source else "",
        f"-d {rule.destination}" if rule.destination else "",
        _iptables_device("-i", rule.iif) if rule.iif else "",
        _iptables_device("-o", rule.oif) if rule.oif else "",
        f"-p {protocol}" if protocol else "",
        f"-m {protocol} --dport {rule.port}" if rule.port else "",
        "-m addrtype --dst-type LOCAL" if rule.local else "",
        "-m conntrack --ctstate RELATED,ESTABLISHED" if rule.established else "",
        "" if rule.action == "count" else f"-j {targets.get(rule.action, rule.action.upper())}",
    ]
    return " ".join(part for part in parts if part)
