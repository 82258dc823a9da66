# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./run shows: three qubes, a policy, and calls between them, on this machine's namespaces.

Each qube is an agent in a sandbox of its own (bubblewrap): own home, own processes, no network,
nothing of the machine but /usr read-only. Where bubblewrap cannot be used the agents run plainly and
the tour says so. Everything lives in one temporary folder and ends with the tour.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests", "blackbox"))
from system import NotStarted, PLACES, Qube, System  # noqa: E402

STATE = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/tmp", f"skerry-run.{os.getuid()}.json")
DOCUMENT = os.path.join(SOURCE, "LICENSES", "GPL-2.0-or-later.txt")

POLICY = """# Who may call what. First match decides; see `skerry policy why`.
demo.Store   *  work       vault      allow
demo.Fetch   *  work       vault      allow
demo.Open    *  work       untrusted  ask    default_target=untrusted
demo.Fetch   *  untrusted  vault      deny
*            *  @anyvm     @anyvm     deny   notify=no
"""

SERVICES = {
    "vault": {
        # Stores what arrives under the name in the argument, then says the digest of what it stored.
        "demo.Store": "#!/bin/sh\nmkdir -p \"$HOME/Documents\" && cat >\"$HOME/Documents/$1\" &&\n"
                      "exec sha256sum <\"$HOME/Documents/$1\"\n",
        "demo.Fetch": "#!/bin/sh\nexec cat \"$HOME/Documents/$1\"\n",
    },
    "untrusted": {
        "demo.Open": "#!/bin/sh\nlines=$(wc -l)\n"
                     "echo \"untrusted opened a document of $lines lines from $QREXEC_REMOTE_DOMAIN\"\n",
    },
    "work": {},
}

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
failures = []


