# SPDX-License-Identifier: GPL-2.0-or-later
# If this failed, the update qube could show dom0's user what no repository has, or give him a template that nobody signed.
"""qvm-template, qubes.TemplateSearch, qubes.TemplateDownload, and the services of dom0's repositories."""

from system import ZERO_UUID
from templates_common import *


def system(t, sut):
    sut.folder("etc/qubes/repo-templates/keys")
    sut.write("etc/qubes/repo-templates/t.repo", REPO)
    for name in ("ours", "theirs"):
        sut.write("etc/qubes/repo-templates/keys/RPM-GPG-KEY-" + name, keys().export(name))
    return Qubesd(sut, "qubesd.sock", {
        "admin.property.Get+updatevm": b"0\0default=False type=vm sys-net",
        "admin.vm.List": b"0\0dom0 class=AdminVM state=Running uuid=%s\n" % ZERO_UUID.encode(),
        "admin.vm.List+": b"0\0dom0 class=AdminVM state=Running uuid=%s\n" % ZERO_UUID.encode()})


def template(sut, *words):
    return sut.run(None, os.path.join(BUILD, "tools/template/qvm-template"), "--cachedir=" + sut.folder("cache"), *words)


def templates(name):
    if NEEDS_TOOLS:
        return lambda function: case(name, skip=NEEDS_TOOLS)(lambda t: None)
    return services(name, qubes=("sys-net",))


# If this failed, a list would be shown that is not what the update qube may say.
@templates("services-018 qvm-template list, search, info: all of an answer is right, or none is shown")
def _(t, sut):
    system(t, sut)
    good = RECORD.format("debian-12", "4.2", "templates", 5 << 20) + RECORD.format("fedora-40", "4.3", "testing", 1)
    answer(sut, "qubes.TemplateSearch", good)
    got = template(sut, "--enablerepo=testing", "--refresh", "list")
    equal((got.returncode, got.stdout), (0, b"Available Templates\ndebian-12  0:4.2-1  templates\n"
                                            b"fedora-40  0:4.3-1  testing\n"), got.stderr)
    with open(sut.inside("sys-net", "asked"), encoding="utf-8") as file:
        asked = file.read()
    check(asked.startswith("--enablerepo=testing\n--refresh\n*\n---\n" + REPO), asked[:300])
    check("###!Q!BEGIN-QUBES-WRAPPER!Q!###\n#/etc/qubes/repo-templates/keys/RPM-GPG-KEY-ours\n#" in asked, asked[300:600])
    got = json.loads(template(sut, "info", "--machine-readable-json").stdout)["available"]
    equal([(r["name"], r["size"], r["summary"], r["buildtime"]) for r in got],
          [("debian-12", 5 << 20, "A \\x1b[31mtemplate", "2026-01-31 07:05:00"), ("fedora-40", 1, "A \\x1b[31mtemplate", "2026-01-31 07:05:00")])
    equal(template(sut, "search", "FEDORA", "plate").stdout, b"fedora-40  A \\x1b[31mtemplate\n")
    equal([template(sut, "search", *words).returncode for words in (["nosuch"], ["FEDORA", "lines"], ["--all", "lines", "x"])], [1, 1, 0])
    answer(sut, "qubes.TemplateSearch", RECORD.format("debian-12", "4.2", "templates", 5 << 20))
    got = template(sut, "info", "debian-*")
    check(b"Version     : 4.2\n" in got.stdout and b"\n            : over lines." in got.stdout and b"\x1b" not in got.stdout, got.stdout)
    equal(template(sut, "info", "--machine-readable").stdout,
          b"available|debian-12|0|4.2|1|templates|5242880|2026-01-31 07:05:00||GPL|https://x/|A \\x1b[31mtemplate|What is in it,|over lines.\n")
    for spec in ("debian-12", "debian-12-4.2", "debian-12-4.2-1", "debian-12-0:4.2-1", "d*"):
        equal(template(sut, "list", spec).returncode, 0, spec)
    for text, said in ((good, b"not asked for"), (good[:-2] + "|x|\n", b"eleven fields"), (good.replace("|GPL", ""), b"eleven fields"),
                       (good + "\xff|\n", b"not ASCII"), (good.replace("qubes-template-d", "d"), b"a name that no"),
                       ("x" * ((1 << 20) + 1), b"more than 1 MiB")):
        answer(sut, "qubes.TemplateSearch", text)
        got = template(sut, "list", *(["debian-12"] if said == b"not asked for" else []))
        equal((got.returncode, got.stdout), (1, b""), said)
        check(said in got.stderr, got.stderr)
    answer(sut, "qubes.TemplateSearch", good, status=3)
    got = template(sut, "list")
    equal((got.returncode, got.stdout), (1, b""), "the call failed")
    for words in ([], ["--nonsense", "list"], ["--repoid=a;b", "list"], ["nosuch"], ["install"], ["list", "--nonsense"]):
        equal(template(sut, *words).returncode, 2, words)
    equal(template(sut, "info", "a b").returncode, 1)


