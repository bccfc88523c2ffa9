"""What the kernel is heard through: packet rings, netfilter messages, filters and time stamps on them."""
