# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 with a qube that it updates through: what that one sends, what dom0 has asked for, and its downloader."""

import atexit
import contextlib
import fcntl
import tempfile

from rpm_common import *
from services_common import *

UPDATES = "var/lib/qubes/updates"
QUBES = ("sys-net", "work")
# Made once: keys take long. "ours" is known to dom0, "theirs" is not.
KEYS = None


def keys():
    global KEYS
    if KEYS is None:
        folder = tempfile.mkdtemp(prefix="skerry-keys-")
        KEYS = Keys(os.path.join(folder, "gnupg"), "ours", "theirs")
        atexit.register(shutil.rmtree, folder, True)
        atexit.register(KEYS.close)
    return KEYS


def system(t, sut, updatevm="sys-net"):
    sut.folder(UPDATES)
    sut.folder("etc/pki/rpm-gpg")
    sut.write("etc/pki/rpm-gpg/RPM-GPG-KEY-ours", keys().export("ours"))
    answer = b"0\0default=False type=vm " + updatevm.encode()
    return Qubesd(sut, "qubesd.sock", {"admin.property.Get+updatevm": answer})


@contextlib.contextmanager
def request(sut, text):
    """dom0 has asked: the file that qubes-dom0-update writes, and its lock."""
    sut.folder("run/qubes")
    with open(sut.path("run/qubes/qubes-dom0-update.lock"), "w+", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.chmod(file.fileno(), 0o666)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        yield file


def send(sut, files, qube="sys-net", links=(), folders=(), env=None, asked="sys-net\n"):
    """As the update qube's script does it; names to contents. asked: what dom0's request says; None: there is none."""
    there = sut.inside(qube, "home/user/packages")
    shutil.rmtree(there, ignore_errors=True)
    sut.folder("q", qube, "home/user/packages")
    for name, content in files.items():
        sut.write(f"q/{qube}/home/user/packages/{name}", content)
    for name in links:
        os.symlink("elsewhere", os.path.join(there, name))
    for name in folders:
        sut.folder("q", qube, "home/user/packages", name)
    agent = os.path.join(BUILD, "qube/filecopy/qfile-agent")
    names = [*files, *links, *folders]
    with contextlib.nullcontext() if asked is None else request(sut, asked):
        return transfer(sut, qube, agent, there, names, env)


def transfer(sut, qube, agent, there, names, env=None):
    return sut.run(qube, "qrexec-client-vm", "dom0", "qubes.ReceiveUpdates", agent, "--",
                   *(os.path.join(there, name) for name in names), env=env)


def found(sut):
    """What lies in dom0's folder, with the packages."""
    names = sorted(os.listdir(sut.path(UPDATES)))
    rpm = sut.path(UPDATES, "rpm")
    return names, sorted(os.listdir(rpm)) if os.path.isdir(rpm) else None


def errors(sut):
    with open(sut.path(UPDATES, "errors"), encoding="utf-8") as file:
        return file.read()


def refused(sut, got, said, what):
    equal(got.returncode, 1, (what, got.stderr))
    equal(found(sut), (["errors"], None), what)
    check(said in errors(sut), (what, errors(sut)))


def updates(name, qubes=QUBES, policy=""):
    if NEEDS_TOOLS:
        return lambda function: case(name, skip=NEEDS_TOOLS)(lambda t: None)
    return services(name, qubes=qubes, policy=policy)


DNF = """#!/bin/sh
echo "$@" >>"$SKERRY_ROOT/dnf-log"
printf 'downloading \\033]0;evil\\007\\n'
case "$*" in
*repoquery*) cat "$SKERRY_ROOT/available" 2>/dev/null; exit 0 ;;
*--downloadonly*)
	mkdir -p "$SKERRY_ROOT/var/lib/qubes/dom0-updates/var/cache/dnf/x/packages"
	cp "$SKERRY_ROOT"/repository/*.rpm "$SKERRY_ROOT/var/lib/qubes/dom0-updates/var/cache/dnf/x/packages/" 2>/dev/null
	exit 0 ;;
esac
"""


def update_system(t, sut, state="Running"):
    qubesd = system(t, sut)
    good = b"0\0"
    qubesd.state = state
    qubesd.answers.update({
        "admin.vm.CurrentState+": lambda *_: b"0\0mem=1 power_state=" + qubesd.state.encode(), "admin.vm.Start+": good,
        "admin.vm.feature.Set+updates-available": good, "admin.vm.feature.Set+last-updates-check": good})
    sut.folder("run/qubes")
    sut.folder("etc/yum.repos.d")
    sut.write("etc/yum.repos.d/skerry.repo", "[skerry]\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-ours\n")
    sut.write("q/sys-net/usr/bin/dnf", DNF, 0o755)
    sut.folder("q/sys-net/var/lib/qubes/dom0-updates")
    sut.folder("q/sys-net/repository")
    return qubesd


def run_update(sut, *words):
    return sut.run(None, os.path.join(BUILD, "services/dom0/qubes-dom0-update"), *words)
