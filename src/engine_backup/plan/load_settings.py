"""Settings that speed up a load, for its own session: any role may set them (`user` in pg_settings)."""

from __future__ import annotations

from engine_backup.model.server import MemorySettings

KIBIBYTE, MEBIBYTE, GIBIBYTE = 1 << 10, 1 << 20, 1 << 30
# Both bounds of what one process may sort an index with.
LEAST_MEMORY, MOST_MEMORY = 64 * MEBIBYTE, GIBIBYTE
# All loads together; the rest is the server's cache and the system's.
PART_OF_MEMORY = 8
# PostgreSQL's manual advises a quarter of the memory for it (19.4.1); other settings say less:
# effective_cache_size is 4 GiB unless somebody has thought about it.
SHARED_BUFFERS_PART = 4
MOST_WORKERS = 4
# What large machines have to spare when only the last large indexes are left to build.
PART_OF_PROCESSORS = 4

Settings = tuple[tuple[str, str], ...]


def load_settings(server: MemorySettings, memory: int, jobs: int, cores: int) -> Settings:
    """Return names and values for each session of a load.

    `memory` in bytes is the server's, 0 when it is not known; sessions get no less than they have already.
    `cores` are the server's processors, 0 when they are not known. `jobs`: as many processes load at the
    same time, into all databases. Commits don't wait for the disk: a load that does not
    come to its end is taken back, and at its end everything is made lasting.
    """
    settings = [("synchronous_commit", "off")]
    if server.maintenance_work_mem:
        settings.append(("maintenance_work_mem", f"{_sorting_memory(server, memory, jobs) // KIBIBYTE}kB"))
    if server.parallel_maintenance_workers is not None and cores:
        settings.append(("max_parallel_maintenance_workers", str(_workers(jobs, cores))))
    return tuple(settings)


def _workers(jobs: int, cores: int) -> int:
    """Return how many helpers each load may have to build an index.

    Where the loads keep all processors busy, helpers only cost: on two processors a load of 750 MB took 7.6 s
    with one for each, and 6.2 s without.
    """
    idle = max(0, cores // max(1, jobs) - 1)
    return min(MOST_WORKERS, max(idle, cores // PART_OF_PROCESSORS))


def server_memory(server: MemorySettings, local: bool, machine_memory: int) -> int:
    """Return the memory of the machine that a server runs on, in bytes; 0 when nothing tells it.

    `machine_memory` is this machine's. Another one's is guessed from what its server takes of it.
    """
    return machine_memory if local else server.shared_buffers * SHARED_BUFFERS_PART


def _sorting_memory(server: MemorySettings, memory: int, jobs: int) -> int:
    part = memory // PART_OF_MEMORY // max(1, jobs)
    return max(server.maintenance_work_mem, LEAST_MEMORY, min(MOST_MEMORY, part))
