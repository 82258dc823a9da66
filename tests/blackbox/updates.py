# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, the qube that dom0 updates through could put into dom0 what nobody signed.
"""qubes.ReceiveUpdates, rpmcanon and qubes-dom0-update: packages from a qube that is not trusted."""

from updates_common import *


# If this failed, dom0 would take packages from any qube.
@updates("dom0-updates-001 only the qube that updatevm names", policy="qubes.ReceiveUpdates * work @default allow target=dom0\n")
def _(t, sut):
    qubesd = system(t, sut)
    sut.folder(UPDATES, "rpm")
    sut.write(UPDATES + "/rpm/old.rpm", "old")
    equal(send(sut, {"a.rpm": keys().package("ours")}, qube="work").returncode, 1)
    equal(found(sut), (["rpm"], ["old.rpm"]), "nothing is touched")
    qubesd.answers["admin.property.Get+updatevm"] = b"0\0default=True type=vm "
    equal(send(sut, {"a.rpm": keys().package("ours")}).returncode, 1, "no updatevm")
    equal(found(sut), (["rpm"], ["old.rpm"]), "nothing is touched")


# If this failed, the qube that dom0 updates through could replace what dom0 has fetched, whenever it likes.
@updates("dom0-updates: a transfer that dom0 has not asked for", policy="qubes.ReceiveUpdates * work @default allow target=dom0\n")
def _(t, sut):
    qubesd = system(t, sut)
    sut.folder(UPDATES, "rpm")
    sut.write(UPDATES + "/rpm/old.rpm", "old")
    good = {"a.rpm": keys().package("ours")}
    lock = sut.path("run/qubes/qubes-dom0-update.lock")
    for what, asked in (("nobody has ever asked", None), ("another qube was asked", "work\n"), ("nobody in particular", ""),
                        ("the beginning of its name", "sys-ne\n"), ("more than its name", "sys-net2\n"), ("no line", "sys-net"),
                        ("two lines", "sys-net\nwork\n")):
        equal(send(sut, good, asked=asked).returncode, 1, what)
        equal(found(sut), (["rpm"], ["old.rpm"]), what)
    # Who asked is dead: what it wrote is there, its lock is not.
    with request(sut, "sys-net\n"):
        pass
    equal(os.path.getsize(lock), 8)
    equal(send(sut, good, asked=None).returncode, 1, "who asked is gone")
    # The original's lock alone, which says that somebody only looks, is no request.
    with open(lock, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        equal(send(sut, good, asked=None).returncode, 1, "who only looks")
    equal(found(sut), (["rpm"], ["old.rpm"]), "nothing is touched")
    # The qube that was asked is no longer the one that dom0 updates through.
    qubesd.answers["admin.property.Get+updatevm"] = b"0\0default=False type=vm work"
    equal(send(sut, good).returncode, 1, "asked, and another is the updatevm now")
    equal(send(sut, good, qube="work").returncode, 1, "the updatevm, which was not asked")
    equal(found(sut), (["rpm"], ["old.rpm"]), "nothing is touched")
    qubesd.answers["admin.property.Get+updatevm"] = b"0\0default=False type=vm sys-net"
    there = sut.inside("sys-net", "home/user/packages")
    agent = os.path.join(BUILD, "qube/filecopy/qfile-agent")
    with request(sut, "sys-net\n") as file:
        equal(transfer(sut, "sys-net", agent, there, ["a.rpm"]).returncode, 0, "asked")
        equal(found(sut), (["packages", "rpm"], ["a.rpm"]))
        equal(os.fstat(file.fileno()).st_size, 0, "the request has its answer")
        equal(transfer(sut, "sys-net", agent, there, []).returncode, 1, "a second answer")
    equal(found(sut), (["packages", "rpm"], ["a.rpm"]), "the first stays")


# If this failed, good updates would not arrive, or what was there before would mix with them.
@updates("dom0-updates-002 dom0-updates-009 signed packages arrive, canonical; what was there is gone")
def _(t, sut):
    system(t, sut)
    sut.folder(UPDATES, "rpm")
    sut.write(UPDATES + "/rpm/old.rpm", "old")
    sut.write(UPDATES + "/errors", "old\n")
    packages = {"a-1-1.noarch.rpm": keys().package("ours"), "b+c~1^2.rpm": keys().package("ours", b"x" * 3000000, name="b")}
    got = send(sut, packages)
    equal(got.returncode, 0, got.stderr)
    equal(found(sut), (["packages", "rpm"], sorted(packages)))
    with open(sut.path(UPDATES, "packages"), encoding="ascii") as file:
        equal(sorted(file), ["b 0 1 1 noarch b+c~1^2.rpm\n", "skerry-dom0 0 1 1 noarch a-1-1.noarch.rpm\n"])
    with open(sut.path(UPDATES, "rpm", "a-1-1.noarch.rpm"), "rb") as file:
        accepted = file.read()
    check(accepted.endswith(b"the payload") and accepted != packages["a-1-1.noarch.rpm"], "written anew")
    # The library that reads packages elsewhere agrees.
    if shutil.which("rpmkeys"):
        database = t.path("db")
        for words in (["--import", sut.path("etc/pki/rpm-gpg/RPM-GPG-KEY-ours")],
                      ["-K", "--define=_pkgverify_level all", "--define=_pkgverify_flags 0x0",
                       sut.path(UPDATES, "rpm", "a-1-1.noarch.rpm")]):
            run = subprocess.run(["rpmkeys", "--dbpath", database, *words], env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                                 capture_output=True, timeout=HANG, check=False)
            equal(run.returncode, 0, run.stderr)
        check(run.stdout.endswith(b": digests signatures OK\n"), run.stdout)
    equal(send(sut, {}).returncode, 0, "none at all")
    equal(found(sut), (["packages", "rpm"], []))


# If this failed, names that other programs take for options, paths or other kinds of files would come into dom0.
@updates("dom0-updates-003 dom0-updates-007 one bad name, and the whole batch is refused")
def _(t, sut):
    system(t, sut)
    good = keys().package("ours")
    for name in ("-a.rpm", "a b.rpm", "a.deb", ".rpm", "a.rpm.", "a.RPM", "ä.rpm"):
        got = send(sut, {"good.rpm": good, "good2.rpm": good, name: good})
        refused(sut, got, "not named like a package", name)
    got = send(sut, {"good.rpm": good, "bad.rpm": good[:-1], "good2.rpm": good})
    refused(sut, got, "bad.rpm: its content is not what was signed", "one of three")
    equal(send(sut, {"good.rpm": good}).returncode, 0, "and again")
    equal(found(sut), (["packages", "rpm"], ["good.rpm"]))


# If this failed, a link of a qube could lead dom0's programs elsewhere, or a qube could fill dom0's disk.
@updates("dom0-updates-004 dom0-updates-005 links, folders, and more than the limits")
def _(t, sut):
    system(t, sut)
    good = keys().package("ours")
    refused(sut, send(sut, {"a.rpm": good}, links=["b.rpm"]), "error 22", "a link")
    refused(sut, send(sut, {"a.rpm": good}, folders=["b.rpm"]), "error 22", "a folder")
    refused(sut, send(sut, {f"{i}.rpm": b"" for i in range(4097)}), "error 122", "4097 files")
    equal(os.listdir(sut.path("var/lib/qubes")), ["updates"], "nothing beside it")


def wrong_packages():
    """name: (package, what is said)"""
    k, payload = keys(), b"the payload"
    main = main_header(payload=payload)
    signature = k.sign("ours", main)
    good = assemble(signature, main, payload)
    at = good.index(main)
    flip = lambda where: good[:where] + bytes([good[where] ^ 1]) + good[where + 1:]
    no_digest = header(63, [(1000, text("a")), (1001, text("1")), (1002, text("1")), (1022, text("noarch"))])
    weird = main_header(name="a/../b", payload=payload)
    nobody = "none of the known keys has signed it"
    return {
        "unsigned": (assemble(None, main, payload), "not signed"),
        "theirs": (k.package("theirs"), nobody),
        "payload": (flip(len(good) - 1), "not what was signed"),
        "header": (flip(at + 16 + 16 * 7 + 3), nobody),
        "header-region": (flip(at + 20), nobody),
        "signature": (flip(good.index(signature) + len(signature) - 1), nobody),
        "signature-of-other": (assemble(k.sign("ours", main + b" "), main, payload), nobody),
        "text-signature": (assemble(k.sign("ours", main, "--textmode"), main, payload), "a kind that is not taken"),
        "sha1": (assemble(k.sign("ours", main, "--digest-algo", "sha1", "--allow-weak-digest-algos"), main, payload),
                 "a kind that is not taken"),
        "two-packets": (assemble(signature + signature, main, payload), "a kind that is not taken"),
        "in-dsa's-place": (assemble(signature, main, payload, tag=267), "a kind that is not taken"),
        "trailing": (good + b"x", "not what was signed"),
        "short": (good[:-1], "not what was signed"),
        "no-payload-digest": (assemble(k.sign("ours", no_digest), no_digest, payload), "no SHA-256 of the payload"),
        "name": (assemble(k.sign("ours", weird), weird, payload), "no name"),
        "unknown-tag": (assemble(signature, main, payload, more=[(274, (STRINGS, 1, b"x\0"))]), "does not belong"),
        "lead": (b"\0" + good[1:], "not an RPM"),
        "lead-reserved": (good[:95] + b"x" + good[96:], "not an RPM"),
        "empty": (b"", "ends too early"),
        "text": (b"#!/bin/sh\n" * 100, "not an RPM"),
        "huge-header": (lead() + b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", 65535, 0xfffffff0), "none, or too large"),
    }


# If this failed, dom0 would take what nobody it knows has signed.
@updates("dom0-updates-006 dom0-updates-008 unsigned, wrong key, one bit flipped, something behind it")
def _(t, sut):
    system(t, sut)
    cases = wrong_packages()
    for name, (package, said) in cases.items():
        refused(sut, send(sut, {"a.rpm": package}), said, name)
    got = send(sut, {f"{name}.rpm": package for name, (package, _) in cases.items() if name not in ("in-dsa's-place",)})
    refused(sut, got, "theirs.rpm: none of", "all reasons are told")
    good = keys().package("ours")
    before, after = good[:good.index(b"\x8e\xad\xe8\x01", 200)], good[good.index(b"\x8e\xad\xe8\x01", 200):]
    for cut in (0, 95, 96, 100, 112, 200, len(before) - 1, len(before), len(before) + 15, len(before) + 17, len(good) - 12):
        refused(sut, send(sut, {"a.rpm": (before + after)[:cut]}), "a.rpm: ", cut)


# If this failed, two transfers would mix, or one would take a folder away from the other.
@updates("dom0-updates: one transfer at a time; without keys nothing is taken; nothing is left of a killed one")
def _(t, sut):
    system(t, sut)
    good = keys().package("ours")
    folder = os.open(sut.path(UPDATES), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    equal(send(sut, {"a.rpm": good}).returncode, 1)
    os.close(folder)
    equal(found(sut), ([], None), "untouched")
    sut.folder(UPDATES, ".incoming.UNTRUSTED")
    sut.write(UPDATES + "/.incoming.UNTRUSTED/left.rpm", good)
    sut.folder(UPDATES, ".checked")
    sut.write(UPDATES + "/.checked/left.rpm", good)
    equal(send(sut, {"a.rpm": good}).returncode, 0)
    equal(found(sut), (["packages", "rpm"], ["a.rpm"]))
    os.unlink(sut.path("etc/pki/rpm-gpg/RPM-GPG-KEY-ours"))
    refused(sut, send(sut, {"a.rpm": good}), "no key of packages is known", "no key")


# If this failed, a user could not update dom0, or would not learn why not.
@updates("dom0-updates: qubes-dom0-update, from the repository to the folder of what was accepted", qubes=("sys-net",))
def _(t, sut):
    qubesd = update_system(t, sut)
    there = sut.inside("sys-net", "var/lib/qubes/dom0-updates")
    got = run_update(sut)
    equal((got.returncode, got.stdout.splitlines()[-1]), (0, b"No updates."), got.stderr)
    with open(os.path.join(there, "etc/yum.repos.d/skerry.repo"), encoding="ascii") as file:
        check(f"gpgkey=file://{there}/etc/pki/rpm-gpg/RPM-GPG-KEY-ours\n" in file.read(), "keys lie elsewhere")
    with open(os.path.join(there, "etc/pki/rpm-gpg/RPM-GPG-KEY-ours"), "rb") as file:
        equal(file.read(), keys().export("ours"))
    sut.write("q/sys-net/repository/skerry-dom0-2-1.rpm", keys().package("ours", version="2"))
    got = run_update(sut, "--enablerepo=skerry")
    equal(got.returncode, 0, got.stderr)
    check(b"\x1b" not in got.stdout and b"downloading" in got.stdout, got.stdout)
    equal(got.stdout.splitlines()[-2:], [b"skerry-dom0 0 2 1 noarch skerry-dom0-2-1.rpm", b"Checked, and kept in /var/lib/qubes/updates/rpm."])
    equal(found(sut), (["packages", "rpm"], ["skerry-dom0-2-1.rpm"]))
    with open(sut.inside("sys-net", "dnf-log"), encoding="utf-8") as file:
        last = file.read().splitlines()[-1]
    check("--downloadonly --downloaddir=" in last and
          last.endswith(" install --exclude=qubes-template-* --enablerepo=skerry skerry-dom0"), last)
    equal([a[0] + a[4].decode() for a in qubesd.asked if "updates-available" in a[0]],
          ["admin.vm.feature.Set+updates-available", "admin.vm.feature.Set+updates-available1"])
    got = run_update(sut, "--just-print-progress", "vim")
    check(all(line.startswith(b"dom0:out: ") for line in got.stdout.splitlines()), got.stdout)
    check(b"dom0 updating 10.0\n" in got.stderr and got.stderr.endswith(b"dom0 done success\n"), got.stderr)
    sut.write("q/sys-net/repository/other.rpm", keys().package("theirs"))
    got = run_update(sut)
    equal(got.returncode, 1)
    check(b"other.rpm: none of the known keys has signed it" in got.stderr, got.stderr)
    for words in (["a;reboot"], ["--x=$(reboot)"], ["a'b"], [""], ["qubes-template-debian-12"]):
        equal(run_update(sut, *words).returncode, 1, words)


# If this failed, dom0 could not be updated through a qube whose system is read-only and which has no root.
@updates("dom0-updates: qubes-dom0-update through a qube in which only the user's own folder can be written", qubes=("sys-net",))
def _(t, sut):
    update_system(t, sut)
    above = sut.inside("sys-net", "var/lib/qubes")
    os.rmdir(os.path.join(above, "dom0-updates"))
    os.chmod(above, 0o555)
    sut.write("q/sys-net/usr/bin/dnf", DNF.replace("$SKERRY_ROOT/var/lib/qubes/dom0-updates/var/cache/dnf/x/packages",
                                                   "$HOME/.cache/qubes-dom0-updates/packages"), 0o755)
    sut.write("q/sys-net/repository/a.rpm", keys().package("ours"))
    got = run_update(sut)
    os.chmod(above, 0o755)
    equal(got.returncode, 0, got.stderr)
    equal(found(sut), (["packages", "rpm"], ["a.rpm"]))
    home = sut.inside("sys-net", "home/user/.cache/qubes-dom0-updates")
    with open(os.path.join(home, "etc/yum.repos.d/skerry.repo"), encoding="ascii") as file:
        check(f"gpgkey=file://{home}/etc/pki/rpm-gpg/RPM-GPG-KEY-ours\n" in file.read(), "keys lie elsewhere")


# If this failed, a look for updates would start qubes, or two updates would run into each other.
@updates("dom0-updates-010 dom0-updates-011 dom0-updates-012 only looking; a second one; updates found", qubes=("sys-net",))
def _(t, sut):
    qubesd = update_system(t, sut, "Halted")
    got = run_update(sut, "--check-only")
    equal(got.returncode, 1)
    check(b"does not run" in got.stderr and not any("Start" in a[0] for a in qubesd.asked), got.stderr)
    equal(run_update(sut).returncode, 0, "is started to download")
    check(any("Start" in a[0] for a in qubesd.asked), qubesd.asked)
    qubesd.state = "Running"
    for available, status in (("", 0), ("skerry-dom0 0.0.1\n", 0), ("skerry-dom0 99.1\n", 100), ("vim 1\n", 100)):
        sut.write("q/sys-net/available", available)
        # What dnf says beside the list is no package.
        sut.write("q/sys-net/usr/bin/dnf", DNF.replace("printf", ": printf"), 0o755)
        equal(run_update(sut, "--check-only").returncode, status, available)
    with open(sut.path("run/qubes/qubes-dom0-update.lock"), encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        got = run_update(sut)
        equal(got.returncode, 1)
        check(b"already running" in got.stderr, got.stderr)
    qubesd.answers["admin.property.Get+updatevm"] = b"0\0default=True type=vm "
    got = run_update(sut)
    equal(got.returncode, 1)
    check(b"updatevm" in got.stderr, got.stderr)


# If this failed, a qube could answer a look with a transfer, or one request with two.
@updates("dom0-updates: what a qube sends while dom0 only looks, before it is asked, and twice", qubes=("sys-net",))
def _(t, sut):
    update_system(t, sut)
    sut.write("q/sys-net/a.rpm", keys().package("ours"))
    sender = (f'env -u LD_PRELOAD "$SKERRY_ROOT/usr/bin/qrexec-client-vm" dom0 qubes.ReceiveUpdates {BUILD}/qube/filecopy/qfile-agent -- '
              '"$SKERRY_ROOT/a.rpm"; echo "$?" >>"$SKERRY_ROOT/answers"\n')
    os.makedirs(sut.inside("sys-net", "usr/bin"), exist_ok=True)
    if not os.path.lexists(sut.inside("sys-net", "usr/bin/qrexec-client-vm")):
        os.symlink(sut.program("qrexec-client-vm"), sut.inside("sys-net", "usr/bin/qrexec-client-vm"))
    sut.write("q/sys-net/usr/bin/dnf", "#!/bin/sh\n" + sender, 0o755)
    equal(run_update(sut, "--check-only").returncode, 0)
    equal(found(sut), ([], None), "it only looks")
    sut.write("q/sys-net/usr/bin/dnf", "#!/bin/sh\n" + sender + sender, 0o755)
    got = run_update(sut)
    with open(sut.inside("sys-net", "answers"), encoding="ascii") as file:
        equal(file.read().split(), ["1", "0", "1"], got.stderr)
    equal(found(sut), (["packages", "rpm"], ["a.rpm"]))
    equal(os.path.getsize(sut.path("run/qubes/qubes-dom0-update.lock")), 0)
    equal(send(sut, {"a.rpm": b""}, asked=None).returncode, 1, "afterwards")


# If this failed, a package could not be checked by itself, or a bad one would be written.
@updates("rpmcanon: one package, from a file or its input")
def _(t, sut):
    system(t, sut)
    program = os.path.join(BUILD, "services/dom0/rpmcanon")
    good = keys().package("ours")
    sut.write("in.rpm", good)
    sut.write("bad.rpm", good + b"x")
    for words in (["--allow-old-pkgs", "--", sut.path("in.rpm")], ["-"],
                  ["--dbpath=" + sut.path("etc/pki/rpm-gpg"), "--report-progress", sut.path("in.rpm")]):
        got = sut.run(None, program, *words, sut.path("out.rpm"), stdin=good)
        equal((got.returncode, got.stdout), (0, b"skerry-dom0 0:1-1.noarch\n"), got.stderr)
        os.unlink(sut.path("out.rpm"))
    for words in ([sut.path("bad.rpm")], ["--allow-weak-hashes", sut.path("in.rpm")], ["--nonsense", sut.path("in.rpm")],
                  ["--dbpath=/nonexistent", sut.path("in.rpm")], [], [sut.path("none.rpm")]):
        equal(sut.run(None, program, *words, sut.path("out.rpm")).returncode, 1, words)
        check(not glob.glob(sut.path("out.rpm*")), words)


if __name__ == "__main__":
    main()
