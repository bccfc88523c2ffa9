"""What `ttrace correlate` finds in plain pcaps, against what is known of them because we sent the packets.

scenes.py says what is recorded and network.py makes it; marks.py sends, wire.py loses and delays, tunnel.py makes
tunnels, recorder.py runs tcpdump, clock.py sets other clocks, truth.py reads the marks, judge.py compares.
`python -m bench.truth` runs it.
"""
