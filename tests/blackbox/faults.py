# SPDX-License-Identifier: GPL-2.0-or-later
"""Each system call of a call fails in turn: the agent, both clients.

If these failed, a machine short of memory or descriptors would make a program crash or hang, take half
the data for all of it, or leave a qube without an agent.

strace(1) makes the n-th call of a kind fail, for n = 1, 2, ... until it is not reached any more. By
default each kind fails with the errors that suit it, and n is sampled where there are many;
SKERRY_FAULTS=full tries every n with every error.
"""

import threading

from agent_serving import *

ERRORS = ("ENOMEM", "EMFILE", "EIO", "EINTR")
MAKES_FD = ("socket", "socketpair", "accept4", "epoll_create1", "openat", "pipe2", "signalfd4",
            "pidfd_open", "memfd_create", "timerfd_create", "inotify_init1")
MOVES = ("read", "write", "writev", "readv", "sendto", "sendmsg", "recvfrom", "recvmsg", "splice",
         "connect", "epoll_wait")
OTHERS = ("epoll_ctl", "bind", "listen", "rename", "unlink", "newfstatat", "fcntl", "setsockopt",
          "getsockopt", "ioctl", "rt_sigprocmask", "clone", "clone3", "vfork", "poll",
          "ftruncate", "inotify_add_watch", "prlimit64", "timerfd_settime", "readlink",
          "faccessat2")  # shutdown, close and wait4 have no such error
CODE = 7
LOCAL = "echo what the caller says; exec >&-; cat"  # lives until its input ends


def errors_of(call):
    if call == "epoll_wait":
        return ("EINTR",)  # the only one that the kernel has for an epoll descriptor
    if FULL:
        return ERRORS
    return ("EMFILE",) if call in MAKES_FD else ("EIO", "EINTR") if call in MOVES else ("ENOMEM",)


def faults():
    for call in MAKES_FD + MOVES + OTHERS:
        for error in errors_of(call):
            yield call, error


def inject(call, error, n, log):
    return ["strace", "-qq", "-o", log, "-e", f"trace=?{call}", "-e",
            f"inject=?{call}:error={error}:when={n}"]


