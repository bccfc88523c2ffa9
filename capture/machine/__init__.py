"""The machine as it is found: namespaces, links, containers, what of it was changed, and what we may do.

For other rooms:
    assembly: Assembly
    btf: Btf
    containers: Container, NoDaemonError, running_containers
    counters: read_counters, read_node_counters
    ebpf: ADD, ADD_IMMEDIATE, AND_IMMEDIATE, ATOMIC_ADD_64, CALL, EXIT, FUNC_KTIME_GET_NS, FUNC_MAP_LOOKUP_ELEMENT
    ebpf: FUNC_PROBE_READ_KERNEL, FUNC_RINGBUF_OUTPUT, FUNC_RINGBUF_QUERY, FUNC_RINGBUF_RESERVE, FUNC_RINGBUF_SUBMIT
    ebpf: FUNC_SNPRINTF, JUMP, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_GREATER_THAN, JUMP_IF_NOT_EQUAL, LOAD_32
    ebpf: LOAD_64, LOAD_PACKET_16, MAP_CAN_BE_MAPPED, MAP_READ_ONLY_FOR_PROGRAMS, MAP_TYPE_ARRAY, MAP_TYPE_HASH, MOVE
    ebpf: MOVE_IMMEDIATE, PROG_TYPE_RAW_TRACEPOINT, PROG_TYPE_SOCKET_FILTER, R0, R1, R10, R2, R3, R4, R5, R6, R7, R8
    ebpf: R9, RB_AVAIL_DATA, RB_FORCE_WAKEUP, RB_NO_WAKEUP, STORE_16, STORE_32, STORE_64, STORE_IMMEDIATE_32
    ebpf: STORE_IMMEDIATE_64, SUBTRACT, attach_to_tracepoint, create_map, create_ring_buffer, freeze_map, instruction
    ebpf: load_map, load_map_value, load_program, set_in_map
    inet_sockets: InetSockets, read_sockets
    journal: Journal, restore_stale
    kernel_functions: KernelFunctions
    libc: DatagramHeader, IoVector, LIBC, MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, PROT_NONE
    libc: PROT_READ, PROT_READ_WRITE, mmap, munmap, unshare_network
    link_settings: link_settings
    links: Link, kernel_name, named_on_command_line, read_addresses, read_links, read_neighbours, read_other_macs
    links: routing
    netns: Netns, distinct_from, open_container_netns, open_netns, own_netns
    nsids: namespace_ids
    owners: Owners
    perf: RAW_DATA, RECORD_HEADER_BYTES, RECORD_SAMPLE, TracepointEvent, online_cpus
    privileges: CAP_BPF, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_IPC_LOCK, CAP_NET_ADMIN
    privileges: CAP_NET_RAW, CAP_PERFMON, CAP_SETPCAP, CAP_SYSLOG, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RESOURCE
    privileges: follow_process, keep_in_process
    programs: end_programs, forget_plugins, run_program
    queues: read_queues
    rights: OTHER_NAMESPACES, WITHOUT_ROOT, check_rights, missing_capabilities
    routes: read_routes, read_rules
    rtnetlink: MOST
    sysctls: read_sysctls
    tracefs: Tracepoint, read_tracepoint
"""
