# SPDX-License-Identifier: GPL-2.0-or-later
"""The image builder, over small packages that the test makes: no network, no root.

If one of these failed, two people could not build the same image, or could not see how two images differ.
"""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("SKERRY_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
done = failed = 0


def result(good, name):
    global done, failed
    done += 1
    failed += not good
    print("%sok %d - %s" % ("" if good else "not ", done, name))


def put(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)


def package(top, name, version, files):
    tree = os.path.join(top, "tree-" + name + version)
    put(tree + "/DEBIAN/control", "Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: test <test@localhost>\n"
        "Description: test\n" % (name, version))
    for path, data in files.items():
        put(os.path.join(tree, path), data)
    deb = os.path.join(top, "%s_%s_all.deb" % (name, version))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, stdout=subprocess.DEVNULL)
    return deb


def base(top, kernel_version="1.0", option="y"):
    kernel = package(top, "kernel", kernel_version, {
        "boot/vmlinuz-9": "the kernel " + kernel_version, "lib/modules/9/modules.builtin": "kernel/built/in.ko\n",
        "boot/config-9": 'CONFIG_CC_VERSION_TEXT="gcc 1"\nCONFIG_A=%s\n# CONFIG_B is not set\n' % option})
    xen = package(top, "xen-hypervisor-9.9-amd64", "9.9", {
        "boot/xen-9.9-amd64.gz": gzip.compress(b"x gcc (Test 1) 1.2.3 x", mtime=0),
        "boot/xen-9.9-amd64.config": "CONFIG_XSM=y\n"})
    put(top + "/base" + kernel_version, "kernel %s\nxen %s\n" % (kernel, xen))
    return top + "/base" + kernel_version


def recipe(top, order=1):
    put(top + "/more.recipe", "dir /var/x 1777\n")
    lines = ["include more.recipe", "file a.txt /etc/a", "file a.txt /etc/b 600", "link /etc/c a", "module in",
             "own prog /bin/prog"]
    put(top + "/a.txt", "text\n")
    put(top + "/tree/prog", open("/bin/true", "rb").read(), 0o755)
    put(top + "/r.recipe", "\n".join(lines[::order]) + "\n")
    return top + "/r.recipe"


def build(top, base_file, recipe_file, output, *more, **how):
    env = dict(os.environ, SOURCE_DATE_EPOCH="1700000000", XDG_CACHE_HOME=top + "/cache", **how.pop("env", {}))
    return subprocess.run([sys.executable, SOURCE + "/image/build", recipe_file, "--base", base_file, "--tree", top + "/tree",
                           "-o", output, *more], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **how)


def contents(folder):
    return {n: open(os.path.join(folder, n), "rb").read() for n in sorted(os.listdir(folder))}


def entries(archive):
    found, at = {}, 0
    while True:
        head = archive[at:at + 110]
        field = lambda i: int(head[6 + 8 * i:14 + 8 * i], 16)  # noqa: E731
        name = archive[at + 110:at + 110 + field(11) - 1].decode()
        if name == "TRAILER!!!":
            return found
        found[name] = {"mode": field(1), "uid": field(2), "gid": field(3), "mtime": field(5)}
        start = (at + 110 + field(11) + 3) // 4 * 4
        at = (start + field(6) + 3) // 4 * 4


def static_program(top):
    """A program that needs no library, so that the recipe needs no package of one."""
    put(top + "/p.s", ".globl _start\n_start: mov $60,%eax\nxor %edi,%edi\nsyscall\n")
    r = subprocess.run(["gcc", "-nostdlib", "-static", "-o", top + "/tree/prog", top + "/p.s"], check=False)
    return r.returncode == 0


def main():
    if not shutil.which("dpkg-deb") or not shutil.which("apt-cache"):
        print("1..0 # SKIP no dpkg-deb")
        return 0
    with tempfile.TemporaryDirectory(prefix="skerry-image-") as tmp:
        one, two = tmp + "/one", tmp + "/a/much/longer/place"
        for place in (one, two):
            os.makedirs(place + "/tree")
        made = build_two(one, two)
        result(made == 0, "an image is built from packages by an ordinary user")
        if made == 0:
            judge(one, two)
    print("1..%d" % done)
    return 1 if failed else 0