def paint(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def heading(text):
    print("\n" + paint(text, 1), flush=True)


def show(text):
    for line in text.rstrip("\n").split("\n"):
        print("   " + line, flush=True)


def verdict(good, text):
    print("   " + (paint("ok", 32) if good else paint("WRONG", 31)) + "  " + text, flush=True)
    if not good:
        failures.append(text)


# --- the sandbox of a qube -------------------------------------------------------------------------

def sandbox_usable():
    """Whether an ordinary user can make a sandbox here; the reason if not."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    more = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    probe = subprocess.run(["bwrap", "--unshare-all", "--uid", "1000", "--ro-bind", "/", "/", "true"],
                           capture_output=True, check=False, **more)
    return "" if probe.returncode == 0 else probe.stderr.decode(errors="replace").strip()


def sandbox(system, qube, argv, env):
    """The argv of an agent in a sandbox. Paths inside are those of a real qube; env is changed."""
    inside = lambda *names: system.inside(qube.name, *names)  # noqa: E731
    system.write(f"q/{qube.name}/etc/passwd",
                 "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    system.write(f"q/{qube.name}/etc/group", "root:x:0:\nuser:x:1000:\n")
    argv_out = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--uid", "1000",
                "--gid", "1000", "--hostname", qube.name, "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        if os.path.islink("/" + name):
            argv_out += ["--symlink", os.readlink("/" + name), "/" + name]
        elif os.path.isdir("/" + name):
            argv_out += ["--ro-bind", "/" + name, "/" + name]
    argv_out += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/opt/qubes",
                 "--bind", inside("run"), "/run", "--symlink", "../run", "/var/run",
                 "--bind", inside("home/user"), "/home/user", "--ro-bind", inside("etc"), "/etc",
                 "--bind", system.path("run/vchan"), "/run/vchan"]
    for name in ("qrexec-agent", "qrexec-client-vm"):
        argv_out += ["--ro-bind", system.program(name), "/opt/qubes/" + name]
    argv_out += ["--chdir", "/home/user", "/opt/qubes/qrexec-agent"] + argv[1:]
    system.folder("q", qube.name, "run/vchan")
    env.update(PATH="/opt/qubes:/usr/local/bin:/usr/bin:/bin", HOME="/home/user", USER="user",
               VCHAN_SOCKET_DIR="/run/vchan")
    del env["SKERRY_ROOT"]
    return argv_out


def reachable(build, root):
    """The build tree; for root, where nobody cannot reach it (a clone in /root), a copy of its programs."""
    if os.geteuid() != 0:
        return build
    try:
        subprocess.run([os.path.join(build, PLACES["skerry"], "skerry"), "--version"], user="nobody",
                       group="nogroup", extra_groups=[], stdout=subprocess.DEVNULL, check=True)
        return build
    except PermissionError:
        pass
    for place in set(PLACES.values()) - {"bench"}:
        with os.scandir(os.path.join(build, place)) as entries:
            for entry in entries:
                if entry.is_file() and os.access(entry.path, os.X_OK):
                    os.makedirs(os.path.join(root, "programs", place), exist_ok=True)
                    shutil.copy(entry.path, os.path.join(root, "programs", place, entry.name))
    return os.path.join(root, "programs")


# --- the tour --------------------------------------------------------------------------------------

class Tour:
    def __init__(self, build):
        self.why_plain = sandbox_usable()
        self.root = tempfile.mkdtemp(prefix="skerry-", dir="/tmp")
        qubes = [Qube("work", 1, tags=["trusted"]), Qube("untrusted", 2), Qube("vault", 3)]
        self.system = System(self.root, reachable(os.path.abspath(build), self.root), qubes, POLICY, trace=True,
                             transport="memfd",
                             wrap=None if self.why_plain else
                             lambda qube, argv, env: sandbox(self.system, qube, argv, env))
        self.user = self.system.account.pw_name if self.why_plain else "user"
        self.asker = None

    def start(self):
        heading("2. Three qubes: work, untrusted, vault")
        if self.why_plain:
            print("   " + paint("warning", 33) + ": no sandboxes here (" + self.why_plain +
                  "); the qubes' agents run plainly")
        for qube, services in SERVICES.items():
            for name, text in services.items():
                self.system.service(qube, name, text)
        began = time.monotonic()
        self.system.start()
        self.write_state()
        verdict(True, f"policy service, 3 daemons, 3 agents in {1000 * (time.monotonic() - began):.0f}"
                      " ms" + ("" if self.why_plain else ", each agent in a sandbox of its own"))
        show("in " + self.root + "; logs in var/log/qubes there")
        return self

    def write_state(self):
        """What ./run stop needs: the folder, and each process with the moment of its start."""
        pids = {str(p.pid): start_time(p.pid) for p in self.system.started}
        pids[str(os.getpid())] = start_time(os.getpid())
        try:
            drop_state()
            fd = os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            show(f"./run stop will not find this system: {error}")
            return
        with os.fdopen(fd, "w", encoding="ascii") as file:
            json.dump({"root": self.root, "pids": pids}, file)

    def in_qube(self, qube, command, stdin=b""):
        """Run a command inside a qube, the way dom0 does: a call."""
        return self.system.call(None, qube, f"{self.user}:{command}", stdin=stdin)

    def client(self):
        return "qrexec-client-vm" if not self.why_plain else self.system.program("qrexec-client-vm")

    def home(self, qube):
        return self.system.inside(qube, "home/user")

    def skerry(self, *words):
        more = {}
        if os.geteuid() == 0:
            more.update(user=self.system.account.pw_uid, group=self.system.account.pw_gid,
                        extra_groups=[])
        result = subprocess.run([self.system.program("skerry"), *words], env=self.system.env(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
        return result.returncode, result.stdout.decode(errors="backslashreplace")

    def allowed(self):
        heading("3. An allowed call: a document from work to vault")
        with open(DOCUMENT, "rb") as file:
            document = file.read()
        path = os.path.join(self.home("work"), "licence.txt")
        self.system.write(os.path.relpath(path, self.root), document)
        show(f"work$ qrexec-client-vm vault demo.Store+licence.txt <licence.txt   # {len(document)} bytes")
        result = self.in_qube("work", f"{self.client()} vault demo.Store+licence.txt <\"$HOME\"/licence.txt")
        show((result.stdout + result.stderr).decode(errors="backslashreplace"))
        digest = result.stdout.decode(errors="replace").split(" ")[0]
        verdict(result.returncode == 0 and digest == hashlib.sha256(document).hexdigest(),
                "vault says the digest that the document has here")
        back = self.in_qube("work", f"{self.client()} vault demo.Fetch+licence.txt </dev/null")
        verdict(back.returncode == 0 and back.stdout == document,
                "fetched back into work it is identical, byte for byte")

    def refused(self):
        heading("4. A refused call: untrusted wants the document")
        show("untrusted$ qrexec-client-vm vault demo.Fetch+licence.txt")
        result = self.in_qube("untrusted", f"{self.client()} vault demo.Fetch+licence.txt </dev/null")
        show((result.stdout + result.stderr).decode(errors="backslashreplace"))
        verdict(result.returncode == 126 and result.stdout == b"", "refused: exit status 126, no byte")
        show("dom0$ skerry policy why --system-info=$FACTS untrusted vault demo.Fetch+licence.txt")
        code, text = self.skerry("policy", "why", f"--system-info={self.system.facts}", "untrusted", "vault", "demo.Fetch+licence.txt")
        show(text)
        verdict("30-user.policy" in text and "deny" in text and code in (0, 1),
                "the deciding rule, with file and line")

    def start_asker(self, *words, **more):
        """The prompt service of dom0, where the policy looks for it."""
        link = self.system.path("etc/qubes-rpc/policy.Ask")
        if not os.path.islink(link):
            os.symlink("../../run/qubes/policy-agent.sock", link)
        sock = self.system.path("run/qubes/policy-agent.sock")
        if os.path.exists(sock):
            os.unlink(sock)
        self.asker = self.system.popen([self.system.program("skerry"), "ask", *words], **more)
        end = time.monotonic() + 10
        while not os.path.exists(sock) and self.asker.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def stop_asker(self):
        if self.asker and self.asker.poll() is None:
            self.asker.terminate()
            self.asker.wait()
        self.asker = None

    def asked(self):
        heading("5. A call that asks first: work wants untrusted to open the document")
        command = f"{self.client()} untrusted demo.Open <\"$HOME\"/licence.txt"
        show("work$ qrexec-client-vm untrusted demo.Open <licence.txt")
        if sys.stdin.isatty() and sys.stdout.isatty():
            show("Answer the prompt below, as dom0's user.")
            self.start_asker()
            result = self.in_qube("work", command)
            self.stop_asker()
            show((result.stdout + result.stderr).decode(errors="backslashreplace"))
            verdict(result.returncode in (0, 126), "allowed: it was opened" if result.returncode == 0
                    else "refused, as you said")
            return
        show("dom0$ skerry ask --answer allow:untrusted")
        self.start_asker("--answer", "allow:untrusted")
        result = self.in_qube("work", command)
        self.stop_asker()
        show((result.stdout + result.stderr).decode(errors="backslashreplace"))
        verdict(result.returncode == 0 and b"untrusted opened" in result.stdout,
                "answered allow:untrusted: it was opened there")
        show("dom0$ skerry ask --answer deny")
        self.start_asker("--answer", "deny")
        result = self.in_qube("work", command)
        self.stop_asker()
        show(result.stderr.decode(errors="backslashreplace"))
        verdict(result.returncode == 126, "answered deny: refused, exit status 126")

    def trace(self):
        heading("6. Where the time of the allowed call went")
        show("dom0$ skerry trace --service demo.Store")
        code, text = self.skerry("trace", "--service", "demo.Store")
        show(text)
        verdict(code == 0 and all(stage in text for stage in (
            "request decoded", "policy asked", "verdict received", "port known",
            "connect to the caller")), "each stage, with the microseconds between")
        show("vault$ skerry trace   # the last one there")
        code, text = self.skerry("trace", "--dir=" + self.system.inside("vault", "run/qubes/skerry-trace"))
        show(text)
        verdict(code == 0 and "service started" in text and "exit code sent" in text,
                "and what vault's own agent did in that time")

    def prompt_rc(self):
        """The shell that the user is left in: short words for what the tour did."""
        bins = os.path.join(self.root, "bin")
        os.makedirs(bins, exist_ok=True)
        for name in ("skerry", "qrexec-client"):
            os.symlink(self.system.program(name), os.path.join(bins, name))
        path = os.path.join(self.root, "bashrc")
        lines = [f"export {key}={shlex.quote(value)}" for key, value in self.system.env().items()
                 if key not in ("PATH", "LANG", "USER", "SKERRY_TRACE")]
        lines += [f"export FACTS={shlex.quote(self.system.facts)}", f"export PATH={shlex.quote(bins)}:$PATH",
                  # What is typed next is for the shell, not for the call.
                  "in_qube() { if [ -t 0 ]; then in_qube \"$@\" </dev/null; return; fi",
                  f"local q=$1; shift; qrexec-client -d \"$q\" \"{self.user}:$*\"; }}",
                  # Tab offers the commands, the options and the qubes.
                  "for f in skerry qrexec-client; do . "
                  f"{shlex.quote(os.path.join(SOURCE, 'tools/completion'))}/$f 2>/dev/null; done",
                  "PS1='dom0 (skerry)$ '"]
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def prompt(self):
        heading("Yours now. The system runs until you leave this shell (or ./run stop). Worth trying:")
        client = self.client()
        for command, meaning in (
                (f"in_qube work '{client} vault demo.Fetch+licence.txt | head -3'", "an allowed call"),
                (f"in_qube untrusted '{client} vault demo.Fetch+licence.txt'", "a refused one"),
                ("skerry policy why --system-info=$FACTS work untrusted demo.Open", "which rule decides, and which would next"),
                ("skerry policy check", "is the policy sound? its text: $SKERRY_ROOT/etc/qubes/policy.d"),
                ("skerry trace --summary", "p50 and p99 of each stage of all calls")):
            print(f"   {paint(command, 36)}\n        {meaning}")
        more = {}
        if os.geteuid() == 0:
            more.update(user=self.system.account.pw_uid, group=self.system.account.pw_gid,
                        extra_groups=[])
        subprocess.run(["bash", "--noprofile", "--rcfile", self.prompt_rc(), "-i"], cwd=self.root,
                       check=False, **more)

    def stop(self):
        self.stop_asker()
        self.system.stop()
        left = [p.pid for p in self.system.started if p.poll() is None]
        verdict(not left, "everything is stopped; nothing is left")
        shutil.rmtree(self.root, ignore_errors=True)
        drop_state()


def read_state():
    """What write_state() wrote; None if there is nothing, or if somebody else put it there."""
    try:
        fd = os.open(STATE, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(fd, encoding="ascii") as file:
        if os.fstat(fd).st_uid != os.getuid():
            print(f"{STATE} is not yours: not used")
            return None
        return json.load(file)


def drop_state():
    if os.path.lexists(STATE) and os.lstat(STATE).st_uid == os.getuid():
        os.unlink(STATE)


def start_time(pid):
    """Field 22 of /proc/PID/stat: with it a number that was given again is not taken for the old."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rsplit(b")", 1)[1].split()[19])
    except OSError:
        return -1


