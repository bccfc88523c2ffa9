"""The machine as it is found: namespaces, links, containers, what of it was changed, and what we may do.

For other rooms:
    containers: Container, NoDaemonError, running_containers
    counters: read_counters, read_node_counters
    ebpf: ADD_IMMEDIATE, CALL, EXIT, FUNC_KTIME_GET_NS, FUNC_RINGBUF_OUTPUT, FUNC_RINGBUF_QUERY, JUMP, JUMP_IF_EQUAL
    ebpf: JUMP_IF_GREATER, LOAD_32, LOAD_PACKET_16, MOVE, MOVE_IMMEDIATE, PROG_TYPE_SOCKET_FILTER, R0, R1, R10, R2
    ebpf: R3, R4, R6, R7, RB_AVAIL_DATA, RB_FORCE_WAKEUP, RB_NO_WAKEUP, STORE_64, create_ring_buffer, instruction
    ebpf: load_map, load_program
    inet_sockets: InetSockets, Row, read_sockets
    journal: Journal, restore_stale
    libc: DatagramHeader, IoVector, LIBC, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_NONE
    libc: PROT_READ, PROT_READ_WRITE, mmap, munmap, unshare_network
    link_settings: link_settings
    links: Link, kernel_name, named_on_command_line, read_addresses, read_links, read_neighbours, read_other_macs
    links: routing
    netns: Netns, distinct_from, open_container_netns, open_netns, own_netns
    nsids: namespace_ids
    owners: Owners
    privileges: CAP_BPF, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_IPC_LOCK, CAP_NET_ADMIN
    privileges: CAP_NET_RAW, CAP_PERFMON, CAP_SETPCAP, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RESOURCE
    privileges: follow_process, keep_in_process
    programs: end_programs, forget_plugins, run_program
    rights: OTHER_NAMESPACES, WITHOUT_ROOT, check_rights, missing_capabilities
    routes: read_routes, read_rules
    rtnetlink: MOST, Routing
    sysctls: read_sysctls
"""