# If this failed, a template would be taken that its repository's key has not signed, or another one than was chosen.
@templates("qvm-template download: signed by the key of its own repository, and what was chosen")
def _(t, sut):
    system(t, sut)
    folder = sut.folder("downloads")
    answer(sut, "qubes.TemplateSearch", RECORD.format("debian-12", "4.2", "templates", 5 << 20))
    ours = keys().package("ours", b"p" * 300000, name="qubes-template-debian-12", version="4.2")
    answer(sut, "qubes.TemplateDownload", ours)
    got = template(sut, "download", "--retries=1", "--downloaddir=" + folder, "debian-12")
    wanted = os.path.join(folder, "qubes-template-debian-12-4.2-1.noarch.rpm")
    equal((got.returncode, got.stdout.decode()), (0, wanted + "\n"), got.stderr)
    with open(wanted, "rb") as file:
        check(file.read().endswith(b"p" * 300000), "the payload")
    os.unlink(wanted)
    for package, said in ((keys().package("theirs", name="qubes-template-debian-12", version="4.2"), b"none of the known keys"),
                          (keys().package("ours", name="qubes-template-debian-11", version="4.2"), b"it is qubes-template-debian-11-4.2-1"),
                          (keys().package("ours", name="qubes-template-debian-12", version="4.1"), b"it is qubes-template-debian-12-4.1-1"),
                          (ours[:-1], b"not what was signed"), (b"", b"ends too early")):
        answer(sut, "qubes.TemplateDownload", package)
        got = template(sut, "download", "--retries=1", "--downloaddir=" + folder, "debian-12")
        equal((got.returncode, got.stdout, os.listdir(folder)), (1, b"", []), said)
        check(said in got.stderr, got.stderr)
    answer(sut, "qubes.TemplateSearch", RECORD.format("debian-12", "4.2", "elsewhere", 1))
    got = template(sut, "download", "debian-12")
    check(got.returncode == 1 and b"no repository of ours" in got.stderr, got.stderr)


DNF = """#!/bin/sh
for word; do
	case $word in
	--setopt=reposdir=*) cat "${word#*reposdir=}"/templates.repo >"$HOME/repo"; key=$(sed -n 's/^gpgkey *= *file:..//p' "$HOME/repo" | head -n 1); cp "$key" "$HOME/key" ;;
	--destdir=*) where=${word#*=} ;;
	esac
	last=$word
done
echo "$last" >"$HOME/spec"
[ -n "$where" ] && cp "$HOME"/package.rpm "$where/x.rpm"
case "$*" in *repoquery*) cat "$HOME/list" ;; esac
exit 0
"""


# If this failed, a Skerry qube could not fetch templates for dom0.
@templates("TemplateSearch and TemplateDownload in the update qube, with a stand-in for dnf")
def _(t, sut):
    system(t, sut)
    sut.write("q/sys-net/usr/bin/dnf", DNF, 0o755)
    sut.write("q/sys-net/home/user/list", RECORD.format("debian-12", "4.2", "templates", 5 << 20).replace("over", "\u00fcber"))
    sut.write("q/sys-net/home/user/package.rpm", keys().package("ours", name="qubes-template-debian-12", version="4.2"))
    got = template(sut, "list", "debian-12")
    equal(got.returncode, 0, got.stderr)
    with open(sut.inside("sys-net", "home/user/key"), "rb") as file:
        equal(file.read(), keys().export("ours"))
    folder = sut.folder("downloads")
    got = template(sut, "download", "--retries=1", "--downloaddir=" + folder, "debian-12")
    equal((got.returncode, os.listdir(folder)), (0, ["qubes-template-debian-12-4.2-1.noarch.rpm"]), got.stderr)
    with open(sut.inside("sys-net", "home/user/spec"), encoding="ascii") as file:
        equal(file.read(), "qubes-template-debian-12-4.2-1\n")
    for text in (b"--installroot=/\nx\n---\n", b"a b\n---\n", b"$(x)\n---\n", b"\n---\n", b""):
        equal(sut.rpc("sys-net", "qubes.TemplateSearch", stdin=text).returncode, 1, text)
    equal(glob.glob("/tmp/qubes-template-*"), [], "left behind")


# If this failed, a program that manages repositories could not, or would break their files.
@services("qubes.repos.List, Enable and Disable in dom0, which nobody may call by default", qubes=("work",),
          policy="qubes.repos.List * work dom0 allow\n")
def _(t, sut):
    equal(sut.rpc(None, "qubes.repos.List").stdout, b"")
    sut.folder("etc/yum.repos.d")
    sut.write("etc/yum.repos.d/t.repo", REPO)
    path = sut.path("etc/yum.repos.d/t.repo")
    sut.write("etc/yum.repos.d/z.repo", "[last]\nname=Last\n")
    sut.write("etc/yum.repos.d/ignored.txt", "[x]\n")
    lines = b"templates\0Templates of $releasever\0enabled\ntesting\0Others\0disabled\nlast\0Last\0enabled"
    equal(sut.rpc(None, "qubes.repos.List").stdout, lines)
    equal(sut.call("work", "dom0", "qubes.repos.List").stdout, lines)
    equal(sut.call("work", "dom0", "qubes.repos.Enable+testing").returncode, REFUSED)
    for name, argument in (("Enable", "testing"), ("Disable", "templates"), ("Disable", "last"), ("Disable", "last")):
        got = sut.rpc(None, "qubes.repos." + name, argument)
        equal((got.returncode, got.stdout, got.stderr), (0, b"ok", b""), argument)
    equal(sut.rpc(None, "qubes.repos.List").stdout,
          lines.replace(b"enabled", b"?").replace(b"disabled", b"enabled").replace(b"?", b"disabled"))
    with open(path, encoding="utf-8") as file:
        equal(file.read(), REPO.replace("[templates]\n", "[templates]\nenabled=0\n").replace("enabled = 1\n", "")
              .replace("[testing]\n", "[testing]\nenabled=1\n").replace("Others\nenabled=0\n", "Others\n"))
    equal(os.stat(path).st_mode & 0o777, 0o644)
    for argument in ("nosuch", "", "../x", "a b"):
        got = sut.rpc(None, "qubes.repos.Enable", argument)
        check(got.returncode == 1 and got.stdout == b"" and got.stderr, (argument, got))


if __name__ == "__main__":
    main()
