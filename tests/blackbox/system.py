# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole small system on one machine: policy service, a daemon and an agent for each qube.

Used by the end-to-end tests, the soak, the benchmarks and ./run. Everything lives below one folder:

    ROOT/                 what SKERRY_ROOT is for dom0's programs
    ROOT/run/vchan        the channels of all qubes
    ROOT/q/NAME           what SKERRY_ROOT is inside that qube
    ROOT/var/log/qubes    one log for each process

Run as root it starts everything as nobody: an agent that is root would ask PAM for every call.
"""

import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ZERO_UUID = "00000000-0000-0000-0000-000000000000"
PLACES = {
    "skerry-qrexec": "slices/qrexec", "skerry-policy": "services/policy",
    "qrexec-agent": "qube/agent", "qrexec-fork-server": "qube/agent",
    "qrexec-client-vm": "qube/client", "qrexec-client": "tools", "skerry": "tools",
    "bench-calls": "bench", "bench-bulk": "bench", "bench-inside": "bench",
    "bench-service": "bench", "bench-service-socket": "bench", "bench-service-bulk": "bench",
    "bench-reference": "bench", "bench-ring": "bench", "bench-policy": "bench",
}


def descendants(pid):
    """Every living descendant of a process."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                children = [int(child) for child in file.read().split()]
        except OSError:
            continue
        for child in children:
            found += [child] + descendants(child)
    return found


class NotStarted(Exception):
    pass


class Qube:
    def __init__(self, name, xid, uuid=None, tags=(), kind="AppVM", guivm="dom0"):
        self.name, self.xid, self.tags, self.kind, self.guivm = name, xid, list(tags), kind, guivm
        self.uuid = uuid or f"00000000-0000-4000-8000-{xid:012x}"
        self.agent = self.daemon = None


def facts(qubes, more=0):
    """The system description: dom0, these qubes, and so many more that do not run."""
    def domain(name, kind, uuid, tags, running, template=False, guivm="dom0"):
        return {"tags": tags, "type": kind, "template_for_dispvms": template,
                "default_dispvm": "default-dvm" if more else None, "icon": "appvm-green",
                "label": "0x73d216", "guivm": None if kind == "AdminVM" else guivm,
                "power_state": "Running" if running else "Halted", "uuid": uuid,
                "internal": None, "relayvm": None, "transport_rpc": None}

    domains = {"dom0": domain("dom0", "AdminVM", ZERO_UUID, [], True)}
    for qube in qubes:
        domains[qube.name] = domain(qube.name, qube.kind, qube.uuid, qube.tags, True, guivm=qube.guivm)
    for i in range(more):
        name = "default-dvm" if i == 0 else f"other-{i}"
        domains[name] = domain(name, "AppVM", f"00000000-0000-4000-9000-{i:012x}",
                               ["created-by-dom0"], False, template=i == 0)
    return {"domains": domains}


