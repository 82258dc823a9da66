# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./run shows: a Skerry system on this machine's namespaces, at work on real input.

The system is the installed one: skerryd and what it starts, with every path below one folder. Everything
here is done with the commands that a user has. Qubes that the tour makes stay; ./run finds them again.
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
STAGE = os.path.join(SOURCE, "build", "stage", "usr", "local")
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
LIMIT = 120  # seconds for any one command; only a hang takes so long

POLICY = """# Who may call what. The first match decides; see `skerry policy why`.
# This file is yours: the tour only makes it if it is not there.
qubes.Filecopy    *  untrusted  work      allow
qubes.PdfConvert  *  untrusted  @dispvm   allow
qubes.Filecopy    *  untrusted  vault     deny  notify=no
"""

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
    return good


def default_root():
    """Where an ordinary user's system is kept (skerry(1), FILES); root's has a folder of its own."""
    if os.geteuid() == 0:
        return "/var/lib/skerry"
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "skerry")


def start_time(pid):
    """Field 22 of /proc/PID/stat: with it a number that was given again is not taken for the old."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rsplit(b")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return -1


class System:
    def __init__(self, root):
        self.root = root
        self.state = os.path.join(root, "skerryd.json")
        self.daemon = None

    def path(self, *names):
        return os.path.join(self.root, *names)

    def env(self):
        env = dict(os.environ, SKERRY_ROOT=self.root)
        env["PATH"] = os.pathsep.join([os.path.join(STAGE, "bin"), os.path.join(STAGE, "sbin"),
                                       env.get("PATH", "/usr/bin:/bin")])
        return env

    def run(self, *words, data=b"", check=False):
        """One of our commands; (status, output, errors)."""
        try:
            r = subprocess.run([os.path.join(STAGE, "bin", words[0]), *words[1:]], input=data, env=self.env(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return 124, b"", f"no end within {LIMIT} s".encode()
        if check and r.returncode != 0:
            raise Failed(" ".join(words) + ": " + (r.stderr or r.stdout).decode(errors="backslashreplace").strip())
        return r.returncode, r.stdout, r.stderr

    def running(self):
        """The pid of this system's monitor; None if none runs."""
        try:
            with open(self.state, encoding="ascii") as file:
                state = json.load(file)
        except (OSError, ValueError):
            return None
        return state["pid"] if start_time(state["pid"]) == state["began"] else None

    def start(self):
        log_path = self.path("var/log/qubes/skerryd.log")
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        ready, ready_end = os.pipe()
        with open(log_path, "ab") as log:
            self.daemon = subprocess.Popen(
                [os.path.join(STAGE, "sbin", "skerryd"), "--root=" + self.root, f"--ready-fd={ready_end}"],
                env=self.env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[ready_end],
                start_new_session=True, cwd="/")
        os.close(ready_end)
        with open(self.state, "w", encoding="ascii") as file:
            json.dump({"pid": self.daemon.pid, "began": start_time(self.daemon.pid)}, file)
        with os.fdopen(ready, "rb") as file:
            if file.read(1) != b"\0":
                raise Failed(f"skerryd did not start; its log: {log_path}\n" + tail(log_path))

    def stop(self):
        """SIGTERM to the monitor, which ends all; whether nothing of it is left."""
        pid = self.running()
        if pid is None:
            return True
        began = start_time(pid)
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if self.daemon and self.daemon.pid == pid:
                self.daemon.poll()
            if start_time(pid) != began:
                break
            time.sleep(0.02)
        else:
            return False
        if os.path.exists(self.state):
            os.unlink(self.state)
        return not self.left()

    def left(self):
        """Processes that have this system's folder in their environment or their words."""
        found = []
        needle = self.root.encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[0].startswith(STAGE.encode()) and any(needle in word for word in words):
                found.append(int(pid))
        return found


class Failed(Exception):
    pass


def tail(path, lines=15):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return str(error)


