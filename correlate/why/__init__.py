"""Why a finding is told: its evidence in full (`--why N`), packet by packet.

For other rooms:
    values: Fact, Proof, Why
    why: AllWhys
"""