def usable(t):
    """Skips where nobody may trace, or where the sanitizers' runtime does the system calls."""
    try:
        probe = subprocess.run(inject("getppid", "EIO", 1, t.path("probe")) + ["true"], check=False,
                               stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        raise Skip("needs strace") from None
    if probe.returncode:
        raise Skip("may not trace")
    t.env["ASAN_OPTIONS"] = t.env["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0") \
        + ":detect_leaks=0"


def reached(log):
    with open(log, "rb") as file:
        return b"(INJECTED)" in file.read()


def impossible(log):
    """A change of what is watched needs no memory: that it fails is our mistake, and ends us."""
    with open(log, "rb") as file:
        return any(b"EPOLL_CTL_MOD" in line and b"(INJECTED)" in line for line in file)


def each_fault(t, run, without=()):
    """run(call, error, n) -> whether the fault was reached. How many were."""
    total = 0
    for call, error in faults():
        if call in without:
            continue
        for n in numbers():
            try:
                if not run(call, error, n):
                    break
            except TimeoutError:
                raise Failure(f"{call} {n} {error}: a hang") from None
            total += 1
    print(f"# {total} faults", flush=True)
    return total


class Far:
    """The service's end of a client's call: listens for nothing, gives up when the client ended."""

    def __init__(self, t, path):
        self.t, self.path = t, path
        self.ended = threading.Event()
        self.received = b""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        channel = None
        while not channel and not self.ended.is_set():
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(self.path)
                channel = Channel(sock)
            except OSError:
                sock.close()
                time.sleep(0.001)
        if not channel:
            return
        try:
            channel.hello_second()
            while True:
                kind, body = channel.recv_message()
                if kind == DATA_STDIN and not body:
                    break
                self.received += body
            channel.send(pack_message(DATA_STDOUT, TEXT) + pack_message(DATA_STDOUT)
                         + pack_message(DATA_STDERR) + pack_message(DATA_EXIT_CODE, pack_exit(CODE)))
            channel.recv_to_eof()
        except (Failure, OSError):
            pass
        finally:
            channel.close()

    def stop(self):
        self.ended.set()
        self.thread.join(timeout=HANG)
        check(not self.thread.is_alive(), "the service's end hangs")


class Ports:
    """A fresh port for each call, and its far end."""

    def __init__(self, t, server, client):
        self.t, self.server, self.client = t, server, client
        self.port, self.far = FIRST_PORT, None

    def next(self):
        self.port += 1
        self.far = Far(self.t, self.t.vchan_path(self.server, self.client, self.port))
        return self.port


def client_case(t, argv, allowed, ports, env, shown):
    """Every fault of a client: an allowed status, and the one of success only with all bytes."""
    usable(t)
    log = t.path("strace")

    def run(call, error, n):
        ports.far = None
        client = subprocess.Popen(inject(call, error, n, log) + argv, env={**t.env, **env},
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        what = f"{call} {n} {error}"
        try:
            out, err = client.communicate(INPUT, timeout=HANG)
        except subprocess.TimeoutExpired:
            client.kill()
            raise Failure(f"{what}: the client hangs") from None
        if ports.far:
            ports.far.stop()
        hit = reached(log)
        code = client.returncode
        check(not SANITIZER_REPORT.search(err), err.decode(errors="replace"))
        if impossible(log):
            return hit
        check(code in allowed or code == CODE, f"{what}: status {code}: {err}")
        # A local program that did not start is in the status only if the service's is 0.
        if code == CODE and (shown or not hit or error == "EINTR"):
            equal((out, ports.far.received), (shown, INPUT), f"{what}: success with bytes lost")
        if not hit or error == "EINTR":
            equal(code, CODE, f"{what}: {err}")
        return hit

    check(each_fault(t, run) > 30, "faults that were reached")


def vm_case(t, *program_words):
    ports = Ports(t, OWN, PEER)

    @quietly
    def agent(channel):
        channel.recv_message()
        channel.send(pack_exec(PEER, ports.next()))
        channel.recv_to_eof()
    t.respond(t.path("agent.sock"), agent)
    client_case(t, [program("qrexec-client-vm"), "-a", t.path("agent.sock"), "target", "svc",
                    *program_words], (1, 255), ports, {"VCHAN_DOMAIN": str(OWN)},
                b"" if program_words else TEXT)


@case("faults-01 qrexec-client-vm: a call")
def _(t):
    vm_case(t)


@case("faults-02 qrexec-client-vm: a call with a local program")
def _(t):
    vm_case(t, "/bin/sh", "-c", LOCAL)


def dom0_case(t, *options):
    ports = Ports(t, 0, PEER)

    @quietly
    def daemon(channel):
        channel.send_message(HELLO, pack_hello(VERSION_LOCAL))
        channel.recv_hello()
        channel.recv_message()
        channel.send_message(EXEC_CMDLINE, pack_exec(PEER, ports.next()))
        channel.recv_to_eof()
    t.respond(t.path("qrexec.vm"), daemon)
    client_case(t, [program("qrexec-client"), "--socket-dir=" + t.dir, "-d", "vm", *options,
                    "user:command"], (125, 255), ports, {},
                b"" if options else TEXT)


@case("faults-03 qrexec-client: a call")
def _(t):
    dom0_case(t)


@case("faults-04 qrexec-client: a call with a local program")
def _(t):
    dom0_case(t, "-l", LOCAL)


def attach(agent, argv):
    pids = [str(pid) for pid in [agent.pid] + descendants(agent.pid)]
    tracer = subprocess.Popen(argv + [word for pid in pids for word in ("-p", pid)],
                              stdin=subprocess.DEVNULL)

    def traced(pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                return f"TracerPid:\t{tracer.pid}\n" in file.read()
        except OSError:
            return True
    wait_for(lambda: all(traced(pid) for pid in pids), "strace is there")
    return tracer


def agent_case(t, command, good):
    usable(t)
    serving = Serving(t)
    log = t.path("strace")
    started = serving.dom0.agent

    def run(call, error, n):
        what = f"{call} {n} {error}"
        tracer = attach(started, inject(call, error, n, log))
        try:
            messages = serving.call(command(serving.dom0))
        finally:
            tracer.terminate()
            tracer.wait()
        hit = reached(log)
        check(started.running(), f"{what}: the agent ended: {started.stderr[-500:]}")
        if messages and messages[-1][0] == DATA_EXIT_CODE:
            code = struct.unpack("<i", messages[-1][1])[0]
            check(code in (0, PROBLEM, NOT_FOUND), f"{what}: code {code}")
            if code == 0:
                equal(collect(messages), (good, b"", 0), f"{what}: success with bytes lost")
        if not hit or error == "EINTR":
            equal(collect(messages), (good, b"", 0), f"{what}: {started.stderr[-500:]}")
        equal(collect(serving.call(command(serving.dom0))), (good, b"", 0),
              f"the next call after {what}")
        return hit

    # These two fail in epoll_faults.py: strace cannot tell the additions to an epoll set from the removals,
    # which do not fail; and an idle agent waits in epoll_wait, where a tracer that leaves makes it ENOSYS.
    check(each_fault(t, run, without=("epoll_ctl", "epoll_wait")) > 20, "faults that were reached")


@case("faults-05 qrexec-agent: a program")
def _(t):
    service(t, "qubes.Echo", "exec cat\n")
    agent_case(t, lambda dom0: f"{dom0.user}:QUBESRPC qubes.Echo domX", INPUT)


@case("faults-06 qrexec-agent: a socket service")
def _(t):
    agent_case(t, lambda dom0: f"{dom0.user}:QUBESRPC qubes.Socket domX", TEXT)


@case("faults-07 qrexec-agent: its start")
def _(t):
    usable(t)
    log = t.path("strace")

    def run(call, error, n):
        what = f"{call} {n} {error}"
        agent = subprocess.Popen(inject(call, error, n, log) + [
            program("qrexec-agent"), "-S", "-a", t.path("agent.sock")],
            env={**t.env, "VCHAN_DOMAIN": str(OWN)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        greeted = []

        def greet():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                    sock.connect(t.vchan_path(OWN, 0, CONTROL))
                    greeted.append(Channel(sock).hello_second())
            except (Failure, OSError):
                pass
            return greeted or agent.poll() is not None
        try:
            wait_for(greet, f"{what}: an agent that works, or one that ended")
            hit = reached(log)
            if not greeted:
                check(hit, f"{what}: ended without a fault: {agent.stderr.read()}")
                # 127: the loader of programs gave up, before there was an agent.
                check(agent.returncode in (1, 2, 127), f"{what}: status {agent.returncode}")
        finally:
            for pid in descendants(agent.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            agent.kill()
            agent.wait()
            agent.stderr.close()
        return hit

    check(each_fault(t, run) > 10, "faults that were reached")


if __name__ == "__main__":
    main()