class System:
    def __init__(self, root, build, qubes, policy, transport="socket", trace=False, more_domains=0,
                 wrap=None, direct=True, channels=None):
        """policy: text of one file. wrap(qube, argv, env): argv of a sandboxed agent, or None.

        channels: folder in whose place run/vchan is made, as /run is in memory where systemd is.
        """
        self.root, self.build, self.transport = root, build, transport
        self.qubes = {qube.name: qube for qube in qubes}
        self.policy_text, self.trace, self.more_domains = policy, trace, more_domains
        self.wrap, self.direct = wrap, direct
        self.policy = self.facts = None
        self.started, self.channels = [], None
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        if channels:
            self.channels = tempfile.mkdtemp(prefix="skerry-vchan-", dir=channels)
            self._own(self.channels)
            os.makedirs(self.path("run"), exist_ok=True)
            self._own(self.path("run"))
            os.symlink(self.channels, self.path("run/vchan"))
        self._folders()

    # files

    def path(self, *names):
        return os.path.join(self.root, *names)

    def _own(self, path):
        if os.geteuid() == 0:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def folder(self, *names):
        path = self.root
        for name in "/".join(names).split("/"):
            path = os.path.join(path, name)
            if not os.path.isdir(path):
                os.mkdir(path)
                self._own(path)
        return path

    def _folders(self):
        os.makedirs(self.root, exist_ok=True)
        self._own(self.root)
        os.chmod(self.root, 0o755)
        for name in ("run/qubes/policy.d", "run/vchan", "etc/qubes/policy.d", "etc/qubes-rpc/policy",
                     "var/log/qubes", "run/qubes-rpc", "q"):
            self.folder(name)
        if not os.path.islink(self.path("var/run")):
            os.symlink("../run", self.path("var/run"))
        for qube in self.qubes.values():
            for name in ("run/qubes", "run/qubes-rpc", "etc/qubes-rpc", "etc/qubes/rpc-config",
                         "home/user", "var", "var/log/qubes"):
                self.folder("q", qube.name, name)
            if not os.path.islink(self.inside(qube.name, "var/run")):
                os.symlink("../run", self.inside(qube.name, "var/run"))
        self.write("etc/qubes/policy.d/30-user.policy", self.policy_text)

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        temporary = path + ".new"
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, mode)
        self._own(temporary)
        os.rename(temporary, path)
        return path

    def inside(self, qube, *names):
        """A path of a qube, as dom0 sees it."""
        return self.path("q", qube, *names)

    def service(self, qube, name, content):
        """An executable service of a qube (None: dom0): a script's text, or a program's path."""
        where = "etc/qubes-rpc/" + name if qube is None else f"q/{qube}/etc/qubes-rpc/{name}"
        if content.startswith("/"):
            if os.path.exists(self.path(where)):
                os.unlink(self.path(where))
            shutil.copy(content, self.path(where))
            os.chmod(self.path(where), 0o755)
            return self.path(where)
        return self.write(where, content, 0o755)

    # programs

    def program(self, name):
        return os.path.join(self.build, PLACES[name], name)

    def env(self, qube=None):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C",
               "USER": self.account.pw_name, "VCHAN_SOCKET_DIR": self.path("run/vchan"),
               "VCHAN_TRANSPORT": self.transport,
               "SKERRY_ROOT": self.root if qube is None else self.inside(qube)}
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE", "SKERRY_SANDBOX"):
            if key in os.environ:
                env[key] = os.environ[key]
        if self.trace:
            env["SKERRY_TRACE"] = "1"
        env["VCHAN_DOMAIN"] = "0" if qube is None else str(self.qubes[qube].xid)
        if qube is not None:
            env["HOME"] = self.inside(qube, "home/user")
        return env

    def popen(self, argv, log=None, qube=None, env=None, **more):
        if os.geteuid() == 0:
            more.update(user=self.account.pw_uid, group=self.account.pw_gid, extra_groups=[])
        if log:
            with open(self.path("var/log/qubes", log), "ab") as file:
                self._own(file.name)
                process = subprocess.Popen(argv, env=env or self.env(qube), stdin=subprocess.DEVNULL,
                                           stdout=file, stderr=file, **more)
            self.started.append(process)
            return process
        return subprocess.Popen(argv, env=env or self.env(qube), **more)

    def describe(self):
        """The facts, as they are now; a policy service that runs takes them in by itself."""
        self.facts = self.write("run/qubes/system-info.json", json.dumps(
            facts(self.qubes.values(), self.more_domains)))

    def start_policy(self):
        self.describe()
        self.policy = self.popen([self.program("skerry-policy"), "--system-info", self.facts],
                                 log="policy.log")
        self._until(lambda: self._listens("run/qubes/policy.sock"), self.policy, "policy")

    def start_agent(self, name):
        argv, env = [self.program("qrexec-agent"), "-S"], self.env(name)
        qube = self.qubes[name]
        if self.wrap:
            argv = self.wrap(qube, argv, env)
        qube.agent = self.popen(argv, log=f"agent.{name}.log", qube=name, env=env)

    def start_daemon(self, name, wait=True):
        qube = self.qubes[name]
        argv = [self.program("skerry-qrexec"), "--direct", "--uuid=" + qube.uuid, str(qube.xid), name,
                "user" if self.wrap else self.account.pw_name]
        qube.daemon = self.popen(argv, log=f"qrexec.{name}.log")
        if wait:
            self.wait_daemon(name)

    def wait_daemon(self, name):
        """Until qrexec.NAME is there: the agent has answered. As qubesd tests it."""
        self._until(lambda: os.path.exists(self.path("run/qubes", "qrexec." + name)),
                    self.qubes[name].daemon, "daemon of " + name)

    def start(self):
        self.start_policy()
        for name in self.qubes:
            self.start_agent(name)
        for name in self.qubes:
            self.start_daemon(name, wait=False)
        for name in self.qubes:
            self.wait_daemon(name)
        return self

    def _listens(self, name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self.path(name))
                return True
            except OSError:
                return False

    def _until(self, condition, process, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if process.poll() is not None:
                raise NotStarted(f"{what} ended with {process.returncode}; logs in "
                                   + self.path("var/log/qubes"))
            if time.monotonic() > end:
                raise NotStarted(f"{what} is not ready after {seconds} s")
            time.sleep(0.002)

    def client_vm(self, qube, *words):
        """argv of a call from a qube; run it with env(qube)"""
        return [self.program("qrexec-client-vm"), *words]

    def call(self, qube, target, service, stdin=b"", timeout=60):
        """A call from a qube (None: dom0, user:command as service). CompletedProcess."""
        if qube is None:
            argv = [self.program("qrexec-client"), "-d", target, service]
        else:
            argv = self.client_vm(qube, target, service)
        more = {}
        if os.geteuid() == 0:
            more.update(user=self.account.pw_uid, group=self.account.pw_gid, extra_groups=[])
        return subprocess.run(argv, env=self.env(qube), input=stdin, capture_output=True,
                              timeout=timeout, check=False, **more)

    def stop(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        for process in self.started:
            try:
                process.wait(timeout=max(0.05, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.channels:
            shutil.rmtree(self.channels, ignore_errors=True)
