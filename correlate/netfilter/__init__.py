"""What the kernel said: messages to evaluations of chains, conntrack entries and rules."""
