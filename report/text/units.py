"""Numbers in words."""


def plural(count: int, noun: str) -> str:
    """`1 packet`, `2,000 packets`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(nanoseconds: int) -> str:
    """`184 us`, `12.4 ms`, `3.20 s`, with the sign."""
    magnitude = abs(nanoseconds)
    if magnitude < 10_000_000:
        return f"{round(nanoseconds / 1_000):,} us"
    if magnitude < 1_000_000_000:
        return f"{nanoseconds / 1_000_000:.1f} ms"
    return f"{nanoseconds / 1_000_000_000:.2f} s"


def size(count: int) -> str:
    """`712 bytes`, `1.4 MiB`."""
    if count < 1024:
        return plural(count, "byte")
    amount, unit = float(count), "bytes"
    for following in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, following
    return f"{amount:.1f} {unit}"
