# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands against the real admin, store and storage services; the ground is a stand-in.

If this failed, the commands and the service would understand the Admin API differently: what the recorded
conversations show of each alone is replayed elsewhere.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import admin_common  # noqa: E402

BUILD = os.environ.get("SKERRY_BUILD", "build/release")
cases = []


class Storage:
    """The real service at the end of the admin's socket."""

    root = None

    def __init__(self, ours):
        self.ours = ours

    def start(self):
        ready, told = os.pipe()
        self.program = subprocess.Popen(
            [os.path.join(BUILD, "services/storage/skerry-storage"), "--root=" + self.root,
             "--admin-fd=%d" % self.ours.fileno(), "--ready-fd=%d" % told],
            pass_fds=[self.ours.fileno(), told], stderr=subprocess.DEVNULL)
        os.close(told)
        if not os.read(ready, 1):
            raise RuntimeError("skerry-storage did not start")
        os.close(ready)
        self.ours.close()

    def stop(self):
        self.program.terminate()
        self.program.wait()


class System:
    """Services below a folder of their own, and the commands that ask them."""

    def __init__(self):
        self.root = Storage.root = tempfile.mkdtemp(prefix="skt")
        os.chmod(self.root, 0o755)
        os.makedirs(os.path.join(self.root, "var/lib/qubes/vm-kernels"))
        self.bin = os.path.join(self.root, "bin")
        os.mkdir(self.bin)
        self.admin = admin_common.Admin(root=self.root, storage=Storage)

    def run(self, *words, status=0):
        name = os.path.join(BUILD, "tools", words[0]) if words[0] == "skerry" else os.path.join(self.bin, words[0])
        if not os.path.lexists(name):
            os.symlink(os.path.abspath(os.path.join(BUILD, "tools/qvm/qvm")), name)
        env = {k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_"))}
        env.update(SKERRY_ROOT=self.root, PATH="/usr/bin:/bin", LC_ALL="C.UTF-8")
        result = subprocess.run([name, *words[1:]], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, timeout=admin_common.HANG, check=False)
        if result.returncode != status:
            raise AssertionError("%s: status %d: %r %r" % (" ".join(words), result.returncode, result.stdout,
                                                          result.stderr))
        self.errors = result.stderr.decode()
        return result.stdout.decode()

    def close(self):
        self.admin.close()
        shutil.rmtree(self.root, ignore_errors=True)


def case(name):
    def add(function):
        cases.append((name, function))
        return function
    return add


def equal(got, wanted):
    if got != wanted:
        raise AssertionError("%r is not %r" % (got, wanted))


def within(part, text):
    if part not in text:
        raise AssertionError("%r is not in %r" % (part, text))


def some_qubes(s):
    s.run("qvm-create", "-C", "TemplateVM", "-l", "black", "deb")
    s.run("qvm-create", "-t", "deb", "-l", "red", "--prop", "memory=500", "work")
    s.run("skerry", "create", "play", "--template=deb", "--label=green", "maxmem=2000")


@case("qubes are made, listed, changed, removed")
def _(s):
    some_qubes(s)
    equal(s.run("qvm-ls", "--raw-data", "--fields", "name,class,state,label,template,memory_", "--exclude", "dom0"),
          "deb|TemplateVM|Halted|black|-|-\nplay|AppVM|Halted|green|deb|-\nwork|AppVM|Halted|red|deb|-\n")
    rows = [json.loads(line) for line in s.run("skerry", "--json", "ls").splitlines()]
    equal([r["name"] for r in rows], ["deb", "dom0", "play", "work"])
    s.run("qvm-create", "-l", "red", "-t", "deb", "work", status=1)
    within("Qube already exists: work", s.errors)
    s.run("skerry", "create", "bad", "--template=deb", "memory=many", status=1)
    equal(s.run("qvm-ls", "--raw-list"), "deb\ndom0\nplay\nwork\n")
    s.run("qvm-remove", "-f", "deb", status=1)
    within("VM deb cannot be removed. It is in use as:\n - template for play\n - template for work\n", s.errors)
    s.run("skerry", "remove", "--yes", "play")
    s.run("qvm-remove", "-f", "work", "deb")
    equal(s.run("qvm-ls", "--raw-list"), "dom0\n")


@case("properties, features, tags, services, notes")
def _(s):
    some_qubes(s)
    equal(s.run("qvm-prefs", "work", "memory"), "500\n")
    within("maxmem                -  2000\n", s.run("qvm-prefs", "play"))
    s.run("qvm-prefs", "work", "memory", "0", status=1)
    s.run("qvm-prefs", "work", "nosuch", status=2)
    s.run("qvm-prefs", "-D", "work", "memory")
    equal(s.run("skerry", "get", "work", "memory"), "400\n")
    s.run("qubes-prefs", "default_template", "deb")
    equal(s.run("skerry", "get", "system", "default_template"), "deb\n")
    s.run("qvm-features", "work", "a", "with words")
    s.run("qvm-service", "work", "cups", "on")
    equal(s.run("qvm-features", "work"), "a             with words\nservice.cups  1\n")
    s.run("qvm-features", "-D", "work", "a")
    equal(s.run("qvm-service", "work"), "cups  on\n")
    s.run("qvm-tags", "work", "add", "x", "y")
    s.run("qvm-tags", "work", "del", "y")
    within("x\n", s.run("qvm-tags", "work"))
    equal(s.run("qvm-ls", "--raw-list", "--tags", "x"), "work\n")
    s.run("qvm-notes", "-f", "--set", "a note", "work")
    equal(s.run("qvm-notes", "-p", "work"), "a note\n")
    within("properties", s.run("qvm-prefs", "--help"))
    within("memory", s.run("qvm-prefs", "--help-properties", "work"))


@case("qubes run, stand still and end")
def _(s):
    some_qubes(s)
    s.run("skerry", "start", "work", "play")
    equal(s.run("qvm-ls", "--raw-list", "--running", "--exclude", "dom0"), "play\nwork\n")
    s.run("qvm-start", "work", status=1)
    within("Domain is already running", s.errors)
    s.run("qvm-start", "--skip-if-running", "work")
    s.run("qvm-pause", "work")
    s.run("qvm-check", "--paused", "work")
    s.run("skerry", "unpause", "work")
    s.run("qvm-check", "--running", "work", "deb", status=3)
    s.run("qvm-shutdown", "--wait", "work")
    s.run("skerry", "kill", "play")
    s.run("skerry", "stop", "play")
    equal(s.run("qvm-ls", "--raw-list", "--running"), "dom0\n")
    s.run("skerry", "start", "nosuch", status=1)


@case("volumes, pools, firewall, devices, copies")
def _(s):
    some_qubes(s)
    within("varlibqubes", s.run("qvm-pool"))
    within("varlibqubes:appvms/work/private", s.run("qvm-volume", "ls", "work"))
    size = int(s.run("qvm-volume", "info", "work:private", "size"))
    s.run("qvm-volume", "resize", "work:private", str(size + (1 << 30)))
    equal(int(s.run("qvm-volume", "info", "work:private", "size")), size + (1 << 30))
    s.run("qvm-volume", "resize", "work:private", "1MiB", status=1)
    within("Refusing to shrink", s.errors)
    s.run("qvm-firewall", "work", "add", "--before", "0", "accept", "1.2.3.4", "tcp", "22")
    equal(s.run("qvm-firewall", "--raw", "work"),
          "action=accept proto=tcp dst4=1.2.3.4/32 dstports=22-22\naction=accept\n")
    s.run("qvm-firewall", "work", "del", "--rule-no", "1")
    for words in (["qvm-block"], ["qvm-usb"], ["qvm-device", "mic"], ["skerry", "device", "block", "list", "-s"]):
        s.run(*words)
    within("block", s.run("qvm-device", "--list-device-classes"))
    s.run("qvm-features", "work", "f", "v")
    s.run("qvm-clone", "work", "copy")
    equal(s.run("qvm-prefs", "copy", "memory"), "500\n")
    equal(s.run("qvm-features", "copy", "f"), "v\n")
    equal(s.run("qvm-firewall", "--raw", "copy"), "action=accept proto=tcp dst4=1.2.3.4/32 dstports=22-22\n")
    equal(int(s.run("qvm-volume", "info", "copy:private", "size")), size + (1 << 30))


@case("events are seen as they happen")
def _(s):
    watch = subprocess.Popen([os.path.join(BUILD, "tools/skerry"), "--json", "watch"], stdout=subprocess.PIPE,
                             env=dict(os.environ, SKERRY_ROOT=s.root))
    first = json.loads(watch.stdout.readline())
    equal(first["event"], "connection-established")
    some_qubes(s)
    seen = []
    while ["domain-add", "play"] not in seen:
        event = json.loads(watch.stdout.readline())
        seen.append([event["event"], event.get("vm")])
    watch.terminate()
    watch.wait()


def main():
    wanted = [c for c in cases if len(sys.argv) < 2 or any(a in c[0] for a in sys.argv[1:])]
    print("1..%d" % len(wanted))
    failed = 0
    for number, (name, function) in enumerate(wanted, 1):
        system = System()
        try:
            function(system)
            print("ok %d - %s" % (number, name))
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print("not ok %d - %s" % (number, name))
            for line in (repr(error)[:1500] + "\n" + system.admin.log_text()[-800:]).split("\n"):
                print("# " + line)
        finally:
            system.close()
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
