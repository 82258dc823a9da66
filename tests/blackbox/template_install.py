# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, a template could be something else than what its package holds, or half of it.
"""qvm-template install and what belongs to it: real admin, storage and qrexec; the ground is a stand-in."""

import fcntl
import gzip
import lzma
import pty
import random

from admin_common import Admin
from templates_common import *

RECORD = "qubes-template-{0}|0|{1}|1|{2}|{3}|2026-1-31 7:05|GPL|https://x/|A template|What it is|\n"
ABOUT = [(1004, (9, 1, b"A \x1b[31mtemplate\0")), (1005, (9, 1, b"Two\nlines\0")), (1006, (4, 1, struct.pack(">I", 1700000000))),
         (1014, (6, 1, b"GPL\0")), (1020, (6, 1, b"https://x/\0"))]
POST = "#!/bin/sh\necho done >>{0}\n"
TEMPLATE = os.path.join(BUILD, "tools/template/qvm-template")


def image(size=300_000, seed=1):
    """Data and holes, so that a byte in the wrong place is seen."""
    data = bytearray(random.Random(seed).randbytes(size))
    data[size // 3:2 * size // 3] = bytes(2 * size // 3 - size // 3)
    return bytes(data)


def package(data=None, name="debian-12", version="4.2", signer="ours", pack=gzip.compress, entries=None, **more):
    if entries is None:
        entries = template_entries(name, tar_file(image() if data is None else data), part=70_000, **more)
    return keys().package(signer, pack(cpio(entries)), name="qubes-template-" + name, version=version, more=ABOUT)


class World:
    """The system, its admin service, and the command."""

    def __init__(self, t, sut):
        self.t, self.sut = t, sut
        sut.folder("etc/qubes/repo-templates/keys")
        sut.write("etc/qubes/repo-templates/t.repo", REPO)
        for name in ("ours", "theirs"):
            sut.write("etc/qubes/repo-templates/keys/RPM-GPG-KEY-" + name, keys().export(name))
        os.makedirs(sut.path("var/lib/qubes/vm-kernels"))
        self.admin = Admin(root=sut.root, storage=True, log=os.path.join(sut.root, "admin.log"))
        atexit.register(self.admin.close)
        self.admin.ok("admin.vm.Create.StandaloneVM", payload="name=sys-net label=red")
        self.admin.ok("admin.property.Set", "updatevm", payload="sys-net")
        self.cache = sut.folder("cache")
        self.posted = sut.inside("debian-12", "posted")
        sut.service("debian-12", "qubes.PostInstall", POST.format(self.posted))

    def argv(self, *words):
        return [TEMPLATE, "--cachedir=" + self.cache, "--yes", *words]

    def run(self, *words, status=0, said=b"", stdin=b"", env=None):
        got = subprocess.run(self.argv(*words), env=dict(self.sut.env(), **(env or {})), input=stdin, capture_output=True,
                             timeout=HANG, check=False, cwd=self.sut.root)
        equal(got.returncode, status, (words, got.stderr))
        check(said in got.stderr, (words, said, got.stderr))
        return got.stdout

    def offer(self, *packages):
        """(version, package): what the repository has; the last one is what is sent."""
        answer(self.sut, "qubes.TemplateSearch",
               "".join(RECORD.format("debian-12", v, "templates", len(p)) for v, p in packages))
        if packages:
            answer(self.sut, "qubes.TemplateDownload", packages[-1][1])

    def file(self, data, name="x.rpm"):
        return self.sut.write(name, data)

    def qubes(self):
        return sorted(line.split()[0] for line in self.admin.ok("admin.vm.List").splitlines())

    def feature(self, name, qube="debian-12"):
        reply = self.admin.call("admin.vm.feature.Get", name, qube)
        return reply[2:].decode() if reply.startswith(b"0\0") else None

    def root(self, qube="debian-12", volume="root"):
        found = glob.glob(self.sut.path("var/lib/qubes/vm-templates", qube, volume + ".img"))
        equal(len(found), 1, glob.glob(self.sut.path("var/lib/qubes/vm-templates/*/*")))
        with open(found[0], "rb") as file:
            return file.read()

    def left(self):
        return sorted(n for n in os.listdir(self.cache) if n != "lock")


def installs(name, qubes=("sys-net", "debian-12"), policy=""):
    if NEEDS_TOOLS:
        return lambda function: case(name, skip=NEEDS_TOOLS)(lambda t: None)

    def register(function):
        def run(t, sut):
            world = World(t, sut)
            try:
                function(world)
            except Exception:
                print("# " + world.admin.log_text()[-2000:].replace("\n", "\n# "))
                raise
            finally:
                atexit.unregister(world.admin.close)
                world.admin.close()
        services(name, qubes=qubes, policy=policy)(run)
        return function
    return register


# If this failed, dom0's user could not get a template, or not know what he has.
@installs("install, list, reinstall, upgrade, downgrade, from a repository")
def _(w):
    data = image()
    menus = (("netvm-whitelisted-appmenus.list", "net.desktop\n"), ("vm-whitelisted-appmenus.list", "a.desktop\n b.desktop \n#c\nd e\n"),
             ("whitelisted-appmenus.list", "own.desktop\n"))
    w.offer(("4.2", package(data, conf="# us\nvirt_mode=hvm\nqrexec=1\nno-monitor-layout=0\nother=x\nkernel=evil\n", menus=menus)))
    w.run("install", "debian-12", said=b"debian-12: installing 4.2-1\n")
    equal(w.root(), data)
    equal({f: w.feature("template-" + f) for f in ("name", "epoch", "version", "release", "reponame", "buildtime", "license", "url",
                                                  "summary", "description", "unfinished")},
          {"name": "debian-12", "epoch": "0", "version": "4.2", "release": "1", "reponame": "templates",
           "buildtime": "2023-11-14 22:13:20", "license": "GPL", "url": "https://x/", "summary": "A \\x1b[31mtemplate",
           "description": "Two|lines", "unfinished": None})
    equal([w.feature(f) for f in ("qrexec", "no-monitor-layout", "other", "kernel")], ["1", "", None, None])
    equal([w.feature(f) for f in ("default-menu-items", "menu-items", "netvm-menu-items")],
          ["a.desktop b.desktop", "own.desktop", "net.desktop"])
    check("hvm" in w.admin.ok("admin.vm.property.Get", "virt_mode", "debian-12"), "virt_mode")
    with open(w.posted, encoding="ascii") as file:
        equal(file.read(), "done\n")
    check("power_state=Halted" in w.admin.ok("admin.vm.CurrentState", "", "debian-12"), "it was shut down")
    equal(w.left(), [])
    equal(w.run("list", "--installed"), b"Installed Templates\ndebian-12  0:4.2-1  templates\n")
    w.run("install", "debian-12", said=b"Template 'debian-12' already installed, skipping...")
    # Newer, older, the same.
    newer, older = image(400_000, 2), image(200_000, 3)
    w.offer(("4.2", b""), ("4.10", package(newer, version="4.10")))
    equal(w.run("list", "--machine-readable", "--upgrades"), b"upgradable|debian-12|0:4.10-1|templates\n")
    equal(w.run("list", "--machine-readable"), b"installed|debian-12|0:4.2-1|templates\navailable|debian-12|0:4.10-1|templates\n")
    equal(json.loads(w.run("list", "--machine-readable-json", "--all-versions", "--available"))["available"][0],
          {"name": "debian-12", "evr": "0:4.2-1", "reponame": "templates"})
    w.run("upgrade")
    equal((w.root(), w.feature("template-version")), (newer, "4.10"))
    w.run("upgrade", said=b"nothing newer")
    w.offer(("4.10", b""), ("4.9", package(older, version="4.9")))
    w.run("downgrade", "debian-12", "--skip-start")
    equal((w.root(), w.feature("template-version")), (older, "4.9"))
    w.offer(("4.9", package(data, version="4.9")))
    private = glob.glob(w.sut.path("var/lib/qubes/vm-templates/debian-12/private.img"))[0]
    with open(private, "r+b") as file:
        file.write(b"mine")
    w.run("reinstall", "debian-12", "--skip-start")
    equal((w.root(), w.root(volume="private")[:4]), (data, b"\0\0\0\0"))
    w.offer()
    equal(w.run("list", "--extras"), b"Extra Templates\ndebian-12  0:4.9-1  templates\n")
    w.run("reinstall", "debian-12", status=1, said=b"not installed, or its version is in no repository")
    info = w.run("info", "--machine-readable", "--installed").decode().split("|")
    equal(info[:6] + info[9:], ["installed", "debian-12", "0", "4.9", "1", "templates", "GPL", "https://x/", "A \\x1b[31mtemplate",
                                "Two", "lines\n"])
    with open(w.posted, encoding="ascii") as file:
        equal(file.read(), "done\ndone\n", "--skip-start")


# If this failed, a package of ours could not be installed, or one that nobody signed would be.
@installs("install from a file: each compression, holes, who signed it, --name, --pool")
def _(w):
    data = image()
    raw = w.sut.path("raw")
    os.makedirs(raw)
    with open(raw + "/root.img", "wb") as file:
        file.write(data)
        file.truncate(50_000_000)
    subprocess.run(["fallocate", "-d", raw + "/root.img"], check=True)
    with open(raw + "/root.img", "rb") as file:
        whole = file.read()
    sparse = subprocess.run(["tar", "-C", raw, "--sparse", "--format=gnu", "-cf", "-", "root.img"], check=True, capture_output=True).stdout
    check(len(sparse) < 1_000_000, len(sparse))
    packs = (gzip.compress, lzma.compress, lambda d: d, lambda d: subprocess.run(["zstd", "-q", "-19"], input=d, capture_output=True,
                                                                                  check=True).stdout)
    for i, pack in enumerate(packs):
        name = "t%d" % i
        path = w.file(package(name=name, pack=pack, entries=template_entries(name, sparse, part=100_000)))
        w.run("install", "--skip-start", path)
        equal((w.root(name) == whole, w.feature("template-reponame", name)), (True, "@commandline"))
    for signed, said in ((package(signer="ours"), None), (package()[:-1], b"not what was signed")):
        w.run("install", "--skip-start", w.file(signed), status=1 if said else 0, said=said or b"")
    payload = gzip.compress(cpio(template_entries("mine", tar_file(data))))  # once: the time is in it
    unsigned = assemble(None, main_header(payload=payload, name="qubes-template-mine", version="4.2"), payload)
    w.run("install", "--skip-start", w.file(unsigned), status=1, said=b"not signed")
    w.run("install", "--skip-start", "--nogpgcheck", w.file(unsigned))
    equal(w.root("mine"), data)
    w.run("install", "--skip-start", "--nogpgcheck", w.file(unsigned[:-1], "y.rpm"), "--name=no", status=1, said=b"not what was signed")
    w.run("install", "--skip-start", "--name=other", "--pool=varlibqubes", w.file(package()))
    equal((w.root("other"), w.feature("template-name", "other")), (data, "debian-12"))
    w.run("install", "--skip-start", "--pool=nosuch", "--name=third", w.file(package()), status=1)
    w.run("install", "--skip-start", "--name=sys-net", w.file(package()), status=1, said=b"there is a qube of this name")
    w.run("install", "--skip-start", "--name=a b", w.file(package()), status=1, said=b"not a name for a qube")
    w.run("install", w.sut.path("nosuch.rpm"), status=1, said=b"No such file")
    w.run("install", w.file(keys().package("ours", b"x", name="skerry-dom0")), status=1, said=b"it is no template")
    equal(w.qubes(), ["debian-12", "dom0", "mine", "other", "sys-net", "t0", "t1", "t2", "t3"])
    equal(w.left(), [])


def hostile():
    """(what is wrong, entries, what is said)"""
    folder = "./var/lib/qubes/vm-templates/debian-12/"
    data = image(100_000)
    tar = tar_file(data)
    good = template_entries("debian-12", tar, part=40_000)
    part = "no part|missing or out of its order"
    yield "no image", good[:1], "it has no root image"
    yield "no entry at all", [], "it has no root image"
    yield "of another template", template_entries("debian-11", tar), "it has no root image"
    yield "first part missing", good[:1] + good[2:], part
    yield "second part missing", good[:2] + good[3:], part
    yield "last part missing", good[:-1], part
    yield "a part twice", good[:2] + good[1:], part
    yield "parts swapped", [good[0], good[2], good[1], *good[3:]], part
    yield "a part is a link", good[:2] + [(good[2][0], good[2][1], 0o120777)] + good[3:], part
    yield "a part of an odd number", [(folder + "root.img.part.0", tar)], part
    yield "another file between", good[:2] + [(folder + "x", b"x")] + good[2:], part
    yield "upwards", good + [(folder + "../../../../../../etc/shadow", b"x")], "leads upwards"
    yield "upwards first", [("..", b"")] + good, "leads upwards"
    yield "name with a NUL", good + [("a\0b", b"x")], "no archive of the form"
    yield "another cpio", [cpio_entry("x", magic=b"070702")], "no archive of the form"
    yield "cut off", good[:-1] + [cpio_entry(good[-1][0], good[-1][1], size=0xffffffff)], "too early"
    yield "no tar", [(folder + "root.img.part.00", data)], "not an archive of root.img"
    yield "tar of another file", [(folder + "root.img.part.00", tar_file(data, "evil.img"))], "not an archive of root.img"
    yield "two files", [(folder + "root.img.part.00", tar[:-1024] + tar_file(b"more"))], "not an archive of root.img"
    yield "data behind", good + [(folder + "root.img.part.%02d" % (len(good) - 1), b"x" * 600)], "not an archive of root.img"
    yield "a link", [(folder + "root.img.part.00", tar_block("root.img", 0, b"2") + bytes(1024))], "not an archive of root.img"
    yield "empty image", [(folder + "root.img.part.00", tar_file(b""))], "larger than"
    yield "too large", [(folder + "root.img.part.00", tar_block("root.img", 257 << 30))], "larger than"
    for what, regions, size, real, said in (
            ("sparse bomb", [(0, 512)], 512, 1 << 50, "larger than"), ("sparse beyond", [(0, 512)], 512, 100, "has holes"),
            ("regions back", [(4096, 512), (0, 512)], 1024, 1 << 20, "has holes"),
            ("regions over each other", [(0, 1024), (512, 512)], 1536, 1 << 20, "has holes"),
            ("regions of more", [(0, 4096)], 512, 1 << 20, "has holes")):
        block = tar_block("root.img", size, b"S", regions, real)
        yield what, [(folder + "root.img.part.00", block + bytes(size + 2048))], said
    endless = tar_block("root.img", 512, b"S", [(0, 1)] * 4, 1 << 20, more=1)
    chain = b"".join(tar_region(i, 0) for i in range(21)) + b"\1" + bytes(7)
    yield "regions without end", [(folder + "root.img.part.00", endless + chain * 26000)], "has holes"
    pax = b"26 GNU.sparse.major=1\n"
    pax = b"22 GNU.sparse.major=1\n"
    yield "sparse by pax", [(folder + "root.img.part.00", tar_block("x", len(pax), b"x") + pax.ljust(512, b"\0") + tar)], "has holes"
    yield "pax without end", [(folder + "root.img.part.00", (tar_block("x", 0, b"x")) * 40 + tar)], "not an archive of root.img"
    yield "conf of control characters", good + [(folder + "template.conf", b"a=\x1b[31m\n")], "other characters"
    yield "conf too long", good + [(folder + "template.conf", b"x" * 9000)], "too long"
    yield "conf twice", good + [(folder + "template.conf", b"a=1\n")] * 2, "too long"
    yield "pv", good + [(folder + "template.conf", b"x=1\n virt_mode=pv \n")], "--allow-pv lets it"
    yield "too many files", good + [cpio_entry("x")] * 66000, "no archive of the form"


# If this failed, who signs templates could have more than the root volume of his own.
@installs("hostile packages: refused, and nothing of them stays")
def _(w):
    w.run("install", "--skip-start", w.file(package()))
    before = (w.root(), w.feature("template-version"))
    for what, entries, said in hostile():
        said = said.partition("|")[2] or said
        data = package(entries=entries, version="4.3", name="debian-12")
        w.run("install", "--skip-start", "--name=bad", w.file(data), status=1, said=said.encode())
        w.run("upgrade", "--skip-start", w.file(data), status=1, said=said.encode())
        equal((w.qubes(), w.left()), (["debian-12", "dom0", "sys-net"], []), what)
        equal((w.root(), w.feature("template-version")), before, what)
        equal(w.feature("template-unfinished"), None, what)
    for what, payload, said in (("no compression that is known", b"BZh9" + bytes(100), b"not known here"), ("empty", b"", b"not known here"),
                                ("no gzip", b"\x1f\x8b" + bytes(100), b"decompress"), ("cut gzip", gzip.compress(cpio(template_entries("debian-12", tar_file(image()))))[:-2000], b"decompress")):
        data = keys().package("ours", payload, name="qubes-template-debian-12", version="4.3")
        w.run("install", "--skip-start", "--name=bad", w.file(data), status=1, said=said)
        equal(w.qubes(), ["debian-12", "dom0", "sys-net"], what)
    w.run("install", "--skip-start", "--allow-pv", "--name=pv", w.file(package(conf="virt_mode=pv\n")))
    check("pv" in w.admin.ok("admin.vm.property.Get", "virt_mode", "pv"), "--allow-pv")


# If this failed, a power cut or an impatient user would leave half a template that looks like one.
@installs("killed at any moment: no template, or one with a mark that the next run takes away")
def _(w):
    path = w.file(package(image(8_000_000), pack=lambda d: gzip.compress(d, 1)))
    counts, chance = {}, random.Random(7)
    for i in range(int(os.environ.get("KILLS", "40"))):
        process = subprocess.Popen(w.argv("install", "--skip-start", path), env=w.sut.env(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0, 1.0))
        except subprocess.TimeoutExpired:
            pass
        process.kill()
        process.wait()
        there = "debian-12" in w.qubes()
        whole = there and w.feature("template-name") == "debian-12" and w.feature("template-unfinished") is None
        if there and not whole:
            check(w.left() == ["unfinished"] or w.left() == ["unfinished", "unfinished.new"], w.left())
        state = "whole" if whole else "half" if there else "none"
        counts[state] = counts.get(state, 0) + 1
        # Any command that changes templates takes the rest away.
        w.run("clean")
        equal("debian-12" in w.qubes(), whole, state)
        equal([n for n in w.left() if n != "unfinished.new"], [], state)
        if whole:
            equal(w.root()[:1000], image(8_000_000)[:1000])
            w.run("remove", "debian-12")
    print("# " + str(counts))
    # One of the same name that a person made stays.
    w.admin.ok("admin.vm.Create.TemplateVM", payload="name=debian-12 label=red")
    w.admin.ok("admin.vm.feature.Set", "mine", "debian-12", "1")
    w.sut.write("cache/unfinished", "debian-12")
    w.run("clean")
    check("debian-12" in w.qubes(), "it was not ours")
    # At work, nobody else is.
    with open(os.path.join(w.cache, "lock"), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        w.run("install", path, status=1, said=b"another qvm-template is at work")


# If this failed, a template could not be removed, or more would go than was asked for.
@installs("remove, remove --disassoc, purge, clean, repolist, migrate-from-rpmdb")
def _(w):
    ok = w.admin.ok
    for name in ("one", "two"):
        w.run("install", "--skip-start", "--name=" + name, w.file(package()))
    ok("admin.vm.Create.AppVM", "one", payload="name=work label=red")
    ok("admin.vm.property.Set", "template_for_dispvms", "work", "True")
    ok("admin.vm.Create.DispVM", "work", payload="name=disp label=red")
    ok("admin.vm.property.Set", "default_dispvm", "sys-net", "work")
    ok("admin.property.Set", "default_template", payload="one")
    w.run("remove", "one", status=1, said=b"work: made from it")
    w.run("remove", "sys-net", status=1, said=b"not a template")
    w.run("remove", "nosuch", status=2)
    w.run("remove", status=2)
    got = subprocess.run([TEMPLATE, "--cachedir=" + w.cache, "remove", "two"], env=w.sut.env(), input=b"n\n", capture_output=True, check=False)
    equal((got.returncode, "two" in w.qubes()), (1, True), got.stderr)
    w.run("remove", "two")
    equal(w.qubes(), ["disp", "dom0", "one", "sys-net", "work"])
    ok("admin.vm.Start", "", "work")
    w.run("purge", "one", status=1, said=b"work: shut it down first")
    ok("admin.vm.Kill", "", "work")
    w.run("remove", "--disassoc", "one")
    equal(w.qubes(), ["disp", "dom0", "dummy", "sys-net", "work"])
    check(ok("admin.vm.property.Get", "template", "work").endswith(" dummy"), "the other template")
    w.run("purge", "dummy")
    equal(w.qubes(), ["dom0", "sys-net"])
    # The cache.
    w.offer(("4.2", package()))
    w.run("--keep-cache", "install", "--skip-start", "debian-12")
    equal(w.left(), ["qubes-template-debian-12-4.2-1.noarch.rpm"])
    w.run("purge", "debian-12")
    answer(w.sut, "qubes.TemplateDownload", b"")
    w.run("install", "--skip-start", "debian-12")
    equal(w.run("clean"), b"")
    equal(w.left(), [])
    # Repositories.
    equal(w.run("repolist"), b"repo id    repo name\ntemplates  Templates of $releasever\n")
    equal(w.run("repolist", "--all", "t*"), b"repo id    repo name                 status\ntemplates  Templates of $releasever  enabled\n"
                                            b"testing    Others                    disabled\n")
    equal(w.run("--enablerepo=testing", "--disablerepo=temp*", "repolist"), b"repo id  repo name\ntesting  Others\n")
    equal(w.run("--repoid=nosuch", "repolist"), b"")
    # From RPM.
    ok("admin.vm.Create.TemplateVM", payload="name=old label=red")
    ok("admin.vm.property.Set", "installed_by_rpm", "old", "True")
    w.sut.write("usr/bin/rpm", "#!/bin/sh\necho package is not installed; exit 1\n", 0o755)
    w.run("migrate-from-rpmdb", status=1, said=b"old: no package")
    w.sut.write("usr/bin/rpm", "#!/bin/sh\n[ $5 = qubes-template-old ] && echo qubes-template-old 0 4.0.6 2021 GPL x 1\n", 0o755)
    w.run("migrate-from-rpmdb")
    check(ok("admin.vm.property.Get", "installed_by_rpm", "old").endswith("False"), "installed_by_rpm")
    equal(w.run("list", "--installed", "--machine-readable", "old"), b"installed|old|0:4.0.6-2021|@rpmdb\n")


# If this failed, what comes from a repository would not be looked at as closely as what comes from a file.
@installs("download for install: the one key, the name that was chosen, tried again, --updatevm")
def _(w):
    for data, said in ((package(signer="theirs"), b"none of the known keys"), (package(name="debian-11"), b"it is qubes-template-debian-11-4.2-1"),
                       (package(version="4.1"), b"it is qubes-template-debian-12-4.1-1"), (package()[:-1], b"not what was signed")):
        w.offer(("4.2", data))
        w.run("install", "--skip-start", "--retries=2", "debian-12", status=1, said=said)
        equal((w.qubes(), w.left()), (["dom0", "sys-net"], []))
    w.run("install", "--skip-start", "--retries=2", "debian-12", status=1, said=b"once more")
    w.run("install", "--retries=x", "debian-12", status=2)
    w.offer(("4.2", package()))
    w.sut.service(None, "qubes.TemplateSearch", "#!/bin/sh\ncat >/dev/null\nprintf '%s'\n" % RECORD.format("here-1", "4.2", "templates", 1).replace("\n", "\\n"))
    equal(w.run("--updatevm=", "list", "--machine-readable"), b"available|here-1|0:4.2-1|templates\n")
    w.run("--updatevm=nosuch", "list", status=1)
    w.run("--keyring=" + w.sut.path("nokeys"), "install", "--skip-start", "debian-12", "--retries=1", status=1, said=b"none of the known keys")
    w.run("install", "--skip-start", "debian-1?")
    equal(w.feature("template-version"), "4.2")


# If this failed, who waits for gigabytes would not know how far they are, or logs would be full of it.
@installs("how far a download and an import are, on a terminal only")
def _(w):
    data = package(random.Random(1).randbytes(6_000_000))
    w.offer(("4.2", data))
    slow = "#!/bin/sh\ncat >/dev/null\nhead -c 3000000 {0}\nsleep 1\ntail -c +3000001 {0}\n"
    sut = w.sut
    sut.service("sys-net", "qubes.TemplateDownload", slow.format(sut.inside("sys-net", "answer-qubes.TemplateDownload")))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(w.argv("install", "--skip-start", "debian-12"), env=sut.env(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the end of a terminal
    os.close(ours)
    equal(process.wait(), 0, shown)
    percents = [int(n) for n in re.findall(rb"debian-12-4.2-1: (\d{3}) %\r", shown)]
    check(percents == sorted(percents) and percents[-1] == 100 and any(0 < n < 100 for n in percents), shown)
    check(b"importing: 100 %" in shown, shown[-300:])
    check(b"%" not in subprocess.run(w.argv("reinstall", "--skip-start", "debian-12"), env=sut.env(), capture_output=True, check=True).stderr, "no terminal")
    check(b"%" not in subprocess.run(w.argv("-q", "reinstall", "--skip-start", "debian-12"), env=sut.env(), capture_output=True, check=True).stderr, "-q")


# If this failed, templates could be managed in dom0 only.
@installs("the same from a qube that the policy lets do it", qubes=("sys-net", "debian-12", "mgmt"),
          policy="qubes.TemplateSearch * mgmt sys-net allow\nqubes.TemplateDownload * mgmt sys-net allow\n"
                 "qubes.PostInstall * mgmt debian-12 allow\n* * mgmt @adminvm allow\n* * mgmt @anyvm allow target=dom0\n")
def _(w):
    ok, sut = w.admin.ok, w.sut
    ok("admin.vm.Create.StandaloneVM", payload="name=mgmt label=red")
    for name in ("sys-net", "mgmt"):
        ok("admin.vm.Start", "", name)
    methods = """admin.vm.List admin.vm.Create.TemplateVM admin.vm.Remove admin.vm.feature.Get admin.vm.feature.Set admin.vm.feature.Remove
        admin.vm.feature.List admin.vm.volume.Info admin.vm.CurrentState admin.vm.Start admin.vm.Shutdown admin.vm.Kill admin.property.Get
        admin.vm.property.Get admin.vm.property.Set admin.vm.property.GetAll admin.Events admin.vm.volume.Clear
        admin.vm.feature.CheckWithTemplate""".split()
    for method in methods:
        os.symlink(sut.path("run/qubesd.sock"), sut.path("etc/qubes-rpc", method))
    sut.folder("q/mgmt/etc/qubes/repo-templates/keys")
    sut.write("q/mgmt/etc/qubes/repo-templates/t.repo", REPO)
    for name in ("ours", "theirs"):
        sut.write("q/mgmt/etc/qubes/repo-templates/keys/RPM-GPG-KEY-" + name, keys().export(name))
    data = image()
    w.offer(("4.2", package(data)))
    got = sut.run("mgmt", TEMPLATE, "--yes", "install", "debian-12")
    equal(got.returncode, 0, got.stderr)
    equal((w.root(), w.feature("template-version")), (data, "4.2"))
    check(os.path.exists(w.posted), "qubes.PostInstall")
    got = sut.run("mgmt", TEMPLATE, "list", "--installed")
    equal(got.stdout, b"Installed Templates\ndebian-12  0:4.2-1  templates\n")


if __name__ == "__main__":
    main()
