"""
Each mechanism of the sandbox is needed: an attack that it stops gets through once it is taken out.

Several walls stop most attacks; here the others are left out, so that none hides that one is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dino_os.tool_sandbox.sandbox import Sandbox
from tests.security import without
from tests.security.attack import all_attacks
from tests.security.settings import ROOT, attempt, stops, walls
from tests.security.world import World

ATTACKS = {attack.name: attack for attack in all_attacks()}


@dataclass(frozen=True)
class Mechanism:
    name: str
    setting: str
    attack: str
    remove: without.Remove
    root: bool = False


def _filter(attack: str, *calls: str, root: bool = False) -> Mechanism:
    name = f"filter: {', '.join(calls)}"
    return Mechanism(name, "seccomp", attack, without.filtered(*calls), root)


def _limit(attack: str, name: str) -> Mechanism:
    return Mechanism(f"limit: {name}", "limits", attack, without.limit(name))


MECHANISMS = [
    # --- namespaces and what is mounted in them
    Mechanism("view, mounted", "namespaces", "reads_a_file_beside_the_workspace", without.a_view),
    Mechanism("mounts read-only", "namespaces", "writes_to_what_it_may_read", without.read_only_mounts),
    Mechanism("namespace: network", "namespaces", "talks_to_a_server_on_this_machine", without.flags("--unshare-net")),
    Mechanism("namespace: System V", "namespaces", "reads_anothers_shared_memory", without.flags("--unshare-ipc")),
    Mechanism("namespace: names", "namespaces", "learns_the_machines_name", without.flags("--unshare-uts", "--hostname", "sandbox")),
    Mechanism("namespace: users", "namespaces", "finds_its_users_key", without.flags("--unshare-user"), root=True),
    Mechanism("no capabilities", "namespaces", "leaves_by_a_second_root", without.flags("--cap-drop", "ALL"), root=True),
    # --- root's own launcher
    Mechanism("view, root's", "own-user", "reads_a_file_beside_the_workspace", without.a_view),
    Mechanism("read-only, root's", "own-user", "writes_to_what_it_may_read", without.staged("it.mounts._ATTRIBUTE_READ_ONLY = 0")),
    Mechanism("no programs in scratch", "own-user", "starts_a_program_of_its_own", without.staged("it.mounts._NO_PROGRAMS = 0")),
    # --- Landlock
    Mechanism("Landlock: files", "landlock", "reads_a_file_beside_the_workspace", without.rules_for_files),
    Mechanism("Landlock: programs", "landlock", "starts_a_program", without.rules_for_files),
    Mechanism("Landlock: TCP", "landlock", "talks_to_a_server_on_this_machine", without.far("it.landlock._BIND = it.landlock._CONNECT = 0")),
    Mechanism("Landlock: abstract sockets", "landlock", "talks_to_an_abstract_socket", without.far("it.landlock._ABSTRACT_UNIX = 0")),
    Mechanism("Landlock: signals", "landlock", "signals_a_process", without.far("it.landlock._SIGNAL = 0; it._check = lambda setup: None")),
    Mechanism("Landlock: a domain for each job", "landlock", "signals_its_keeper", without.far("it.landlock.isolate = lambda: None")),
    # --- the filter of system calls
    _filter("asks_the_kernel_for_its_network", "socket"),
    _filter("sends_from_a_pair_to_a_named_socket", "socketpair"),
    _filter("makes_a_user_namespace", "unshare"),
    _filter("makes_one_by_clone", "clone"),
    # The keeper looks for that one itself, and does not start without.
    Mechanism("filter: clone3", "seccomp", "makes_one_by_a_call_that_hides_its_flags", without.together(without.filtered("clone3"), without.far("it._check = lambda setup: None"))),
    _filter("enters_anothers_namespace", "setns", root=True),
    _filter("starts_a_program", "execve"),
    _filter("starts_one_from_memory", "memfd_create", "execveat", "execve"),
    _filter("makes_a_file_in_memory", "memfd_create"),
    _filter("reads_its_users_key", "keyctl"),
    _filter("keeps_a_key_for_later", "add_key"),
    _filter("has_a_key_asked_for", "request_key"),
    _filter("traces_a_process", "ptrace"),
    _filter("reads_anothers_memory", "process_vm_readv"),
    _filter("writes_anothers_memory", "process_vm_writev"),
    _filter("takes_a_descriptor", "pidfd_getfd"),
    _filter("compares_itself_with_a_process", "kcmp"),
    _filter("slows_a_process_down", "setpriority"),
    _filter("pins_a_process_to_a_processor", "sched_setaffinity"),
    _filter("schedules_a_process", "sched_setscheduler"),
    _filter("starves_a_process_of_the_disk", "ioprio_set"),
    _filter("limits_a_process", "prlimit64"),
    _filter("reads_anothers_shared_memory", "shmat"),
    _filter("reads_anothers_messages", "msgrcv"),
    _filter("makes_semaphores", "semget", "semctl"),
    _filter("handles_page_faults", "userfaultfd"),
    _filter("measures_the_processor", "perf_event_open"),
    _filter("changes_its_personality", "personality"),
    _filter("gives_its_pages_away", "vmsplice"),
    _filter("writes_all_disks", "syncfs"),
    _filter("makes_itself_readable", "prctl"),
    _filter("adds_a_filter_of_its_own", "seccomp"),
    _filter("has_a_ring_make_its_calls", "io_uring_setup", root=True),
    _filter("loads_a_program_into_the_kernel", "bpf", root=True),
    _filter("mounts_a_folder_over_another", "mount", "umount2", root=True),
    _filter("clones_a_mount", "open_tree", root=True),
    _filter("opens_a_file_system", "fsopen", root=True),
    _filter("leaves_by_a_second_root", "chroot", root=True),
    _filter("makes_a_device", "mknodat", "mknod", root=True),
    _filter("opens_by_handle", "open_by_handle_at", "name_to_handle_at", root=True),
    _filter("switches_the_machine_off", "reboot", root=True),
    _filter("sets_the_clock", "adjtimex", "clock_adjtime", root=True),
    _filter("swaps_to_a_file", "swapon", root=True),
    _filter("reads_the_kernels_messages", "syslog", root=True),
    _filter("renames_the_machine", "sethostname", root=True),
    _filter("becomes_another_user", "setuid", root=True),
    _filter("hears_of_every_file", "fanotify_init", root=True),
    _filter("changes_a_mode", "chmod", "fchmodat"),
    _filter("changes_a_time", "utimensat"),
    _filter("changes_an_attribute", "setxattr"),
    _filter("changes_an_owner", "chown", "fchownat", root=True),
    _filter("watches_a_folder", "inotify_init1", "inotify_add_watch"),
    _filter("sets_a_flag_on_what_it_may_read", "ioctl"),
    _filter("leaves_a_program_that_runs_as_its_owner", "chmod", "fchmodat"),
    _filter("leaves_one_by_descriptor", "fchmod"),
    _filter("makes_one_at_once", "openat"),
    _filter("makes_one_by_a_new_call", "openat2"),
    _filter("types_into_a_terminal", "ioctl", root=True),
    Mechanism("filter: fast open", "seccomp", "connects_by_its_first_bytes_beside_the_proxy", without.together(without.filtered("sendto"), without.network_of_its_own)),
    Mechanism("filter: architecture", "seccomp", "calls_by_the_numbers_of_another_machine", without.one_architecture),
    Mechanism("filter: second numbers", "seccomp", "calls_by_a_second_set_of_numbers", without.one_architecture),
    # --- limits
    _limit("multiplies", "processes"),
    _limit("takes_memory", "memory_bytes"),
    _limit("opens_many_files", "files"),
    _limit("writes_a_large_file", "file_bytes"),
    _limit("burns_the_processor", "cpu_s"),
    Mechanism("limit: none at all of some", "own-user", "locks_memory", without.far("it.limits._NOTHING = ()")),
    # --- what every run has
    Mechanism("all memory together", "bare", "takes_memory_by_many_hands", without.count_of_all_memory),
    Mechanism("wall clock", "bare", "sleeps_and_ignores_everything", without.clock),
    Mechanism("size of scratch", "bare", "fills_the_disk", without.far("it.scratch.is_too_full = lambda *_: False")),
    Mechanism("names in scratch", "bare", "fills_it_with_names", without.far("it.scratch.is_too_full = lambda *_: False")),
    Mechanism("clean environment", "bare", "reads_the_environment", without.clean_environment),
    Mechanism("closed descriptors", "bare", "opens_by_an_inherited_folder", without.far("os.closerange = lambda *_: None")),
    Mechanism("no core, no reader", "bare", "may_leave_a_core", without.without_option(4)),
    Mechanism("no new rights", "bare", "may_gain_rights", without.without_option(38)),
    Mechanism("the keeper ends the rest", "landlock", "lives_on", without.far("it.Keeper._end_the_rest = lambda self: None")),
    Mechanism("hosts of the proxy", "bare", "asks_the_proxy_for_another_host", without.rules_for_hosts),
]  # fmt: skip


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.name.replace(" ", "_"))
def test_every_mechanism_is_needed(
    mechanism: Mechanism, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack, found = ATTACKS[mechanism.attack], walls(mechanism.setting)
    if isinstance(found, str):
        pytest.skip(found)
    if (mechanism.root or attack.control == "root") and not ROOT:
        pytest.skip("works for root alone")
    if reason := attack.needs():
        pytest.skip(reason)
    assert stops(attack, mechanism.setting)  # which `test_one_wall_alone` has seen
    mechanism.remove(monkeypatch)
    with Sandbox(found) as sandbox:
        told = attempt(attack, world, sandbox)
        assert told, told.outcome
