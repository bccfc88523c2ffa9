"""The machine as it is found: namespaces, links, containers, what of it was changed, and what we may do.

For other rooms:

    containers: Container, running_containers
    ebpf: ADD_IMMEDIATE, CALL, create_ring_buffer, EXIT, FUNC_KTIME_GET_NS, FUNC_RINGBUF_OUTPUT, FUNC_RINGBUF_QUERY,
    ebpf: instruction, JUMP, JUMP_IF_EQUAL, JUMP_IF_GREATER, LOAD_32, load_map, LOAD_PACKET_16, load_program, MOVE,
    ebpf: MOVE_IMMEDIATE, PROG_TYPE_SOCKET_FILTER, R0, R1, R10, R2, R3, R4, R6, R7, RB_AVAIL_DATA, RB_FORCE_WAKEUP,
    ebpf: RB_NO_WAKEUP, STORE_64
    journal: Journal, restore_stale
    libc: BatchHeader, IoVector, LIBC, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, mmap, munmap,
    libc: PROT_NONE, PROT_READ, PROT_READ_WRITE, unshare_network
    links: Link, namespace_ids, read_addresses, read_links, read_neighbours, read_routes, routing
    netns: distinct_from, Netns, open_container_netns, open_netns, own_netns
    rights: check_rights, missing_capabilities
"""