class Tour:
    def __init__(self, system):
        self.s = system
        self.pdf = None

    # the parts of the tour

    def begin(self):
        heading("2. The system")
        if self.s.running() is not None:
            show("it runs already: " + self.s.root)
        else:
            began = time.monotonic()
            self.s.start()
            verdict(True, f"skerryd and its services, in {1000 * (time.monotonic() - began):.0f} ms; "
                    f"all of it below {self.s.root}")
        show("$ skerry init      # once: the template, and one for disposables")
        _, out, err = self.s.run("skerry", "init", check=True)
        show((out + err).decode(errors="backslashreplace"))
        policy = self.s.path("etc/qubes/policy.d/30-user.policy")
        if not os.path.exists(policy):
            with open(policy, "w", encoding="ascii") as file:
                file.write(POLICY)
        _, out, _ = self.s.run("skerry", "status")
        show(out.decode(errors="backslashreplace"))

    def qubes(self):
        heading("3. Three qubes: work, untrusted, and vault, which has no network")
        _, out, _ = self.s.run("qvm-ls", "--raw-list", check=True)
        have = out.decode().split()
        for name, label, more in (("work", "blue", []), ("untrusted", "red", []), ("vault", "black", ["netvm="])):
            if name not in have:
                words = ["skerry", "create", name, "--label=" + label, *more]
                show("$ " + shlex.join(words))
                self.s.run(*words, check=True)
        began = time.monotonic()
        show("$ skerry start work untrusted vault")
        self.s.run("skerry", "start", "work", "untrusted", "vault", check=True)
        took = 1000 * (time.monotonic() - began)
        _, out, _ = self.s.run("skerry", "ls")
        show(out.decode(errors="backslashreplace"))
        verdict(all(f"{name} " in out.decode() for name in ("work", "untrusted", "vault")),
                f"they run, {took:.0f} ms after they were asked to")

    def inside(self):
        heading("4. Programs in them")
        command = "id -un; hostname; ls -A /home; ps -e --no-headers | wc -l"
        show(f"$ skerry run work -- sh -c {shlex.quote(command)}")
        status, out, err = self.s.run("skerry", "run", "work", "--", "sh", "-c", command)
        show((out + err).decode(errors="backslashreplace"))
        lines = out.decode().split()
        verdict(status == 0 and lines[:2] == ["user", "work"], "an own user, an own name, an own home, few processes")
        note = b"the plans of " + os.urandom(4).hex().encode() + b"\n"
        self.s.run("skerry", "run", "work", "--", "sh", "-c", "cat >plans.txt", data=note, check=True)
        status, out, _ = self.s.run("skerry", "run", "untrusted", "--", "cat", "/home/user/plans.txt")
        verdict(status != 0 and out == b"", "what work keeps, untrusted does not see")

    def document(self):
        heading("5. A document from the outside: made safe in a disposable, then handed to work")
        pdf = make_pdf()
        self.s.run("skerry", "run", "untrusted", "--", "sh", "-c",
                   "rm -f report.pdf report.trusted.pdf; cat >report.pdf", data=pdf, check=True)
        show(f"untrusted$ qvm-convert-pdf report.pdf       # {len(pdf)} bytes from somewhere")
        began = time.monotonic()
        status, out, err = self.s.run("skerry", "run", "untrusted", "--", "qvm-convert-pdf", "report.pdf")
        show((out + err).decode(errors="backslashreplace"))
        status2, safe, _ = self.s.run("skerry", "run", "untrusted", "--", "cat", "report.trusted.pdf")
        verdict(status == 0 and status2 == 0 and safe.startswith(b"%PDF-") and safe != pdf,
                f"rendered in a disposable, rebuilt from its pixels: {len(safe)} bytes, {time.monotonic() - began:.1f} s")
        show("untrusted$ qvm-copy-to-vm work report.trusted.pdf")
        self.s.run("skerry", "run", "work", "--", "rm", "-rf", "QubesIncoming", check=True)
        status, out, err = self.s.run("skerry", "run", "untrusted", "--", "qvm-copy-to-vm", "work", "report.trusted.pdf")
        show((out + err).decode(errors="backslashreplace"))
        _, got, _ = self.s.run("skerry", "run", "work", "--", "cat", "QubesIncoming/untrusted/report.trusted.pdf")
        verdict(status == 0 and hashlib.sha256(got).digest() == hashlib.sha256(safe).digest(),
                "in work's QubesIncoming/untrusted, the same byte for byte")

    def refused(self):
        heading("6. A refused call: untrusted wants to give something to vault")
        show("untrusted$ qvm-copy-to-vm vault report.pdf")
        status, out, err = self.s.run("skerry", "run", "untrusted", "--", "qvm-copy-to-vm", "vault", "report.pdf")
        show((out + err).decode(errors="backslashreplace"))
        there, _, _ = self.s.run("skerry", "run", "vault", "--", "test", "-e", "QubesIncoming")
        verdict(status != 0 and there != 0, "refused, and nothing of it arrived")
        show("$ skerry policy why untrusted vault qubes.Filecopy")
        status, out, err = self.s.run("skerry", "policy", "why", "untrusted", "vault", "qubes.Filecopy")
        show((out + err).decode(errors="backslashreplace"))
        verdict(b"30-user.policy" in out and b"deny" in out, "the deciding rule, with file and line")

    def offline(self):
        heading("7. vault has no network")
        command = "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/route | tail -n +2 | wc -l"
        show(f"$ skerry run vault -- sh -c {shlex.quote(command)}")
        _, out, err = self.s.run("skerry", "run", "vault", "--", "sh", "-c", command)
        show((out + err).decode(errors="backslashreplace"))
        verdict(out.split() == [b"lo", b"0"], "no interface but its own loopback, no route")

    def ready(self):
        """The disposables that wait, paused, to be used."""
        _, out, _ = self.s.run("qvm-features", "default-dvm", "preload-dispvm")
        names = out.decode(errors="replace").split()
        _, out, _ = self.s.run("skerry", "ls")
        paused = [line.split()[0] for line in out.decode(errors="replace").splitlines() if " Paused " in line]
        return [name for name in names if name in paused]

    def disposables(self):
        heading("8. Disposables, from a ready pool")
        end = time.monotonic() + LIMIT
        while len(self.ready()) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        ready = self.ready()
        show("they wait, paused: " + " ".join(ready))
        for _ in range(2):
            began = time.monotonic()
            status, out, err = self.s.run("skerry", "disp", "--", "hostname")
            took = 1000 * (time.monotonic() - began)
            name = out.decode(errors="replace").strip()
            verdict(status == 0 and name in ready,
                    f"{name or err.decode(errors='backslashreplace').strip()}: {took:.0f} ms from the request to its end")

    def survives(self):
        heading("9. The monitor is killed; the qubes go on")
        pid = self.s.running()
        _, before, _ = self.s.run("skerry", "run", "work", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
        show(f"$ kill -9 {pid}       # skerryd")
        os.kill(pid, signal.SIGKILL)
        if self.s.daemon:
            self.s.daemon.wait()
        self.s.start()
        status, _, err = self.s.run("skerry", "run", "work", "--", "kill", before.decode().strip() or "1")
        show(err.decode(errors="backslashreplace") if err else "a new one took over")
        verdict(status == 0, "work runs on with the same processes, and is reached by the new monitor")

    # the end

    def prompt_rc(self):
        fd, path = tempfile.mkstemp(prefix="skerry-rc-")
        lines = [f"export SKERRY_ROOT={shlex.quote(self.s.root)}", f"export PATH={shlex.quote(self.s.env()['PATH'])}",
                 "for f in " + shlex.quote(os.path.join(STAGE, "share/bash-completion/completions")) +
                 "/*; do . \"$f\" 2>/dev/null; done",
                 "PS1='dom0 (skerry)$ '", f"rm -f {shlex.quote(path)}"]
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def prompt(self):
        heading("Yours now. The system runs on when you leave; ./run stop ends it. Worth trying:")
        for command, meaning in (
                ("skerry shell work", "work inside a qube"),
                ("skerry disp -- bash", "a throw-away one"),
                ("skerry ls", "what there is; also qvm-ls, qvm-prefs work and the other qvm-* commands"),
                ("skerry policy why work vault qubes.Filecopy", "which rule decides, and which would next"),
                ("skerry watch", "events, as they happen")):
            print(f"   {paint(command, 36)}\n        {meaning}")
        subprocess.run(["bash", "--noprofile", "--rcfile", self.prompt_rc(), "-i"], check=False)


def make_pdf():
    """A real document: this project's own manual page, set by mandoc; else a small one made by hand."""
    page = os.path.join(SOURCE, "doc/man/skerry.1")
    if shutil.which("mandoc"):
        r = subprocess.run(["mandoc", "-T", "pdf", page], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if r.stdout.startswith(b"%PDF-"):
            return r.stdout
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R"
               b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
               b"<</Length 43>>stream\nBT /F 24 Tf 20 40 Td (A report) Tj ET       \nendstream"]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + body + b"endobj\n"
    xref = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    return out + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % xref


def stage(root):
    subprocess.run([os.path.join(SOURCE, "scripts", "stage.sh"), root], check=True)


def main():
    parser = argparse.ArgumentParser(description="the tour of ./run")
    parser.add_argument("--root", default=os.environ.get("SKERRY_ROOT") or default_root())
    parser.add_argument("--stop", action="store_true")
    options = parser.parse_args()
    system = System(os.path.abspath(options.root))
    if options.stop:
        if system.running() is None:
            print("nothing runs below " + system.root)
            return 0
        good = system.stop()
        print("stopped; the qubes' files are in " + system.root if good else "something is left of it")
        return 0 if good else 1
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(system.root, mode=0o755, exist_ok=True)
    stage(system.root)
    tour = Tour(system)
    try:
        tour.begin()
        for part in (tour.qubes, tour.inside, tour.document, tour.refused, tour.offline, tour.disposables,
                     tour.survives):
            part()
        if interactive:
            tour.prompt()
    except Failed as error:
        verdict(False, str(error))
    finally:
        if not interactive:
            heading("10. Stop")
            verdict(system.stop(), "everything is stopped; nothing is left but the qubes' files")
    if failures:
        print(paint(f"\n{len(failures)} steps were not as they should be", 31))
        return 1
    print(paint("\nAll as it should be.", 32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