def build_two(one, two):
    base_one = base(one)
    recipe(one)
    static_program(one)
    # The same packages and programs; folder, order of lines, time zone, language, umask and times differ.
    shutil.copytree(one + "/tree", two + "/tree", dirs_exist_ok=True)
    recipe(two, -1)
    shutil.copy(one + "/tree/prog", two + "/tree/prog")
    for folder, _, names in os.walk(two):
        for name in names:
            os.utime(os.path.join(folder, name), (1, 1))
    first = build(one, base_one, one + "/r.recipe", one + "/out")
    second = build(two, base_one, two + "/r.recipe", two + "/out", umask=0o077,
                   env={"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "HOME": two, "PYTHONHASHSEED": "7"})
    for r in (first, second):
        if r.returncode:
            print(r.stderr.decode(), file=sys.stderr)
    return first.returncode or second.returncode


def judge(one, two):
    a, b = contents(one + "/out"), contents(two + "/out")
    result(a == b, "two builds in different folders, orders, times and languages are the same, byte by byte")
    files = entries(gzip.decompress(a["initramfs.gz"]))
    result(all(f["uid"] == f["gid"] == 0 and f["mtime"] == 1700000000 for f in files.values()),
           "everything in it is root's and of one time")
    result(list(files) == sorted(files) and files["etc/b"]["mode"] == 0o100600 and files["etc/c"]["mode"] == 0o120777,
           "files are in order, with the modes of the recipe")
    result(not any(place.encode() in data for place in (one, two) for data in
                   [gzip.decompress(a["initramfs.gz"]), a["manifest.json"]]), "it does not say where it was built")
    manifest = json.loads(a["manifest.json"])
    result(manifest["packages"]["kernel"]["version"] == "1.0" and manifest["kernel"]["compiler"] == "gcc 1" and
           manifest["xen"]["compiler"] == "gcc (Test 1) 1.2.3" and manifest["kernel"]["options"] == {"CONFIG_A": "y"},
           "the manifest names packages, options and compilers")
    compare = [sys.executable, SOURCE + "/image/compare"]
    r = subprocess.run(compare + [one + "/out", two + "/out"], stdout=subprocess.PIPE, check=False)
    result(r.returncode == 0 and not r.stdout, "compare: an image with itself")
    other = build(one, base(one, "2.0", "m"), one + "/r.recipe", one + "/out2")
    r = subprocess.run(compare + ["--json", one + "/out", one + "/out2"], stdout=subprocess.PIPE, check=False)
    found = json.loads(r.stdout or "{}")
    result(other.returncode == 0 and r.returncode == 1 and found["packages"] == {"kernel": ["1.0", "2.0"]} and
           found["kernel options"] == {"CONFIG_A": ["y", "m"]} and not found["files"],
           "another base by one option; compare names the package and the kernel's option")
    judge_disk(one, two)
    judge_signature(one)
    put(one + "/wrong.recipe", "file a.txt /etc/a\nfile r.recipe /etc/a\n")
    r = build(one, base(one), one + "/wrong.recipe", one + "/out3")
    result(r.returncode != 0 and b"twice" in r.stderr and not os.path.exists(one + "/out3"),
           "a recipe that gives one file two contents is refused, and nothing is written")
    put(one + "/nowhere", "kernel no-such-kernel-package\nxen no-such-xen-package\n")
    r = build(one, one + "/nowhere", one + "/r.recipe", one + "/out3")
    result(r.returncode == 3 and b"no-such-kernel-package" in r.stderr, "a package that nobody has is named; exit 3")
    r = subprocess.run(compare + [one + "/a.txt", one + "/out"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    result(r.returncode == 2 and b"a.txt" in r.stderr, "compare: what is no manifest is said")


def judge_disk(one, two):
    """A root for qubes: the same twice, whole, and with the owners that the recipe names."""
    path = "/sbin:/usr/sbin:" + os.environ["PATH"]
    if not shutil.which("debugfs", path=path):
        print("# no debugfs: disks are not tested")
        return
    for place in (one, two):
        put(place + "/d.recipe", "include r.recipe\nowner /etc/b 1000 7\ndir /home/x 700\nowner /home/x 1000 1000\n")
    base_file = base(one)
    made = [build(place, base_file, place + "/d.recipe", place + "/disk", "--disk", "8", env={"TZ": zone})
            for place, zone in ((one, "UTC"), (two, "Asia/Tokyo"))]
    for r in made:
        if r.returncode:
            print(r.stderr.decode(), file=sys.stderr)
    image = one + "/disk/root.img"
    result(not any(r.returncode for r in made) and contents(one + "/disk") == contents(two + "/disk"),
           "a root disk: two builds are the same, byte by byte")
    run = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": dict(os.environ, PATH=path), "check": False}
    r = subprocess.run(["e2fsck", "-fn", image], **run)
    result(r.returncode == 0, "a root disk: e2fsck finds no fault")
    r = subprocess.run(["debugfs", "-R", "stat /etc/b", image], **run)
    result(b"User:  1000   Group:     7" in r.stdout and b"Mode:  0600" in r.stdout, "a root disk: files have their owners and modes")


def judge_signature(one):
    if not shutil.which("signify-openbsd"):
        print("# no signify-openbsd: signatures are not tested")
        return
    subprocess.run(["signify-openbsd", "-G", "-n", "-p", one + "/key.pub", "-s", one + "/key.sec"], check=True)
    subprocess.run(["signify-openbsd", "-G", "-n", "-p", one + "/other.pub", "-s", one + "/other.sec"], check=True)
    sign, out = [sys.executable, SOURCE + "/image/sign"], one + "/out"

    def good(key):
        return subprocess.run(sign + ["--verify", out, key], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    signed = subprocess.run(sign + [out, one + "/key.sec"], check=False).returncode == 0
    result(signed and good(one + "/key.pub") and not good(one + "/other.pub"), "a signed image is good with its key and no other")
    with open(out + "/vmlinuz", "ab") as f:
        f.write(b"x")
    result(not good(one + "/key.pub"), "a part that was changed is found")


if __name__ == "__main__":
    sys.exit(main())