def stop_other():
    state = read_state()
    if state is None:
        print("nothing runs")
        return 0
    alive = [int(pid) for pid, began in state["pids"].items() if start_time(int(pid)) == began]
    for pid in alive:
        try:
            os.kill(pid, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            pass
    end = time.monotonic() + 5
    while time.monotonic() < end and any(
            start_time(int(pid)) == began for pid, began in state["pids"].items()):
        time.sleep(0.05)
    for pid, began in state["pids"].items():
        if start_time(int(pid)) == began:
            os.kill(int(pid), signal.SIGKILL)
    if state["root"].startswith("/tmp/skerry-"):
        shutil.rmtree(state["root"], ignore_errors=True)
    drop_state()
    print(f"stopped {len(alive)} processes")
    return 0


def main():
    parser = argparse.ArgumentParser(description="the tour of ./run")
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--stop", action="store_true")
    options = parser.parse_args()
    if options.stop:
        return stop_other()
    if os.path.lexists(STATE):
        stop_other()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tour = Tour(options.build)
    try:
        tour.start()
        tour.allowed()
        tour.refused()
        tour.asked()
        tour.trace()
        if sys.stdin.isatty() and sys.stdout.isatty():
            tour.prompt()
        else:
            heading("7. Stop")
    except NotStarted as error:
        verdict(False, str(error))
    finally:
        tour.stop()
    if failures:
        print(paint(f"\n{len(failures)} steps were not as they should be", 31))
        return 1
    print(paint("\nAll as it should be.", 32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
