# SPDX-License-Identifier: GPL-2.0-or-later
"""If this fails, an unmodified Qubes program does not compile or run against our library.

Arguments: a program written for libvchan.h, the folder of the uninstalled .pc files.
"""
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE, PKG_CONFIG_DIR = sys.argv[1:3]
LIMIT = 100
done = 0
failed = 0


def report(good, name):
    global done, failed
    done += 1
    failed += not good
    print("ok" if good else "not ok", done, "-", name, flush=True)


def pkg_config(*args):
    env = dict(os.environ, PKG_CONFIG_PATH=PKG_CONFIG_DIR)
    return subprocess.check_output(["pkg-config", *args], env=env, text=True).split()


def compile_with(name, directory):
    program = os.path.join(directory, "node-" + name)
    command = ["cc", "-Wall", "-Werror", "-o", program, SOURCE] + pkg_config("--cflags", "--libs", name)
    library = [a[2:] for a in command if a.startswith("-L")][0]
    result = subprocess.run(command + ["-Wl,-rpath," + library], check=False)
    report(result.returncode == 0, f"compiles with pkg-config {name}")
    return program


def run(program, transport, directory, server_first):
    data = os.urandom(1 << 20) * 3 + b"end"
    env = dict(os.environ, VCHAN_SOCKET_DIR=directory, VCHAN_TRANSPORT=transport)

    def start(role, own, other, **keywords):
        return subprocess.Popen([program, role, str(other), "42"], env=dict(env, VCHAN_DOMAIN=str(own)),
                                **keywords)

    def server():
        return start("echo", 1, 2)

    echo = server() if server_first else None
    client = start("client", 2, 1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not echo:
        echo = server()
    try:
        output, _ = client.communicate(data, timeout=LIMIT)
        good = output == data and client.returncode == 0 and echo.wait(LIMIT) == 0
    except subprocess.TimeoutExpired:
        good = False
        client.kill()
        echo.kill()
    order = "server" if server_first else "client"
    report(good and os.listdir(directory) == [], f"echoes 3 MB over {transport}, {order} first")


if not shutil.which("pkg-config") or not shutil.which("cc"):
    print("1..0 # SKIP pkg-config or cc is not installed")
    sys.exit(0)
with tempfile.TemporaryDirectory() as work:
    report(pkg_config("--variable=backend_vmm", "vchan-socket") == ["socket"], "backend_vmm of vchan-socket")
    os.mkdir(os.path.join(work, "d"))
    for pc in ("vchan-socket", "vchan-memfd", "vchan"):
        node = compile_with(pc, work)
    for kind in ("socket", "memfd"):
        run(node, kind, os.path.join(work, "d"), True)
        run(node, kind, os.path.join(work, "d"), False)
print(f"1..{done}")
sys.exit(1 if failed else 0)
